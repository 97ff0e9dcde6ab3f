// Sentences for people: what a status and its detail mean for one call.
#pragma once

#include <string>
#include <string_view>

#include <yoke/yoke.h>

namespace yoke::client {

// One sentence for a failed call of `what` ("service aes-xts", "push").
[[nodiscard]] std::string sentence_for(const yoke_result& result, std::string_view what);

// "push", "pull", "move" of an opcode.
[[nodiscard]] std::string_view stream_name(std::uint8_t opcode);

}  // namespace yoke::client
