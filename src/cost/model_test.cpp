// The cost model against places with a known overhead and rate, with noise, in any order of sizes, and while they
// change.
#include "cost/model.hpp"

#include <random>
#include <thread>

#include <gtest/gtest.h>

namespace yoke::cost {
namespace {

constexpr std::uint16_t service = YOKE_SERVICE_AES_XTS;

TEST(CostModel, unmeasured_is_never_the_cheapest) {
    const Models models;
    EXPECT_EQ(models.expected_ns(service, 4096), ~std::uint64_t{0});
    EXPECT_EQ(models.expected_ns(YOKE_SERVICES_MAX, 0), ~std::uint64_t{0});
}

TEST(CostModel, converges_to_a_place_with_overhead_and_rate_in_any_order) {
    const auto true_ns = [](std::uint64_t bytes) { return 2500 + bytes * 220 / 1024; };
    for (const unsigned seed : {1U, 2U, 3U, 4U}) {
        std::mt19937_64 random(seed);
        Models models;
        for (unsigned i = 0; i < 400; ++i) {
            const std::uint64_t bytes = 1ULL << (random() % 25);
            const double noise = 0.9 + 0.2 * static_cast<double>(random() % 1000) / 1000.0;
            models.learn(service, bytes, static_cast<std::uint64_t>(static_cast<double>(true_ns(bytes)) * noise));
        }
        for (const std::uint64_t bytes : {16ULL, 4096ULL, 65536ULL, 1ULL << 20, 1ULL << 24}) {
            const auto expected = static_cast<double>(models.expected_ns(service, bytes));
            EXPECT_NEAR(expected / static_cast<double>(true_ns(bytes)), 1.0, 0.2) << bytes << " bytes, seed " << seed;
        }
    }
}

TEST(CostModel, small_calls_alone_leave_large_ones_to_be_tried) {
    Models models;
    for (unsigned i = 0; i < 20; ++i) {
        models.learn(service, 64, 3000);
    }
    EXPECT_NEAR(static_cast<double>(models.expected_ns(service, 64)), 3000, 10);
    EXPECT_LT(models.expected_ns(service, 1 << 20), 10'000U);
    models.learn(service, 1 << 20, 250'000);
    EXPECT_NEAR(static_cast<double>(models.expected_ns(service, 1 << 20)), 250'000, 2'500);
}

TEST(CostModel, follows_a_change_and_survives_an_outlier) {
    Models models;
    for (unsigned i = 0; i < 20; ++i) {
        models.learn(service, 1 << 20, 200'000);
    }
    models.learn(service, 1 << 20, 700'000);
    EXPECT_LT(models.expected_ns(service, 1 << 20), 300'000U);
    for (unsigned i = 0; i < 12; ++i) {
        models.learn(service, 1 << 20, 2'000'000);
    }
    EXPECT_NEAR(static_cast<double>(models.expected_ns(service, 1 << 20)), 2e6, 4e5);
}

TEST(CostModel, extremes_do_not_overflow) {
    Models models;
    models.learn(service, 0, ~std::uint64_t{0});
    EXPECT_LE(models.expected_ns(service, 0), 0xffffffffULL);
    models.learn(service, 8193, ~std::uint64_t{0});
    models.learn(service, YOKE_CALL_BYTES_MAX, 0);
    EXPECT_NE(models.of(service).ns_per_kib, 0U);
    EXPECT_NE(models.expected_ns(service, YOKE_CALL_BYTES_MAX), ~std::uint64_t{0});
    models.learn(YOKE_SERVICES_MAX, 1, 1);  // ignored
}

TEST(CostModel, readers_never_see_half_of_a_model) {
    alignas(8) yoke_cost shared{};
    store_shared(shared, {1, 1});
    std::thread writer([&shared] {
        for (std::uint32_t i = 1; i <= 200'000; ++i) {
            store_shared(shared, {i, i});
        }
    });
    yoke_cost seen{};
    do {
        seen = load_shared(shared);
        ASSERT_EQ(seen.overhead_ns, seen.ns_per_kib);
    } while (seen.overhead_ns < 200'000);
    writer.join();
}

TEST(CostModel, publishes_every_service) {
    Models models;
    models.set(1, {10, 20});
    models.set(YOKE_SERVICES_MAX - 1, {30, 40});
    alignas(8) yoke_cost page[YOKE_SERVICES_MAX];
    models.publish(page);
    EXPECT_EQ(page[1].ns_per_kib, 20U);
    EXPECT_EQ(page[YOKE_SERVICES_MAX - 1].overhead_ns, 30U);
    EXPECT_EQ(page[0].ns_per_kib, 0U);
}

}  // namespace
}  // namespace yoke::cost
