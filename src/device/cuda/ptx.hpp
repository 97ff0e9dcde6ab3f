// PTX that NVIDIA's OpenCL compiler made, for the CUDA driver.
//
// PROBLEM. That compiler's code expects what the OpenCL runtime sets up: registers %envreg0..2 hold the number of the
// first work-group, %envreg3..5 the global offset, %envreg6..8 the number of work-groups, and parameters may be
// declared as pointers to shared memory; the CUDA driver sets none of these and refuses the last. MODEL. The first two
// are always 0 here, the number of work-groups is %nctaid.x..z, and the declaration is taken away.
#pragma once

#include <string>
#include <string_view>

#include "base/error.hpp"

namespace yoke::device::cuda {

// ENOTSUP: the code uses another register of the OpenCL runtime's.
Result<std::string> rewrite_opencl_ptx(std::string_view ptx);

}  // namespace yoke::device::cuda
