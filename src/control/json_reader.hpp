// JSON text of a stranger into a value, with limits that hold while it is read.
//
// nlohmann-json reads any depth and any number of values and keeps the last of two equal members. A message of 4 MiB
// could so become some 100 MB, and two readers could see two different messages in one text.
#pragma once

#include <cstddef>
#include <span>

#include "base/error.hpp"
#include "control/message.hpp"

namespace yoke::control {

inline constexpr std::size_t values_max = std::size_t{128} * 1024;  // of one message: 32 bytes of a full message each

// Reads one JSON object. EBADMSG: not JSON, not an object, two members of one name. EMSGSIZE: deeper than depth_max or
// more than values_max values.
Result<Json> read_json(std::span<const std::byte> text);

}  // namespace yoke::control
