// The CUDA device: memory pooled, queues of several lanes, kernels from OpenCL C, CUDA C++, PTX and machine code.
#pragma once

#include <memory>
#include <string>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "device/cuda/lane_plan.hpp"
#include "device/device.hpp"

namespace yoke::device::cuda {

struct Options {
    Fd spawner;                     // of start_spawner(): made before the process has threads
    std::string cache_directory{};  // "": default_cache_directory(), or no cache where there is none
    LanePlan lanes{};               // of every queue
};

// Opens the first CUDA device. ENODEV: there is no driver, no device, or no CUDA in this build, with the remedy; then
// `options` still has its spawner. Any thread.
#if defined(YOKE_WITH_CUDA)
Result<std::unique_ptr<Device>> open_cuda_device(Options& options);
#else
inline Result<std::unique_ptr<Device>> open_cuda_device(Options& /*options*/) {
    return fail(ENODEV, "yoke was built without CUDA (YOKE_CUDA); build it where nvcc is");
}
#endif

}  // namespace yoke::device::cuda
