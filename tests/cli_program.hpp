// A program run as a user runs it, for tests of the command line: arguments, environment, standard input; and what came
// of it. Everything it may write lies in a temporary directory of the test.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "support/process_tree.hpp"

namespace yoke::test {

struct Finished {
    int exit = -1;   // exit code, or -1
    int signal = 0;  // that ended it
    std::string out;
    std::string err;
};

struct Invocation {
    std::vector<std::string> arguments;
    std::map<std::string, std::string> environment;  // added to the test's own
    std::string input;
    int output_fd = -1;                        // standard output, instead of Finished::out
    bool hold_input = false;                   // keep the input open after `input` until the program ends
    std::function<void(pid_t)> while_running;  // called once, when the input has been written
    std::function<void()> in_child;            // called before exec; async-signal-safe functions only
};

namespace detail {

inline std::vector<std::string> environment_of(const Invocation& invocation) {
    std::map<std::string, std::string> all;
    for (char** entry = environ; *entry != nullptr; ++entry) {
        const std::string text = *entry;
        all[text.substr(0, text.find('='))] = text.substr(text.find('=') + 1);
    }
    for (const auto& [name, value] : invocation.environment) {
        all[name] = value;
    }
    std::vector<std::string> texts;
    for (const auto& [name, value] : all) {
        texts.push_back(name + "=" + value);
    }
    return texts;
}

inline std::vector<char*> pointers_to(std::vector<std::string>& texts) {
    std::vector<char*> pointers;
    for (auto& text : texts) {
        pointers.push_back(text.data());
    }
    pointers.push_back(nullptr);
    return pointers;
}

struct Pipe {
    int read = -1;
    int write = -1;
    Pipe() {
        std::array<int, 2> ends{};
        if (::pipe2(ends.data(), O_CLOEXEC) == 0) {
            read = ends[0];
            write = ends[1];
        }
    }
    Pipe(const Pipe&) = delete;
    Pipe& operator=(const Pipe&) = delete;
    ~Pipe() {
        close_read();
        close_write();
    }
    void close_read() { close_one(read); }
    void close_write() { close_one(write); }
    static void close_one(int& fd) {
        if (fd >= 0) {
            ::close(fd);
            fd = -1;
        }
    }
};

inline void read_into(int& fd, std::string& text) {
    std::array<char, 65536> buffer{};
    const ssize_t count = ::read(fd, buffer.data(), buffer.size());
    if (count > 0) {
        text.append(buffer.data(), static_cast<std::size_t>(count));
    } else if (count == 0 || errno != EINTR) {
        Pipe::close_one(fd);
    }
}

// Feeds and drains the program until it has closed its outputs.
inline void converse(const Invocation& invocation, pid_t pid, Pipe& in, Pipe& out, Pipe& err, Finished& finished) {
    ::fcntl(in.write, F_SETFL, O_NONBLOCK);
    std::size_t written = 0;
    bool told = !invocation.while_running;
    while (out.read >= 0 || err.read >= 0) {
        if (in.write >= 0 && written == invocation.input.size()) {
            if (!told) {
                told = true;
                invocation.while_running(pid);
            }
            if (!invocation.hold_input) {
                in.close_write();
            }
        }
        const bool feeding = in.write >= 0 && written < invocation.input.size();
        std::array<pollfd, 3> fds{
            {{out.read, POLLIN, 0}, {err.read, POLLIN, 0}, {feeding ? in.write : -1, POLLOUT, 0}}};
        if (::poll(fds.data(), fds.size(), -1) < 0 && errno != EINTR) {
            break;
        }
        if (fds[0].revents != 0) {
            read_into(out.read, finished.out);
        }
        if (fds[1].revents != 0) {
            read_into(err.read, finished.err);
        }
        if (fds[2].revents != 0) {
            // Small writes, so that the program sees short reads.
            const std::size_t piece = std::min<std::size_t>(invocation.input.size() - written, 5000);
            const ssize_t count = ::write(in.write, invocation.input.data() + written, piece);
            if (count > 0) {
                written += static_cast<std::size_t>(count);
            } else if (errno == EPIPE) {
                in.close_write();
            }
        }
    }
}

}  // namespace detail

// Whether a program that run() has started has ended; it stays to be waited for.
inline bool has_ended(pid_t pid) {
    siginfo_t info{};
    return ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid;
}

inline Finished run(const Invocation& invocation) {
    ::signal(SIGPIPE, SIG_IGN);
    std::vector<std::string> arguments = invocation.arguments;
    std::vector<std::string> variables = detail::environment_of(invocation);
    const auto argument_pointers = detail::pointers_to(arguments);
    const auto variable_pointers = detail::pointers_to(variables);
    detail::Pipe in;
    detail::Pipe out;
    detail::Pipe err;
    const pid_t pid = ::fork();
    if (pid == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        ::signal(SIGPIPE, SIG_DFL);
        ::dup2(in.read, STDIN_FILENO);
        ::dup2(invocation.output_fd >= 0 ? invocation.output_fd : out.write, STDOUT_FILENO);
        ::dup2(err.write, STDERR_FILENO);
        if (invocation.in_child) {
            invocation.in_child();
        }
        ::execve(argument_pointers[0], argument_pointers.data(), variable_pointers.data());
        ::_exit(127);
    }
    in.close_read();
    out.close_write();
    err.close_write();
    Finished finished;
    detail::converse(invocation, pid, in, out, err, finished);
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    finished.exit = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    finished.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    return finished;
}

// A test with a temporary directory, in which no daemon runs and none is started unless the test says so.
class CliTest : public ::testing::Test {
   protected:
    void SetUp() override {
        std::string pattern = (std::filesystem::temp_directory_path() / "yoke-cli.XXXXXX").string();
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        directory = pattern;
        std::filesystem::create_directory(directory / "run");
        std::filesystem::permissions(directory / "run", std::filesystem::perms::owner_all);
        environment = {{"XDG_RUNTIME_DIR", (directory / "run").string()},
                       {"XDG_CACHE_HOME", (directory / "cache").string()},
                       {"XDG_STATE_HOME", (directory / "state").string()},
                       {"YOKE_SOCKET", (directory / "run" / "yoke" / "yoke.sock").string()},
                       {"YOKE_AUTOSTART", "0"}};
    }
    void TearDown() override { std::filesystem::remove_all(directory); }

    [[nodiscard]] Invocation command(std::vector<std::string> arguments) const {
        arguments.insert(arguments.begin(), std::string(YOKE_BIN_DIR) + "/yoke");
        Invocation made;
        made.arguments = std::move(arguments);
        made.environment = environment;
        return made;
    }
    [[nodiscard]] Finished yoke(std::vector<std::string> arguments, std::string input = "") const {
        Invocation made = command(std::move(arguments));
        made.input = std::move(input);
        return run(made);
    }

    [[nodiscard]] std::string path(const std::string& name) const { return (directory / name).string(); }
    // Private by default, as a key should be.
    std::string write(const std::string& name, const std::string& content) const {
        const std::string file = path(name);
        std::ofstream(file, std::ios::binary) << content;
        std::filesystem::permissions(file, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
        return file;
    }
    [[nodiscard]] std::string read(const std::string& name) const {
        std::ifstream stream(path(name), std::ios::binary);
        return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
    }
    // Names in the directory, without those that the fixture made.
    [[nodiscard]] std::set<std::string> files() const {
        std::set<std::string> names;
        for (const auto& entry : std::filesystem::directory_iterator(directory)) {
            names.insert(entry.path().filename().string());
        }
        names.erase("run");
        names.erase("cache");
        names.erase("state");
        return names;
    }

    // Waits until @pid has a file open for writing in the directory, be it one without a name.
    [[nodiscard]] bool writes_file(pid_t pid) const {
        return eventually([&] {
            std::error_code gone;
            for (const auto& fd : std::filesystem::directory_iterator(fmt::format("/proc/{}/fd", pid), gone)) {
                const std::string target = std::filesystem::read_symlink(fd.path(), gone).string();
                if (target.starts_with(directory.string() + "/#") || target.starts_with(directory.string() + "/.")) {
                    return true;
                }
            }
            return false;
        });
    }

    std::filesystem::path directory;
    std::map<std::string, std::string> environment;
};

inline std::string random_text(std::size_t bytes, unsigned seed) {
    std::mt19937_64 random(seed);
    std::string text(bytes, '\0');
    for (char& c : text) {
        c = static_cast<char>(random() & 0xffU);
    }
    return text;
}

}  // namespace yoke::test
