// From OpenCL C, CUDA C++ or PTX to machine code for a CUDA device: what yoke-compile does.
//
// MODEL. OpenCL C goes through NVIDIA's OpenCL platform, which gives PTX (ptx.hpp); CUDA C++ through NVRTC, opened at
// run time, which gives machine code; PTX through the driver's linker. All of it happens in the compiler's process, so
// that the worker only loads code: what the driver translates in a worker would keep the resident kernel away for long.
#pragma once

#include <string>

#include "base/error.hpp"
#include "device/cpu/opencl_build.hpp"

namespace yoke::device::cuda {

// How a request for this device begins: "cuda:sm_90".
inline constexpr const char* platform_prefix = "cuda:";
[[nodiscard]] bool is_cuda(const CompileRequest& request);

// The bytes are an Image (image.hpp). ENOEXEC: the compiler's messages; EINVAL: no such function; ENODEV: no compiler
// for this form, with the remedy; ENOTSUP: an unknown form, or code that needs OpenCL's run time.
Result<BuiltBinary> build_cuda(const CompileRequest& request);

}  // namespace yoke::device::cuda
