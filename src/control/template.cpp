// Sizes of templates and element types; see template.hpp. All products are checked against overflow before they are
// made.
#include "control/template.hpp"

#include <uapi/yoke.h>

#include "base/text.hpp"

namespace yoke::control {

static_assert(datablock_bytes_max == YOKE_CALL_BYTES_MAX);

namespace {

struct NamedScalar {
    std::string_view name;
    ElementType::Scalar scalar;
    std::uint32_t bytes;
};

constexpr std::array<NamedScalar, 11> scalars{{
    {"i8", ElementType::Scalar::signed_integer, 1},
    {"u8", ElementType::Scalar::unsigned_integer, 1},
    {"i16", ElementType::Scalar::signed_integer, 2},
    {"u16", ElementType::Scalar::unsigned_integer, 2},
    {"i32", ElementType::Scalar::signed_integer, 4},
    {"u32", ElementType::Scalar::unsigned_integer, 4},
    {"i64", ElementType::Scalar::signed_integer, 8},
    {"u64", ElementType::Scalar::unsigned_integer, 8},
    {"f16", ElementType::Scalar::floating, 2},
    {"f32", ElementType::Scalar::floating, 4},
    {"f64", ElementType::Scalar::floating, 8},
}};

struct NamedLanes {
    std::string_view suffix;
    std::uint32_t lanes;
};

constexpr std::array<NamedLanes, 6> widths{{{"", 1}, {"x2", 2}, {"x3", 3}, {"x4", 4}, {"x8", 8}, {"x16", 16}}};

}  // namespace

Result<ElementType> parse_element_type(std::string_view type) {
    for (const NamedScalar& scalar : scalars) {
        if (!type.starts_with(scalar.name)) {
            continue;
        }
        for (const NamedLanes& width : widths) {
            if (type.substr(scalar.name.size()) == width.suffix) {
                return ElementType{scalar.scalar, scalar.bytes, width.lanes};
            }
        }
    }
    return fail(
        EINVAL,
        "{} is no element type; use i8 to i64, u8 to u64, f16, f32 or f64, with x2, x3, x4, x8 or x16 for vectors",
        in_quotes(type));
}

Result<std::uint64_t> row_bytes(const TemplateDefinition& form) {
    auto type = parse_element_type(form.type);
    if (!type) {
        return tl::unexpected(type.error());
    }
    const auto [width, height, depth] = form.extent;
    if (width == 0 || height == 0 || depth == 0) {
        return fail(EINVAL, "template {} has an extent of 0; write 1 for a dimension that is not used",
                    template_text(form));
    }
    if (width > extent_max || height > extent_max || depth > extent_max || form.stride > extent_max) {
        return fail(EMSGSIZE, "template {} is too large; a datablock has at most {} bytes", template_text(form),
                    datablock_bytes_max);
    }
    const std::uint64_t packed = width * type->bytes();  // at most 2^30 * 128
    if (form.stride == 0) {
        return packed;
    }
    if (form.stride < packed || form.stride % type->scalar_bytes != 0) {
        return fail(EINVAL, "template {} has a stride that is not at least {} and a multiple of {}",
                    template_text(form), packed, counted(type->scalar_bytes, "byte"));
    }
    return form.stride;
}

Result<std::uint64_t> template_bytes(const TemplateDefinition& form) {
    auto row = row_bytes(form);
    if (!row) {
        return row;
    }
    // Each step stays far below 2^64: the extents are at most 2^30, and what exceeds the limit goes no further.
    std::uint64_t bytes = *row;
    for (const std::uint64_t extent : {form.extent[1], form.extent[2]}) {
        if (bytes > datablock_bytes_max) {
            break;
        }
        bytes *= extent;
    }
    if (bytes > datablock_bytes_max) {
        return fail(EMSGSIZE, "template {} is too large; a datablock has at most {} bytes", template_text(form),
                    datablock_bytes_max);
    }
    return bytes;
}

bool same_form(const TemplateDefinition& a, const TemplateDefinition& b) {
    const auto row_a = row_bytes(a);
    const auto row_b = row_bytes(b);
    return a.type == b.type && a.extent == b.extent && row_a && row_b && *row_a == *row_b;
}

std::string template_text(const TemplateDefinition& form) {
    std::string text = fmt::format("{} {}", printable(form.type, 16), form.extent[0]);
    if (form.extent[1] != 1 || form.extent[2] != 1) {
        text += fmt::format("x{}", form.extent[1]);
    }
    if (form.extent[2] != 1) {
        text += fmt::format("x{}", form.extent[2]);
    }
    return form.stride == 0 ? text : fmt::format("{} stride {}", text, form.stride);
}

}  // namespace yoke::control
