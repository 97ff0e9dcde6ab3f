// A hostile user beside another one on a system instance: each has a worker of his own, and neither sees, names,
// touches or outlives what the other has.
#include <fcntl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "support/as_user.hpp"
#include "support/hostile.hpp"

namespace yoke::test {
namespace {

// Users without an entry anywhere and, so it is hoped, without processes.
constexpr uid_t alice = 61'201;
constexpr uid_t mallory = 61'202;

int error_of(long returned) {
    return returned < 0 ? errno : 0;
}

// /proc/PID/status.
std::map<std::string, std::string> status_of(pid_t pid) {
    std::map<std::string, std::string> members;
    std::ifstream stream(fmt::format("/proc/{}/status", pid));
    for (std::string line; std::getline(stream, line);) {
        const std::size_t colon = line.find(':');
        const std::size_t value = line.find_first_not_of(" \t", colon + 1);
        members[line.substr(0, colon)] = value == std::string::npos ? "" : line.substr(value);
    }
    return members;
}

// Alice is the neighbour: her calls run all the time. She has a graph and a session beside.
class HostileAccount : public testing::Test {
   protected:
    void SetUp() override {
        if (const std::string why = why_no_users(mallory); !why.empty()) {
            GTEST_SKIP() << why;
        }
        instance_ = std::make_unique<Instance>(
            Instance::Options{.config = "[lifetime]\nidle_exit_s = 60\n", .environment = {}, .system = true});
        ASSERT_TRUE(instance_->ready()) << instance_->error();
        as_user(alice, [&] {
            try {
                neighbour_ = std::make_unique<Neighbour>(instance_->socket());
            } catch (const error& failure) {
                FAIL() << failure.what();
            }
            hers_ = open();
            ASSERT_TRUE(hers_);
            channel_ = open_outlet(*hers_, "/diary");
        });
        ASSERT_TRUE(neighbour_ && hers_);
    }
    void TearDown() override {
        if (!neighbour_) {
            return;
        }
        EXPECT_TRUE(neighbour_->is_served());
        EXPECT_TRUE(hers_->echo(3000));
        const auto pids = instance_->worker_pids();
        EXPECT_THAT(pids, testing::Contains(neighbour_->worker()));
        as_user(alice, [&] {
            const auto list = instance_->ask({{"op", "list"}, {"kind", "graphs"}});
            ASSERT_TRUE(list) << list.error().message;
            ASSERT_EQ(list->body["graphs"].size(), 1U);
            EXPECT_EQ(list->body["graphs"][0]["name"], "/diary");
        });
    }

    std::unique_ptr<RawSession> open() {
        auto session = RawSession::open(*instance_);
        EXPECT_TRUE(session) << session.error().message;
        return session ? std::move(*session) : nullptr;
    }
    // A graph with a channel that gives nothing.
    static std::uint32_t open_outlet(const RawSession& session, const std::string& graph) {
        EXPECT_EQ(answer_to(session.socket(), {{"op", "open_graph"}, {"name", graph}}).code, 0);
        EXPECT_EQ(answer_to(session.socket(), {{"op", "open_port"},
                                               {"name", graph + "/p:out"},
                                               {"direction", "out"},
                                               {"template", {{"type", "u8"}, {"extent", {64, 1, 1}}, {"stride", 0}}}})
                      .code,
                  0);
        const Answer answer = answer_to(session.socket(), {{"op", "open_channel"},
                                                           {"name", graph + "/c"},
                                                           {"source", graph + "/p:out"},
                                                           {"destination", nullptr},
                                                           {"capacity", 1}});
        EXPECT_EQ(answer.code, 0) << answer.sentence;
        return answer.message.body.value("channel", 0U);
    }
    [[nodiscard]] pid_t her_worker() const { return neighbour_->worker(); }

    std::unique_ptr<Instance> instance_;
    std::unique_ptr<Neighbour> neighbour_;
    std::unique_ptr<RawSession> hers_;
    std::uint32_t channel_ = 0;
};

TEST_F(HostileAccount, AWorkerHasItsUsersIdentityAndNothingElse) {
    as_user(mallory, [&] {
        const auto session = open();
        ASSERT_TRUE(session);
        EXPECT_TRUE(session->echo(3000) && session->echo(100'000, YOKE_RING_BULK));
        const pid_t worker = session->connected().worker;
        EXPECT_NE(worker, her_worker());
        auto status = status_of(worker);
        const std::string four = fmt::format("{0}\t{0}\t{0}\t{0}", mallory);
        EXPECT_EQ(status["Uid"], four);
        EXPECT_EQ(status["Gid"], four);
        EXPECT_EQ(status["Groups"], "");
        for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapAmb"}) {
            EXPECT_EQ(status[set], "0000000000000000") << set;
        }
        EXPECT_EQ(status["NoNewPrivs"], "1");
        EXPECT_EQ(status["Seccomp"], "2");
    });
}

TEST_F(HostileAccount, ListsShowAUserOnlyHisOwn) {
    as_user(mallory, [&] {
        const auto session = open();
        ASSERT_TRUE(session);
        for (const char* op : {"list", "status"}) {
            const auto seen = instance_->ask({{"op", op}});
            ASSERT_TRUE(seen) << seen.error().message;
            const std::string text = seen->body.dump();
            EXPECT_EQ(text.find("diary"), std::string::npos) << text;
            EXPECT_EQ(text.find(std::to_string(alice)), std::string::npos) << text;
            for (const Json& worker : seen->body["workers"]) {
                EXPECT_EQ(worker["pid"], session->connected().worker) << text;
            }
        }
    });
}

TEST_F(HostileAccount, NamesAndNumbersMeanOnlyHisOwnObjects) {
    as_user(mallory, [&] {
        const auto session = open();
        ASSERT_TRUE(session);
        const Fd& socket = session->socket();
        for (const char* op : {"run_graph", "terminate_graph"}) {
            EXPECT_TRUE(is_refused(answer_to(socket, {{"op", op}, {"name", "/diary"}}), ENOENT, "/diary"));
        }
        yoke_submission pull{};
        pull.opcode = YOKE_OP_PULL;
        pull.object = channel_;
        pull.out_offset = session->layout().data;
        pull.out_length = 64;
        EXPECT_EQ(session->call(pull)->status, -ENOENT);
        // One of the same name is another one.
        const Answer opened = answer_to(socket, {{"op", "open_graph"}, {"name", "/diary"}});
        ASSERT_EQ(opened.code, 0);
        EXPECT_EQ(opened.message.body["created"], true);
        EXPECT_EQ(answer_to(socket, {{"op", "terminate_graph"}, {"name", "/diary"}}).code, 0);
    });
}

TEST_F(HostileAccount, NobodyReachesIntoAWorker) {
    constexpr std::array<const char*, 5> inside{"mem", "fd", "environ", "maps", "map_files"};
    as_user(mallory, [&] {
        const auto session = open();
        ASSERT_TRUE(session);
        std::array<char, 64> buffer{};
        iovec local{buffer.data(), buffer.size()};
        // Neither hers nor his own, in which keys of his other programs are.
        for (const pid_t process : {her_worker(), session->connected().worker, instance_->yoked_pid()}) {
            for (const char* what : inside) {
                const std::string path = fmt::format("/proc/{}/{}", process, what);
                EXPECT_EQ(error_of(::open(path.c_str(), O_RDONLY | O_CLOEXEC)), EACCES) << path;
            }
            iovec remote{reinterpret_cast<void*>(0x400000), buffer.size()};
            EXPECT_EQ(error_of(::process_vm_readv(process, &local, 1, &remote, 1, 0)), EPERM);
            EXPECT_EQ(error_of(::ptrace(PTRACE_SEIZE, process, nullptr, nullptr)), EPERM);
            const Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, process, 0)));
            ASSERT_TRUE(pidfd);
            EXPECT_EQ(error_of(::syscall(SYS_pidfd_getfd, pidfd.get(), 3, 0)), EPERM);
        }
        for (const pid_t process : {her_worker(), instance_->yoked_pid()}) {
            EXPECT_EQ(error_of(::kill(process, SIGKILL)), EPERM);
        }
    });
}

TEST_F(HostileAccount, YokedsOwnFilesAndRequestsAreNotHis) {
    as_user(mallory, [&] {
        for (const char* file : {"secret", "workers", "lock"}) {
            EXPECT_EQ(error_of(::open((instance_->directory() + "/" + file).c_str(), O_RDONLY | O_CLOEXEC)), EACCES)
                << file;
            EXPECT_EQ(error_of(::unlink((instance_->directory() + "/" + file).c_str())), EACCES) << file;
        }
        EXPECT_EQ(error_of(::unlink(instance_->socket().c_str())), EACCES);
        const auto link = instance_->connect();
        ASSERT_TRUE(link) << link.error().message;
        EXPECT_TRUE(is_refused(answer_to(*link, {{"op", "shutdown"}}), EACCES, "shut it down"));
        for (const auto& [account, pid] : {std::pair{alice, her_worker()}, std::pair{mallory, ::getpid()}}) {
            EXPECT_TRUE(is_refused(answer_to(*link, {{"op", "register"},
                                                     {"token", std::string(64, 'f')},
                                                     {"account", account},
                                                     {"generation", 1},
                                                     {"pid", pid},
                                                     {"inventory", {{"adopted", 0}}}}),
                                   EACCES, std::to_string(::getpid())));
        }
    });
}

TEST_F(HostileAccount, TheDeathsOfHisWorkersAreHisOwn) {
    as_user(mallory, [&] {
        for (unsigned i = 0; i < 3; ++i) {
            const auto session = open();
            ASSERT_TRUE(session);
            const pid_t worker = session->connected().worker;
            ASSERT_EQ(::kill(worker, SIGKILL), 0) << "it is his, to end as he likes";
            ASSERT_TRUE(eventually([&] { return status_of(worker).empty(); })) << "not reaped";
        }
        // Suspects bar whoever reports them, and nobody else.
        const auto link = instance_->connect();
        ASSERT_TRUE(link);
        EXPECT_EQ(answer_to(*link, {{"op", "connect"}, {"version", YOKE_ABI_VERSION}, {"suspects", 7}}).code, 0);
        EXPECT_TRUE(is_refused(answer_to(*link, {{"op", "connect"}, {"version", YOKE_ABI_VERSION}, {"suspects", 7}}),
                               EBUSY, "barred"));
    });
    as_user(alice, [&] { EXPECT_TRUE(open()); });
}

TEST_F(HostileAccount, HisSessionsFillHisOwnLimitOnly) {
    std::vector<Fd> sockets;
    as_user(mallory, [&] {
        const auto link = instance_->connect();
        ASSERT_TRUE(link);
        Answer answer;
        do {
            answer = answer_to(*link, {{"op", "connect"}, {"version", YOKE_ABI_VERSION}});
            if (answer.code == 0) {
                sockets.push_back(std::move(answer.message.fds.at(0)));
            }
        } while (answer.code == 0);
        EXPECT_TRUE(is_refused(answer, ENOBUFS, "limits.account.sessions"));
        EXPECT_EQ(sockets.size(), 1024U);
    });
    as_user(alice, [&] {
        const auto session = open();
        EXPECT_TRUE(session && session->echo(3000));
    });
}

// A private instance serves its user alone: the file says so, and yoked says so where the file does not.
TEST(HostilePrivate, ServesNobodyElse) {
    if (const std::string why = why_no_users(mallory); !why.empty()) {
        GTEST_SKIP() << why;
    }
    Instance instance({.config = "", .environment = {}, .user = alice});
    ASSERT_TRUE(instance.ready()) << instance.error();
    as_user(alice, [&] {
        const auto session = RawSession::open(instance);
        ASSERT_TRUE(session) << session.error().message;
        EXPECT_TRUE((*session)->echo(3000));
    });
    as_user(mallory, [&] {
        const auto link = instance.connect();
        ASSERT_FALSE(link);
        EXPECT_EQ(link.error().code, EACCES) << link.error().message;
        yoke_options options{};
        options.socket = instance.socket().c_str();
        yoke_session* session = nullptr;
        EXPECT_EQ(yoke_open(&session, &options), -EACCES) << yoke_error(nullptr);
        EXPECT_EQ(session, nullptr);
    });
    ASSERT_EQ(::chmod(instance.directory().c_str(), 0777), 0);
    ASSERT_EQ(::chmod(instance.socket().c_str(), 0666), 0);
    const auto expect_refused = [&] {
        const auto link = instance.connect();
        ASSERT_TRUE(link) << link.error().message;
        EXPECT_TRUE(is_refused(answer_to(*link, {{"op", "connect"}, {"version", YOKE_ABI_VERSION}}), EACCES,
                               std::to_string(alice)));
    };
    as_user(mallory, [&] {
        expect_refused();
        const auto link = instance.connect();
        ASSERT_TRUE(link);
        EXPECT_TRUE(is_refused(answer_to(*link, {{"op", "shutdown"}}), EACCES, "owner"));
        const auto list = instance.ask({{"op", "list"}});
        EXPECT_TRUE(!list || list->body.dump().find(std::to_string(alice)) == std::string::npos);
    });
    expect_refused();  // root too
    as_user(alice, [&] { EXPECT_TRUE(RawSession::open(instance)); });
}

}  // namespace
}  // namespace yoke::test
