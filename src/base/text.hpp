// Text fit to be shown, in a message, a log line or a terminal: what somebody else chose, and numbers of things.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace yoke {

inline constexpr std::size_t shown_bytes_max = 128;  // of a foreign text inside one of our sentences

// `untrusted` without what could forge lines or steer a terminal: control characters and bytes that are not UTF-8
// become \n, \t or \xNN; a text longer than `max_bytes` is cut and ends in "...".
[[nodiscard]] std::string printable(std::string_view untrusted, std::size_t max_bytes = shown_bytes_max);
// The same with quotes around it and \" for quotes inside.
[[nodiscard]] std::string in_quotes(std::string_view untrusted, std::size_t max_bytes = shown_bytes_max);
// Whether `text` is well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms, at most U+10FFFF).
[[nodiscard]] bool is_utf8(std::string_view text);

// A number of things in a sentence: "1 byte", "2 bytes".
[[nodiscard]] std::string counted(std::uint64_t count, std::string_view thing);

}  // namespace yoke
