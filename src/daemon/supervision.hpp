// What yoked remembers of an account's conduct: deaths of its worker, suspects, and what follows from them.
//
// Pure: the clock is a parameter. The first death of a worker is restarted at once, since its clients wait; each
// further death in a row doubles a pause. A worker that has lived for `healthy_ns` ends the row. Suspects (calls that
// were executing when a worker died) are reported by clients of the account, so they can harm nobody but themselves;
// more than a limit within a window bar the account for a time.
#pragma once

#include <cstdint>
#include <deque>
#include <utility>

#include "daemon/config.hpp"

namespace yoke::daemon {

class Supervision {
   public:
    static constexpr std::uint64_t healthy_ns = 30'000'000'000;

    void started(std::uint64_t now_ns) { started_ns_ = now_ns; }
    // The worker ended though nobody asked it to.
    void died(std::uint64_t now_ns, const Config& rules);
    // Whether the worker has lived long enough to end a row of deaths.
    [[nodiscard]] bool healthy(std::uint64_t now_ns) const { return now_ns - started_ns_ >= healthy_ns; }
    // When the next worker may be started.
    [[nodiscard]] std::uint64_t start_at_ns() const { return start_at_ns_; }

    void suspected(std::uint64_t calls, std::uint64_t now_ns, const Config& rules);
    // Nanoseconds for which the account is still barred; 0: not barred.
    [[nodiscard]] std::uint64_t barred_ns(std::uint64_t now_ns) const;

    [[nodiscard]] std::uint64_t deaths() const { return deaths_; }
    [[nodiscard]] std::uint64_t suspects() const { return suspects_; }

   private:
    std::uint64_t started_ns_ = 0;
    std::uint64_t start_at_ns_ = 0;
    std::uint64_t barred_until_ns_ = 0;
    std::uint64_t deaths_ = 0;                                    // of all time
    std::uint64_t suspects_ = 0;                                  // of all time
    unsigned row_ = 0;                                            // deaths in a row
    std::deque<std::pair<std::uint64_t, std::uint64_t>> recent_;  // (when, suspects) within the window
};

}  // namespace yoke::daemon
