// Constants of a graph file into the bytes that a kernel's argument has; see constant.hpp. A number out of its type's
// range is a mistake, and so is a fraction for an integer; only a floating type rounds, to its nearest value.
#include "control/constant.hpp"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/hex.hpp"
#include "base/text.hpp"
#include "control/graph_file.hpp"

namespace yoke::control {

namespace {

static_assert(std::endian::native == std::endian::little, "constants are written as the machine keeps them");

using Bytes = std::vector<std::uint8_t>;

template <typename T>
void append(Bytes& bytes, T value) {
    const std::size_t at = bytes.size();
    bytes.resize(at + sizeof(T));
    std::memcpy(bytes.data() + at, &value, sizeof(T));
}

template <typename T>
void append_integer(TomlReader& reader, Bytes& bytes, const toml::node& node, std::string_view type) {
    const auto* const value = node.as_integer();
    if (value == nullptr) {
        reader.fail_at(node.source(), "a constant of type {} must be an integer", type);
    } else if (!std::in_range<T>(value->get())) {
        reader.fail_at(node.source(), "constant {} does not fit {}", value->get(), type);
    } else {
        append(bytes, static_cast<T>(value->get()));
    }
}

template <typename T>
void append_floating(TomlReader& reader, Bytes& bytes, const toml::node& node, std::string_view type) {
    const bool number = node.is_integer() || node.is_floating_point();
    const double value = number ? *node.value<double>() : 0;
    if (!number) {
        reader.fail_at(node.source(), "a constant of type {} must be a number", type);
    } else if (std::isfinite(value) && std::abs(value) > static_cast<double>(std::numeric_limits<T>::max())) {
        reader.fail_at(node.source(), "constant {} does not fit {}", value, type);
    } else {
        append(bytes, static_cast<T>(value));
    }
}

using Append = void (*)(TomlReader&, Bytes&, const toml::node&, std::string_view);

Append append_of(std::string_view type) {
    struct Row {
        std::string_view type;
        Append append;
    };
    static constexpr std::array<Row, 10> rows{{{"i8", append_integer<std::int8_t>},
                                               {"u8", append_integer<std::uint8_t>},
                                               {"i16", append_integer<std::int16_t>},
                                               {"u16", append_integer<std::uint16_t>},
                                               {"i32", append_integer<std::int32_t>},
                                               {"u32", append_integer<std::uint32_t>},
                                               {"i64", append_integer<std::int64_t>},
                                               {"u64", append_integer<std::uint64_t>},
                                               {"f32", append_floating<float>},
                                               {"f64", append_floating<double>}}};
    for (const Row& row : rows) {
        if (row.type == type) {
            return row.append;
        }
    }
    return nullptr;
}

Bytes encode_hex_constant(TomlReader& reader, const toml::node& node) {
    auto bytes = decode_hex(reader.string(&node, "hex", 2 * constant_bytes_max));
    if (!bytes) {
        reader.fail_at(node.source(), "{}", bytes.error().message);
        return {};
    }
    if (bytes->empty()) {
        reader.fail_at(node.source(), "a constant must have at least one byte");
    }
    return *bytes;
}

Bytes encode_vector(TomlReader& reader, const toml::array& numbers, Append append_one, std::string_view type) {
    Bytes bytes;
    const std::size_t lanes = numbers.size();
    if (lanes != 2 && lanes != 3 && lanes != 4 && lanes != 8 && lanes != 16) {
        reader.fail_at(numbers.source(), "a constant has {} numbers; a vector has 2, 3, 4, 8 or 16", lanes);
        return bytes;
    }
    for (const toml::node& number : numbers) {
        append_one(reader, bytes, number, type);
    }
    if (lanes == 3) {
        bytes.resize(bytes.size() / 3 * 4);
    }
    if (bytes.size() > constant_bytes_max) {
        reader.fail_at(numbers.source(), "a constant has {} bytes; at most {} are allowed", bytes.size(),
                       constant_bytes_max);
    }
    return bytes;
}

}  // namespace

Bytes encode_constant(TomlReader& reader, const toml::table& constant) {
    if (constant.size() != 1) {
        reader.fail_at(constant.source(), "a constant has one type; write for example {{ i32 = 640 }}");
        return {};
    }
    const auto member = constant.begin();
    const std::string_view type = member->first.str();
    const toml::node& node = member->second;
    if (type == "hex") {
        return encode_hex_constant(reader, node);
    }
    const Append append_one = append_of(type);
    if (append_one == nullptr) {
        reader.fail_at(member->first.source(), "{} is no type of a constant; use i8 to i64, u8 to u64, f32, f64 or hex",
                       in_quotes(type));
        return {};
    }
    if (const toml::array* const numbers = node.as_array()) {
        return encode_vector(reader, *numbers, append_one, type);
    }
    Bytes bytes;
    append_one(reader, bytes, node, type);
    return bytes;
}

}  // namespace yoke::control
