// OpenCL's objects with owners, and its error codes as Errors.
#pragma once

// Version 2 for shared virtual memory, used where there is any; otherwise 1.2 is enough, which some call deprecated.
#define CL_TARGET_OPENCL_VERSION 200
#define CL_USE_DEPRECATED_OPENCL_1_2_APIS
#include <CL/cl.h>

#include <memory>
#include <string>
#include <string_view>
#include <type_traits>

#include "base/error.hpp"

namespace yoke::device {

struct OpenclRelease {
    void operator()(cl_context x) const { ::clReleaseContext(x); }
    void operator()(cl_command_queue x) const { ::clReleaseCommandQueue(x); }
    void operator()(cl_mem x) const { ::clReleaseMemObject(x); }
    void operator()(cl_program x) const { ::clReleaseProgram(x); }
    void operator()(cl_kernel x) const { ::clReleaseKernel(x); }
    void operator()(cl_event x) const { ::clReleaseEvent(x); }
};

template <typename Handle>
using OpenclOwned = std::unique_ptr<std::remove_pointer_t<Handle>, OpenclRelease>;

// "CL_INVALID_KERNEL_NAME", or the number of a code that has no name here.
[[nodiscard]] std::string opencl_error_name(cl_int code);
// The errno value nearest to an OpenCL error.
[[nodiscard]] int errno_of_opencl(cl_int code);
// An Error "WHAT: NAME".
[[nodiscard]] tl::unexpected<Error> fail_opencl(cl_int code, std::string_view what);

// One device of one platform, and what makes binaries for it interchangeable.
struct OpenclTarget {
    cl_platform_id platform = nullptr;
    cl_device_id device = nullptr;
    std::string platform_name;
    std::string device_name;
    std::string fingerprint;  // names and versions of platform, device and driver
    bool pocl = false;
};

// Takes the first device of the first platform whose name contains `wanted`; an empty text means PoCL, else the first
// platform with a CPU device, else the first platform. ENODEV: none there, or none of that name (lists those there
// are).
Result<OpenclTarget> find_opencl_target(std::string_view wanted);

}  // namespace yoke::device
