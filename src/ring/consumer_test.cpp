// The executive's side against memory that a client writes as it likes: torn, replayed, early and changing entries
// are taken whole or not at all.
#include "ring/consumer.hpp"

#include <array>
#include <atomic>
#include <thread>

#include <gtest/gtest.h>

#include "ring/memory_fixture.hpp"

namespace yoke::ring {
namespace {

TEST(Consumer, fresh_memory_holds_no_entry) {
    const TestMemory memory(4);
    Consumer consumer(memory.worker(), YOKE_RING_BULK);
    Entry entry;
    EXPECT_FALSE(consumer.pending());
    EXPECT_EQ(consumer.take(entry), Take::nothing);
}

TEST(Consumer, Malicious_torn_and_half_written_lines_are_never_taken) {
    const TestMemory memory(4);
    Consumer consumer(memory.worker(), YOKE_RING_BULK);
    const yoke_submission s = numbered(1);
    Entry entry;
    // Every subset of quarters but the whole carries the tag.
    for (unsigned subset = 0; subset < 15; ++subset) {
        yoke_line line;
        yoke_line_write(&line, &s, 1);
        for (unsigned k = 0; k < 4; ++k) {
            if ((subset & (1U << k)) == 0) {
                line.quarter[k].high &= 0xffffffffU;
            }
        }
        std::memcpy(&memory.submission_line(0), &line, sizeof(line));
        EXPECT_EQ(consumer.take(entry), Take::nothing) << subset;
    }
    // Quarters of different laps.
    for (unsigned k = 0; k < 4; ++k) {
        yoke_line_write(&memory.submission_line(0), &s, 1);
        memory.submission_line(0).quarter[k].high =
            (memory.submission_line(0).quarter[k].high & 0xffffffffU) | 2ULL << 32;
        EXPECT_EQ(consumer.take(entry), Take::nothing) << k;
    }
    yoke_line_write(&memory.submission_line(0), &s, 1);
    EXPECT_EQ(consumer.take(entry), Take::entry);
}

TEST(Consumer, Malicious_replayed_and_early_entries_are_not_taken) {
    const TestMemory memory(2);
    Producer producer(memory.client(), YOKE_RING_BULK);
    Consumer consumer(memory.worker(), YOKE_RING_BULK);
    Entry entry;
    yoke_completion c;
    const yoke_line* const kept = &memory.submission_line(0);
    for (std::uint64_t i = 0; i < 6; ++i) {
        ASSERT_GE(producer.submit(numbered(i), nullptr), 0);
        ASSERT_EQ(consumer.take(entry), Take::entry);
        consumer.complete(entry.slot, entry.tag, {});
        ASSERT_TRUE(producer.take_completion(i, c));
    }
    // What was taken lies there still; it is not taken again, whatever tag of the past or the future it gets.
    const yoke_line old = *kept;
    for (const std::uint32_t tag : {0U, 1U, 2U, 3U, 5U, 6U, 0xffffffffU}) {
        yoke_submission s = numbered(77);
        yoke_line_write(&memory.submission_line(0), &s, tag);
        EXPECT_EQ(consumer.take(entry), Take::nothing) << tag;
    }
    memory.submission_line(0) = old;
    EXPECT_EQ(consumer.take(entry), Take::nothing);
}

TEST(Consumer, Malicious_an_entry_changed_after_it_was_taken_changes_nothing) {
    const TestMemory memory(2);
    Producer producer(memory.client(), YOKE_RING_BULK);
    Consumer consumer(memory.worker(), YOKE_RING_BULK);
    const std::array<std::byte, YOKE_PAYLOAD_BYTES> params{};
    ASSERT_EQ(producer.submit(numbered(5), params.data()), 0);
    Entry entry;
    ASSERT_EQ(consumer.take(entry), Take::entry);
    std::memset(&memory.submission_line(0), 0xff, sizeof(yoke_line));
    std::memset(&memory.params_line(0), 0xff, sizeof(yoke_line));
    EXPECT_EQ(entry.submission.in_offset, 5U);
    EXPECT_EQ(entry.params, params);
    EXPECT_TRUE(consumer.complete(entry.slot, entry.tag, answer_to(entry.submission)));
}

TEST(Consumer, Malicious_an_entry_on_a_busy_slot_is_a_fault_and_a_skip_is_not) {
    const TestMemory memory(2);
    Consumer consumer(memory.worker(), YOKE_RING_BULK);
    Entry entry;
    yoke_submission s = numbered(0);
    yoke_line_write(&memory.submission_line(0), &s, 1);
    yoke_line_write(&memory.submission_line(1), &s, 1);
    ASSERT_EQ(consumer.take(entry), Take::entry);
    ASSERT_EQ(consumer.take(entry), Take::entry);
    yoke_submission skip{};
    skip.opcode = YOKE_OP_SKIP;
    yoke_line_write(&memory.submission_line(0), &skip, 2);
    EXPECT_EQ(consumer.take(entry), Take::skipped);
    yoke_line_write(&memory.submission_line(1), &s, 2);
    EXPECT_EQ(consumer.take(entry), Take::fault);
    EXPECT_EQ(consumer.take(entry), Take::fault);  // and stays one
    EXPECT_TRUE(consumer.busy(0, 1));
    EXPECT_TRUE(consumer.busy(1, 1));
}

TEST(Consumer, Malicious_parameters_of_another_lap_do_not_count) {
    const TestMemory memory(2);
    Consumer consumer(memory.worker(), YOKE_RING_BULK);
    yoke_submission s = numbered(0);
    s.flags = YOKE_FLAG_PARAMS;
    std::array<std::byte, YOKE_PAYLOAD_BYTES> params;
    params.fill(std::byte{0xee});
    yoke_line_write(&memory.params_line(0), params.data(), 2);
    yoke_line_write(&memory.submission_line(0), &s, 1);
    Entry entry;
    ASSERT_EQ(consumer.take(entry), Take::entry);
    EXPECT_FALSE(entry.params_valid);
    EXPECT_EQ(entry.params[0], std::byte{0});
}

TEST(Consumer, completes_each_entry_once_and_nothing_else) {
    const TestMemory memory(2);
    Producer producer(memory.client(), YOKE_RING_BULK);
    Consumer consumer(memory.worker(), YOKE_RING_BULK);
    EXPECT_FALSE(consumer.complete(0, 0, {}));
    EXPECT_FALSE(consumer.complete(0, 1, {}));
    EXPECT_FALSE(consumer.complete(2, 1, {}));
    EXPECT_FALSE(consumer.complete(0xffffffffU, 1, {}));
    ASSERT_EQ(producer.submit(numbered(0), nullptr), 0);
    Entry entry;
    ASSERT_EQ(consumer.take(entry), Take::entry);
    EXPECT_FALSE(consumer.complete(0, 2, {}));
    EXPECT_TRUE(consumer.complete(0, 1, {}));
    EXPECT_FALSE(consumer.complete(0, 1, {}));
}

TEST(Consumer, Malicious_lines_rewritten_without_pause_are_taken_whole_or_not_at_all) {
    const TestMemory memory(2);
    Consumer consumer(memory.worker(), YOKE_RING_BULK);
    std::atomic<bool> stop{false};
    // Writes the entries of eight positions again and again without waiting; what an entry says follows from its
    // position.
    std::thread writer([&] {
        for (std::uint64_t n = 0; !stop; ++n) {
            const std::uint64_t position = n % 8;
            const yoke_submission s = numbered(position);
            yoke_line_write(&memory.submission_line(position % 2), &s, yoke_lap_tag(position, 1));
        }
    });
    for (std::uint64_t position = 0; position < 8;) {
        Entry entry;
        const Take result = consumer.take(entry);
        ASSERT_NE(result, Take::fault);
        if (result == Take::entry) {
            const yoke_submission expected = numbered(position);
            EXPECT_EQ(std::memcmp(&entry.submission, &expected, sizeof(expected)), 0) << position;
            EXPECT_TRUE(consumer.complete(entry.slot, entry.tag, {}));
            ++position;
        }
    }
    stop = true;
    writer.join();
}

}  // namespace
}  // namespace yoke::ring
