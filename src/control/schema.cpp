// Compares a message with its schema, member by member; see schema.hpp. Whoever handles a checked message need not ask
// again for the type or range of a member, nor whether one is there that is not optional.
#include "control/schema.hpp"

#include <algorithm>

#include "base/hex.hpp"
#include "base/text.hpp"
#include "control/name.hpp"

namespace yoke::control {

namespace {

constexpr std::size_t record_members_max = 64;
constexpr std::size_t record_string_bytes_max = 4096;  // a path
constexpr std::size_t record_elements_max = 64;        // of an array inside, e.g. extents
constexpr unsigned record_depth_max = 3;

tl::unexpected<Error> misfit(const std::string& path, std::string_view what) {
    return tl::unexpected(Error{EBADMSG, fmt::format("member {} of the control message {}", path, what)});
}

// "template.extent" from "template" and "extent". The name may be foreign: an unknown member's.
std::string joined(const std::string& path, std::string_view name) {
    return path.empty() ? printable(name) : path + "." + printable(name);
}

Status check_range(std::uint64_t value, const Range& range, const std::string& path, std::string_view unit) {
    if (value < range.min || value > range.max) {
        const std::string limits = range.max == UINT64_MAX  ? fmt::format("at least {}", range.min)
                                   : range.min == range.max ? fmt::format("exactly {}", range.min)
                                                            : fmt::format("{} to {}", range.min, range.max);
        return misfit(path, fmt::format("is {}{}; {} {} allowed", value, unit, limits,
                                        range.min == range.max && range.min == 1 ? "is" : "are"));
    }
    return {};
}

// A number that came as text has the unsigned type if it is one; one that this process put there may have the signed
// type.
bool is_unsigned(const Json& value) {
    return value.is_number_unsigned() || (value.is_number_integer() && value.get<std::int64_t>() >= 0);
}

Status check_number(const Json& value, const Range& range, const std::string& path) {
    if (!is_unsigned(value)) {
        return misfit(path, "must be an unsigned number");
    }
    return check_range(value.get<std::uint64_t>(), range, path, "");
}

Status check_string(const Json& value, const Range& range, const std::string& path) {
    if (!value.is_string()) {
        return misfit(path, "must be a string");
    }
    const auto& text = value.get_ref<const std::string&>();
    if (text.find('\0') != std::string::npos) {
        return misfit(path, "must not contain a NUL character");
    }
    return check_range(text.size(), range, path, " bytes long");
}

Status check_choice(const Json& value, const Member& member, const std::string& path) {
    if (auto checked = check_string(value, member.range, path); !checked || member.choices.empty()) {
        return checked;
    }
    const auto& text = value.get_ref<const std::string&>();
    if (std::find(member.choices.begin(), member.choices.end(), text) == member.choices.end()) {
        return misfit(path,
                      fmt::format("is {}; it must be one of {}", in_quotes(text), fmt::join(member.choices, ", ")));
    }
    return {};
}

Status check_hex(const Json& value, const Range& range, const std::string& path) {
    if (!value.is_string()) {
        return misfit(path, "must be a string of hexadecimal digits");
    }
    const auto& text = value.get_ref<const std::string&>();
    if (auto sized = check_range(text.size() / 2, range, path, " bytes long"); !sized) {
        return sized;
    }
    if (auto bytes = decode_hex(text); !bytes) {
        return misfit(path, fmt::format("is wrong: {}", bytes.error().message));
    }
    return {};
}

Status check_name(const Json& value, const std::string& path) {
    if (!value.is_string()) {
        return misfit(path, "must be the name of an object");
    }
    if (auto parts = parse_name(value.get_ref<const std::string&>()); !parts) {
        return misfit(path, fmt::format("is wrong: {}", parts.error().message));
    }
    return {};
}

Status check_record(const Json& value, const std::string& path, unsigned depth) {
    if (value.is_string()) {
        return check_string(value, {0, record_string_bytes_max}, path);
    }
    if (!value.is_structured()) {
        return {};
    }
    if (depth == record_depth_max) {
        return misfit(path, fmt::format("is nested deeper than {} levels", record_depth_max));
    }
    const std::size_t count_max = value.is_object() ? record_members_max : record_elements_max;
    if (value.size() > count_max) {
        return misfit(path, fmt::format("has {} values; at most {} are allowed", value.size(), count_max));
    }
    std::size_t index = 0;
    for (const auto& item : value.items()) {
        const std::string below = value.is_object() ? joined(path, item.key()) : fmt::format("{}[{}]", path, index++);
        if (value.is_object() && !is_name_part(item.key())) {
            return misfit(below, "has a name that is not allowed; use A-Z a-z 0-9 _ - .");
        }
        if (auto checked = check_record(item.value(), below, depth + 1); !checked) {
            return checked;
        }
    }
    return {};
}

Status check_object(const Json& object, const Schema& schema, const std::string& path, bool request);

Status check_array(const Json& value, const Member& member, const std::string& path) {
    if (!value.is_array()) {
        return misfit(path, "must be an array");
    }
    if (auto sized = check_range(value.size(), member.range, path, " elements long"); !sized) {
        return sized;
    }
    for (std::size_t i = 0; i < value.size(); ++i) {
        const std::string below = fmt::format("{}[{}]", path, i);
        auto checked = member.element == nullptr ? check_number(value[i], member.values, below)
                                                 : check_object(value[i], *member.element, below, false);
        if (!checked) {
            return checked;
        }
    }
    return {};
}

Status check_member(const Json& value, const Member& member, const std::string& path) {
    switch (member.kind) {
        case Kind::boolean:
            return value.is_boolean() ? Status() : Status(misfit(path, "must be true or false"));
        case Kind::unsigned_number:
            return check_number(value, member.range, path);
        case Kind::string:
            return check_choice(value, member, path);
        case Kind::hex:
            return check_hex(value, member.range, path);
        case Kind::name:
            return check_name(value, path);
        case Kind::name_or_null:
            return value.is_null() ? Status() : check_name(value, path);
        case Kind::object:
            return check_object(value, *member.element, path, false);
        case Kind::array:
            return check_array(value, member, path);
        case Kind::record:
            return value.is_object() ? check_record(value, path, 0) : Status(misfit(path, "must be an object"));
    }
    return misfit(path, "has no schema");
}

Status check_object(const Json& object, const Schema& schema, const std::string& path, bool request) {
    if (!object.is_object()) {
        return misfit(path, "must be an object");
    }
    if (schema.records) {
        return check_record(object, path, 0);
    }
    std::size_t present = 0;
    for (const auto& item : object.items()) {
        if (request && (item.key() == "op" || item.key() == "id")) {
            continue;
        }
        const auto member = std::find_if(schema.members.begin(), schema.members.end(),
                                         [&](const Member& known) { return known.name == item.key(); });
        const std::string below = joined(path, item.key());
        if (member == schema.members.end()) {
            return misfit(below, "is unknown");
        }
        if (auto checked = check_member(item.value(), *member, below); !checked) {
            return checked;
        }
        ++present;
    }
    for (const Member& member : schema.members) {
        if (member.required && !schema.exactly_one && !object.contains(member.name)) {
            return misfit(joined(path, member.name), "is missing");
        }
    }
    if (schema.exactly_one && present != 1) {
        return misfit(path, fmt::format("must have exactly one member; it has {}", present));
    }
    return {};
}

}  // namespace

Status check(const Json& object, const Schema& schema) {
    return check_object(object, schema, "", false);
}

Result<std::string_view> check_request(Peer peer, const Json& request) {
    const auto op = request.find("op");
    if (op == request.end() || !op->is_string()) {
        return fail(EBADMSG, "member op of the control message must be the name of a request");
    }
    if (const auto id = request.find("id"); id != request.end() && !is_unsigned(*id)) {
        return fail(EBADMSG, "member id of the control message must be an unsigned number");
    }
    const auto& name = op->get_ref<const std::string&>();
    const Schema* const schema = request_schema(peer, name);
    if (schema == nullptr) {
        return fail(ENOSYS, "{} is no request that is known here; see docs/control.md", in_quotes(name));
    }
    if (auto checked = check_object(request, *schema, "", true); !checked) {
        return tl::unexpected(checked.error());
    }
    return name;
}

}  // namespace yoke::control
