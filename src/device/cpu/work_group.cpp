// Divisors of a geometry that make a good work-group; see work_group.hpp. Found by trial: the numbers are small and
// this happens once per kernel.
#include "device/cpu/work_group.hpp"

#include <algorithm>

namespace yoke::device {

namespace {

constexpr std::size_t items_wanted = 256;  // enough to hide the cost of a group, few enough to balance threads
constexpr std::size_t items_tiny = 16;     // below a vector's width a group costs more than its items

std::size_t largest_divisor(std::size_t number, std::size_t limit) {
    for (std::size_t candidate = std::min(number, limit); candidate > 1; --candidate) {
        if (number % candidate == 0) {
            return candidate;
        }
    }
    return 1;
}

std::size_t smallest_divisor_from(std::size_t number, std::size_t from, std::size_t limit) {
    for (std::size_t candidate = from; candidate <= std::min(number, limit); ++candidate) {
        if (number % candidate == 0) {
            return candidate;
        }
    }
    return 0;
}

}  // namespace

std::array<std::size_t, 3> choose_work_group(const std::array<std::size_t, 3>& global, const WorkGroupLimits& limits) {
    std::array<std::size_t, 3> local{1, 1, 1};
    const std::size_t first_limit = std::min(limits.items, limits.extent[0]);
    local[0] = largest_divisor(global[0], std::min(items_wanted, first_limit));
    if (local[0] < items_tiny && local[0] < global[0]) {
        const std::size_t larger = smallest_divisor_from(global[0], items_tiny, first_limit);
        local[0] = larger != 0 ? larger : local[0];
    }
    std::size_t items = local[0];
    for (std::size_t d = 1; d < 3; ++d) {
        const std::size_t room = std::min(items_wanted, limits.items) / std::min(items, items_wanted);
        local[d] = largest_divisor(global[d], std::min(std::max<std::size_t>(room, 1), limits.extent[d]));
        items *= local[d];
        if (items > limits.items) {
            items /= local[d];
            local[d] = 1;
        }
    }
    return local;
}

}  // namespace yoke::device
