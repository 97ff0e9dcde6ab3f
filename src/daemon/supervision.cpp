// Counters and deadlines, no clock. Counts that clients report are bounded before they are added.
#include "daemon/supervision.hpp"

#include <algorithm>

namespace yoke::daemon {
namespace {

constexpr std::uint64_t ns_per_ms = 1'000'000;
constexpr std::uint64_t ns_per_s = 1'000'000'000;
constexpr unsigned row_max = 40;            // 2^40 times the shortest pause exceeds the longest by far
constexpr std::uint64_t report_max = 8192;  // slots of one session's rings: more a client cannot have had executing

}  // namespace

void Supervision::died(std::uint64_t now_ns, const Config& rules) {
    ++deaths_;
    if (healthy(now_ns)) {
        row_ = 0;
    }
    std::uint64_t pause_ms = 0;
    if (row_ > 0) {
        pause_ms = std::min(rules.backoff_first_ms << std::min(row_ - 1, 20U), rules.backoff_max_ms);
    }
    row_ = std::min(row_ + 1, row_max);
    start_at_ns_ = now_ns + pause_ms * ns_per_ms;
}

void Supervision::suspected(std::uint64_t calls, std::uint64_t now_ns, const Config& rules) {
    if (calls == 0) {
        return;
    }
    calls = std::min(calls, report_max);
    suspects_ += calls;
    const std::uint64_t window_ns = rules.suspects_window_s * ns_per_s;
    while (!recent_.empty() && now_ns - recent_.front().first > window_ns) {
        recent_.pop_front();
    }
    recent_.emplace_back(now_ns, calls);
    std::uint64_t sum = 0;
    for (const auto& [when, count] : recent_) {
        sum += count;
    }
    if (sum > rules.suspects_max) {
        barred_until_ns_ = now_ns + rules.bar_s * ns_per_s;
        recent_.clear();
    }
}

std::uint64_t Supervision::barred_ns(std::uint64_t now_ns) const {
    return barred_until_ns_ > now_ns ? barred_until_ns_ - now_ns : 0;
}

}  // namespace yoke::daemon
