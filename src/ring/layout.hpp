// Where everything lies in an arena and in a status page, computed the same way for every session.
//
// Both sides keep a private copy of a yoke_layout. The worker makes it; a client that gets one by message checks that
// it is the one that make_layout gives for its sizes, so that no offset needs a check of its own afterwards.
#pragma once

#include <cstddef>
#include <cstdint>

#include <uapi/yoke.h>

#include "base/error.hpp"

namespace yoke::ring {

// No arena is larger: offsets then have room for any length without overflow.
inline constexpr std::uint64_t arena_bytes_max = 1ULL << 40;

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
// Zeroes the rings of an arena that another worker has served: its entries would carry tags that are valid again.
// Call before any side uses the rings. The data area stays as it is.
void clear_rings(std::byte* arena, const yoke_layout& layout);

}  // namespace yoke::ring
