// Push and pull through the executive: what the sink gets, when it completes, and what happens to what it holds.
#include <atomic>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "executive/session_fixture.hpp"

namespace yoke::executive {
namespace {

// Holds every entry until the test completes it.
class HoldingSink : public StreamSink {
   public:
    void push(const StreamEntry& entry) noexcept override { hold(entry, YOKE_OP_PUSH); }
    void pull(const StreamEntry& entry) noexcept override { hold(entry, YOKE_OP_PULL); }
    void move(const StreamEntry& entry) noexcept override { hold(entry, YOKE_OP_MOVE); }
    void cancel(const Ticket& ticket) noexcept override {
        const std::lock_guard lock(mutex_);
        cancelled_.push_back(ticket);
    }
    void forget(SessionId session) noexcept override {
        const std::lock_guard lock(mutex_);
        std::erase_if(held_, [session](const Held& h) { return h.entry.ticket.session == session; });
        ++forgotten_;
    }

    struct Held {
        StreamEntry entry;
        std::uint8_t op = YOKE_OP_NONE;  // which function got it
    };
    std::vector<Held> held() {
        const std::lock_guard lock(mutex_);
        return held_;
    }
    std::vector<Ticket> cancelled() {
        const std::lock_guard lock(mutex_);
        return cancelled_;
    }
    int forgotten() {
        const std::lock_guard lock(mutex_);
        return forgotten_;
    }
    void clear() {
        const std::lock_guard lock(mutex_);
        held_.clear();
    }

   private:
    void hold(const StreamEntry& entry, std::uint8_t op) {
        const std::lock_guard lock(mutex_);
        held_.push_back({entry, op});
    }
    std::mutex mutex_;
    std::vector<Held> held_;
    std::vector<Ticket> cancelled_;
    int forgotten_ = 0;
};

yoke_submission stream_entry(const TestClient& client, std::uint8_t opcode, std::uint32_t channel,
                             std::uint32_t length) {
    yoke_submission s = client.echo(0, 1 << 20, length);
    s.opcode = opcode;
    s.service = YOKE_SERVICE_NONE;
    s.object = channel;
    return s;
}

class Streams : public testing::TestWithParam<unsigned> {};

TEST_P(Streams, reach_the_sink_checked_and_complete_from_any_thread) {
    HoldingSink sink;
    auto executive = make_executive({.bulk_threads = 2}, &sink);
    TestClient client;
    ASSERT_TRUE(executive->add_session(5, client.take_worker_side()));
    ring::Producer& producer = client.producer(GetParam());
    yoke_submission push = stream_entry(client, YOKE_OP_PUSH, 11, 100);
    push.flags = YOKE_FLAG_END;
    const std::int64_t pushed = producer.submit(push, nullptr);
    const std::int64_t pulled = producer.submit(stream_entry(client, YOKE_OP_PULL, 12, 200), nullptr);
    ASSERT_TRUE(pushed == 0 && pulled == 1);
    ASSERT_TRUE(client.wait_for([&] { return sink.held().size() == 2; }));
    const auto held = sink.held();
    EXPECT_EQ(held[0].op, YOKE_OP_PUSH);
    EXPECT_EQ(held[0].entry.channel, 11U);
    EXPECT_EQ(held[0].entry.length, 100U);
    EXPECT_EQ(held[0].entry.flags, YOKE_FLAG_END);
    EXPECT_EQ(held[0].entry.ticket.session, 5U);
    EXPECT_EQ(held[1].op, YOKE_OP_PULL);
    EXPECT_EQ(held[1].entry.length, 200U);
    EXPECT_EQ(executive->report(5).in_flight, 2U);
    EXPECT_TRUE(producer.running(1));
    std::memset(held[1].entry.data, 0x42, 200);
    std::thread other([&] {
        yoke_completion c{};
        c.out_length = 200;
        c.sequence = 9;
        c.signal = YOKE_SIGNAL_END;
        executive->complete(held[1].entry.ticket, c);
        c.sequence = 10;
        executive->complete(held[1].entry.ticket, c);  // only the first one counts
    });
    yoke_completion c{};
    ASSERT_TRUE(client.wait(GetParam(), 1, c));
    other.join();
    EXPECT_EQ(c.sequence, 9U);
    EXPECT_EQ(c.signal, YOKE_SIGNAL_END);
    EXPECT_EQ(*client.data((1 << 20) + 199), std::byte{0x42});
    executive->complete(held[0].entry.ticket, {});
    ASSERT_TRUE(client.wait(GetParam(), 0, c));
    EXPECT_EQ(executive->report(5).completed, 2U);
}

TEST_P(Streams, carry_signals_extents_and_destinations) {
    HoldingSink sink;
    auto executive = make_executive({.bulk_threads = 2}, &sink);
    TestClient client;
    ASSERT_TRUE(executive->add_session(5, client.take_worker_side()));
    ring::Producer& producer = client.producer(GetParam());
    yoke_submission push = stream_entry(client, YOKE_OP_PUSH, 11, 100);
    push.flags = YOKE_FLAG_PARAMS | YOKE_FLAG_END;
    yoke_params_push params{};
    params.signals = YOKE_SIGNAL_BEGIN | YOKE_SIGNAL_USER_1;
    params.extent[0] = 10;
    params.extent[1] = 5;
    params.extent[2] = 2;
    ASSERT_EQ(producer.submit(push, &params), 0);
    yoke_submission move = stream_entry(client, YOKE_OP_MOVE, 12, 0);
    move.aux_offset = 13;
    ASSERT_EQ(producer.submit(move, nullptr), 1);
    ASSERT_TRUE(client.wait_for([&] { return sink.held().size() == 2; }));
    const auto held = sink.held();
    EXPECT_EQ(held[0].entry.signals, YOKE_SIGNAL_BEGIN | YOKE_SIGNAL_USER_1);
    EXPECT_EQ(held[0].entry.extent, (std::array<std::uint64_t, 3>{10, 5, 2}));
    EXPECT_EQ(held[0].entry.flags, YOKE_FLAG_END);
    EXPECT_EQ(held[1].op, YOKE_OP_MOVE);
    EXPECT_EQ(held[1].entry.channel, 12U);
    EXPECT_EQ(held[1].entry.to, 13U);
    yoke_completion c{};
    c.detail = 7;
    executive->complete(held[1].entry.ticket, c);
    ASSERT_TRUE(client.wait(GetParam(), 1, c));
    EXPECT_EQ(c.detail, 7U);
}

TEST_P(Streams, without_a_sink_are_not_served) {
    auto executive = make_executive();
    TestClient client;
    ASSERT_TRUE(executive->add_session(5, client.take_worker_side()));
    for (const std::uint8_t opcode :
         {std::uint8_t{YOKE_OP_PUSH}, std::uint8_t{YOKE_OP_PULL}, std::uint8_t{YOKE_OP_MOVE}}) {
        yoke_submission s = stream_entry(client, opcode, 1, 10);
        s.aux_offset = 2;
        const auto c = client.call(GetParam(), s);
        EXPECT_EQ(c.status, -YOKE_ENOSYS);
        EXPECT_EQ(c.detail, YOKE_MEMBER_OPCODE);
    }
}

TEST_P(Streams, a_cancel_reaches_the_sink_also_when_the_ring_sleeps) {
    HoldingSink sink;
    auto executive = make_executive({.bulk_threads = 2}, &sink);
    TestClient client;
    ASSERT_TRUE(executive->add_session(5, client.take_worker_side()));
    ring::Producer& producer = client.producer(GetParam());
    const yoke_status_page& page = client.view().status_page();
    for (const bool asleep : {true, false}) {
        const std::int64_t position = producer.submit(stream_entry(client, YOKE_OP_PULL, 12, 200), nullptr);
        ASSERT_GE(position, 0);
        ASSERT_TRUE(client.wait_for([&] { return sink.held().size() == 1; }));
        if (asleep) {
            ASSERT_TRUE(client.wait_for([&] { return yoke_load_acquire32(&page.ring[GetParam()].asleep) == 1; }));
        }
        const std::size_t before = sink.cancelled().size();
        producer.cancel(static_cast<std::uint64_t>(position));
        ASSERT_TRUE(client.wait_for([&] { return sink.cancelled().size() == before + 1; }));
        const Ticket ticket = sink.cancelled().back();
        EXPECT_EQ(ticket.slot, static_cast<std::uint32_t>(position));
        yoke_completion c{};
        c.status = -YOKE_ECANCELED;
        executive->complete(ticket, c);
        ASSERT_TRUE(client.wait(GetParam(), static_cast<std::uint64_t>(position), c));
        EXPECT_EQ(c.status, -YOKE_ECANCELED);
        sink.clear();
    }
}

TEST_P(Streams, of_a_removed_session_are_forgotten_and_late_completions_ignored) {
    HoldingSink sink;
    auto executive = make_executive({.bulk_threads = 2}, &sink);
    TestClient client;
    ASSERT_TRUE(executive->add_session(5, client.take_worker_side()));
    ASSERT_GE(client.producer(GetParam()).submit(stream_entry(client, YOKE_OP_PULL, 12, 200), nullptr), 0);
    ASSERT_TRUE(client.wait_for([&] { return sink.held().size() == 1; }));
    const Ticket ticket = sink.held()[0].entry.ticket;
    executive->remove_session(5);
    EXPECT_EQ(sink.forgotten(), 1);
    executive->complete(ticket, {});
    executive->complete({77, 0, 0, 1}, {});
    client.keep_arena();
    EXPECT_FALSE(client.has_completion(GetParam(), ticket.slot, ticket.tag));
}

// Completes every entry at once, on the executive's own thread.
class EagerSink : public StreamSink {
   public:
    Executive* executive = nullptr;
    void push(const StreamEntry& entry) noexcept override { executive->complete(entry.ticket, {}); }
    void pull(const StreamEntry& entry) noexcept override { executive->complete(entry.ticket, {}); }
    void move(const StreamEntry& entry) noexcept override { executive->complete(entry.ticket, {}); }
    void cancel(const Ticket&) noexcept override {}
    void forget(SessionId) noexcept override {}
};

TEST_P(Streams, may_complete_within_the_call) {
    EagerSink sink;
    auto executive = make_executive({.bulk_threads = 2}, &sink);
    sink.executive = executive.get();
    TestClient client({.arena_bytes = 4U << 20, .express_slots = 4, .bulk_slots = 4});
    ASSERT_TRUE(executive->add_session(5, client.take_worker_side()));
    for (unsigned i = 0; i < 1000; ++i) {
        ASSERT_EQ(client.call(GetParam(), stream_entry(client, YOKE_OP_PUSH, 1, 10)).status, 0);
    }
    EXPECT_EQ(executive->report(5).in_flight, 0U);
}

INSTANTIATE_TEST_SUITE_P(both, Streams, testing::Values(YOKE_RING_EXPRESS, YOKE_RING_BULK));

}  // namespace
}  // namespace yoke::executive
