// See interrupt.hpp. The handler writes to an eventfd, because a flag alone would lose against a poll() about to begin.
#include "cli/interrupt.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>

namespace yoke::cli {
namespace {

volatile sig_atomic_t flag = 0;
int wake_fd = -1;

void on_signal(int /*number*/) {
    const int saved = errno;
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
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    for (const int number : {SIGINT, SIGTERM}) {
        struct sigaction old {};
        // What the parent ignores stays ignored: a job in the background of a shell without job control.
        if (::sigaction(number, nullptr, &old) == 0 && old.sa_handler != SIG_IGN) {
            ::sigaction(number, &action, nullptr);
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
