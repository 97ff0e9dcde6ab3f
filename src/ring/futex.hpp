// Futexes on words in shared memory: sleep while a word has a value, wake those who sleep.
//
// The words are shared between processes, so the private flag is never set. Waiting needs no more than a read-only
// mapping; the kernel compares the value itself, so a wake-up between the caller's look and its sleep is not lost.
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdint>

namespace yoke::ring {

namespace detail {
inline timespec to_timespec(std::uint64_t ns) {
    timespec t{};
    t.tv_sec = static_cast<time_t>(ns / 1'000'000'000U);
    t.tv_nsec = static_cast<long>(ns % 1'000'000'000U);
    return t;
}
}  // namespace detail

// Sleeps while *word == expected, for at most `timeout_ns` (0: without limit). Returns 0 when woken (perhaps for no
// reason), -EAGAIN when the word has another value, -ETIMEDOUT, -EINTR.
inline int futex_wait(const std::uint32_t* word, std::uint32_t expected, std::uint64_t timeout_ns) {
    const timespec t = detail::to_timespec(timeout_ns);
    const long rc = ::syscall(SYS_futex, word, FUTEX_WAIT, expected, timeout_ns == 0 ? nullptr : &t, nullptr, 0);
    return rc == 0 ? 0 : -errno;
}

// The same until CLOCK_MONOTONIC reaches `deadline_ns` (0: without limit).
inline int futex_wait_until(const std::uint32_t* word, std::uint32_t expected, std::uint64_t deadline_ns) {
    const timespec t = detail::to_timespec(deadline_ns);
    const long rc = ::syscall(SYS_futex, word, FUTEX_WAIT_BITSET, expected, deadline_ns == 0 ? nullptr : &t, nullptr,
                              FUTEX_BITSET_MATCH_ANY);
    return rc == 0 ? 0 : -errno;
}

// Wakes at most `count` who sleep on the word. Never blocks. Returns their number or -errno.
inline int futex_wake(const std::uint32_t* word, int count = INT_MAX) {
    const long rc = ::syscall(SYS_futex, word, FUTEX_WAKE, count, nullptr, nullptr, 0);
    return rc >= 0 ? static_cast<int>(rc) : -errno;
}

// One step of a spinning loop: lets the sibling thread of the core run.
inline void cpu_relax() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield" ::: "memory");
#endif
}

}  // namespace yoke::ring
