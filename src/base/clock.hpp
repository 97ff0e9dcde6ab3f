// Time in nanoseconds of CLOCK_MONOTONIC, the clock of every deadline in yoke.
#pragma once

#include <time.h>

#include <cstdint>

namespace yoke {

[[nodiscard]] inline std::uint64_t now_ns() {
    timespec t{};
    ::clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(t.tv_nsec);
}

}  // namespace yoke
