// Where the halves of a job run, that jobs run beside each other, and how a pool ends.
#include "worker/pool.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <future>

namespace yoke::worker {
namespace {

TEST(Pool, RunsWorkOnItsThreadsAndDoneOnTheLoop) {
    auto loop = control::Loop::create();
    ASSERT_TRUE(loop);
    auto pool = Pool::create(*loop, 2);
    ASSERT_TRUE(pool) << pool.error().message;
    const std::thread::id here = std::this_thread::get_id();
    constexpr int jobs = 100;
    std::atomic<int> worked{0};
    int done = 0;
    for (int i = 0; i < jobs; ++i) {
        (*pool)->submit(
            [&] {
                EXPECT_NE(std::this_thread::get_id(), here);
                ++worked;
            },
            [&] {
                EXPECT_EQ(std::this_thread::get_id(), here);
                if (++done == jobs) {
                    loop->exit(0);
                }
            });
    }
    ASSERT_TRUE(loop->run());
    EXPECT_EQ(worked, jobs);
    EXPECT_EQ(done, jobs);
}

TEST(Pool, AJobThatWaitsLeavesTheOtherThreadsToOthers) {
    auto loop = control::Loop::create();
    ASSERT_TRUE(loop);
    auto pool = Pool::create(*loop, 2);
    ASSERT_TRUE(pool);
    std::promise<void> second_ran;
    (*pool)->submit([&] { second_ran.get_future().wait(); }, [&] { loop->exit(0); });
    (*pool)->submit([&] { second_ran.set_value(); }, [] {});
    EXPECT_TRUE(loop->run());
}

TEST(Pool, WhatWaitsAtTheEndIsDropped) {
    auto loop = control::Loop::create();
    ASSERT_TRUE(loop);
    auto pool = Pool::create(*loop, 1);
    ASSERT_TRUE(pool);
    std::promise<void> begun;
    std::promise<void> go;
    std::atomic<bool> late{false};
    (*pool)->submit(
        [&] {
            begun.set_value();
            go.get_future().wait();
        },
        [] { FAIL() << "the loop does not run any more"; });
    begun.get_future().wait();
    (*pool)->submit([&] { late = true; }, [] {});
    (*pool)->stop();
    go.set_value();
    pool->reset();
    EXPECT_FALSE(late);
}

}  // namespace
}  // namespace yoke::worker
