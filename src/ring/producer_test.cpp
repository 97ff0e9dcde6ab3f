// The client's side over many laps: completions in any order, full rings, slots that are skipped, tags that wrap,
// bells, cancellation.
#include "ring/producer.hpp"

#include <unistd.h>

#include <algorithm>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "ring/memory_fixture.hpp"

namespace yoke::ring {
namespace {

// Takes everything there is; entries that were taken are appended.
void take_all(Consumer& consumer, std::vector<Entry>& taken) {
    Entry entry;
    for (;;) {
        const Take result = consumer.take(entry);
        ASSERT_NE(result, Take::fault);
        if (result == Take::nothing) {
            return;
        }
        if (result == Take::entry) {
            taken.push_back(entry);
        }
    }
}

TEST(Producer, many_in_flight_in_any_order_over_many_laps) {
    const TestMemory memory(16);
    Producer producer(memory.client(), YOKE_RING_BULK);
    Consumer consumer(memory.worker(), YOKE_RING_BULK);
    std::mt19937 random(3);
    std::vector<Entry> taken;
    std::uint64_t submitted = 0;
    std::uint64_t completed = 0;
    while (completed < 20'000) {
        switch (random() % 3) {
            case 0: {
                const std::int64_t position = producer.submit(numbered(submitted), nullptr);
                if (position >= 0) {
                    ++submitted;
                } else {
                    EXPECT_EQ(position, -EAGAIN);
                }
                break;
            }
            case 1:
                take_all(consumer, taken);
                std::shuffle(taken.begin(), taken.end(), random);
                if (!taken.empty()) {
                    const Entry entry = taken.back();
                    taken.pop_back();
                    EXPECT_TRUE(consumer.complete(entry.slot, entry.tag, answer_to(entry.submission)));
                    EXPECT_FALSE(consumer.complete(entry.slot, entry.tag, answer_to(entry.submission)));
                }
                break;
            default: {
                std::uint64_t position = 0;
                yoke_completion c;
                if (producer.take_any(position, c)) {
                    EXPECT_EQ(c.detail, ~c.out_length);
                    EXPECT_LT(c.out_length, submitted);
                    ++completed;
                }
            }
        }
        ASSERT_EQ(producer.in_flight(), submitted - completed);
    }
    EXPECT_GT(consumer.position(), 16U * 100);
}

TEST(Producer, a_full_ring_says_so_and_recovers) {
    const TestMemory memory(4);
    Producer producer(memory.client(), YOKE_RING_BULK);
    Consumer consumer(memory.worker(), YOKE_RING_BULK);
    for (unsigned i = 0; i < 4; ++i) {
        EXPECT_EQ(producer.submit(numbered(i), nullptr), i);
    }
    EXPECT_EQ(producer.submit(numbered(4), nullptr), -EAGAIN);
    Entry entry;
    ASSERT_EQ(consumer.take(entry), Take::entry);
    consumer.complete(entry.slot, entry.tag, {});
    EXPECT_EQ(producer.submit(numbered(4), nullptr), -EAGAIN);  // not consumed yet
    yoke_completion c;
    EXPECT_TRUE(producer.take_completion(0, c));
    EXPECT_FALSE(producer.take_completion(0, c));
    EXPECT_EQ(producer.submit(numbered(4), nullptr), 4);
}

TEST(Producer, skips_slots_whose_calls_go_on_and_takes_their_completions_later) {
    const TestMemory memory(4);
    Producer producer(memory.client(), YOKE_RING_BULK);
    Consumer consumer(memory.worker(), YOKE_RING_BULK);
    std::vector<Entry> taken;
    ASSERT_EQ(producer.submit(numbered(0), nullptr), 0);  // this one takes long
    take_all(consumer, taken);
    const Entry slow = taken.at(0);
    taken.clear();
    yoke_completion c;
    std::uint64_t passed_over = 0;
    for (std::uint64_t expected = 1; expected < 400; ++expected) {
        const std::int64_t position = producer.submit(numbered(expected), nullptr);
        ASSERT_GE(position, 0);
        passed_over += static_cast<std::uint64_t>(position) % 4 == 1 && expected > 3 ? 1 : 0;
        take_all(consumer, taken);
        ASSERT_EQ(taken.size(), 1U);
        EXPECT_EQ(taken[0].submission.in_offset, expected);
        EXPECT_NE(taken[0].slot, slow.slot);
        consumer.complete(taken[0].slot, taken[0].tag, answer_to(taken[0].submission));
        ASSERT_TRUE(producer.take_completion(static_cast<std::uint64_t>(position), c));
        taken.clear();
    }
    EXPECT_GT(passed_over, 100U);
    EXPECT_FALSE(producer.take_completion(0, c));
    ASSERT_TRUE(consumer.complete(slow.slot, slow.tag, answer_to(slow.submission)));
    ASSERT_TRUE(producer.take_completion(0, c));
    EXPECT_EQ(c.out_length, 0U);
    EXPECT_EQ(producer.in_flight(), 0U);
    for (unsigned i = 0; i < 8; ++i) {  // the slot is in use again
        const std::int64_t position = producer.submit(numbered(i), nullptr);
        ASSERT_GE(position, 0);
        take_all(consumer, taken);
        consumer.complete(taken.back().slot, taken.back().tag, {});
        ASSERT_TRUE(producer.take_completion(static_cast<std::uint64_t>(position), c));
    }
}

TEST(Producer, never_overwrites_an_entry_that_may_not_have_been_taken) {
    const TestMemory memory(2);
    Producer producer(memory.client(), YOKE_RING_BULK);
    Consumer consumer(memory.worker(), YOKE_RING_BULK);
    ASSERT_EQ(producer.submit(numbered(0), nullptr), 0);
    ASSERT_EQ(producer.submit(numbered(1), nullptr), 1);
    Entry first;
    Entry second;
    ASSERT_EQ(consumer.take(first), Take::entry);
    ASSERT_EQ(consumer.take(second), Take::entry);
    consumer.complete(second.slot, second.tag, {});
    yoke_completion c;
    ASSERT_TRUE(producer.take_completion(1, c));
    // Slot 0 is busy and was taken (1 completed): skipped. Position 3 is free.
    ASSERT_EQ(producer.submit(numbered(3), nullptr), 3);
    // Now 0 completes, but whether the SKIP in its slot was taken is not known.
    consumer.complete(first.slot, first.tag, {});
    ASSERT_TRUE(producer.take_completion(0, c));
    EXPECT_EQ(producer.submit(numbered(4), nullptr), -EAGAIN);
    Entry entry;
    ASSERT_EQ(consumer.take(entry), Take::skipped);
    ASSERT_EQ(consumer.take(entry), Take::entry);
    EXPECT_EQ(producer.submit(numbered(4), nullptr), -EAGAIN);
    consumer.begin(entry.slot, entry.tag);
    consumer.complete(entry.slot, entry.tag, {});
    ASSERT_TRUE(producer.take_completion(3, c));
    EXPECT_EQ(producer.submit(numbered(4), nullptr), 4);
}

TEST(Producer, the_running_table_also_proves_that_an_entry_was_taken) {
    const TestMemory memory(2);
    Producer producer(memory.client(), YOKE_RING_BULK);
    Consumer consumer(memory.worker(), YOKE_RING_BULK);
    yoke_completion c;
    Entry entry;
    ASSERT_EQ(producer.submit(numbered(0), nullptr), 0);
    ASSERT_EQ(consumer.take(entry), Take::entry);
    consumer.complete(entry.slot, entry.tag, {});
    ASSERT_TRUE(producer.take_completion(0, c));
    ASSERT_EQ(producer.submit(numbered(1), nullptr), 1);
    ASSERT_EQ(producer.submit(numbered(2), nullptr), 2);
    EXPECT_FALSE(producer.running(1));
    ASSERT_EQ(consumer.take(entry), Take::entry);
    consumer.begin(entry.slot, entry.tag);
    EXPECT_TRUE(producer.running(1));
    EXPECT_FALSE(producer.running(2));
}

TEST(Producer, tags_wrap_around) {
    // The lap tag is 1 + lap % 0xffffffff: start two laps before it begins again at 1.
    constexpr std::uint32_t slots = 4;
    const std::uint64_t first = (0xffffffffULL - 2) * slots;
    const TestMemory memory(slots);
    Producer producer(memory.client(), YOKE_RING_BULK, first);
    Consumer consumer(memory.worker(), YOKE_RING_BULK, first);
    bool largest = false;
    bool wrapped = false;
    for (std::uint64_t i = 0; i < 5ULL * slots; ++i) {
        const std::int64_t position = producer.submit(numbered(i), nullptr);
        ASSERT_EQ(position, static_cast<std::int64_t>(first + i));
        Entry entry;
        ASSERT_EQ(consumer.take(entry), Take::entry);
        EXPECT_EQ(entry.submission.in_offset, i);
        EXPECT_NE(entry.tag, 0U);
        largest = largest || entry.tag == 0xffffffffU;
        wrapped = wrapped || entry.tag == 1;
        ASSERT_EQ(consumer.take(entry), Take::nothing);
        consumer.complete(entry.slot, entry.tag, answer_to(entry.submission));
        yoke_completion c;
        ASSERT_TRUE(producer.take_completion(first + i, c));
    }
    EXPECT_TRUE(largest && wrapped);
}

TEST(Producer, parameters_travel_with_their_entry) {
    const TestMemory memory(4);
    Producer producer(memory.client(), YOKE_RING_BULK);
    Consumer consumer(memory.worker(), YOKE_RING_BULK);
    std::array<std::byte, YOKE_PAYLOAD_BYTES> params;
    for (std::size_t i = 0; i < params.size(); ++i) {
        params[i] = static_cast<std::byte>(i + 1);
    }
    yoke_submission with_stale_flag = numbered(2);
    with_stale_flag.flags = YOKE_FLAG_PARAMS | YOKE_FLAG_DECRYPT;
    ASSERT_EQ(producer.submit(numbered(1), params.data()), 0);
    ASSERT_EQ(producer.submit(with_stale_flag, nullptr), 1);
    Entry entry;
    ASSERT_EQ(consumer.take(entry), Take::entry);
    EXPECT_TRUE(entry.params_valid);
    EXPECT_EQ(entry.params, params);
    ASSERT_EQ(consumer.take(entry), Take::entry);
    EXPECT_FALSE(entry.params_valid);
    EXPECT_EQ(entry.submission.flags, YOKE_FLAG_DECRYPT);
    EXPECT_EQ(entry.params[0], std::byte{0});
}

TEST(Producer, rings_only_when_the_executive_sleeps) {
    const TestMemory memory(8);
    Producer producer(memory.client(), YOKE_RING_BULK);
    const Consumer consumer(memory.worker(), YOKE_RING_BULK);
    std::uint64_t rung = 0;
    ASSERT_GE(producer.submit(numbered(0), nullptr), 0);
    EXPECT_LT(::read(memory.bell.get(), &rung, sizeof(rung)), 0);
    consumer.set_asleep(true);
    ASSERT_GE(producer.submit(numbered(1), nullptr), 0);
    ASSERT_GE(producer.submit(numbered(2), nullptr), 0);
    ASSERT_EQ(::read(memory.bell.get(), &rung, sizeof(rung)), 8);
    EXPECT_EQ(rung, 2U);
    producer.cancel(1);
    ASSERT_EQ(::read(memory.bell.get(), &rung, sizeof(rung)), 8);
    EXPECT_EQ(rung, 1U);
    consumer.set_asleep(false);
    producer.cancel(2);
    EXPECT_LT(::read(memory.bell.get(), &rung, sizeof(rung)), 0);
}

TEST(Producer, rings_even_when_somebody_filled_the_counter) {
    const TestMemory memory(8);
    Producer producer(memory.client(), YOKE_RING_BULK);
    const Consumer consumer(memory.worker(), YOKE_RING_BULK);
    consumer.set_asleep(true);
    const std::uint64_t full = 0xfffffffffffffffeULL;
    ASSERT_EQ(::write(memory.bell.get(), &full, sizeof(full)), 8);
    ASSERT_GE(producer.submit(numbered(0), nullptr), 0);
    std::uint64_t rung = 0;
    ASSERT_EQ(::read(memory.bell.get(), &rung, sizeof(rung)), 8);
    EXPECT_EQ(rung, 1U);
}

TEST(Producer, cancel_reaches_only_its_own_position) {
    const TestMemory memory(2);
    Producer producer(memory.client(), YOKE_RING_BULK);
    Consumer consumer(memory.worker(), YOKE_RING_BULK);
    ASSERT_EQ(producer.submit(numbered(0), nullptr), 0);
    Entry entry;
    ASSERT_EQ(consumer.take(entry), Take::entry);
    EXPECT_FALSE(consumer.cancelled(entry.slot, entry.tag));
    producer.cancel(0);
    EXPECT_TRUE(consumer.cancelled(entry.slot, entry.tag));
    consumer.complete(entry.slot, entry.tag, {});
    yoke_completion c;
    ASSERT_TRUE(producer.take_completion(0, c));
    ASSERT_EQ(producer.submit(numbered(1), nullptr), 1);
    ASSERT_EQ(producer.submit(numbered(2), nullptr), 2);  // the slot of 0 again
    producer.cancel(0);                                   // long gone: no effect
    ASSERT_EQ(consumer.take(entry), Take::entry);
    ASSERT_EQ(consumer.take(entry), Take::entry);
    EXPECT_FALSE(consumer.cancelled(entry.slot, entry.tag));
}

}  // namespace
}  // namespace yoke::ring
