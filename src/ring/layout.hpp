// Where everything lies in an arena and in a status page, computed the same way for every session.
#pragma once

#include <cstdint>

#include <uapi/yoke.h>

#include "base/error.hpp"

namespace yoke::ring {

struct Geometry {
    std::uint64_t arena_bytes = 64ULL << 20;
    std::uint32_t express_slots = 256;
    std::uint32_t bulk_slots = 256;
    std::uint32_t features = 0;
};

// Layout for a session; arena_bytes is rounded up to pages. EINVAL names the member that is out of range.
Result<yoke_layout> make_layout(const Geometry& geometry);
// Checks a layout that came from somebody else: equal to the one that make_layout gives for its sizes. EPROTO.
Status check_untrusted_layout(const yoke_layout& layout);

}  // namespace yoke::ring
