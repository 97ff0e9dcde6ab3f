// Waiting ends at the deadline and after each slice, and a bell that can only be read can be slept on. Lost wake-ups
// are searched for in sleeping_test.cpp.
#include "ring/waiter.hpp"

#include <thread>

#include <gtest/gtest.h>

#include "ring/futex.hpp"
#include "ring/memory_fixture.hpp"

namespace yoke::ring {
namespace {

TEST(Futex, waits_on_a_read_only_mapping) {
    const TestMemory memory(2);
    const std::uint32_t* const seen = &memory.client().status_page().bell;
    std::uint32_t* const bell = &memory.worker().status_page().bell;
    EXPECT_EQ(futex_wait(seen, 1, 1'000'000), -EAGAIN);
    EXPECT_EQ(futex_wait(seen, 0, 1'000'000), -ETIMEDOUT);
    EXPECT_EQ(futex_wait_until(seen, 0, now_ns() + 1'000'000), -ETIMEDOUT);
    std::thread waker([bell] {
        __atomic_store_n(bell, 1U, __ATOMIC_SEQ_CST);
        futex_wake(bell);
    });
    while (yoke_load_acquire32(seen) == 0) {
        futex_wait(seen, 0, 0);
    }
    waker.join();
}

TEST(Waiter, ends_at_the_deadline_and_after_each_slice) {
    const TestMemory memory(2);
    Waiter waiter(memory.client());
    const auto never = [] { return false; };
    EXPECT_EQ(waiter.wait(never, 0, 1), Waited::late);
    EXPECT_EQ(waiter.wait(never, 1'000'000'000, now_ns() + 1'000'000), Waited::late);
    EXPECT_EQ(waiter.wait(never, 0, now_ns() + 1'000'000), Waited::late);
    EXPECT_EQ(waiter.wait(never, 1000, 0), Waited::slice);
    EXPECT_EQ(waiter.wait([] { return true; }, 0, 1), Waited::found);
    EXPECT_EQ(memory.client().words().want_bell, 0U);
}

}  // namespace
}  // namespace yoke::ring
