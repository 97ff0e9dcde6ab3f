// The budget for spinning: it falls where spinning is in vain, and comes back when that has changed.
#include "client/spin.hpp"

#include <gtest/gtest.h>

namespace yoke::client {
namespace {

constexpr std::uint64_t call_ns = 250'000;

TEST(Spin, ShortWaitsAreSpunOutAndLongOnesSlept) {
    const Spin spin;
    if (std::thread::hardware_concurrency() < 2) {
        GTEST_SKIP() << "one processor: nobody spins";
    }
    EXPECT_GT(spin.budget(0), 0U);
    EXPECT_GE(spin.budget(call_ns), call_ns);
    EXPECT_EQ(spin.budget(1'000'000'000), 0U);
}

TEST(Spin, AfterSpinsInVainItIsTriedAgain) {
    Spin spin;
    if (std::thread::hardware_concurrency() < 2) {
        GTEST_SKIP() << "one processor: nobody spins";
    }
    while (spin.budget(call_ns) != 0) {
        spin.learn(false);
    }
    int slept = 0;
    while (spin.budget(call_ns) == 0) {
        ASSERT_LT(slept++, 1000) << "the budget never comes back";
        spin.slept(call_ns);
    }
    EXPECT_GT(slept, 16) << "spinning in vain is tried too often";
}

TEST(Spin, LongSleepsTeachNothing) {
    Spin spin;
    for (int k = 0; k < 10; k++) {
        spin.learn(false);
    }
    const std::uint64_t before = spin.budget(0);
    for (int k = 0; k < 1000; k++) {
        spin.slept(1'000'000'000);
    }
    EXPECT_EQ(spin.budget(0), before);
}

}  // namespace
}  // namespace yoke::client
