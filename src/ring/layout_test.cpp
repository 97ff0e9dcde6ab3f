// Arrays of rings, status page and data area do not overlap and lie inside. A layout with any byte changed is refused,
// unless it is the features or just the layout that other sizes have.
#include "ring/layout.hpp"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace yoke::ring {
namespace {

TEST(Layout, arrays_are_disjoint_and_inside) {
    for (const std::uint32_t express : {2U, 256U, 4096U}) {
        for (const std::uint32_t bulk : {2U, 64U, 4096U}) {
            const auto layout = make_layout({.arena_bytes = 8U << 20, .express_slots = express, .bulk_slots = bulk});
            ASSERT_TRUE(layout) << layout.error().message;
            std::vector<std::pair<std::uint64_t, std::uint64_t>> arena = {{layout->client, sizeof(yoke_client_words)}};
            std::vector<std::pair<std::uint64_t, std::uint64_t>> status = {{0, sizeof(yoke_status_page)}};
            for (const yoke_ring_layout& ring : layout->ring) {
                for (const std::uint64_t at : {ring.submission, ring.params, ring.completion}) {
                    arena.emplace_back(at, std::uint64_t{ring.slots} * sizeof(yoke_line));
                }
                arena.emplace_back(ring.cancel, std::uint64_t{ring.slots} * 4);
                status.emplace_back(ring.running, std::uint64_t{ring.slots} * 4);
            }
            arena.emplace_back(layout->data, layout->arena_bytes - layout->data);
            for (auto* list : {&arena, &status}) {
                std::sort(list->begin(), list->end());
                for (std::size_t i = 0; i < list->size(); ++i) {
                    EXPECT_EQ((*list)[i].first % 64, 0U);
                    if (i > 0) {
                        EXPECT_LE((*list)[i - 1].first + (*list)[i - 1].second, (*list)[i].first);
                    }
                }
            }
            EXPECT_LE(arena.back().first + arena.back().second, layout->arena_bytes);
            EXPECT_LE(status.back().first + status.back().second, layout->status_bytes);
            EXPECT_TRUE(check_untrusted_layout(*layout));
        }
    }
}

TEST(Layout, refuses_what_no_session_can_have) {
    EXPECT_EQ(make_layout({.express_slots = 0}).error().code, EINVAL);
    EXPECT_EQ(make_layout({.express_slots = 1}).error().code, EINVAL);
    EXPECT_EQ(make_layout({.bulk_slots = 3}).error().code, EINVAL);
    EXPECT_EQ(make_layout({.bulk_slots = 8192}).error().code, EINVAL);
    EXPECT_EQ(make_layout({.arena_bytes = 4096}).error().code, EINVAL);
    EXPECT_EQ(make_layout({.arena_bytes = ~0ULL}).error().code, EINVAL);
    // Rings that leave nothing for data.
    const auto full = make_layout({.arena_bytes = YOKE_ARENA_BYTES_MIN, .express_slots = 4096, .bulk_slots = 4096});
    ASSERT_FALSE(full);
    EXPECT_NE(full.error().message.find("no room"), std::string::npos);
}

TEST(Layout, Malicious_any_changed_byte_is_noticed) {
    const auto layout = make_layout({.arena_bytes = 2U << 20, .express_slots = 16, .bulk_slots = 16});
    ASSERT_TRUE(layout);
    for (std::size_t byte = 0; byte < sizeof(yoke_layout); ++byte) {
        for (const unsigned bit : {0U, 7U}) {
            yoke_layout changed = *layout;
            unsigned char raw[sizeof(changed)];
            std::memcpy(raw, &changed, sizeof(raw));
            raw[byte] = static_cast<unsigned char>(raw[byte] ^ (1U << bit));
            std::memcpy(&changed, raw, sizeof(raw));
            const bool features = byte >= offsetof(yoke_layout, features) && byte < offsetof(yoke_layout, reserved);
            const auto status = check_untrusted_layout(changed);
            if (features) {
                EXPECT_TRUE(status);  // the one member that is the sender's choice beside the sizes
            } else if (status) {
                // A different size may be consistent in itself only if every derived offset agrees.
                Geometry geometry{changed.arena_bytes, changed.ring[0].slots, changed.ring[1].slots, changed.features};
                const auto again = make_layout(geometry);
                ASSERT_TRUE(again);
                EXPECT_EQ(std::memcmp(&*again, &changed, sizeof(changed)), 0) << "byte " << byte;
            } else {
                EXPECT_EQ(status.error().code, EPROTO);
            }
        }
    }
}

TEST(Layout, clearing_leaves_the_data) {
    const auto layout = make_layout({.arena_bytes = YOKE_ARENA_BYTES_MIN, .express_slots = 2, .bulk_slots = 2});
    ASSERT_TRUE(layout);
    std::vector<std::byte> arena(layout->arena_bytes, std::byte{0xa5});
    clear_rings(arena.data(), *layout);
    for (std::size_t i = 0; i < arena.size(); ++i) {
        ASSERT_EQ(arena[i], i < layout->data ? std::byte{0} : std::byte{0xa5}) << i;
    }
}

}  // namespace
}  // namespace yoke::ring
