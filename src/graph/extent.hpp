// Extents of datablocks that may be shorter than their template.
#pragma once

#include <array>
#include <cstdint>

#include "control/template.hpp"

namespace yoke::graph {

// Whether `extent` (zeros: to be found) lies within the template and is `bytes` long.
[[nodiscard]] bool extent_fits(const control::TemplateDefinition& form, std::uint64_t element_bytes,
                               std::uint64_t bytes, const std::array<std::uint64_t, 3>& extent);
// Those of `bytes`, if not given: the template's, or less of the last dimension, or else a row of elements. `bytes` is
// a number of whole elements and at most a datablock.
[[nodiscard]] std::array<std::uint64_t, 3> extent_of(const control::TemplateDefinition& form,
                                                     std::uint64_t element_bytes, std::uint64_t bytes,
                                                     const std::array<std::uint64_t, 3>& given = {});

}  // namespace yoke::graph
