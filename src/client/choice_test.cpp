// The choice follows the two lines, and the caller's line is right from few calls.
#include "client/choice.hpp"

#include <gtest/gtest.h>

namespace yoke::client {
namespace {

constexpr std::uint16_t service = YOKE_SERVICE_AES_XTS;

// A caller that takes 500 ns and 200 ns per KiB.
std::uint64_t caller_ns(std::uint64_t bytes) {
    return 500 + bytes * 200 / 1024;
}

void teach(Choice& choice) {
    for (std::uint64_t bytes = 64; bytes <= 16U << 20; bytes *= 2) {
        choice.learn_caller(service, bytes, caller_ns(bytes));
    }
}

TEST(Choice, APlaceNeverMeasuredIsNeverChosen) {
    Choice choice;
    teach(choice);
    EXPECT_FALSE(choice.worker_is_faster(service, 1U << 20, yoke_cost{0, 0}, 0));
    EXPECT_FALSE(choice.worker_is_faster(YOKE_SERVICES_MAX, 1U << 20, yoke_cost{0, 1}, 0));
}

TEST(Choice, TheCallerIsMeasuredBeforeItIsJudged) {
    Choice choice;
    EXPECT_TRUE(choice.wants_measure(service, 64));
    EXPECT_FALSE(choice.worker_is_faster(service, 64, yoke_cost{0, 1}, 0));
    choice.learn_caller(service, 64, caller_ns(64));
    EXPECT_TRUE(choice.wants_measure(service, 1U << 20)) << "64 bytes say nothing about 1 MiB";
    EXPECT_FALSE(choice.worker_is_faster(service, 1U << 20, yoke_cost{0, 1}, 0));
}

TEST(Choice, SmallCallsStayHomeAndLargeOnesGoWhereTheyAreFaster) {
    Choice choice;
    teach(choice);
    const yoke_cost worker{.overhead_ns = 1'000, .ns_per_kib = 50};
    EXPECT_FALSE(choice.worker_is_faster(service, 4096, worker, 0));
    EXPECT_TRUE(choice.worker_is_faster(service, 1U << 20, worker, 0));
    EXPECT_FALSE(choice.worker_is_faster(service, 1U << 20, worker, 1'000'000)) << "the queue in front was not counted";
    const yoke_cost slower{.overhead_ns = 1'000, .ns_per_kib = 400};
    EXPECT_FALSE(choice.worker_is_faster(service, 16U << 20, slower, 0));
}

TEST(Choice, ALineThroughTwoPointsCorrectsWhatASmallCallTaught) {
    Choice choice;
    choice.learn_caller(service, 64, caller_ns(64));  // alone: 8 us per KiB
    choice.learn_caller(service, 1U << 20, caller_ns(1U << 20));
    const yoke_cost worker{.overhead_ns = 1'000, .ns_per_kib = 210};
    EXPECT_FALSE(choice.worker_is_faster(service, 1U << 20, worker, 0)) << "210 ns per KiB is slower than 200";
    const yoke_cost faster{.overhead_ns = 1'000, .ns_per_kib = 180};
    EXPECT_TRUE(choice.worker_is_faster(service, 1U << 20, faster, 0));
}

TEST(Choice, LearnsThePriceOfCrossing) {
    Choice choice;
    const std::uint64_t before = choice.expected_worker_ns(0, yoke_cost{0, 1});
    for (int k = 0; k < 100; k++) {
        choice.learn_crossing(50'000);
    }
    EXPECT_GT(choice.expected_worker_ns(0, yoke_cost{0, 1}), before + 40'000);
    for (int k = 0; k < 100; k++) {
        choice.learn_crossing(1'000);
    }
    EXPECT_LT(choice.expected_worker_ns(0, yoke_cost{0, 1}), before);
}

}  // namespace
}  // namespace yoke::client
