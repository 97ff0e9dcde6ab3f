// The template of a port: what one datablock looks like.
//
// A datablock is a dense box of elements: extent[0] elements make a row, extent[1] rows a plane, extent[2] planes the
// datablock. A row takes `stride` bytes, packed if 0. An element is a scalar or a vector of 2, 3, 4, 8 or 16 of them,
// packed: "f32x3" has 12 bytes, as files and arrays have it, unlike a float3 variable of OpenCL (use vload3).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace yoke::control {

inline constexpr std::uint64_t extent_max = 1ULL << 30U;  // elements of one dimension, bytes of a stride
inline constexpr std::uint64_t datablock_bytes_max = 1ULL
                                                     << 30U;  // YOKE_CALL_BYTES_MAX: one push carries one datablock

struct TemplateDefinition {
    std::string type;  // "f32x4"
    std::array<std::uint64_t, 3> extent{1, 1, 1};
    std::uint64_t stride = 0;  // bytes per row; 0: packed

    bool operator==(const TemplateDefinition&) const = default;
};

// Type of an element, taken apart.
struct ElementType {
    enum class Scalar : std::uint8_t { signed_integer, unsigned_integer, floating };
    Scalar scalar = Scalar::unsigned_integer;
    std::uint32_t scalar_bytes = 1;  // 1, 2, 4, 8
    std::uint32_t lanes = 1;         // 1, 2, 3, 4, 8, 16

    [[nodiscard]] std::uint32_t bytes() const { return scalar_bytes * lanes; }
};

// i8 u8 i16 u16 i32 u32 i64 u64 f16 f32 f64, optionally followed by x2 x3 x4 x8 or x16. EINVAL: no such type.
Result<ElementType> parse_element_type(std::string_view type);

// Bytes of one row and of a whole datablock. EINVAL: no such type, an extent that is 0, a stride shorter than a row or
// no multiple of the scalar's size; EMSGSIZE: more than datablock_bytes_max.
Result<std::uint64_t> row_bytes(const TemplateDefinition& form);
Result<std::uint64_t> template_bytes(const TemplateDefinition& form);

// Whether datablocks of one are datablocks of the other: a stride that is given as what packing gives makes no
// difference.
bool same_form(const TemplateDefinition& a, const TemplateDefinition& b);

// "f32x4 640x480", for messages and lists; with a stride "f32x4 640x480 stride 16384".
std::string template_text(const TemplateDefinition& form);

}  // namespace yoke::control
