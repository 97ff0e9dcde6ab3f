// Durations in nanoseconds and what is reported of them. All samples are kept: the tails are the point.
#pragma once

#include <time.h>

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <vector>

namespace measure {

using Json = nlohmann::ordered_json;

inline uint64_t now_ns() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<uint64_t>(t.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(t.tv_nsec);
}

inline void spin_until(uint64_t deadline_ns) {
    while (now_ns() < deadline_ns) __builtin_ia32_pause();
}

class Samples {
   public:
    explicit Samples(size_t expected = 0) { ns_.reserve(expected); }

    void add(uint64_t ns) { ns_.push_back(ns); }
    size_t count() const { return ns_.size(); }

    // Nearest rank; 0 when there is no sample.
    uint64_t quantile(double q) const {
        if (ns_.empty()) return 0;
        std::vector<uint64_t> sorted = ns_;
        const auto rank = std::min(sorted.size() - 1, static_cast<size_t>(q * static_cast<double>(sorted.size())));
        std::nth_element(sorted.begin(), sorted.begin() + static_cast<ptrdiff_t>(rank), sorted.end());
        return sorted[rank];
    }

    Json summary() const {
        Json json;
        json["count"] = count();
        if (ns_.empty()) return json;
        json["min_ns"] = *std::min_element(ns_.begin(), ns_.end());
        json["median_ns"] = quantile(0.5);
        json["p90_ns"] = quantile(0.9);
        json["p99_ns"] = quantile(0.99);
        json["p999_ns"] = quantile(0.999);
        json["max_ns"] = *std::max_element(ns_.begin(), ns_.end());
        return json;
    }

   private:
    std::vector<uint64_t> ns_;
};

}  // namespace measure
