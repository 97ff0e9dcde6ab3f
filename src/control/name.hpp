// Names of objects: "/graph", "/graph/ptask", "/graph/channel" and "/graph/ptask:port".
//
// Each part has 1 to 63 of the characters A-Z a-z 0-9 _ - . and begins with a letter, a digit or an underscore, so that
// a name can also be a file name, a shell word and a part of a path without quoting.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace yoke::control {

inline constexpr std::size_t name_part_bytes_max = 63;
inline constexpr std::size_t name_bytes_max = 3 * (name_part_bytes_max + 1);

enum class NameKind : std::uint8_t { graph, member, port };  // member: a ptask or a channel

// Parts of a name, without separators; views into it. Empty where the kind has no such part.
struct Name {
    NameKind kind = NameKind::graph;
    std::string_view graph;
    std::string_view member;
    std::string_view port;
};

[[nodiscard]] bool is_name_part(std::string_view part);
// EINVAL with the rule that is broken.
Result<Name> parse_name(std::string_view name);
// The same; EINVAL too when `name` is of another kind.
Result<Name> parse_name(std::string_view name, NameKind kind);

// "/graph" of any name; "/graph/ptask" of a port's. `name` must be one that parse_name() accepts.
[[nodiscard]] std::string graph_of(std::string_view name);
[[nodiscard]] std::string ptask_of(std::string_view port);

}  // namespace yoke::control
