// How many lanes a queue of a CUDA device uses, and how kernels go into them; see cuda_queue.hpp. The defaults are what
// was measured to be best (docs/measurements/gesture.md).
#pragma once

#include <cstdint>

namespace yoke::device::cuda {

struct LanePlan {
    std::uint32_t copies = 1;   // per direction, at most copy_lanes_max
    std::uint32_t kernels = 8;  // at most run_lanes_max
    bool fork = false;          // kernels that need not follow each other go into several lanes
    bool steps = true;          // kernels of a busy device are handed over by the step (step.hpp)
    bool fork_steps = true;     // kernels of a step that need not follow each other do not
    std::uint32_t lead = 4;     // kernels that go ahead of a step, at once: the device works while the rest is prepared
    bool reuse = true;          // unless lanes fork, one writes again to memory that only its own commands still use
};

}  // namespace yoke::device::cuda
