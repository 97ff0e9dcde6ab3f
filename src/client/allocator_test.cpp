// The allocator against a model: blocks never overlap, everything comes back, held blocks stay away.
#include "client/allocator.hpp"

#include <map>
#include <random>

#include <gtest/gtest.h>

namespace yoke::client {
namespace {

constexpr std::uint64_t begin = 65536;
constexpr std::uint64_t end = begin + (1U << 20);

TEST(Allocator, GivesTheWholeAreaAndNoMore) {
    Allocator allocator(begin, end);
    const auto all = allocator.allocate(end - begin);
    ASSERT_TRUE(all);
    EXPECT_EQ(*all, begin);
    EXPECT_EQ(allocator.free_bytes(), 0U);
    EXPECT_FALSE(allocator.allocate(1));
    allocator.release(*all);
    EXPECT_EQ(allocator.free_bytes(), end - begin);
    EXPECT_FALSE(allocator.allocate(end - begin + 1));
    EXPECT_FALSE(allocator.allocate(~std::uint64_t{0}));
}

TEST(Allocator, RoundsToGranules) {
    Allocator allocator(begin, end);
    const auto first = allocator.allocate(1);
    const auto second = allocator.allocate(65);
    ASSERT_TRUE(first && second);
    EXPECT_EQ(*first % 64, 0U);
    EXPECT_EQ(*second % 64, 0U);
    EXPECT_EQ(allocator.find(*first)->bytes, 64U);
    EXPECT_EQ(allocator.find(*second)->bytes, 128U);
    EXPECT_EQ(allocator.free_bytes(), end - begin - 192);
}

TEST(Allocator, KnowsOnlyStartsOfAllocatedBlocks) {
    Allocator allocator(begin, end);
    const auto block = allocator.allocate(256);
    ASSERT_TRUE(block);
    EXPECT_TRUE(allocator.find(*block));
    EXPECT_FALSE(allocator.find(*block + 64));
    allocator.release(*block);
    EXPECT_FALSE(allocator.find(*block));
}

TEST(Allocator, FindsAnExactFitThatItsClassHides) {
    // 17 granules are no class boundary: the rounded search misses a block of exactly that size.
    Allocator allocator(begin, begin + 17 * 64);
    EXPECT_TRUE(allocator.allocate(17 * 64));
}

TEST(Allocator, HeldBlocksComeBackOnlyWhenQuiet) {
    Allocator allocator(begin, end);
    const auto block = allocator.allocate(4096);
    ASSERT_TRUE(block);
    allocator.hold(*block);
    EXPECT_TRUE(allocator.holds());
    EXPECT_FALSE(allocator.find(*block));
    EXPECT_FALSE(allocator.allocate(end - begin));
    allocator.sweep([&](const Range& range) {
        EXPECT_EQ(range.offset, *block);
        EXPECT_EQ(range.bytes, 4096U);
        return true;
    });
    EXPECT_TRUE(allocator.holds());
    allocator.sweep([](const Range&) { return false; });
    EXPECT_FALSE(allocator.holds());
    EXPECT_EQ(allocator.free_bytes(), end - begin);
    EXPECT_TRUE(allocator.allocate(end - begin));
}

TEST(Allocator, RandomUseKeepsBlocksApartAndLosesNothing) {
    Allocator allocator(begin, end);
    std::mt19937_64 random(1);
    std::map<std::uint64_t, std::uint64_t> live;  // offset -> bytes
    std::uint64_t used = 0;
    for (int step = 0; step < 200'000; step++) {
        if (random() % 2 == 0 || live.empty()) {
            const std::uint64_t bytes = 1 + random() % (random() % 8 == 0 ? 60'000 : 2'000);
            const std::uint64_t rounded = (bytes + 63) / 64 * 64;
            const auto offset = allocator.allocate(bytes);
            if (!offset) {
                continue;
            }
            ASSERT_GE(*offset, begin);
            ASSERT_LE(*offset + rounded, end);
            const auto after = live.lower_bound(*offset);
            if (after != live.end()) {
                ASSERT_LE(*offset + rounded, after->first);
            }
            if (after != live.begin()) {
                const auto before = std::prev(after);
                ASSERT_LE(before->first + before->second, *offset);
            }
            live.emplace(*offset, rounded);
            used += rounded;
        } else {
            auto victim = live.lower_bound(begin + random() % (end - begin));
            if (victim == live.end()) {
                victim = live.begin();
            }
            if (random() % 4 == 0) {
                allocator.hold(victim->first);
                allocator.sweep([](const Range&) { return false; });
            } else {
                allocator.release(victim->first);
            }
            used -= victim->second;
            live.erase(victim);
        }
        ASSERT_EQ(allocator.free_bytes(), end - begin - used);
    }
    for (const auto& [offset, bytes] : live) {
        allocator.release(offset);
    }
    EXPECT_EQ(allocator.allocate(end - begin), begin) << "the free blocks did not coalesce";
}

}  // namespace
}  // namespace yoke::client
