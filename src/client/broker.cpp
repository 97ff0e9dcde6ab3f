// See broker.hpp.
#include "client/broker.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <string_view>

#include "base/clock.hpp"
#include "base/program.hpp"
#include "control/address.hpp"

namespace yoke::client {

namespace {

constexpr std::uint64_t start_timeout_ns =
    5'000'000'000;           // a daemon is ready in milliseconds; a loaded machine is slow
constexpr int ready_fd = 3;  // where the daemon finds the pipe

bool nobody_listens(const Error& error) {
    return error.code == ENOENT || error.code == ECONNREFUSED;
}

Result<Fd> connect_only(const std::string& path, const char* source) {
    auto connected = control::connect_to(path);
    if (!connected && nobody_listens(connected.error())) {
        return fail(ENOTCONN, "no yoked listens at {} ({}); start one there or name another socket", path, source);
    }
    return connected;
}

bool autostart_forbidden() {
    const char* value = ::getenv("YOKE_AUTOSTART");
    return value != nullptr && std::string_view(value) == "0";
}

// Whether this program has rights that its caller lacks (setuid, capabilities). The caller then chooses the
// environment, and must not choose who gets this program's keys, or what a daemon with its rights loads.
bool is_privileged() {
    return ::getauxval(AT_SECURE) != 0;
}

// The grandchild: becomes the daemon. Only async-signal-safe calls, since other threads may hold any lock.
[[noreturn]] void become_daemon(int ready, bool quiet, char* const* arguments) {
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    const int null = ::open("/dev/null", O_RDWR);
    ::dup2(null, STDIN_FILENO);
    ::dup2(null, STDOUT_FILENO);
    if (quiet) {
        ::dup2(null, STDERR_FILENO);
    }
    if (ready == ready_fd) {
        ::fcntl(ready, F_SETFD, 0);
    } else {
        ::dup2(ready, ready_fd);
    }
    ::close_range(ready_fd + 1, ~0U, 0);
    if (::chdir("/") == 0) {
        ::execv(arguments[0], arguments);
    }
    ::_exit(127);
}

// Forks twice, so that the daemon belongs to init and never becomes a zombie of this program.
Status spawn_daemon(const std::string& program, const std::string& socket, const Fd& ready) {
    std::array<std::string, 6> words = {program, "--private",  "--socket",
                                        socket,  "--ready-fd", std::to_string(ready_fd)};
    std::array<char*, 7> arguments{};
    for (std::size_t k = 0; k < words.size(); k++) {
        arguments[k] = words[k].data();
    }
    const bool quiet = ::getenv("YOKE_LOG") == nullptr;  // who asks for logs sees the daemon's too
    const pid_t child = ::fork();
    if (child < 0) {
        return fail_errno("cannot fork to start {}", program);
    }
    if (child == 0) {
        ::setsid();
        const pid_t grandchild = ::fork();
        if (grandchild == 0) {
            become_daemon(ready.get(), quiet, arguments.data());
        }
        ::_exit(grandchild < 0 ? 1 : 0);
    }
    int status = 0;
    while (::waitpid(child, &status, 0) < 0) {
        if (errno == ECHILD) {
            return {};  // the program ignores SIGCHLD: the kernel has reaped the child
        }
        if (errno != EINTR) {
            return fail_errno("cannot wait for the start of {}", program);
        }
    }
    if (status != 0) {
        return fail(EAGAIN, "cannot fork to start {}: the limit of processes is reached", program);
    }
    return {};
}

Status start_daemon(const std::string& socket, std::uint64_t deadline_ns) {
    auto program = find_program("yoked");
    if (!program) {
        return tl::unexpected(program.error());
    }
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
        return fail_errno("no pipe to hear from yoked");
    }
    const Fd reader(ends[0]);
    Fd writer(ends[1]);
    if (auto spawned = spawn_daemon(*program, socket, writer); !spawned) {
        return spawned;
    }
    writer.reset();
    for (;;) {
        const std::uint64_t now = now_ns();
        pollfd wait{.fd = reader.get(), .events = POLLIN, .revents = 0};
        const int timeout_ms = now < deadline_ns ? static_cast<int>((deadline_ns - now) / 1'000'000 + 1) : 0;
        const int ready = ::poll(&wait, 1, timeout_ms);
        if (ready < 0 && errno == EINTR) {
            continue;
        }
        if (ready <= 0) {
            return fail(ETIME, "{} was started but not ready after 5 s; run it by hand to see why", *program);
        }
        char byte = 0;
        if (::read(reader.get(), &byte, 1) == 1) {
            return {};
        }
        return fail(ENOTCONN, "{} ended before it was ready; run '{} --private' by hand to see why", *program,
                    *program);
    }
}

// Several programs may do this at once: yoked itself sees to it that one of those started serves, and the others end
// when that one is ready.
Result<Fd> connect_or_start(const std::string& socket) {
    const std::uint64_t deadline_ns = now_ns() + start_timeout_ns;
    if (auto started = start_daemon(socket, deadline_ns); !started) {
        return fail(ENOTCONN, "no yoked runs and none could be started: {}", started.error().message);
    }
    return connect_only(socket, "started on demand");
}

}  // namespace

Result<Fd> connect_to_broker(const std::string& socket, Autostart autostart) {
    if (!socket.empty()) {
        return connect_only(socket, "the socket asked for");
    }
    if (const char* path = ::secure_getenv("YOKE_SOCKET"); path != nullptr && *path != '\0') {
        return connect_only(path, "from $YOKE_SOCKET");
    }
    auto system = control::connect_to(control::system_socket);
    if (system) {
        return system;
    }
    if (!nobody_listens(system.error())) {
        return fail(system.error().code, "the system's yoked cannot be used ({}); ask for access or set YOKE_SOCKET",
                    system.error().message);
    }
    if (is_privileged()) {
        return fail(ENOTCONN, "no yoked listens at {}, and a setuid program uses no other; start the system's",
                    control::system_socket);
    }
    auto directory = control::private_directory();
    if (!directory) {
        return tl::unexpected(directory.error());
    }
    const std::string path = *directory + "/yoke.sock";
    auto connected = control::connect_to(path);
    if (connected || !nobody_listens(connected.error())) {
        return connected;
    }
    if (autostart == Autostart::no || autostart_forbidden()) {
        return fail(ENOTCONN, "no yoked listens at {} or {}; start one with 'yoked --private'{}",
                    control::system_socket, path, autostart_forbidden() ? " or unset YOKE_AUTOSTART" : "");
    }
    return connect_or_start(path);
}

}  // namespace yoke::client
