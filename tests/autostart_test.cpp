// A private yoked that is started on demand: once however many ask, quietly, and not at all where that is forbidden.
#include <sys/mman.h>

#include <cstdlib>
#include <thread>
#include <vector>

#include "base/program.hpp"
#include "control/address.hpp"
#include "support/client.hpp"

namespace yoke::test {
namespace {

using testing::HasSubstr;

class Autostart : public testing::Test {
   protected:
    void SetUp() override {
        if (control::connect_to(control::system_socket)) {
            GTEST_SKIP() << "a system instance runs here and would be used";
        }
        adopt_orphans();
        directory_ = (std::filesystem::temp_directory_path() / "yoke-autostart-XXXXXX").string();
        ASSERT_NE(::mkdtemp(directory_.data()), nullptr);
        ::setenv("XDG_RUNTIME_DIR", directory_.c_str(), 1);
        ::setenv("XDG_CACHE_HOME", (directory_ + "/cache").c_str(), 1);
        ::setenv("XDG_STATE_HOME", (directory_ + "/state").c_str(), 1);
        ::unsetenv("YOKE_SOCKET");
        ::unsetenv("YOKE_AUTOSTART");
    }
    void TearDown() override {
        if (directory_.empty()) {
            return;
        }
        char* answer = nullptr;
        if (yoke_ask_daemon(socket().c_str(), 0, R"({"op": "shutdown"})", &answer) == 0) {
            std::free(answer);
        }
        EXPECT_TRUE(eventually([] {
            reap_orphans(-1);
            return yoke_descendants().empty();
        }));
        // Nothing is left behind but directories and the cache.
        for (const auto& entry : std::filesystem::recursive_directory_iterator(directory_)) {
            const std::string path = entry.path().string();
            EXPECT_TRUE(entry.is_directory() || path.starts_with(directory_ + "/cache/")) << path;
        }
        std::filesystem::remove_all(directory_);
    }
    [[nodiscard]] std::string socket() const { return directory_ + "/yoke/yoke.sock"; }
    static std::size_t daemons() {
        const auto all = yoke_descendants();
        return static_cast<std::size_t>(std::ranges::count(all, "yoked", &ProcessInfo::name));
    }

    std::string directory_;
};

TEST_F(Autostart, StartsOneDaemonHoweverManyAsk) {
    std::vector<std::thread> threads;
    for (int k = 0; k < 8; k++) {
        threads.emplace_back([] {
            try {
                Session session;
                Buffer memory = session.alloc(128);
                session.call(Call(YOKE_SERVICE_ECHO, memory.bytes().first(64), memory.bytes().subspan(64))
                                 .place(YOKE_PLACE_WORKER));
            } catch (const error& failure) {
                ADD_FAILURE() << failure.what();
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    // Those that found the place taken end by themselves.
    EXPECT_TRUE(eventually([] {
        reap_orphans(-1);
        return daemons() == 1;
    }));
}

TEST_F(Autostart, TheDaemonIsNoChildAndHoldsNoDescriptors) {
    const Fd open_in_parent(::memfd_create("inherited", 0));  // deliberately without close-on-exec
    const Session session;
    const auto all = yoke_descendants();
    const auto daemon = std::ranges::find(all, "yoked", &ProcessInfo::name);
    ASSERT_NE(daemon, all.end());
    EXPECT_EQ(::getsid(daemon->pid) == ::getsid(0), false) << "Ctrl-C at the terminal would end the daemon";
    const auto fds = std::filesystem::directory_iterator("/proc/" + std::to_string(daemon->pid) + "/fd");
    for (const auto& fd : fds) {
        std::error_code gone;
        const std::string target = std::filesystem::read_symlink(fd.path(), gone).string();
        EXPECT_THAT(target, testing::Not(HasSubstr("inherited")));
    }
}

TEST_F(Autostart, IsForbiddenByTheEnvironment) {
    ::setenv("YOKE_AUTOSTART", "0", 1);
    yoke_session* session = nullptr;
    EXPECT_EQ(yoke_open(&session, nullptr), -ENOTCONN);
    EXPECT_THAT(yoke_error(nullptr), HasSubstr("YOKE_AUTOSTART"));
    char* answer = nullptr;
    EXPECT_EQ(yoke_ask_daemon(nullptr, 1, R"({"op": "status"})", &answer), -ENOTCONN);
    EXPECT_EQ(daemons(), 0U);
}

TEST_F(Autostart, ANamedSocketIsOnlyConnectedTo) {
    ::setenv("YOKE_SOCKET", (directory_ + "/other.sock").c_str(), 1);
    yoke_session* session = nullptr;
    EXPECT_EQ(yoke_open(&session, nullptr), -ENOTCONN);
    EXPECT_THAT(yoke_error(nullptr), HasSubstr("other.sock"));
    EXPECT_EQ(daemons(), 0U);
    ::unsetenv("YOKE_SOCKET");
}

TEST_F(Autostart, AskingStartsADaemonOnlyWhenAllowed) {
    char* answer = nullptr;
    EXPECT_EQ(yoke_ask_daemon(nullptr, 0, R"({"op": "status"})", &answer), -ENOTCONN);
    EXPECT_EQ(daemons(), 0U);
    ASSERT_EQ(yoke_ask_daemon(nullptr, 1, R"({"op": "status"})", &answer), 0) << yoke_error(nullptr);
    EXPECT_THAT(answer, HasSubstr("private"));
    std::free(answer);
    EXPECT_EQ(daemons(), 1U);
}

}  // namespace
}  // namespace yoke::test
