// NVRTC, NVIDIA's compiler of CUDA C++ as a library, opened at run time.
#pragma once

#include <string>
#include <vector>

#include "base/error.hpp"

namespace yoke::device::cuda {

struct NvrtcOutcome {
    std::vector<unsigned char> code;  // a cubin
    std::string symbol;               // the function's name in it
    std::string log;                  // warnings
};

// `architecture`: "sm_90". `options`: as on a command line, divided by blanks. ENODEV: there is no NVRTC; ENOEXEC: the
// compiler's messages; EINVAL: the source has no such kernel.
Result<NvrtcOutcome> compile_cuda(const std::string& source, const std::string& source_name,
                                  const std::string& function, const std::string& options,
                                  const std::string& architecture);

}  // namespace yoke::device::cuda
