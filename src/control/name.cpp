// Names of objects into their parts; see name.hpp. One grammar for graph files and control messages; the error quotes
// the whole name and the forms that are allowed, and does not say which part is wrong.
#include "control/name.hpp"

#include <algorithm>

#include "base/text.hpp"

namespace yoke::control {

namespace {

bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

const char* form_of(NameKind kind) {
    switch (kind) {
        case NameKind::graph:
            return "/graph";
        case NameKind::member:
            return "/graph/ptask or /graph/channel";
        case NameKind::port:
            return "/graph/ptask:port";
    }
    return "";
}

}  // namespace

bool is_name_part(std::string_view part) {
    return !part.empty() && part.size() <= name_part_bytes_max && is_word(part.front()) &&
           std::all_of(part.begin(), part.end(), [](char c) { return is_word(c) || c == '-' || c == '.'; });
}

Result<Name> parse_name(std::string_view name) {
    Name parts;
    std::string_view rest = name;
    bool good = !rest.empty() && rest.front() == '/';
    if (good) {
        rest.remove_prefix(1);
        const std::size_t slash = rest.find('/');
        parts.graph = rest.substr(0, slash);
        if (slash != rest.npos) {
            rest.remove_prefix(slash + 1);
            const std::size_t colon = rest.find(':');
            parts.kind = colon == rest.npos ? NameKind::member : NameKind::port;
            parts.member = rest.substr(0, colon);
            parts.port = colon == rest.npos ? std::string_view() : rest.substr(colon + 1);
        }
        good = is_name_part(parts.graph) && (parts.kind == NameKind::graph || is_name_part(parts.member)) &&
               (parts.kind != NameKind::port || is_name_part(parts.port));
    }
    if (!good) {
        return fail(
            EINVAL,
            "{} is no name of an object; write /graph, /graph/ptask, /graph/channel or /graph/ptask:port with 1 to "
            "{} of the characters A-Z a-z 0-9 _ - . in each part",
            in_quotes(name), name_part_bytes_max);
    }
    return parts;
}

Result<Name> parse_name(std::string_view name, NameKind kind) {
    auto parts = parse_name(name);
    if (parts && parts->kind != kind) {
        return fail(EINVAL, "{} is not the kind of name needed here; write {}", in_quotes(name), form_of(kind));
    }
    return parts;
}

std::string graph_of(std::string_view name) {
    return std::string(name.substr(0, name.find('/', 1)));
}

std::string ptask_of(std::string_view port) {
    return std::string(port.substr(0, port.find(':')));
}

}  // namespace yoke::control
