// Where a call runs: the caller's own cost against the worker's, which the worker publishes in its status page.
//
// Both are lines t = overhead + bytes * rate (uapi/yoke_cost.h). The caller's are learned from calls that ran here, the
// price of crossing the rings from round trips. What is in flight already is waited for first.
//
// A line learned from small calls says little about large ones. So a call much larger than all that were measured here
// runs here once and the line is laid through both points; that costs one call per factor of four.
#pragma once

#include <array>
#include <cstdint>

#include <uapi/yoke.h>
#include <uapi/yoke_cost.h>

namespace yoke::client {

class Choice {
   public:
    // Whether the worker is expected to end a call earlier than the caller would.
    [[nodiscard]] bool worker_is_faster(std::uint16_t service, std::uint64_t bytes, yoke_cost worker_untrusted,
                                        std::uint64_t backlog_ns) const;
    // Expected time of a call in the worker, the crossing included.
    [[nodiscard]] std::uint64_t expected_worker_ns(std::uint64_t bytes, yoke_cost worker_untrusted) const;

    // This call in the caller should be timed: now and then, and always where the line does not reach.
    [[nodiscard]] bool wants_measure(std::uint16_t service, std::uint64_t bytes);
    void learn_caller(std::uint16_t service, std::uint64_t bytes, std::uint64_t measured_ns);
    void learn_crossing(std::uint64_t measured_ns);

   private:
    static constexpr std::uint32_t sample_every = 64;
    static constexpr std::uint64_t reach = 4;  // a line is believed up to so many times the largest measured call

    struct Line {
        yoke_cost cost{};
        std::uint64_t largest = 0;  // bytes
    };

    std::array<Line, YOKE_SERVICES_MAX> caller_{};
    std::uint32_t calls_ = 0;
    std::uint64_t crossing_ns_ = 5'000;  // until learned: a round trip between two awake processes, generously
};

}  // namespace yoke::client
