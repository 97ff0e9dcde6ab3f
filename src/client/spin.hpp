// How long a waiting caller spins before it sleeps.
//
// Falling asleep and being woken costs tens of microseconds, so a wait that is expected to be short is spun out. On a
// machine where spinning does not pay (one processor, or all of them busy) the budget halves with every spin in vain
// and grows again with every one that was not. A call that is expected to take longer than the budget is not spun for,
// which teaches nothing; so after some of those the budget grows by itself: it is tried again.
#pragma once

#include <algorithm>
#include <cstdint>
#include <thread>

namespace yoke::client {

class Spin {
   public:
    // Time to spin for a call that is expected to take `expected_ns`; 0: sleep at once.
    [[nodiscard]] std::uint64_t budget(std::uint64_t expected_ns) const {
        if (expected_ns > budget_ns_) {
            return 0;
        }
        return std::min(2 * expected_ns + slack_ns, budget_ns_);
    }
    void learn(bool paid) {
        slept_ = 0;
        if (most_ns_ != 0) {
            budget_ns_ = paid ? std::min(budget_ns_ * 2, most_ns_) : std::max(budget_ns_ / 2, least_ns);
        }
    }

    // A call was slept for from the beginning although it was expected to take `expected_ns` only.
    void slept(std::uint64_t expected_ns) {
        if (expected_ns <= most_ns_ && ++slept_ == retry_after) {
            learn(true);
        }
    }

   private:
    static constexpr unsigned retry_after = 32;  // so that spinning in vain costs a few per cent at most
    static constexpr std::uint64_t slack_ns = 5'000;
    static constexpr std::uint64_t least_ns = 10'000;  // a null call is still spun for, so that success can return
    static constexpr std::uint64_t limit_ns = 500'000;

    std::uint64_t most_ns_ = std::thread::hardware_concurrency() > 1 ? limit_ns : 0;
    std::uint64_t budget_ns_ = most_ns_;
    unsigned slept_ = 0;
};

}  // namespace yoke::client
