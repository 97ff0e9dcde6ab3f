// How large a work-group should be when nobody has said it.
//
// MODEL. OpenCL 1.2 wants the work-group to divide the geometry. One thread of the CPU device runs a group's items as
// one vectorised loop over dimension 0, so that long groups in dimension 0 are best; too few groups would leave threads
// idle. So dimension 0 gets its largest divisor up to 256, or, where all those are tiny (primes), the smallest larger
// one that the device allows; the other dimensions fill up to 256 items.
#pragma once

#include <array>
#include <cstddef>

namespace yoke::device {

struct WorkGroupLimits {
    std::size_t items = 1;                       // of a whole group
    std::array<std::size_t, 3> extent{1, 1, 1};  // per dimension
};

[[nodiscard]] std::array<std::size_t, 3> choose_work_group(const std::array<std::size_t, 3>& global,
                                                           const WorkGroupLimits& limits);

}  // namespace yoke::device
