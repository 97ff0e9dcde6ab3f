// Clients and workers that don't keep to the protocol: each gets a typed error, and nobody else notices.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <yoke/yoke.h>

#include "daemon/secret.hpp"
#include "support/instance.hpp"
#include "support/process_tree.hpp"
#include "support/raw_session.hpp"

namespace yoke::daemon {
namespace {

using control::Json;
using test::connect_to_worker;
using test::eventually;
using test::Instance;
using test::RawSession;

constexpr int answer_ms = 60'000;

class Malicious : public testing::Test {
   protected:
    void SetUp() override {
        ASSERT_TRUE(instance_.ready()) << instance_.error();
        auto session = RawSession::open(instance_);
        ASSERT_TRUE(session) << session.error().message;
        honest_ = std::move(*session);
        auto link = instance_.connect();
        ASSERT_TRUE(link);
        link_ = std::move(*link);
        ASSERT_EQ(code_of({{"op", "status"}}), 0);
        // The connections that the honest session was opened over are closed by now or soon.
        descriptors_ = open_descriptors(instance_.yoked_pid());
        for (int calm = 0; calm < 20; ++calm) {
            ::usleep(5000);
            const std::size_t now = open_descriptors(instance_.yoked_pid());
            calm = now == descriptors_ ? calm : 0;
            descriptors_ = now;
        }
    }
    // Whatever was done: others are served as before.
    void TearDown() override {
        ASSERT_TRUE(honest_);
        EXPECT_TRUE(honest_->echo(500));
        EXPECT_EQ(instance_.worker_pids(), std::vector<pid_t>{honest_->connected().worker});
        EXPECT_TRUE(connect_to_worker(instance_));
    }
    int code_of(const Json& request, std::span<const int> fds = {}) {
        const auto answer = control::request(link_, request, fds, answer_ms);
        return answer ? 0 : answer.error().code;
    }
    int raw_code_of(const std::string& packet) {
        EXPECT_EQ(::send(link_.get(), packet.data(), packet.size(), MSG_NOSIGNAL), static_cast<ssize_t>(packet.size()));
        const auto answer = control::receive_for(link_, answer_ms);
        return answer && *answer && (*answer)->body["ok"] == false ? (*answer)->body["errno"].get<int>() : -1;
    }
    std::size_t open_descriptors(pid_t pid) {
        const std::filesystem::path path = fmt::format("/proc/{}/fd", pid);
        return static_cast<std::size_t>(
            std::distance(std::filesystem::directory_iterator(path), std::filesystem::directory_iterator()));
    }

    // That yoked gets back to the number of descriptors that it had before the test.
    bool yoked_leaks_nothing() {
        return eventually([&] { return open_descriptors(instance_.yoked_pid()) <= descriptors_; });
    }

    Instance instance_;
    std::size_t descriptors_ = 0;  // that yoked has open
    std::unique_ptr<RawSession> honest_;
    Fd link_;
};

TEST_F(Malicious, PacketsThatAreNoMessages) {
    EXPECT_EQ(raw_code_of("{"), EBADMSG);
    EXPECT_EQ(raw_code_of("[]"), EBADMSG);
    EXPECT_EQ(raw_code_of("null"), EBADMSG);
    EXPECT_EQ(raw_code_of(std::string("\0\0\0", 3)), EBADMSG);
    EXPECT_EQ(raw_code_of(R"({"op":"status","op":"shutdown"})"), EBADMSG);
    EXPECT_EQ(raw_code_of(std::string(100, '[') + std::string(100, ']')), EMSGSIZE);
    EXPECT_EQ(raw_code_of(R"({"op":")" + std::string(60'000, 'x') + R"("})"), ENOSYS);
    EXPECT_EQ(raw_code_of(std::string(70'000, ' ')), EMSGSIZE);
    EXPECT_EQ(code_of({{"op", "status"}}), 0) << "the connection is usable as before";
}

TEST_F(Malicious, RequestsThatDontFitTheirSchema) {
    EXPECT_EQ(code_of({{"op", "status"}, {"more", 1}}), EBADMSG);
    EXPECT_EQ(code_of({{"op", "connect"}}), EBADMSG);
    EXPECT_EQ(code_of({{"op", "connect"}, {"version", "1"}}), EBADMSG);
    EXPECT_EQ(code_of({{"op", "connect"}, {"version", 1}, {"suspects", -1}}), EBADMSG);
    EXPECT_EQ(code_of({{"op", "connect"}, {"version", 2}}), EPROTO);
    EXPECT_EQ(code_of({{"op", 5}}), EBADMSG);
    EXPECT_EQ(code_of({{"op", "adopt"}}), ENOSYS);
    EXPECT_EQ(code_of({{"op", "end"}}), ENOSYS);
    EXPECT_EQ(code_of({{"op", "inventory"}, {"inventory", {{"adopted", 0}}}}), ENOSYS);
    EXPECT_EQ(code_of({{"op", "open_session"}}), ENOSYS);
    EXPECT_EQ(code_of({{"op", "list"}, {"kind", "\u001b[31m"}}), EBADMSG);
}

TEST_F(Malicious, DescriptorsThatNobodyAskedForNeverEnterYoked) {
    const std::vector<int> attached(8, STDERR_FILENO);
    for (int i = 0; i < 50; ++i) {
        EXPECT_EQ(code_of({{"op", "status"}}, attached), EMSGSIZE);
    }
    EXPECT_TRUE(yoked_leaks_nothing());
}

TEST_F(Malicious, RegistrationsWithoutTheToken) {
    const auto claim = [](const std::string& token, std::uint64_t account, std::uint64_t pid) {
        return Json{{"op", "register"}, {"token", token}, {"account", account},
                    {"generation", 1},  {"pid", pid},     {"inventory", {{"adopted", 0}}}};
    };
    const std::string guess(64, 'a');
    const auto pid = static_cast<std::uint64_t>(::getpid());
    EXPECT_EQ(code_of(claim(guess, ::getuid(), pid)), EACCES);
    EXPECT_EQ(code_of(claim(guess, ::getuid() + 1, pid)), EACCES);
    EXPECT_EQ(code_of(claim(guess, YOKE_ACCOUNT_KERNEL, pid)), EACCES);
    EXPECT_EQ(code_of(claim(guess, ::getuid(), static_cast<std::uint64_t>(honest_->connected().worker))), EACCES);
    EXPECT_EQ(code_of(claim("zz", ::getuid(), pid)), EBADMSG);
    EXPECT_EQ(code_of({{"op", "register"}}), EBADMSG);
}

TEST_F(Malicious, ARegistrationWithTheRightTokenByAnotherProcessIsRefused) {
    // Only yoked's owner can read the secret; even he gets no second worker.
    std::ifstream file(instance_.directory() + "/secret", std::ios::binary);
    std::array<unsigned char, Secret::bytes> key{};
    file.read(reinterpret_cast<char*>(key.data()), key.size());
    ASSERT_EQ(file.gcount(), static_cast<std::streamsize>(key.size()));
    EXPECT_EQ(code_of({{"op", "register"},
                       {"token", Secret(key).token(::getuid(), 1)},
                       {"account", ::getuid()},
                       {"generation", 1},
                       {"pid", ::getpid()},
                       {"inventory", {{"adopted", 0}}}}),
              EEXIST);
}

TEST_F(Malicious, AClientThatNeverReadsIsDroppedAndHoldsNobodyUp) {
    ::fcntl(link_.get(), F_SETFL, O_NONBLOCK);
    const std::string packet = R"({"op":"list"})";
    bool dropped = false;
    for (int i = 0; i < 200'000 && !dropped; ++i) {
        if (::send(link_.get(), packet.data(), packet.size(), MSG_NOSIGNAL) < 0) {
            dropped = errno == EPIPE || errno == ECONNRESET;
            ASSERT_TRUE(dropped || errno == EAGAIN) << std::strerror(errno);
            if (i % 1000 == 0) {
                ASSERT_TRUE(instance_.ask({{"op", "status"}}));
            }
        }
    }
    EXPECT_TRUE(dropped);
}

TEST_F(Malicious, TenThousandConnectionsAreRefusedByNumberAndLeaveNothing) {
    std::vector<Fd> links;
    unsigned refused = 0;
    for (int i = 0; i < 10'000; ++i) {
        auto link = instance_.connect();
        ASSERT_TRUE(link) << i << ": " << link.error().message;
        if (links.size() < 400) {
            links.push_back(std::move(*link));
        }
    }
    for (const Fd& link : links) {
        const auto message = control::request(link, {{"op", "status"}}, {}, answer_ms);
        refused += message ? 0 : 1;
    }
    EXPECT_GE(refused, 144U) << "256 connections per user are the limit";
    links.clear();
    EXPECT_TRUE(yoked_leaks_nothing());
}

TEST_F(Malicious, TenThousandSessionsEndWithErrorsAndLeaveNothing) {
    unsigned opened = 0;
    unsigned refused = 0;
    {
        std::vector<Fd> sessions;
        for (int i = 0; i < 10'000; ++i) {
            const auto answer =
                control::request(link_, {{"op", "connect"}, {"version", YOKE_ABI_VERSION}}, {}, answer_ms);
            if (answer) {
                ++opened;
                sessions.push_back(Fd(::fcntl(answer->fds[0].get(), F_DUPFD_CLOEXEC, 0)));
            } else {
                ASSERT_EQ(answer.error().code, ENOBUFS) << answer.error().message;
                ++refused;
            }
        }
        EXPECT_EQ(opened + 1, 1024U) << "limits.account.sessions, less the honest one";
        EXPECT_EQ(refused, 10'000U - opened);
        EXPECT_TRUE(honest_->echo(100));
        EXPECT_TRUE(instance_.ask({{"op", "list"}, {"kind", "sessions"}})) << "a long inventory arrives";
    }
    EXPECT_TRUE(eventually([&] {
        const auto list = instance_.ask({{"op", "list"}, {"kind", "sessions"}});
        return list && list->body["sessions"].size() == 1;
    }));
    EXPECT_TRUE(yoked_leaks_nothing());
}

TEST_F(Malicious, HalfOfYokedsLifeIsSpentOnConnectsThatNobodyWaitsFor) {
    for (int i = 0; i < 200; ++i) {
        auto link = instance_.connect();
        ASSERT_TRUE(link);
        ASSERT_TRUE(control::send(*link, {{"op", "connect"}, {"version", YOKE_ABI_VERSION}}));
        ASSERT_TRUE(control::send(*link, {{"op", "list"}}));
    }
    EXPECT_TRUE(eventually([&] {
        const auto list = instance_.ask({{"op", "list"}, {"kind", "sessions"}});
        return list && list->body["sessions"].size() == 1;
    }));
}

}  // namespace
}  // namespace yoke::daemon
