// Layout of arena and status page: fixed words first, then one array after the other, each on a boundary of its own so
// that no cache line (nor the pair of lines that a processor fetches together) is written by both sides.
#include "ring/layout.hpp"

#include <array>
#include <bit>
#include <cstring>

namespace yoke::ring {
namespace {

constexpr std::uint64_t array_align = 256;
constexpr std::array<const char*, YOKE_RINGS> ring_names = {"express", "bulk"};

constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t align) {
    return (value + align - 1) / align * align;
}

Status check_slots(std::uint32_t slots, const char* ring) {
    if (slots < YOKE_SLOTS_MIN || slots > YOKE_SLOTS_MAX || !std::has_single_bit(slots)) {
        return fail(EINVAL, "the {} ring cannot have {} slots; choose a power of two from {} to {}", ring, slots,
                    YOKE_SLOTS_MIN, YOKE_SLOTS_MAX);
    }
    return {};
}

}  // namespace

Result<yoke_layout> make_layout(const Geometry& geometry) {
    const std::array<std::uint32_t, YOKE_RINGS> slots = {geometry.express_slots, geometry.bulk_slots};
    for (unsigned r = 0; r < YOKE_RINGS; ++r) {
        if (Status status = check_slots(slots[r], ring_names[r]); !status) {
            return tl::unexpected<Error>(status.error());
        }
    }
    if (geometry.arena_bytes < YOKE_ARENA_BYTES_MIN || geometry.arena_bytes > arena_bytes_max) {
        return fail(EINVAL, "an arena cannot have {} bytes; choose from {} to {}", geometry.arena_bytes,
                    YOKE_ARENA_BYTES_MIN, arena_bytes_max);
    }
    yoke_layout layout{};
    layout.magic = YOKE_ABI_MAGIC;
    layout.version = YOKE_ABI_VERSION;
    layout.features = geometry.features;
    layout.arena_bytes = round_up(geometry.arena_bytes, YOKE_PAGE_BYTES);
    layout.client = 0;
    std::uint64_t arena_end = round_up(sizeof(yoke_client_words), array_align);
    std::uint64_t status_end = round_up(sizeof(yoke_status_page), array_align);
    for (unsigned r = 0; r < YOKE_RINGS; ++r) {
        yoke_ring_layout& ring = layout.ring[r];
        ring.slots = slots[r];
        const auto take = [](std::uint64_t& end, std::uint64_t bytes) {
            const std::uint64_t begin = end;
            end = round_up(end + bytes, array_align);
            return begin;
        };
        ring.submission = take(arena_end, std::uint64_t{slots[r]} * sizeof(yoke_line));
        ring.params = take(arena_end, std::uint64_t{slots[r]} * sizeof(yoke_line));
        ring.completion = take(arena_end, std::uint64_t{slots[r]} * sizeof(yoke_line));
        ring.cancel = take(arena_end, std::uint64_t{slots[r]} * sizeof(std::uint32_t));
        ring.running = take(status_end, std::uint64_t{slots[r]} * sizeof(std::uint32_t));
    }
    layout.data = round_up(arena_end, YOKE_PAGE_BYTES);
    layout.status_bytes = round_up(status_end, YOKE_PAGE_BYTES);
    if (layout.data >= layout.arena_bytes) {
        return fail(EINVAL,
                    "an arena of {} bytes has no room for data behind rings of {} and {} slots; choose more than {}",
                    layout.arena_bytes, slots[0], slots[1], layout.data);
    }
    return layout;
}

Status check_untrusted_layout(const yoke_layout& layout) {
    if (layout.magic != YOKE_ABI_MAGIC || layout.version != YOKE_ABI_VERSION) {
        return fail(EPROTO,
                    "the worker speaks version {} of the binary interface and this library version {}; update both",
                    layout.version, YOKE_ABI_VERSION);
    }
    Geometry geometry;
    geometry.arena_bytes = layout.arena_bytes;
    geometry.express_slots = layout.ring[YOKE_RING_EXPRESS].slots;
    geometry.bulk_slots = layout.ring[YOKE_RING_BULK].slots;
    geometry.features = layout.features;
    const auto expected = make_layout(geometry);
    if (!expected || std::memcmp(&*expected, &layout, sizeof(layout)) != 0) {
        return fail(EPROTO, "the worker sent a layout of {} bytes that no worker makes; update yoke-worker and libyoke",
                    layout.arena_bytes);
    }
    return {};
}

void clear_rings(std::byte* arena, const yoke_layout& layout) {
    std::memset(arena, 0, layout.data);
}

}  // namespace yoke::ring
