// Clients that break every rule they can reach: the executive answers or stops serving them, and others notice nothing.
//
// Where a client makes calls that overlap in its arena, one thread executes them: their data races are the client's own
// risk, and ThreadSanitizer would rightly report them.
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <random>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "executive/session_fixture.hpp"
#include "service/aes/aes.hpp"

namespace yoke::executive {
namespace {

// A client beside the hostile one. Every call of its is right.
class Neighbour {
   public:
    explicit Neighbour(Executive& executive) {
        EXPECT_TRUE(executive.add_session(1000, client_.take_worker_side()));
        fill(client_.data(), 65536, 1);
    }
    void expect_served() {
        for (const unsigned ring : {YOKE_RING_EXPRESS, YOKE_RING_BULK}) {
            for (unsigned i = 0; i < 20; ++i) {
                std::memset(client_.data(1 << 20), 0, 65536);
                ASSERT_EQ(client_.call(ring, client_.echo(0, 1 << 20, 65536)).status, 0);
                ASSERT_EQ(std::memcmp(client_.data(), client_.data(1 << 20), 65536), 0);
            }
        }
    }

   private:
    TestClient client_;
};

void ring_bell(const TestClient& client) {
    const std::uint64_t one = 1;
    ASSERT_EQ(::write(client.view().bell, &one, sizeof(one)), 8);
}

yoke_line* submission_lines(const TestClient& client, unsigned ring) {
    return reinterpret_cast<yoke_line*>(client.view().arena + client.layout().ring[ring].submission);
}

yoke_line* params_lines(const TestClient& client, unsigned ring) {
    return reinterpret_cast<yoke_line*>(client.view().arena + client.layout().ring[ring].params);
}

class Hostile : public testing::TestWithParam<unsigned> {};

TEST_P(Hostile, Malicious_random_bytes_in_all_rings) {
    auto executive = make_executive({.bulk_threads = 2});
    Neighbour neighbour(*executive);
    std::mt19937_64 random(1);
    for (SessionId id = 1; id <= 20; ++id) {
        TestClient client;
        ASSERT_TRUE(executive->add_session(id, client.take_worker_side()));
        for (unsigned round = 0; round < 20; ++round) {
            for (std::uint64_t i = 0; i < client.layout().data / 8; ++i) {
                __atomic_store_n(reinterpret_cast<std::uint64_t*>(client.view().arena) + i, random(), __ATOMIC_RELAXED);
            }
            ring_bell(client);
        }
        neighbour.expect_served();
        if (id % 2 == 0) {
            executive->remove_session(id);
        }
    }
}

// Entries with the right tags and random content: each is taken and answered.
TEST_P(Hostile, Malicious_random_entries_are_all_answered) {
    auto executive = make_executive({.bulk_threads = 2});
    Neighbour neighbour(*executive);
    TestClient client;
    ASSERT_TRUE(executive->add_session(1, client.take_worker_side()));
    std::array<std::byte, 32> key_bytes{};
    const auto key = executive->add_key(1, service::aes_gcm(), key_bytes);
    ASSERT_TRUE(key);
    std::mt19937_64 random(GetParam() + 2);
    ring::Producer& producer = client.producer(GetParam());
    const auto offset = [&]() -> std::uint64_t {
        switch (random() % 6) {
            case 0:
                return random();
            case 1:
                return ~(random() % 70000);
            case 2:
                return random() % client.layout().data;
            default:
                return client.layout().data + random() % client.data_bytes();
        }
    };
    const auto length = [&] {
        const std::uint64_t bits = random() % 33;
        return static_cast<std::uint32_t>(random() & ((1ULL << bits) - 1));
    };
    std::array<unsigned, 256> statuses{};
    for (unsigned i = 0; i < 20'000; ++i) {
        yoke_submission s{};
        s.opcode = random() % 8 == 0 ? static_cast<std::uint8_t>(random()) : std::uint8_t{YOKE_OP_CALL};
        if (s.opcode == YOKE_OP_SKIP) {
            continue;  // is never answered
        }
        s.flags = static_cast<std::uint8_t>(random() % 8 == 0 ? random() : random() % 4);
        s.service = static_cast<std::uint16_t>(random() % 9);
        s.object = random() % 2 == 0 ? 0 : *key;
        s.in_offset = offset();
        s.out_offset = offset();
        s.aux_offset = offset();
        s.in_length = length();
        s.out_length = length();
        s.deadline_ns = random() % 16 == 0 ? random() : 0;
        std::array<std::uint32_t, 12> params;
        for (std::uint32_t& word : params) {
            word = static_cast<std::uint32_t>(random() % 3 == 0 ? random() : random() % 64);
        }
        const auto c = client.call(GetParam(), s, random() % 2 == 0 ? params.data() : nullptr);
        ASSERT_NE(c.status, -1) << "no answer";
        ASSERT_LE(c.status, 0);
        ASSERT_GT(c.status, -256);
        ++statuses[static_cast<std::size_t>(-c.status)];
    }
    EXPECT_EQ(producer.in_flight(), 0U);
    for (const yoke_status_code code : {YOKE_OK, YOKE_EFAULT, YOKE_EINVAL, YOKE_ENOSYS, YOKE_ENOKEY, YOKE_EMSGSIZE}) {
        EXPECT_GT(statuses[code], 0U) << code;
    }
    EXPECT_EQ(executive->report(1).fault, 0U);
    neighbour.expect_served();
}

TEST_P(Hostile, Malicious_an_entry_on_a_busy_slot_ends_the_session_alone) {
    class SilentSink : public StreamSink {
       public:
        void push(const StreamEntry&) noexcept override {}
        void pull(const StreamEntry&) noexcept override {}
        void move(const StreamEntry&) noexcept override {}
        void cancel(const Ticket&) noexcept override {}
        void forget(SessionId) noexcept override {}
    } sink;
    auto executive = make_executive({.bulk_threads = 2}, &sink);
    Neighbour neighbour(*executive);
    TestClient client({.arena_bytes = 4U << 20, .express_slots = 2, .bulk_slots = 2});
    ASSERT_TRUE(executive->add_session(1, client.take_worker_side()));
    // Two pulls that nobody completes, then entries on their slots.
    yoke_submission pull = client.echo(0, 4096, 64);
    pull.opcode = YOKE_OP_PULL;
    pull.service = 0;
    pull.object = 1;
    for (std::uint32_t position = 0; position < 4; ++position) {
        yoke_line_write(&submission_lines(client, GetParam())[position % 2], &pull, yoke_lap_tag(position, 1));
        ring_bell(client);
        ASSERT_TRUE(client.wait_for([&] { return executive->report(1).taken == std::min(position + 1, 2U); }));
    }
    const yoke_status_page& page = client.view().status_page();
    ASSERT_TRUE(client.wait_for([&] { return yoke_load_acquire32(&page.fault) == YOKE_MEMBER_SLOT; }));
    EXPECT_EQ(executive->report(1).fault, YOKE_MEMBER_SLOT);
    // Who sleeps is told, after the page says why.
    EXPECT_TRUE(client.wait_for([&] { return yoke_load_acquire32(&page.bell) > 0; }));
    // Neither ring is served any more.
    for (const unsigned ring : {YOKE_RING_EXPRESS, YOKE_RING_BULK}) {
        static_cast<void>(client.producer(ring).submit(client.echo(0, 1 << 20, 64), nullptr));
        ring_bell(client);
    }
    neighbour.expect_served();
    EXPECT_EQ(executive->report(1).taken, 2U);
    executive->remove_session(1);
    neighbour.expect_served();
}

TEST_P(Hostile, Malicious_entries_rewritten_while_they_are_taken) {
    auto executive = make_executive({.bulk_threads = 1});
    Neighbour neighbour(*executive);
    TestClient client({.arena_bytes = 4U << 20, .express_slots = 4, .bulk_slots = 4});
    ASSERT_TRUE(executive->add_session(1, client.take_worker_side()));
    std::atomic<bool> stop{false};
    // Both lines of every slot change all the time, with tags of the laps around the one that is being taken.
    std::thread rewriter([&] {
        std::mt19937_64 random(3);
        while (!stop) {
            yoke_submission s =
                client.echo(random() % (2U << 20), random() % (3U << 20), static_cast<std::uint32_t>(random() % 5000));
            s.opcode = random() % 16 == 0 ? std::uint8_t{YOKE_OP_SKIP} : std::uint8_t{YOKE_OP_CALL};
            s.flags = static_cast<std::uint8_t>(random() % 4);
            s.service = static_cast<std::uint16_t>(random() % 9);
            const std::uint64_t slot = random() % 4;
            const auto tag = static_cast<std::uint32_t>(1 + executive->report(1).taken / 4 + random() % 4);
            yoke_line_write(&params_lines(client, GetParam())[slot], &s, tag);
            yoke_line_write(&submission_lines(client, GetParam())[slot], &s, tag);
            ring_bell(client);
        }
    });
    for (unsigned i = 0; i < 10; ++i) {
        neighbour.expect_served();
    }
    // More would need tags of later laps: the SKIPs among the entries are not counted.
    EXPECT_TRUE(client.wait_for([&] { return executive->report(1).taken >= 30 || executive->report(1).fault != 0; }));
    stop = true;
    rewriter.join();
    neighbour.expect_served();
    executive->remove_session(1);
}

TEST_P(Hostile, Malicious_holes_punched_into_the_arena) {
    auto executive = make_executive({.bulk_threads = 1});
    Neighbour neighbour(*executive);
    TestClient client;
    ASSERT_TRUE(executive->add_session(1, client.take_worker_side()));
    std::atomic<bool> stop{false};
    std::thread puncher([&] {
        while (!stop) {
            ASSERT_EQ(::fallocate(client.arena_fd().get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
                                  static_cast<off_t>(client.layout().arena_bytes)),
                      0);
        }
    });
    // Entries and completions may vanish with their pages; what counts is that nobody is hurt.
    for (unsigned i = 0; i < 2000; ++i) {
        static_cast<void>(client.producer(GetParam()).submit(client.echo(0, 1 << 20, 65536), nullptr));
        std::uint64_t position = 0;
        yoke_completion c{};
        static_cast<void>(client.producer(GetParam()).take_any(position, c));
        ring_bell(client);
    }
    neighbour.expect_served();
    stop = true;
    puncher.join();
    executive->remove_session(1);
    neighbour.expect_served();
}

TEST_P(Hostile, Malicious_bells_filled_drained_and_closed) {
    auto executive = make_executive({.bulk_threads = 2});
    Neighbour neighbour(*executive);
    TestClient client;
    ASSERT_TRUE(executive->add_session(1, client.take_worker_side()));
    const int bell = client.view().bell;
    ASSERT_EQ(::fcntl(bell, F_SETFL, 0), 0);  // the flag is shared with the worker's descriptor
    const std::uint64_t full = 0xfffffffffffffffeULL;
    std::uint64_t count = 0;
    ASSERT_EQ(::write(bell, &full, sizeof(full)), 8);
    neighbour.expect_served();
    ASSERT_EQ(::read(bell, &count, sizeof(count)), 8);
    EXPECT_EQ(client.call(GetParam(), client.echo(0, 1 << 20, 64)).status, 0);
    __atomic_store_n(&client.view().words().want_bell, 0xffffffffU, __ATOMIC_RELEASE);  // wants to be woken always
    const std::int64_t position = client.producer(GetParam()).submit(client.echo(0, 1 << 20, 64), nullptr);
    ASSERT_GE(position, 0);
    ASSERT_TRUE(
        client.wait_for([&] { return client.producer(GetParam()).completed(static_cast<std::uint64_t>(position)); }));
    neighbour.expect_served();
}

INSTANTIATE_TEST_SUITE_P(both, Hostile, testing::Values(YOKE_RING_EXPRESS, YOKE_RING_BULK));

}  // namespace
}  // namespace yoke::executive
