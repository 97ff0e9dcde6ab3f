// The sleeping protocol of uapi/yoke.h under every interleaving and two memory models, and the same protocol with one
// step left out or moved: each of those must be found to lose a wake-up, which shows that the check can fail.
//
// The programs follow Producer::submit, Poller (executive/host) and Waiter line by line; a change there is a change
// here.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "ring/interleaving.hpp"

namespace yoke::ring {
namespace {

// What is wrong with the protocol in this run.
enum class Mistake {
    none,
    client_without_fence,      // entry; load asleep
    executive_without_fence,   // asleep = 1; look   and   completion; load want_bell
    executive_looks_once,      // asleep = 1; sleep
    client_looks_once,         // want_bell = 1; sleep
    waiter_without_fence,      // want_bell = 1; look
    bell_without_count,        // FUTEX_WAKE without bell += 1
    bell_remembered_too_late,  // want_bell = 1; look; remember bell; sleep
};

constexpr unsigned calls = 2;
enum Word : unsigned { entry = 0, completion = calls, asleep = 2 * calls, want_bell, bell, eventfd };

// Producer::submit of call i.
void submit(Program& p, unsigned i, Mistake mistake) {
    p.store(entry + i, 1);
    if (mistake != Mistake::client_without_fence) {
        p.fence();
    }
    p.load(asleep);
    const unsigned skip = p.here();
    p.jump_if(0, 0);
    p.ring(eventfd);
    p.land(skip);
}

// Poller and Consumer until entry i has been taken: polls, and may at any time go cold.
void take(Program& p, unsigned i, Mistake mistake) {
    const unsigned poll = p.here();
    p.load(entry + i);
    const unsigned found = p.here();
    p.jump_if(1, 0);
    p.maybe_jump(poll);
    p.store(asleep, 1);
    if (mistake != Mistake::executive_without_fence) {
        p.fence();
    }
    unsigned found_again = 0;
    if (mistake != Mistake::executive_looks_once) {
        p.load(entry + i);
        found_again = p.here();
        p.jump_if(1, 0);
    }
    const unsigned sleep = p.here();
    p.wait_rung(eventfd);
    p.load(entry + i);
    p.jump_if(0, sleep);
    if (mistake != Mistake::executive_looks_once) {
        p.land(found_again);
    }
    p.store(asleep, 0);
    p.land(found);
}

// Consumer::complete of call i, then ClientBell::ring_if_wanted.
void complete(Program& p, unsigned i, Mistake mistake) {
    p.store(completion + i, 1);
    if (mistake != Mistake::executive_without_fence) {
        p.fence();
    }
    p.load(want_bell);
    const unsigned skip = p.here();
    p.jump_if(0, 0);
    if (mistake != Mistake::bell_without_count) {
        p.increment(bell);
    }
    p.futex_wake(bell);
    p.land(skip);
}

// Waiter::wait for call i: spins, and may at any time fall asleep.
void wait(Program& p, unsigned i, Mistake mistake) {
    const unsigned look = p.here();
    p.load(completion + i);
    const unsigned found = p.here();
    p.jump_if(1, 0);
    p.maybe_jump(look);
    if (mistake != Mistake::bell_remembered_too_late) {
        p.remember(bell);
    }
    p.store(want_bell, 1);
    if (mistake != Mistake::waiter_without_fence) {
        p.fence();
    }
    unsigned found_again = 0;
    if (mistake != Mistake::client_looks_once) {
        p.load(completion + i);
        found_again = p.here();
        p.jump_if(1, 0);
    }
    if (mistake == Mistake::bell_remembered_too_late) {
        p.remember(bell);
    }
    p.futex_wait(bell);
    if (mistake != Mistake::client_looks_once) {
        p.land(found_again);
    }
    p.store(want_bell, 0);
    p.jump(look);
    p.land(found);
}

Interleavings::Result check(std::vector<Program> programs, MemoryModel model) {
    std::array<std::uint8_t, Interleavings::words_max> initial{};
    initial[asleep] = 1;
    return Interleavings(std::move(programs), initial, model).run();
}

// The client submits both calls and never waits; the executive takes them.
Interleavings::Result cold_ring(Mistake mistake, MemoryModel model) {
    Program client;
    Program executive;
    for (unsigned i = 0; i < calls; ++i) {
        submit(client, i, mistake);
        take(executive, i, mistake);
    }
    client.done();
    executive.done();
    return check({client, executive}, model);
}

// Two threads of the executive complete one call each; the client waits for both.
Interleavings::Result waiting_client(Mistake mistake, MemoryModel model) {
    Program client;
    Program first;
    Program second;
    wait(client, 1, mistake);
    wait(client, 0, mistake);
    client.done();
    complete(first, 0, mistake);
    first.done();
    complete(second, 1, mistake);
    second.done();
    return check({client, first, second}, model);
}

// Round trips: both directions at once.
Interleavings::Result round_trips(Mistake mistake, MemoryModel model) {
    Program client;
    Program executive;
    for (unsigned i = 0; i < calls; ++i) {
        submit(client, i, mistake);
        wait(client, i, mistake);
        take(executive, i, mistake);
        complete(executive, i, mistake);
    }
    client.done();
    executive.done();
    return check({client, executive}, model);
}

class Sleeping : public testing::TestWithParam<MemoryModel> {};

TEST_P(Sleeping, no_wake_up_is_lost) {
    for (const auto& run : {cold_ring, waiting_client, round_trips}) {
        const auto result = run(Mistake::none, GetParam());
        EXPECT_FALSE(result.wake_up_lost);
        EXPECT_GT(result.states, 100U);
    }
}

TEST_P(Sleeping, a_cold_ring_needs_every_step) {
    for (const Mistake mistake :
         {Mistake::client_without_fence, Mistake::executive_without_fence, Mistake::executive_looks_once}) {
        EXPECT_TRUE(cold_ring(mistake, GetParam()).wake_up_lost) << static_cast<int>(mistake);
        EXPECT_TRUE(round_trips(mistake, GetParam()).wake_up_lost) << static_cast<int>(mistake);
    }
}

TEST_P(Sleeping, a_waiting_client_needs_every_step) {
    for (const Mistake mistake :
         {Mistake::executive_without_fence, Mistake::client_looks_once, Mistake::waiter_without_fence,
          Mistake::bell_without_count, Mistake::bell_remembered_too_late}) {
        EXPECT_TRUE(waiting_client(mistake, GetParam()).wake_up_lost) << static_cast<int>(mistake);
        EXPECT_TRUE(round_trips(mistake, GetParam()).wake_up_lost) << static_cast<int>(mistake);
    }
}

INSTANTIATE_TEST_SUITE_P(models, Sleeping, testing::Values(MemoryModel::tso, MemoryModel::pso));

}  // namespace
}  // namespace yoke::ring
