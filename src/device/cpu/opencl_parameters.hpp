// What an OpenCL kernel that was built with -cl-kernel-arg-info says of its parameters.
#pragma once

#include <vector>

#include "device/cpu/opencl.hpp"
#include "device/device.hpp"

namespace yoke::device {

[[nodiscard]] std::vector<Parameter> opencl_parameters(cl_kernel kernel, cl_uint count);

}  // namespace yoke::device
