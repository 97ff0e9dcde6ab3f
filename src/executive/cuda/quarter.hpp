// A quarter of a tagged line (uapi/yoke_ring.h) as device code holds it.
#pragma once

#include <cstdint>

#include "service/device/call.hpp"

namespace yoke::executive::cuda {

struct Quarter {
    std::uint64_t low;
    std::uint64_t high;
};

YOKE_HD std::uint32_t word_of(const Quarter& q, unsigned index) {
    return static_cast<std::uint32_t>(index == 0 ? q.low : index == 1 ? q.low >> 32 : q.high);
}

YOKE_HD std::uint32_t tag_of(const Quarter& q) {
    return static_cast<std::uint32_t>(q.high >> 32);
}

}  // namespace yoke::executive::cuda
