// What the resident kernel needs of the machine itself, most of all tagged lines: a quarter is one 16-byte access, four
// lanes hold a line.
//
// uapi/yoke_ring.h reads a line by eight loads in a row, 11 us a call over PCIe; here the four quarters are on their
// way at once, and a single 16-byte access is never torn (docs/measurements/express.md).
#pragma once

#if defined(__CUDACC__)
#include "executive/cuda/instructions.cuh"
#else
#include "executive/cuda/emulated/instructions.hpp"
#endif

namespace yoke::executive::cuda {

constexpr unsigned full_warp = 0xffffffffU;

// Two numbers by one access; `to` is aligned to 16 bytes.
__device__ __forceinline__ void store_relaxed_pair(void* to, std::uint64_t first, std::uint64_t second) {
    store_relaxed(static_cast<yoke_quarter*>(to), {first, second});
}

}  // namespace yoke::executive::cuda
