// The header line of a stream: what its records are, and named parameters (include/yoke/stage.h has the format).
//
// It comes from whoever writes into the pipe, and parts of it go on to a compiler, so every word is checked here
// against the narrow set of characters that the format allows. One spelling per meaning: what is formatted parses to
// the same.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "control/template.hpp"

namespace yoke::control {

inline constexpr std::size_t stage_header_bytes_max = 4096;  // with the newline; a pipe takes it in one piece
inline constexpr std::string_view stage_magic = "YOKESTREAM 1 ";

struct StreamForm {
    TemplateDefinition form;  // packed
    bool variable = false;

    bool operator==(const StreamForm&) const = default;
};

// In the order of the header.
using Parameters = std::vector<std::pair<std::string, std::string>>;

struct StageHeader {
    StreamForm stream;
    Parameters parameters;
};

// EPROTO: no header, or one that means nothing; the sentence says which word. `line` is without the newline.
Result<StageHeader> parse_stage_header(std::string_view line);
// With the newline. EINVAL: a template that is none or has gaps between rows; E2BIG: longer than
// stage_header_bytes_max.
Result<std::string> format_stage_header(const StageHeader& header);

// EINVAL: a name that is no identifier, or a value with characters that the format does not have.
Status check_parameter(std::string_view name, std::string_view value);
const std::string* find_parameter(const Parameters& parameters, std::string_view name);
// Whether a value is a decimal number, so that a compiler may be given it as a constant.
bool is_number(std::string_view value);

}  // namespace yoke::control
