// Pauses and bars along an invented clock.
#include "daemon/supervision.hpp"

#include <gtest/gtest.h>

namespace yoke::daemon {
namespace {

constexpr std::uint64_t ms = 1'000'000;
constexpr std::uint64_t s = 1'000'000'000;

TEST(Supervision, TheFirstDeathIsRestartedAtOnceAndEachFurtherOneDoublesThePause) {
    const Config rules;
    Supervision account;
    std::uint64_t now = 100 * s;
    std::vector<std::uint64_t> pauses_ms;
    for (int death = 0; death < 10; ++death) {
        account.started(now);
        now += ms;
        account.died(now, rules);
        pauses_ms.push_back((account.start_at_ns() - now) / ms);
        now = account.start_at_ns();
    }
    EXPECT_EQ(pauses_ms, (std::vector<std::uint64_t>{0, 100, 200, 400, 800, 1600, 3200, 6400, 10'000, 10'000}));
    EXPECT_EQ(account.deaths(), 10U);
}

TEST(Supervision, AWorkerThatHasLivedLongEndsTheRow) {
    const Config rules;
    Supervision account;
    std::uint64_t now = s;
    for (int death = 0; death < 4; ++death) {
        account.started(now);
        account.died(++now, rules);
    }
    ASSERT_GT(account.start_at_ns(), now);
    account.started(now);
    now += Supervision::healthy_ns;
    account.died(now, rules);
    EXPECT_EQ(account.start_at_ns(), now);
}

TEST(Supervision, ThePauseDoesNotOverflowAfterManyDeaths) {
    Config rules;
    rules.backoff_first_ms = 600'000;
    rules.backoff_max_ms = 3'600'000;
    Supervision account;
    for (int death = 0; death < 200; ++death) {
        account.started(s);
        account.died(s, rules);
    }
    EXPECT_EQ(account.start_at_ns(), s + rules.backoff_max_ms * ms);
}

TEST(Supervision, TooManySuspectsWithinTheWindowBarTheAccountForATime) {
    Config rules;
    rules.suspects_max = 3;
    rules.suspects_window_s = 10;
    rules.bar_s = 5;
    Supervision account;
    std::uint64_t now = 100 * s;
    account.suspected(3, now, rules);
    EXPECT_EQ(account.barred_ns(now), 0U);
    account.suspected(0, now, rules);
    account.suspected(1, now + 11 * s, rules);  // the first three have left the window
    EXPECT_EQ(account.barred_ns(now + 11 * s), 0U);
    now += 12 * s;
    account.suspected(3, now, rules);
    EXPECT_EQ(account.barred_ns(now), 5 * s);
    EXPECT_EQ(account.barred_ns(now + 5 * s), 0U);
    EXPECT_EQ(account.suspects(), 7U);
}

TEST(Supervision, MaliciousCountsAreBounded) {
    const Config rules;
    Supervision account;
    for (int i = 0; i < 100; ++i) {
        account.suspected(UINT32_MAX, s, rules);
    }
    EXPECT_EQ(account.suspects(), 100U * 8192U);
    EXPECT_GT(account.barred_ns(s), 0U);
}

}  // namespace
}  // namespace yoke::daemon
