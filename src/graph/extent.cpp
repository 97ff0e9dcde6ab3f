// Finding extents from a length: whole planes, else whole rows, else elements; see extent.hpp.
#include "graph/extent.hpp"

namespace yoke::graph {

namespace {

std::uint64_t row_of(const control::TemplateDefinition& form, std::uint64_t element_bytes) {
    return form.stride != 0 ? form.stride : form.extent[0] * element_bytes;
}

}  // namespace

bool extent_fits(const control::TemplateDefinition& form, std::uint64_t element_bytes, std::uint64_t bytes,
                 const std::array<std::uint64_t, 3>& extent) {
    if (extent == std::array<std::uint64_t, 3>{}) {
        return true;
    }
    for (std::size_t d = 0; d < 3; ++d) {
        if (extent[d] == 0 || extent[d] > form.extent[d]) {
            return false;
        }
    }
    const std::uint64_t row = form.stride != 0 ? form.stride : extent[0] * element_bytes;
    return row * extent[1] * extent[2] == bytes;  // no overflow: within the template, which has at most 1 GiB
}

std::array<std::uint64_t, 3> extent_of(const control::TemplateDefinition& form, std::uint64_t element_bytes,
                                       std::uint64_t bytes, const std::array<std::uint64_t, 3>& given) {
    if (given != std::array<std::uint64_t, 3>{}) {
        return given;
    }
    const std::uint64_t row = row_of(form, element_bytes);
    const std::uint64_t plane = row * form.extent[1];
    if (bytes == plane * form.extent[2]) {
        return form.extent;
    }
    if (form.extent[2] > 1 && bytes % plane == 0) {
        return {form.extent[0], form.extent[1], bytes / plane};
    }
    if (form.extent[1] > 1 && bytes % row == 0 && bytes <= plane) {
        return {form.extent[0], bytes / row, 1};
    }
    return {bytes / element_bytes, 1, 1};
}

}  // namespace yoke::graph
