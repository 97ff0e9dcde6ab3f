// Real children: what they inherit, whom they become, and that a process is named by more than its pid.
#include "daemon/process.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

namespace yoke::daemon {
namespace {

std::pair<Fd, Fd> socket_pair() {
    int ends[2] = {-1, -1};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    return {Fd(ends[0]), Fd(ends[1])};
}

bool wait_for(const Fd& pidfd) {
    pollfd wait{pidfd.get(), POLLIN, 0};
    return ::poll(&wait, 1, 20'000) == 1;
}

// A script that begins when it is told to, on descriptor 3: one that ends at once may have ended before it is named.
class Launched : public testing::Test {
   protected:
    Launched() {
        std::string name = (std::filesystem::temp_directory_path() / "yoke-launch-XXXXXX").string();
        directory_ = ::mkdtemp(name.data());
    }
    ~Launched() override { std::filesystem::remove_all(directory_); }

    std::string script(const std::string& body) {
        const std::string path = directory_ + "/program";
        std::ofstream(path) << "#!/bin/sh\nread go <&3\n" << body << "\n";
        std::filesystem::permissions(path, std::filesystem::perms::owner_all);
        return path;
    }
    std::string directory_;
};

TEST_F(Launched, HasThreeDescriptorsItsSocketAndTheEnvironmentGiven) {
    auto [own, theirs] = socket_pair();
    const int leaked = ::dup(own.get());  // without close-on-exec
    auto process = launch({script("env >&3; ls /proc/self/fd >&3; ulimit -c >&3; exit 7"),
                           ::getuid(),
                           {"MARK=1", "PATH=/usr/bin:/bin"},
                           std::move(theirs)});
    ASSERT_TRUE(process) << process.error().message;
    ASSERT_EQ(::send(own.get(), "\n", 1, 0), 1);
    std::string text;
    char buffer[4096];
    for (ssize_t length = 1; length > 0;) {
        length = ::recv(own.get(), buffer, sizeof(buffer), 0);
        text.append(buffer, static_cast<std::size_t>(std::max<ssize_t>(length, 0)));
    }
    ASSERT_TRUE(wait_for(process->pidfd));
    EXPECT_EQ(reap(process->pidfd), "exit status 7");
    EXPECT_NE(text.find("MARK=1\n"), std::string::npos);
    EXPECT_EQ(text.find("HOME="), std::string::npos);
    // ls itself opens one more, number 4; a fifth would be the leaked one.
    EXPECT_NE(text.find("0\n1\n2\n3\n4\n0\n"), std::string::npos) << text;
    ::close(leaked);
}

TEST_F(Launched, AProgramThatIsNotThereEndsWith127) {
    auto [own, theirs] = socket_pair();
    auto process = launch({directory_ + "/none", ::getuid(), {}, std::move(theirs)});
    if (process) {  // it may have ended before it could be named
        ASSERT_TRUE(wait_for(process->pidfd));
        EXPECT_EQ(reap(process->pidfd), "exit status 127");
    } else {
        EXPECT_EQ(process.error().code, ESRCH);
    }
}

TEST_F(Launched, RootBecomesTheAccountWithItsGroupsOnly) {
    if (::geteuid() != 0) {
        GTEST_SKIP() << "only root can become another user";
    }
    auto [own, theirs] = socket_pair();
    std::filesystem::permissions(directory_, std::filesystem::perms::all);
    const std::string path = script("id -u >&3; id -G >&3");
    std::filesystem::permissions(path, std::filesystem::perms::all);
    const uid_t nobody = 65534;
    auto process = launch({path, nobody, {"PATH=/usr/bin:/bin"}, std::move(theirs)});
    ASSERT_TRUE(process) << process.error().message;
    ASSERT_EQ(::send(own.get(), "\n", 1, 0), 1);
    std::string text;
    char buffer[256];
    for (ssize_t length = 1; length > 0;) {
        length = ::recv(own.get(), buffer, sizeof(buffer), 0);
        text.append(buffer, static_cast<std::size_t>(std::max<ssize_t>(length, 0)));
    }
    ASSERT_TRUE(wait_for(process->pidfd));
    reap(process->pidfd);
    EXPECT_EQ(text, "65534\n65534\n");
}

TEST(Process, IsFoundByPidAndTimeOfStartOnly) {
    const pid_t child = ::fork();
    if (child == 0) {
        ::pause();
        ::_exit(0);
    }
    const auto start = start_time_of(child);
    ASSERT_TRUE(start);
    auto found = find_process({child, *start});
    ASSERT_TRUE(found) << found.error().message;
    EXPECT_FALSE(find_process({child, *start + 1}));
    send_signal(*found, SIGKILL);
    ASSERT_TRUE(wait_for(found->pidfd));
    EXPECT_FALSE(find_process({child, *start})) << "a zombie is gone";
    EXPECT_EQ(reap(found->pidfd), "signal 9");
    EXPECT_FALSE(start_time_of(child));
}

}  // namespace
}  // namespace yoke::daemon
