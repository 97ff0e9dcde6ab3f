// yoked has one thread, so its child may do between fork and exec what needs libc: look up groups, format an error.
// Everything that could reach the worker is closed by default: all descriptors from 4 on, signals, core dumps.
#include "daemon/process.hpp"

#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <charconv>
#include <csignal>

#include "base/file.hpp"

namespace yoke::daemon {
namespace {

constexpr int control_fd = 3;
constexpr int stat_start_field = 22;  // proc(5)
constexpr int status_setup = 126;
constexpr int status_exec = 127;

// libc's own declarations are not usable from C++ in Debian 12.
int open_pidfd(pid_t pid) {
    return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
}

[[noreturn]] void give_up(const char* what, int status) {
    const std::string text = fmt::format("yoke-worker cannot be started: {}: {}\n", what, std::strerror(errno));
    if (::write(STDERR_FILENO, text.data(), text.size()) < 0) {
        ::_exit(status);  // nowhere to say it
    }
    ::_exit(status);
}

// NSS may be slow or take locks; in this single-threaded child it can do no harm.
void become(uid_t user) {
    if (::geteuid() != 0) {
        return;
    }
    const passwd* entry = ::getpwuid(user);
    if (entry == nullptr) {
        if (user != 0) {
            // A user without an entry has no groups that we could know: its number as group, nothing else.
            if (::setgroups(0, nullptr) != 0 || ::setresgid(user, user, user) != 0) {
                give_up("setgid", status_setup);
            }
        }
    } else if (::initgroups(entry->pw_name, entry->pw_gid) != 0 ||
               ::setresgid(entry->pw_gid, entry->pw_gid, entry->pw_gid) != 0) {
        give_up("initgroups", status_setup);
    }
    if (::setresuid(user, user, user) != 0) {
        give_up("setuid", status_setup);
    }
}

// The kernel may wait for this process in order to write pages back. Then it must not wait for memory that only
// writeback can free: allocations in the kernel on its behalf start no I/O and it is not throttled as a writer
// (PR_SET_IO_FLUSHER, kept across execve), all of its memory may be locked, and it is the last to be killed for memory.
void stand_below_writeback() {
    constexpr unsigned long on = 1;
    constexpr std::string_view oom_score = "-900";
    const rlimit all{RLIM_INFINITY, RLIM_INFINITY};
    const int score = ::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (::prctl(PR_SET_IO_FLUSHER, on, 0, 0, 0) != 0 || ::setrlimit(RLIMIT_MEMLOCK, &all) != 0 || score < 0 ||
        ::write(score, oom_score.data(), oom_score.size()) < 0) {
        give_up("the right to serve the kernel (CAP_SYS_RESOURCE)", status_setup);
    }
    ::close(score);
}

void set_limits() {
    const rlimit none{0, 0};
    if (::setrlimit(RLIMIT_CORE, &none) != 0) {  // a core would hold keys
        give_up("setrlimit", status_setup);
    }
    rlimit locked{};
    if (::getrlimit(RLIMIT_MEMLOCK, &locked) == 0 && locked.rlim_cur < locked.rlim_max) {
        locked.rlim_cur = locked.rlim_max;
        ::setrlimit(RLIMIT_MEMLOCK, &locked);
    }
    rlimit files{};
    if (::getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;  // three descriptors per session
        ::setrlimit(RLIMIT_NOFILE, &files);
    }
}

[[noreturn]] void run_child(const Launch& launch, char* const* environment) {
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    for (const int number : {SIGPIPE, SIGHUP, SIGINT, SIGTERM, SIGCHLD}) {
        ::signal(number, SIG_DFL);
    }
    ::setsid();
    const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || ::dup2(null, STDIN_FILENO) < 0 || ::dup2(STDERR_FILENO, STDOUT_FILENO) < 0) {
        give_up("standard descriptors", status_setup);
    }
    // dup2 onto itself would leave close-on-exec set.
    if (launch.socket.get() == control_fd ? ::fcntl(control_fd, F_SETFD, 0) < 0
                                          : ::dup2(launch.socket.get(), control_fd) < 0) {
        give_up("control socket", status_setup);
    }
    if (::syscall(SYS_close_range, control_fd + 1, ~0U, 0) != 0) {
        give_up("close_range", status_setup);
    }
    set_limits();
    if (launch.serves_kernel) {
        stand_below_writeback();
    }
    become(launch.user);
    std::string name = launch.program;
    char* const arguments[] = {name.data(), nullptr};
    ::execve(launch.program.c_str(), arguments, environment);
    give_up(launch.program.c_str(), status_exec);
}

}  // namespace

Result<std::uint64_t> start_time_of(pid_t pid) {
    const std::string text = read_file(fmt::format("/proc/{}/stat", pid)).value_or("");
    // The name in parentheses may hold anything: count fields behind its end.
    const std::size_t end = text.rfind(')');
    if (end == std::string::npos || end + 2 >= text.size() || text[end + 2] == 'Z' || text[end + 2] == 'X') {
        return fail(ESRCH, "process {} is gone", pid);
    }
    std::size_t at = end + 2;
    for (int field = 3; field < stat_start_field && at != std::string::npos; ++field) {
        at = text.find(' ', at);
        at = at == std::string::npos ? at : at + 1;
    }
    std::uint64_t start = 0;
    if (at == std::string::npos ||
        std::from_chars(text.data() + at, text.data() + text.size(), start).ec != std::errc{}) {
        return fail(ESRCH, "process {} has no time of start", pid);
    }
    return start;
}

Result<Process> find_process(const ProcessName& name) {
    Process found{name, Fd(open_pidfd(name.pid))};
    if (!found.pidfd) {
        return fail_errno("process {} is gone", name.pid);
    }
    // Read after the pidfd was taken: it is this process that the pidfd holds, or one that came later.
    const auto start = start_time_of(name.pid);
    if (!start || *start != name.start) {
        return fail(ESRCH, "process {} is gone", name.pid);
    }
    return found;
}

Result<Process> launch(Launch launch) {
    std::vector<char*> environment;
    environment.reserve(launch.environment.size() + 1);
    for (std::string& variable : launch.environment) {
        environment.push_back(variable.data());
    }
    environment.push_back(nullptr);
    const pid_t pid = ::fork();
    if (pid < 0) {
        return fail_errno("worker of user {} cannot be started", launch.user);
    }
    if (pid == 0) {
        run_child(launch, environment.data());
    }
    Process started{{pid, 0}, Fd(open_pidfd(pid))};
    const auto start = start_time_of(pid);
    if (!started.pidfd || !start) {
        // Our child, so the pid is still its own even if it has ended already.
        const int code = started.pidfd ? ESRCH : errno;
        ::kill(pid, SIGKILL);
        ::waitpid(pid, nullptr, 0);
        return fail(code, "worker of user {} ended at once", launch.user);
    }
    started.name.start = *start;
    return started;
}

void send_signal(const Process& process, int number) {
    ::syscall(SYS_pidfd_send_signal, process.pidfd.get(), number, nullptr, 0);
}

std::string reap(const Fd& pidfd) {
    siginfo_t info{};
    if (::waitid(P_PIDFD, static_cast<id_t>(pidfd.get()), &info, WEXITED | WNOHANG) != 0 || info.si_pid == 0) {
        return "unknown";
    }
    return info.si_code == CLD_EXITED ? fmt::format("exit status {}", info.si_status)
                                      : fmt::format("signal {}", info.si_status);
}

}  // namespace yoke::daemon
