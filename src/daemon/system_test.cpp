// The system instance: yoked as root, clients of two users. Needs root, and programs that the other user may execute.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>

#include "base/program.hpp"
#include "daemon/secret.hpp"
#include "support/instance.hpp"
#include "support/process_tree.hpp"
#include "support/raw_session.hpp"

namespace yoke::daemon {
namespace {

using control::Json;
using test::eventually;
using test::Instance;
using test::RawSession;

constexpr uid_t nobody = 65534;
constexpr int answer_ms = 60'000;

// Runs `body` as nobody in a child; what it returns.
int as_nobody(const std::function<int()>& body) {
    const pid_t child = ::fork();
    if (child == 0) {
        if (::setgid(nobody) != 0 || ::setuid(nobody) != 0) {
            ::_exit(99);
        }
        ::_exit(body());
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 98;
}

class SystemInstance : public testing::Test {
   protected:
    void SetUp() override {
        if (::geteuid() != 0) {
            GTEST_SKIP() << "only root can serve other users";
        }
        const std::string worker = find_program("yoke-worker").value();
        if (as_nobody([&] { return ::access(worker.c_str(), X_OK) == 0 ? 0 : 1; }) != 0) {
            GTEST_SKIP() << "the other user may not execute " << worker;
        }
        instance_ = std::make_unique<Instance>(Instance::Options{.config = "", .environment = {}, .system = true});
        ASSERT_TRUE(instance_->ready()) << instance_->error();
    }
    static uid_t uid_of(pid_t pid) {
        // /proc/PID of an undumpable process belongs to root, so its owner says nothing.
        std::ifstream status(fmt::format("/proc/{}/status", pid));
        for (std::string line; std::getline(status, line);) {
            if (line.starts_with("Uid:")) {
                return static_cast<uid_t>(std::stoul(line.substr(5)));
            }
        }
        return static_cast<uid_t>(-1);
    }
    std::unique_ptr<Instance> instance_;
};

TEST_F(SystemInstance, ServesEachUserByAWorkerWithHisIdentity) {
    auto own = RawSession::open(*instance_);
    ASSERT_TRUE(own) << own.error().message;
    EXPECT_TRUE((*own)->echo(100));
    const pid_t own_worker = (*own)->connected().worker;
    const int outcome = as_nobody([&] {
        auto session = RawSession::open(*instance_);
        if (!session) {
            return 1;
        }
        const pid_t worker = (*session)->connected().worker;
        if (worker == own_worker || uid_of(worker) != nobody || uid_of(own_worker) != 0) {
            return 2;
        }
        return (*session)->echo(100) && (*session)->echo(300'000, YOKE_RING_BULK) ? 0 : 3;
    });
    EXPECT_EQ(outcome, 0) << instance_->log();
    EXPECT_TRUE((*own)->echo(100));
}

TEST_F(SystemInstance, ShowsAUserHisOwnAndRootEverything) {
    auto own = RawSession::open(*instance_);
    ASSERT_TRUE(own) << own.error().message;
    const int outcome = as_nobody([&] {
        auto session = RawSession::open(*instance_);
        const auto list = instance_->ask({{"op", "list"}});
        const auto status = instance_->ask({{"op", "status"}});
        if (!session || !list || !status || list->body["sessions"].size() != 1 || status->body["workers"].size() != 1) {
            return 1;
        }
        return list->body["sessions"][0]["account"] == nobody && status->body["workers"][0]["account"] == nobody ? 0
                                                                                                                 : 2;
    });
    EXPECT_EQ(outcome, 0);
    const auto status = instance_->ask({{"op", "status"}});
    ASSERT_TRUE(status);
    EXPECT_EQ(status->body["workers"].size(), 2U);
    EXPECT_EQ(status->body["instance"], "system");
}

TEST_F(SystemInstance, MaliciousUsersCanNeitherShutItDownNorRegisterForOthersNorReadTheSecret) {
    auto own = RawSession::open(*instance_);
    ASSERT_TRUE(own) << own.error().message;
    const int outcome = as_nobody([&] {
        const auto refused = [&](const Json& request, int code) {
            const auto answer = instance_->ask(request);
            return !answer && answer.error().code == code;
        };
        if (!refused({{"op", "shutdown"}}, EACCES)) {
            return 1;
        }
        if (!refused({{"op", "register"},
                      {"token", std::string(64, '0')},
                      {"account", 0},
                      {"generation", 1},
                      {"pid", ::getpid()},
                      {"inventory", {{"adopted", 0}}}},
                     EACCES)) {
            return 2;
        }
        return std::ifstream(instance_->directory() + "/secret").is_open() ? 3 : 0;
    });
    EXPECT_EQ(outcome, 0);
    EXPECT_TRUE((*own)->echo(100));
}

TEST_F(SystemInstance, LimitsOfAllAccountsTogetherHold) {
    instance_.reset();
    instance_ = std::make_unique<Instance>(
        Instance::Options{.config = "[limits.total]\nworkers = 1\n", .environment = {}, .system = true});
    ASSERT_TRUE(instance_->ready()) << instance_->error();
    auto own = RawSession::open(*instance_);
    ASSERT_TRUE(own) << own.error().message;
    EXPECT_EQ(as_nobody([&] {
                  const auto session = RawSession::open(*instance_);
                  return !session && session.error().code == ENOBUFS ? 0 : 1;
              }),
              0);
}

// A worker that says what it likes: a process of nobody's with the token of a worker that yoked has lost.
class LyingWorker {
   public:
    LyingWorker(const Instance& instance, const std::string& token, const Json& inventory) {
        int ends[2] = {-1, -1};
        if (::pipe(ends) != 0) {
            return;
        }
        child_ = ::fork();
        if (child_ == 0) {
            const bool other = ::setgid(nobody) == 0 && ::setuid(nobody) == 0;
            auto link = instance.connect();
            const bool lied = other && link &&
                              control::request(*link,
                                               {{"op", "register"},
                                                {"token", token},
                                                {"account", nobody},
                                                {"generation", 7},
                                                {"pid", ::getpid()},
                                                {"inventory", {{"adopted", 0}}}},
                                               {}, answer_ms) &&
                              control::send(*link, {{"op", "inventory"}, {"inventory", inventory}});
            const char told = lied ? 'y' : 'n';
            static_cast<void>(!::write(ends[1], &told, 1));
            ::pause();
            ::_exit(0);
        }
        char told = 'n';
        lied_ = ::read(ends[0], &told, 1) == 1 && told == 'y';
        ::close(ends[0]);
        ::close(ends[1]);
    }
    LyingWorker(const LyingWorker&) = delete;
    LyingWorker& operator=(const LyingWorker&) = delete;
    ~LyingWorker() {
        ::kill(child_, SIGKILL);
        ::waitpid(child_, nullptr, 0);
    }
    [[nodiscard]] bool lied() const { return lied_; }

   private:
    pid_t child_ = -1;
    bool lied_ = false;
};

TEST_F(SystemInstance, MaliciousInventoriesTakeNothingFromOtherAccounts) {
    std::ifstream file(instance_->directory() + "/secret", std::ios::binary);
    std::array<unsigned char, Secret::bytes> key{};
    file.read(reinterpret_cast<char*>(key.data()), key.size());
    ASSERT_EQ(file.gcount(), static_cast<std::streamsize>(key.size()));
    // More sessions and bytes than all accounts together may have.
    Json sessions = Json::array();
    for (int i = 0; i < 9000; ++i) {
        sessions.push_back(Json::object());
    }
    sessions[0]["arena_bytes"] = 1ULL << 60U;
    const LyingWorker worker(*instance_, Secret(key).token(nobody, 7), {{"adopted", 0}, {"sessions", sessions}});
    ASSERT_TRUE(worker.lied());
    ASSERT_TRUE(eventually([&] {
        const auto status = instance_->ask({{"op", "status"}});
        return status && status->body["workers"].size() == 1 && status->body["workers"][0]["sessions"] == 9000;
    }));
    auto own = RawSession::open(*instance_);
    ASSERT_TRUE(own) << own.error().message;
    EXPECT_TRUE((*own)->echo(100));
}

}  // namespace
}  // namespace yoke::daemon
