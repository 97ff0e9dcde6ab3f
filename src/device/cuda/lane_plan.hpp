// How many lanes a queue of a CUDA device uses, and how kernels go into them; see cuda_queue.hpp. The defaults are what
// was measured to be best (docs/measurements/gesture.md).
#pragma once

#include <cstdint>

namespace yoke::device::cuda {

struct LanePlan {
    std::uint32_t copies = 1;   // per direction, at most copy_lanes_max
    std::uint32_t kernels = 8;  // at most run_lanes_max
    bool fork = false;  // kernels that depend on the same one go into several lanes where some have nothing to do
    bool steps = true;  // kernels of a busy device are handed over by the step (step.hpp)
};

}  // namespace yoke::device::cuda
