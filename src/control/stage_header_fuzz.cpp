// Fuzzes the parser of stream headers. A header that it accepts has one meaning: what is formatted of it is a header of
// the same stream, and nothing in it can become an option of a compiler.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "control/stage_header.hpp"

namespace {

using namespace yoke::control;

void require(bool condition) {
    if (!condition) {
        std::abort();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string line(data, data + size);
    if (!line.starts_with(stage_magic)) {
        line.insert(0, stage_magic);
    }
    const auto header = parse_stage_header(line);
    if (!header) {
        require(header.error().code == EPROTO);
        return 0;
    }
    const auto text = format_stage_header(*header);
    require(text.has_value() && text->size() <= stage_header_bytes_max && text->ends_with('\n'));
    const auto again = parse_stage_header(text->substr(0, text->size() - 1));
    require(again.has_value() && again->stream == header->stream && again->parameters == header->parameters);
    for (const auto& [name, value] : header->parameters) {
        require(check_parameter(name, value).has_value());
        require(!is_number(value) || std::ranges::none_of(value, [](char c) { return c <= ' ' || c == ';'; }));
    }
    return 0;
}
