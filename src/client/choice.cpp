// See choice.hpp.
#include "client/choice.hpp"

#include <algorithm>

namespace yoke::client {

namespace {

constexpr std::uint64_t unknown_worker_ns = 20'000;   // a place that was not measured: waited for by spinning this long
constexpr std::uint64_t crossing_max_ns = 1'000'000;  // more is a preempted worker, not the price of a crossing

}  // namespace

std::uint64_t Choice::expected_worker_ns(std::uint64_t bytes, yoke_cost worker_untrusted) const {
    const std::uint64_t run = yoke_cost_ns(worker_untrusted, bytes);
    return crossing_ns_ + (run == ~std::uint64_t{0} ? unknown_worker_ns : run);
}

bool Choice::worker_is_faster(std::uint16_t service, std::uint64_t bytes, yoke_cost worker_untrusted,
                              std::uint64_t backlog_ns) const {
    if (service >= caller_.size() || worker_untrusted.ns_per_kib == 0) {
        return false;  // a place that was never measured is never chosen by cost
    }
    const Line& caller = caller_[service];
    if (bytes > reach * caller.largest) {
        return false;
    }
    return expected_worker_ns(bytes, worker_untrusted) + backlog_ns < yoke_cost_ns(caller.cost, bytes);
}

bool Choice::wants_measure(std::uint16_t service, std::uint64_t bytes) {
    return service < caller_.size() && (bytes > reach * caller_[service].largest || ++calls_ % sample_every == 0);
}

void Choice::learn_caller(std::uint16_t service, std::uint64_t bytes, std::uint64_t measured_ns) {
    if (service >= caller_.size()) {
        return;
    }
    Line& line = caller_[service];
    if (line.cost.ns_per_kib == 0 || bytes <= reach * line.largest) {
        line.cost = yoke_cost_learn(line.cost, bytes, measured_ns);
        line.largest = std::max(line.largest, bytes);
        return;
    }
    const std::uint64_t near_ns = std::min<std::uint64_t>(yoke_cost_ns(line.cost, line.largest), measured_ns);
    const std::uint64_t rate = ((measured_ns - near_ns) << 10) / (bytes - line.largest);
    const std::uint64_t slope_ns = (rate * line.largest) >> 10;
    line.cost.ns_per_kib = static_cast<std::uint32_t>(std::clamp<std::uint64_t>(rate, 1, UINT32_MAX));
    line.cost.overhead_ns =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(near_ns - std::min(near_ns, slope_ns), UINT32_MAX));
    line.largest = bytes;
}

void Choice::learn_crossing(std::uint64_t measured_ns) {
    crossing_ns_ = (crossing_ns_ * 7 + std::min(measured_ns, crossing_max_ns)) / 8;
}

}  // namespace yoke::client
