// A call made ready: checked, planned, and executable in the calling thread.
//
// The same Service::plan() decides here and in the worker, so a call is refused with the same status and detail
// wherever it would have run. What the caller passes is trusted not to change (it is this process), except for the data
// itself.
#pragma once

#include <cstdint>

#include <yoke/yoke.h>

#include "service/service.hpp"

namespace yoke::client {

class Key;

struct Prepared {
    const service::Service* service = nullptr;
    service::Work work;
    Key* key = nullptr;
    std::uint8_t place = YOKE_PLACE_AUTO;
    std::uint64_t deadline_ns = 0;  // CLOCK_MONOTONIC; 0: none
};

// Whether output may lie over input or aux: only for callers that move the output elsewhere before they execute.
enum class Overlap : std::uint8_t { refused, allowed };

// Checks and plans a call. Returns true when it can be executed, else fills the result (status and detail).
[[nodiscard]] bool prepare(const yoke_call& call, Overlap overlap, Prepared& prepared, yoke_result& result) noexcept;

// Executes a prepared call here, chunk by chunk, looking at the deadline in between. `why`: enum yoke_why. Returns the
// status. Times are measured only when `measured`.
int execute(const Prepared& prepared, std::uint8_t why, bool measured, yoke_result& result) noexcept;

// Deadline of a call that may take `timeout_ns` (0: no deadline), without overflow.
[[nodiscard]] std::uint64_t deadline_of(std::uint64_t timeout_ns) noexcept;

}  // namespace yoke::client
