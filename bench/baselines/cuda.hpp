// What the benchmarks that drive a CUDA device by hand share: the driver, errors that end the program, and medians.
#pragma once

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "device/cuda/driver.hpp"

namespace yoke::bench {

namespace cuda = device::cuda;

[[noreturn]] inline void die(const std::string& what) {
    std::fprintf(stderr, "%s: %s\n", program_invocation_short_name, what.c_str());
    std::_Exit(1);
}

template <typename T>
T must(Result<T> result) {
    if (!result) {
        die(result.error().message);
    }
    return std::move(*result);
}

inline void must(const Status& status) {
    if (!status) {
        die(status.error().message);
    }
}

inline void must(CUresult result) {
    must(cuda::check(result, "the driver refuses"));
}

inline const cuda::Context& context() {
    static const cuda::Context* const opened = must(cuda::primary_context());
    return *opened;
}

inline const cuda::Driver& api() {
    return *context().driver;
}

inline double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

template <typename Run>
double seconds(Run run) {
    const std::uint64_t begin = now_ns();
    run();
    return static_cast<double>(now_ns() - begin) / 1e9;
}

}  // namespace yoke::bench
