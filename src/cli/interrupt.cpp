// See interrupt.hpp. The handler writes to an eventfd, because a flag alone would lose against a poll() about to begin.
#include "cli/interrupt.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>

namespace yoke::cli {
namespace {

constexpr std::int64_t same_ns = 200'000'000;  // signals this close are one

volatile sig_atomic_t flag = 0;
std::int64_t first_ns = 0;  // the handler's own; it is never interrupted by itself
int wake_fd = -1;

std::int64_t monotonic_ns() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

void on_signal(int number) {
    const int saved = errno;
    if (flag == 0) {
        first_ns = monotonic_ns();
    } else if (monotonic_ns() - first_ns > same_ns) {
        ::signal(number, SIG_DFL);
        ::raise(number);  // delivered when this returns
    }
    flag = 1;
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(wake_fd, &one, sizeof one);
    errno = saved;
}

}  // namespace

void catch_interrupts() {
    wake_fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct sigaction action {};
    action.sa_handler = on_signal;
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
        ::sigaddset(&action.sa_mask, number);
    }
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
        struct sigaction old {};
        // What the parent ignores stays ignored: a job in the background of a shell without job control.
        if (::sigaction(number, nullptr, &old) == 0 && old.sa_handler != SIG_IGN) {
            ::sigaction(number, &action, nullptr);
        }
    }
}

void let_interrupts_kill() {
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
        struct sigaction old {};
        if (::sigaction(number, nullptr, &old) == 0 && old.sa_handler == on_signal) {
            ::signal(number, SIG_DFL);
        }
    }
}

bool interrupted() {
    return flag != 0;
}

bool wait_readable(int fd, int timeout_ms) {
    std::array<pollfd, 2> fds{{{fd, POLLIN, 0}, {wake_fd, POLLIN, 0}}};
    for (;;) {
        const int ready = ::poll(fds.data(), fds.size(), timeout_ms);
        if (interrupted()) {
            return false;
        }
        if (ready >= 0) {
            return fds[0].revents != 0;
        }
        if (errno != EINTR) {
            return true;  // let read() say what is wrong
        }
    }
}

}  // namespace yoke::cli
