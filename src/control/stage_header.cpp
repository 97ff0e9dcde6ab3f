// See stage_header.hpp.
#include "control/stage_header.hpp"

#include <algorithm>
#include <charconv>

namespace yoke::control {
namespace {

constexpr std::size_t name_bytes_max = 63;
constexpr std::size_t value_bytes_max = 255;

bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

std::string_view next_word(std::string_view& rest) {
    const std::size_t blank = rest.find(' ');
    const std::string_view word = rest.substr(0, blank);
    rest = blank == std::string_view::npos ? std::string_view() : rest.substr(blank + 1);
    return word;
}

// What a stranger wrote, fit for a message.
std::string in_quotes(std::string_view word) {
    std::string text;
    for (const char c : word.substr(0, value_bytes_max)) {
        text += c >= ' ' && c <= '~' ? c : '?';
    }
    return "'" + text + "'";
}

Result<std::array<std::uint64_t, 3>> parse_extents(std::string_view word) {
    std::array<std::uint64_t, 3> extents{1, 1, 1};
    const char* at = word.data();
    const char* const end = word.data() + word.size();
    for (std::size_t k = 0; k < extents.size(); ++k) {
        const auto [stop, code] = std::from_chars(at, end, extents[k]);
        if (code != std::errc() || extents[k] == 0 || extents[k] > extent_max) {
            break;
        }
        if (stop == end) {
            return extents;
        }
        if (*stop != 'x') {
            break;
        }
        at = stop + 1;
    }
    return fail(EPROTO, "{} in the stream's header gives no extents; one to three numbers like 640x480 are expected",
                in_quotes(word));
}

std::string format_extents(const std::array<std::uint64_t, 3>& extents) {
    std::string text = std::to_string(extents[0]);
    if (extents[1] != 1 || extents[2] != 1) {
        text += "x" + std::to_string(extents[1]);
    }
    if (extents[2] != 1) {
        text += "x" + std::to_string(extents[2]);
    }
    return text;
}

Result<Parameters> parse_parameters(std::string_view rest) {
    Parameters parameters;
    while (!rest.empty()) {
        const std::string_view word = next_word(rest);
        const std::size_t equals = word.find('=');
        if (equals == std::string_view::npos) {
            return fail(EPROTO, "{} in the stream's header is no parameter like unit=0.001", in_quotes(word));
        }
        const std::string_view name = word.substr(0, equals);
        const std::string_view value = word.substr(equals + 1);
        if (!check_parameter(name, value) || find_parameter(parameters, name) != nullptr) {
            return fail(EPROTO,
                        "parameter {} in the stream's header is given twice or has characters that are not allowed",
                        in_quotes(name));
        }
        parameters.emplace_back(name, value);
    }
    return parameters;
}

}  // namespace

Result<StageHeader> parse_stage_header(std::string_view line) {
    if (!line.starts_with(stage_magic) || line.size() >= stage_header_bytes_max || line.ends_with(' ')) {
        return fail(EPROTO,
                    "the input is no stream of records: it does not begin with a line like "
                    "'YOKESTREAM 1 u16 640x480 fixed'");
    }
    std::string_view rest = line.substr(stage_magic.size());
    StageHeader header;
    TemplateDefinition& form = header.stream.form;
    form.type = next_word(rest);
    if (!parse_element_type(form.type)) {
        return fail(EPROTO, "{} in the stream's header is no element type like u16 or f32x4", in_quotes(form.type));
    }
    auto extents = parse_extents(next_word(rest));
    if (!extents) {
        return tl::unexpected(extents.error());
    }
    form.extent = *extents;
    if (auto bytes = template_bytes(form); !bytes) {
        return fail(EPROTO, "records of the stream are not possible: {}", bytes.error().message);
    }
    const std::string_view kind = next_word(rest);
    if (kind != "fixed" && kind != "variable") {
        return fail(EPROTO, "{} in the stream's header is neither fixed nor variable", in_quotes(kind));
    }
    header.stream.variable = kind == "variable";
    auto parameters = parse_parameters(rest);
    if (!parameters) {
        return tl::unexpected(parameters.error());
    }
    header.parameters = std::move(*parameters);
    return header;
}

Result<std::string> format_stage_header(const StageHeader& header) {
    const TemplateDefinition& form = header.stream.form;
    if (auto bytes = template_bytes(form); !bytes) {
        return tl::unexpected(bytes.error());
    }
    TemplateDefinition packed = form;
    packed.stride = 0;
    if (!same_form(form, packed)) {
        return fail(EINVAL, "the records of a stream are packed; leave the stride of {} out", template_text(form));
    }
    std::string text(stage_magic);
    text += form.type + " " + format_extents(form.extent) + (header.stream.variable ? " variable" : " fixed");
    for (const auto& [name, value] : header.parameters) {
        text += ' ';
        text += name;
        text += '=';
        text += value;
    }
    text += "\n";
    if (text.size() > stage_header_bytes_max) {
        return fail(E2BIG, "the stream's header has {} bytes; at most {} are allowed, so leave parameters out",
                    text.size(), stage_header_bytes_max);
    }
    return text;
}

Status check_parameter(std::string_view name, std::string_view value) {
    const bool identifier = !name.empty() && name.size() <= name_bytes_max && is_letter(name.front()) &&
                            std::all_of(name.begin(), name.end(), [](char c) { return is_letter(c) || is_digit(c); });
    const bool printable = !value.empty() && value.size() <= value_bytes_max &&
                           std::all_of(value.begin(), value.end(), [](char c) { return c > ' ' && c <= '~'; });
    if (!identifier || !printable) {
        return fail(EINVAL,
                    "parameter {} needs an identifier of C as its name and 1 to {} printable characters without "
                    "blanks as its value",
                    in_quotes(name), value_bytes_max);
    }
    return {};
}

const std::string* find_parameter(const Parameters& parameters, std::string_view name) {
    const auto found = std::find_if(parameters.begin(), parameters.end(),
                                    [&](const auto& parameter) { return parameter.first == name; });
    return found != parameters.end() ? &found->second : nullptr;
}

bool is_number(std::string_view value) {
    // Without inf, nan and hexadecimal numbers, which from_chars knows and a compiler does not.
    if (value.empty() || !std::all_of(value.begin(), value.end(), [](char c) {
            return is_digit(c) || c == '.' || c == '-' || c == '+' || c == 'e' || c == 'E';
        })) {
        return false;
    }
    double number = 0;
    const auto [end, code] = std::from_chars(value.data(), value.data() + value.size(), number);
    return code == std::errc() && end == value.data() + value.size();
}

}  // namespace yoke::control
