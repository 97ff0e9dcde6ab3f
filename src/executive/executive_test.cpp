// The executive with real services, as one well-behaved client after the other sees it.
#include "executive/executive.hpp"

#include <array>
#include <bit>
#include <set>
#include <vector>

#include <gtest/gtest.h>
#include <openssl/sha.h>

#include "cost/model.hpp"
#include "executive/session_fixture.hpp"
#include "service/aes/aes.hpp"

namespace yoke::executive {
namespace {

constexpr std::uint32_t mib = 1U << 20;

class ExecutiveRings : public testing::TestWithParam<unsigned> {};

TEST_P(ExecutiveRings, echoes_and_says_where) {
    auto executive = make_executive();
    TestClient client;
    ASSERT_TRUE(executive->add_session(1, client.take_worker_side()));
    for (const std::uint32_t length : {0U, 1U, 4096U, 65536U}) {
        fill(client.data(), length, length);
        std::memset(client.data(mib), 0, 65536);
        const auto completion = client.call(GetParam(), client.echo(0, mib, length));
        EXPECT_EQ(completion.status, 0);
        EXPECT_EQ(completion.out_length, length);
        EXPECT_EQ(completion.where, YOKE_WHERE_CPU);
        EXPECT_EQ(completion.why, YOKE_WHY_ONLY);
        EXPECT_EQ(std::memcmp(client.data(), client.data(mib), length), 0);
    }
    const SessionReport report = executive->report(1);
    EXPECT_EQ(report.taken, 4U);
    EXPECT_EQ(report.completed, 4U);
    EXPECT_EQ(report.in_flight, 0U);
    EXPECT_EQ(report.bytes_in, 1U + 4096U + 65536U);
    EXPECT_EQ(report.bytes_out, report.bytes_in);
    executive->remove_session(1);
    EXPECT_EQ(executive->report(1).session, 0U);
}

TEST_P(ExecutiveRings, a_refused_call_names_the_member_and_the_next_one_works) {
    auto executive = make_executive();
    TestClient client;
    ASSERT_TRUE(executive->add_session(1, client.take_worker_side()));
    auto wrong = client.echo(0, 0, 100);
    auto completion = client.call(GetParam(), wrong);
    EXPECT_EQ(completion.status, -YOKE_EINVAL);
    EXPECT_EQ(completion.detail, YOKE_MEMBER_OVERLAP);
    EXPECT_EQ(completion.where, YOKE_WHERE_NONE);
    wrong = client.echo(0, mib, 100);
    wrong.out_length = 99;
    completion = client.call(GetParam(), wrong);
    EXPECT_EQ(completion.status, -YOKE_EMSGSIZE);
    EXPECT_EQ(completion.out_length, 100U);
    for (const unsigned opcode : {5U, 200U}) {
        wrong = client.echo(0, mib, 100);
        wrong.opcode = static_cast<std::uint8_t>(opcode);
        completion = client.call(GetParam(), wrong);
        EXPECT_EQ(completion.status, -YOKE_ENOSYS);
        EXPECT_EQ(completion.detail, YOKE_MEMBER_OPCODE);
    }
    wrong.opcode = YOKE_OP_NONE;
    EXPECT_EQ(client.call(GetParam(), wrong).status, -YOKE_EINVAL);
    EXPECT_EQ(client.call(GetParam(), client.echo(0, mib, 100)).status, 0);
    EXPECT_EQ(executive->report(1).failed, 5U);
}

TEST_P(ExecutiveRings, a_deadline_in_the_past_is_not_executed) {
    auto executive = make_executive();
    TestClient client;
    ASSERT_TRUE(executive->add_session(1, client.take_worker_side()));
    fill(client.data(), 4096, 1);
    std::memset(client.data(mib), 0x77, 4096);
    auto s = client.echo(0, mib, 4096);
    s.deadline_ns = 1;
    const auto completion = client.call(GetParam(), s);
    EXPECT_EQ(completion.status, -YOKE_ETIME);
    EXPECT_EQ(completion.where, YOKE_WHERE_NONE);
    EXPECT_EQ(completion.out_length, 0U);
    for (unsigned i = 0; i < 4096; ++i) {
        ASSERT_EQ(*client.data(mib + i), std::byte{0x77});
    }
    s.deadline_ns = now_ns() + 10'000'000'000U;
    EXPECT_EQ(client.call(GetParam(), s).status, 0);
}

TEST_P(ExecutiveRings, completions_in_any_order_belong_to_their_calls) {
    auto executive = make_executive();
    TestClient client({.arena_bytes = 8U << 20, .express_slots = 16, .bulk_slots = 16});
    ASSERT_TRUE(executive->add_session(1, client.take_worker_side()));
    ring::Producer& producer = client.producer(GetParam());
    // Each call in flight has a range of its own, and an output length that tells it from the others.
    constexpr std::uint32_t range = 128 << 10;
    std::array<std::uint32_t, 16> length_at{};
    std::set<std::uint32_t> free_ranges = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
    std::array<std::uint32_t, 16> range_at{};
    fill(client.data(), 64 << 10, 9);
    std::uint32_t submitted = 0;
    for (std::uint32_t completed = 0; completed < 3000;) {
        while (submitted < 3000 && !free_ranges.empty()) {
            const std::uint32_t where = *free_ranges.begin();
            const std::uint32_t length = 1 + submitted * 7919 % (64U << 10);
            const std::int64_t position =
                producer.submit(client.echo(0, mib + std::uint64_t{where} * range, length), nullptr);
            if (position < 0) {
                break;
            }
            free_ranges.erase(where);
            length_at[static_cast<std::size_t>(position) % 16] = length;
            range_at[static_cast<std::size_t>(position) % 16] = where;
            ++submitted;
        }
        std::uint64_t position = 0;
        yoke_completion completion{};
        ASSERT_TRUE(client.wait_for([&] { return producer.take_any(position, completion); }));
        ASSERT_EQ(completion.status, 0);
        ASSERT_EQ(completion.out_length, length_at[position % 16]);
        const std::uint32_t where = range_at[position % 16];
        ASSERT_EQ(std::memcmp(client.data(), client.data(mib + std::uint64_t{where} * range), completion.out_length),
                  0);
        free_ranges.insert(where);
        ++completed;
    }
    EXPECT_EQ(executive->report(1).completed, 3000U);
}

INSTANTIATE_TEST_SUITE_P(both, ExecutiveRings, testing::Values(YOKE_RING_EXPRESS, YOKE_RING_BULK));

// A call of a few milliseconds with many chunks: the digests of the messages of a long input.
constexpr std::uint32_t long_bytes = 16 * mib;
yoke_submission long_call(const TestClient& client, std::array<std::byte, YOKE_PAYLOAD_BYTES>& params) {
    yoke_params_sha256 p{};
    p.message = 64;
    params = std::bit_cast<std::array<std::byte, YOKE_PAYLOAD_BYTES>>(p);
    yoke_submission s = client.echo(0, long_bytes, long_bytes);
    s.service = YOKE_SERVICE_SHA256;
    s.out_length = long_bytes / 64 * 32;
    return s;
}

TEST(Executive, chunks_of_a_long_call_are_all_executed_once) {
    auto executive = make_executive();
    TestClient client({.arena_bytes = 32U << 20});
    ASSERT_TRUE(executive->add_session(1, client.take_worker_side()));
    fill(client.data(), long_bytes, 3);
    std::array<std::byte, YOKE_PAYLOAD_BYTES> params;
    const yoke_submission s = long_call(client, params);
    const auto completion = client.call(YOKE_RING_BULK, s, params.data());
    ASSERT_EQ(completion.status, 0);
    EXPECT_EQ(completion.out_length, s.out_length);
    EXPECT_GT(completion.run_ns, 0U);
    for (std::uint32_t i = 0; i < long_bytes / 64; ++i) {
        std::array<unsigned char, 32> digest;
        SHA256(reinterpret_cast<const unsigned char*>(client.data(64ULL * i)), 64, digest.data());
        ASSERT_EQ(std::memcmp(digest.data(), client.data(long_bytes + 32ULL * i), 32), 0) << i;
    }
}

// Submits long calls until one of them ends with `status`, each stopped by `stop` once it runs.
template <typename Stop>
void stopped_calls_write_no_more(int status, std::uint64_t deadline_after_ns, Stop stop) {
    auto executive = make_executive();
    TestClient client({.arena_bytes = 32U << 20});
    ASSERT_TRUE(executive->add_session(1, client.take_worker_side()));
    std::array<std::byte, YOKE_PAYLOAD_BYTES> params;
    bool seen = false;
    for (unsigned attempt = 0; attempt < 200 && !seen; ++attempt) {
        yoke_submission s = long_call(client, params);
        // On a busy machine the call begins later, and needs a later deadline to be stopped in the middle.
        s.deadline_ns = deadline_after_ns == 0 ? 0 : now_ns() + (deadline_after_ns << attempt % 6);
        const std::int64_t position = client.bulk->submit(s, params.data());
        ASSERT_GE(position, 0);
        yoke_completion completion{};
        const auto p = static_cast<std::uint64_t>(position);
        ASSERT_TRUE(client.wait_for([&] { return client.bulk->running(p) || client.bulk->completed(p); }));
        stop(*client.bulk, p);
        ASSERT_TRUE(client.wait(YOKE_RING_BULK, p, completion));
        if (completion.status == 0) {
            continue;
        }
        EXPECT_EQ(completion.status, status);
        EXPECT_EQ(completion.out_length, 0U);
        seen = completion.where == YOKE_WHERE_CPU;  // stopped between two chunks, not before the first
        // The call has ended: its memory is the client's again.
        std::memset(client.data(long_bytes), 0x5a, s.out_length);
        EXPECT_EQ(client.call(YOKE_RING_BULK, client.echo(0, long_bytes + s.out_length, 4096)).status, 0);
        for (std::uint32_t i = 0; i < s.out_length; ++i) {
            ASSERT_EQ(*client.data(long_bytes + i), std::byte{0x5a});
        }
    }
    EXPECT_TRUE(seen);
}

TEST(Executive, cancel_stops_a_call_between_chunks) {
    stopped_calls_write_no_more(-YOKE_ECANCELED, 0,
                                [](ring::Producer& p, std::uint64_t position) { p.cancel(position); });
}

TEST(Executive, a_deadline_stops_a_call_between_chunks) {
    stopped_calls_write_no_more(-YOKE_ETIME, 2'000'000, [](ring::Producer&, std::uint64_t) {});
}

TEST(Executive, calls_that_wait_for_a_thread_can_be_cancelled) {
    auto executive = make_executive({.bulk_threads = 1});
    TestClient client({.arena_bytes = 32U << 20});
    ASSERT_TRUE(executive->add_session(1, client.take_worker_side()));
    std::array<std::byte, YOKE_PAYLOAD_BYTES> params;
    unsigned cancelled = 0;
    for (unsigned attempt = 0; attempt < 50 && cancelled == 0; ++attempt) {
        const std::int64_t first = client.bulk->submit(long_call(client, params), params.data());
        const std::int64_t second = client.bulk->submit(client.echo(0, 30ULL * mib, 4096), nullptr);
        ASSERT_TRUE(first >= 0 && second >= 0);
        client.bulk->cancel(static_cast<std::uint64_t>(second));
        yoke_completion completion{};
        ASSERT_TRUE(client.wait(YOKE_RING_BULK, static_cast<std::uint64_t>(second), completion));
        cancelled += completion.status == -YOKE_ECANCELED ? 1 : 0;
        ASSERT_TRUE(client.wait(YOKE_RING_BULK, static_cast<std::uint64_t>(first), completion));
        EXPECT_EQ(completion.status, 0);
    }
    EXPECT_GT(cancelled, 0U);
}

TEST(Executive, the_ring_goes_on_around_a_call_that_was_given_up) {
    auto executive = make_executive();
    TestClient client({.arena_bytes = 32U << 20, .express_slots = 2, .bulk_slots = 2});
    ASSERT_TRUE(executive->add_session(1, client.take_worker_side()));
    std::array<std::byte, YOKE_PAYLOAD_BYTES> params;
    bool skipped = false;
    for (unsigned attempt = 0; attempt < 50 && !skipped; ++attempt) {
        const std::int64_t slow = client.bulk->submit(long_call(client, params), params.data());
        ASSERT_GE(slow, 0);
        const auto slow_position = static_cast<std::uint64_t>(slow);
        ASSERT_TRUE(client.wait_for(
            [&] { return client.bulk->running(slow_position) || client.bulk->completed(slow_position); }));
        for (unsigned i = 0; i < 6; ++i) {
            const bool beside = !client.bulk->completed(slow_position);
            EXPECT_EQ(client.call(YOKE_RING_BULK, client.echo(0, 30ULL * mib, 4096)).status, 0);
            skipped = skipped || (beside && i > 1);  // by the third call one slot was passed over
        }
        yoke_completion completion{};
        ASSERT_TRUE(client.wait(YOKE_RING_BULK, slow_position, completion));
        EXPECT_EQ(completion.status, 0);
    }
    EXPECT_TRUE(skipped);
    EXPECT_EQ(executive->report(1).fault, 0U);
}

TEST(Executive, keys_serve_their_service_until_they_are_removed) {
    auto executive = make_executive();
    TestClient client;
    ASSERT_TRUE(executive->add_session(7, client.take_worker_side()));
    std::array<std::byte, 32> bytes{};
    EXPECT_EQ(executive->add_key(7, service::aes_ctr(), std::span(bytes).first(5)).error().code, EKEYREJECTED);
    EXPECT_EQ(executive->add_key(8, service::aes_ctr(), bytes).error().code, ENOTCONN);
    const auto key = executive->add_key(7, service::aes_ctr(), bytes);
    ASSERT_TRUE(key) << key.error().message;
    EXPECT_EQ(executive->report(7).keys, 1U);
    yoke_submission s = client.echo(0, 2ULL * mib, mib);
    s.service = YOKE_SERVICE_AES_CTR;
    s.object = *key;
    const yoke_params_aes_iv iv{};
    fill(client.data(), mib, 4);
    ASSERT_EQ(client.call(YOKE_RING_BULK, s, &iv).status, 0);
    // CTR twice is the identity.
    std::swap(s.in_offset, s.out_offset);
    std::vector<std::byte> kept(client.data(), client.data() + mib);
    std::memset(client.data(), 0, mib);
    ASSERT_EQ(client.call(YOKE_RING_BULK, s, &iv).status, 0);
    EXPECT_EQ(std::memcmp(kept.data(), client.data(), mib), 0);
    // Removed while calls are in flight: each call either had the key or did not find it.
    std::vector<std::uint64_t> positions;
    std::swap(s.in_offset, s.out_offset);
    s.in_length = 128 << 10;
    s.out_length = s.in_length;
    for (unsigned i = 0; i < 8; ++i) {
        s.out_offset = client.layout().data + mib + std::uint64_t{i} * s.out_length;
        const std::int64_t position = client.bulk->submit(s, &iv);
        ASSERT_GE(position, 0);
        positions.push_back(static_cast<std::uint64_t>(position));
    }
    EXPECT_TRUE(executive->remove_key(7, *key));
    EXPECT_EQ(executive->remove_key(7, *key).error().code, ENOKEY);
    for (const std::uint64_t position : positions) {
        yoke_completion completion{};
        ASSERT_TRUE(client.wait(YOKE_RING_BULK, position, completion));
        EXPECT_TRUE(completion.status == 0 || completion.status == -YOKE_ENOKEY) << completion.status;
    }
    s.in_length = 4096;
    const auto completion = client.call(YOKE_RING_EXPRESS, s, &iv);
    EXPECT_EQ(completion.status, -YOKE_ENOKEY);
    EXPECT_EQ(completion.detail, YOKE_MEMBER_OBJECT);
    // The last call may hold the key for a moment after its completion was seen.
    while (executive->report(7).keys != 0) {
        std::this_thread::yield();
    }
}

TEST(Executive, publishes_costs_and_a_heartbeat) {
    auto executive = make_executive();
    TestClient client;
    ASSERT_TRUE(executive->add_session(1, client.take_worker_side()));
    const yoke_status_page& page = client.view().status_page();
    EXPECT_EQ(yoke_cost_ns(cost::load_shared(page.cost[YOKE_SERVICE_ECHO]), 64), ~std::uint64_t{0});
    const std::uint64_t first = __atomic_load_n(&page.heartbeat_ns, __ATOMIC_ACQUIRE);
    EXPECT_NE(first, 0U);
    EXPECT_EQ(client.call(YOKE_RING_BULK, client.echo(0, 2ULL * mib, mib)).status, 0);
    ASSERT_TRUE(client.wait_for([&] {
        return __atomic_load_n(&page.heartbeat_ns, __ATOMIC_ACQUIRE) > first &&
               yoke_cost_ns(cost::load_shared(page.cost[YOKE_SERVICE_ECHO]), 64) != ~std::uint64_t{0};
    }));
    // A new session finds them at once.
    TestClient late;
    ASSERT_TRUE(executive->add_session(2, late.take_worker_side()));
    EXPECT_NE(yoke_cost_ns(cost::load_shared(late.view().status_page().cost[YOKE_SERVICE_ECHO]), 64),
              ~std::uint64_t{0});
}

TEST(Executive, an_arena_that_is_handed_over_starts_with_empty_rings) {
    TestClient client;
    std::int64_t position = client.bulk->submit(client.echo(0, mib, 64), nullptr);  // for a worker that died
    ASSERT_EQ(position, 0);
    auto executive = make_executive();
    SessionMemory memory = client.take_worker_side();
    memory.handed_over = true;
    ASSERT_TRUE(executive->add_session(1, std::move(memory)));
    client.bulk = std::make_unique<ring::Producer>(client.view(), YOKE_RING_BULK);
    EXPECT_EQ(client.call(YOKE_RING_BULK, client.echo(0, mib, 64)).status, 0);
    EXPECT_EQ(executive->report(1).taken, 1U);
}

TEST(Executive, refuses_sessions_that_cannot_be_served) {
    auto executive = make_executive();
    TestClient a;
    TestClient b;
    TestClient c;
    TestClient d;
    ASSERT_TRUE(executive->add_session(1, a.take_worker_side()));
    EXPECT_EQ(executive->add_session(1, b.take_worker_side()).error().code, EEXIST);
    EXPECT_EQ(executive->add_session(0, c.take_worker_side()).error().code, EINVAL);
    SessionMemory memory = d.take_worker_side();
    memory.layout.ring[0].submission += 64;
    EXPECT_EQ(executive->add_session(2, std::move(memory)).error().code, EPROTO);
    TestClient no_bell;
    memory = no_bell.take_worker_side();
    memory.bell.reset();
    EXPECT_EQ(executive->add_session(3, std::move(memory)).error().code, EBADF);
    EXPECT_EQ(executive->report(3).session, 0U);
    EXPECT_EQ(a.call(YOKE_RING_EXPRESS, a.echo(0, mib, 10)).status, 0);
    executive->remove_session(99);  // no such session
}

}  // namespace
}  // namespace yoke::executive
