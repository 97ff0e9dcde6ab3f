// What a worker asks the compiler process for, and what that answers; as JSON between worker, spawner and yoke-compile.
#pragma once

#include <array>
#include <cstddef>
#include <string>

#include "base/error.hpp"
#include "control/message.hpp"
#include "device/device.hpp"

namespace yoke::device {

inline constexpr std::size_t compiler_log_bytes_max = 32UL * 1024UL;  // what a person reads of it fits many times

struct CompileRequest {
    std::string platform;  // exact name of the OpenCL platform; or "cuda:" and the device's architecture, "sm_90"
    Program program;
};

// Goes with a descriptor of the binary.
struct CompileAnswer {
    std::array<std::size_t, 3> local{1, 1, 1};  // the work-group size that was chosen, or what was asked for
    std::string log;                            // warnings
};

[[nodiscard]] control::Json json_of(const CompileRequest& request);
[[nodiscard]] control::Json json_of(const CompileAnswer& answer);
// EBADMSG: not what json_of() makes.
Result<CompileRequest> request_from(const control::Json& json);
Result<CompileAnswer> answer_from(const control::Json& json);

}  // namespace yoke::device
