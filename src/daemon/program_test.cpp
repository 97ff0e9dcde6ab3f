// The command line of yoked, and socket activation as a service manager does it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>

#include "base/program.hpp"
#include "control/address.hpp"
#include "control/message.hpp"
#include "daemon/config.hpp"
#include "support/process_tree.hpp"

namespace yoke::daemon {
namespace {

using testing::HasSubstr;

struct Ran {
    int status = -1;
    std::string output;  // of both streams
};

Ran run(const std::string& arguments) {
    const std::string command = find_program("yoked").value() + " " + arguments + " 2>&1";
    std::FILE* pipe = ::popen(command.c_str(), "r");
    Ran ran;
    std::array<char, 4096> buffer{};
    while (std::fgets(buffer.data(), buffer.size(), pipe) != nullptr) {
        ran.output += buffer.data();
    }
    const int status = ::pclose(pipe);
    ran.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return ran;
}

class Yoked : public testing::Test {
   protected:
    Yoked() {
        std::string name = (std::filesystem::temp_directory_path() / "yoke-yoked-XXXXXX").string();
        directory_ = ::mkdtemp(name.data());
    }
    ~Yoked() override { std::filesystem::remove_all(directory_); }
    std::string file(const std::string& content) {
        const std::string path = directory_ + "/yoke.toml";
        std::ofstream(path) << content;
        return path;
    }
    std::string directory_;
};

TEST_F(Yoked, PrintsDefaultsVersionAndUsage) {
    EXPECT_EQ(run("--default-config").output, default_config());
    EXPECT_THAT(run("--version").output, HasSubstr("yoked 0."));
    EXPECT_EQ(run("--no-such-option").status, 2);
    EXPECT_EQ(run("--help").status, 0);
}

TEST_F(Yoked, ChecksAConfiguration) {
    EXPECT_EQ(run("--check --config " + file(default_config())).status, 0);
    const Ran wrong = run("--check --config " + file("[log]\nlevel = 3\n"));
    EXPECT_EQ(wrong.status, 1);
    EXPECT_THAT(wrong.output, HasSubstr(directory_ + "/yoke.toml:2:9: log.level must be one of"));
    const Ran missing = run("--check --config " + directory_ + "/none.toml");
    EXPECT_EQ(missing.status, 1);
    EXPECT_THAT(missing.output, HasSubstr("/none.toml"));
}

TEST_F(Yoked, ADirectoryThatIsNotThereIsOneSentence) {
    const Ran ran = run("--private --config /dev/null --socket " + directory_ + "/none/yoke.sock");
    EXPECT_EQ(ran.status, 1);
    EXPECT_THAT(ran.output, HasSubstr("yoked: runtime directory " + directory_ + "/none is not usable"));
    EXPECT_EQ(std::count(ran.output.begin(), ran.output.end(), '\n'), 1);
}

TEST_F(Yoked, ClosedStandardStreamsAreNotTakenForItsFiles) {
    const std::string path = directory_ + "/yoke.sock";
    const std::string program = find_program("yoked").value();
    const std::string config = file("");
    const pid_t child = ::fork();
    if (child == 0) {
        ::close_range(0, ~0U, 0);
        ::execl(program.c_str(), program.c_str(), "--private", "--socket", path.c_str(), "--config", config.c_str(),
                nullptr);
        ::_exit(127);
    }
    Result<Fd> link = tl::unexpected(Error{});
    ASSERT_TRUE(test::eventually([&] { return (link = control::connect_to(path)).has_value(); }));
    EXPECT_TRUE(control::request(*link, {{"op", "status"}}, {}, 20'000));
    for (const int fd : {0, 1, 2}) {
        std::error_code error;
        EXPECT_EQ(std::filesystem::read_symlink(fmt::format("/proc/{}/fd/{}", child, fd), error), "/dev/null") << fd;
    }
    ::kill(child, SIGTERM);
    int result = -1;
    EXPECT_TRUE(test::eventually([&] { return ::waitpid(child, &result, WNOHANG) == child; }));
    EXPECT_EQ(result, 0);
}

// Datagrams that a service manager would get.
class Manager {
   public:
    explicit Manager(const std::string& path) : path_(path), socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.copy(address.sun_path, sizeof(address.sun_path) - 1);
        EXPECT_EQ(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
        const timeval patience{20, 0};
        ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    }
    // Reads until a datagram contains `text`.
    bool hears(const std::string& text) {
        std::array<char, 4096> buffer{};
        while (true) {
            const ssize_t length = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
            if (length < 0) {
                return false;
            }
            if (std::string(buffer.data(), static_cast<std::size_t>(length)).find(text) != std::string::npos) {
                return true;
            }
        }
    }
    [[nodiscard]] const std::string& path() const { return path_; }

   private:
    std::string path_;
    Fd socket_;
};

TEST_F(Yoked, ServesASocketOfTheServiceManagerAndReports) {
    Manager manager(directory_ + "/notify");
    const std::string path = directory_ + "/yoke.sock";
    const std::string config = file("");
    const std::string program = find_program("yoked").value();
    Fd listener = control::listen_at(path, 0600).value();
    const pid_t child = ::fork();
    if (child == 0) {
        const int moved = ::fcntl(listener.get(), F_DUPFD_CLOEXEC, 10);
        ::dup2(moved, 3);
        ::setenv("LISTEN_FDS", "1", 1);
        ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
        ::setenv("NOTIFY_SOCKET", manager.path().c_str(), 1);
        const int null = ::open("/dev/null", O_WRONLY);
        ::dup2(null, STDERR_FILENO);
        ::execl(program.c_str(), program.c_str(), "--config", config.c_str(), nullptr);
        ::_exit(127);
    }
    EXPECT_TRUE(manager.hears("READY=1"));
    const auto link = control::connect_to(path);
    ASSERT_TRUE(link);
    const auto status = control::request(*link, {{"op", "status"}}, {}, 20'000);
    ASSERT_TRUE(status) << status.error().message;
    EXPECT_EQ(status->body["instance"], "system");
    EXPECT_EQ(status->body["socket"], path);
    ::kill(child, SIGHUP);
    EXPECT_TRUE(manager.hears("RELOADING=1\nMONOTONIC_USEC="));
    EXPECT_TRUE(manager.hears("READY=1"));
    ::kill(child, SIGTERM);
    EXPECT_TRUE(manager.hears("STATUS=0 workers"));
    EXPECT_TRUE(manager.hears("STOPPING=1"));
    int result = -1;
    EXPECT_TRUE(test::eventually([&] { return ::waitpid(child, &result, WNOHANG) == child; }));
    EXPECT_EQ(result, 0);
    EXPECT_TRUE(std::filesystem::exists(path)) << "the socket is the service manager's";
    EXPECT_FALSE(std::filesystem::exists(directory_ + "/secret"));
}

}  // namespace
}  // namespace yoke::daemon
