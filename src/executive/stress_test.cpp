// Many clients and threads at once: rings that fall asleep and wake all the time, sessions that leave in the middle of
// their calls, thousands of sessions. A wake-up that is lost shows as a call that never ends.
#include <sys/resource.h>

#include <array>
#include <atomic>
#include <bit>
#include <random>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <openssl/sha.h>

#include "executive/session_fixture.hpp"

namespace yoke::executive {
namespace {

// One client's work: calls of random sizes on both rings, several in flight, each result checked, pauses in between
// that let rings go cold.
void work(TestClient& client, unsigned seed, unsigned calls) {
    constexpr std::uint32_t room = 256 << 10;
    std::mt19937_64 random(seed);
    fill(client.data(), room, seed);
    struct Flight {
        unsigned ring = 0;
        std::uint64_t position = 0;
        std::uint32_t place = 0;
        std::uint32_t length = 0;
        bool digest = false;
    };
    std::vector<Flight> flights;
    std::vector<std::uint32_t> places = {1, 2, 3, 4, 5, 6};
    const yoke_params_sha256 whole{};
    for (unsigned done = 0, submitted = 0; done < calls;) {
        if (submitted < calls && !places.empty() && random() % 3 != 0) {
            Flight f;
            f.ring = random() % 2 == 0 ? YOKE_RING_EXPRESS : YOKE_RING_BULK;
            f.place = places.back();
            f.digest = random() % 4 == 0;
            f.length = static_cast<std::uint32_t>(random() % (f.ring == YOKE_RING_EXPRESS || f.digest ? 16384 : room));
            yoke_submission s = client.echo(0, std::uint64_t{f.place} * room, f.length);
            if (f.digest) {
                s.service = YOKE_SERVICE_SHA256;
                s.out_length = 32;
            }
            const std::int64_t position = client.producer(f.ring).submit(s, f.digest ? &whole : nullptr);
            ASSERT_GE(position, 0);
            f.position = static_cast<std::uint64_t>(position);
            places.pop_back();
            flights.push_back(f);
            ++submitted;
            continue;
        }
        if (random() % 64 == 0) {
            std::this_thread::sleep_for(std::chrono::microseconds(random() % 300));
        }
        if (flights.empty()) {
            continue;
        }
        const std::size_t which = random() % flights.size();
        const Flight f = flights[which];
        flights.erase(flights.begin() + static_cast<std::ptrdiff_t>(which));
        yoke_completion c{};
        ASSERT_TRUE(client.wait(f.ring, f.position, c, random() % 2 * 10'000)) << "a call never ended";
        ASSERT_EQ(c.status, 0);
        const std::byte* const out = client.data(std::uint64_t{f.place} * room);
        if (f.digest) {
            std::array<unsigned char, 32> expected;
            SHA256(reinterpret_cast<const unsigned char*>(client.data()), f.length, expected.data());
            ASSERT_EQ(std::memcmp(out, expected.data(), 32), 0);
        } else {
            ASSERT_EQ(std::memcmp(out, client.data(), f.length), 0);
        }
        places.push_back(f.place);
        ++done;
    }
}

class ExecutiveStress : public testing::TestWithParam<unsigned> {};

TEST_P(ExecutiveStress, several_clients_on_rings_that_fall_asleep_at_once) {
    // Rings go cold as soon as they are empty, so that nearly every call meets the protocol.
    auto executive = make_executive({.bulk_threads = GetParam(), .express_spin_ns = 1, .bulk_spin_ns = 1});
    std::vector<std::unique_ptr<TestClient>> clients;
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < 4; ++i) {
        clients.push_back(std::make_unique<TestClient>());
        ASSERT_TRUE(executive->add_session(i + 1, clients[i]->take_worker_side()));
        threads.emplace_back([client = clients[i].get(), i] { work(*client, i, 1500); });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    for (SessionId id = 1; id <= 4; ++id) {
        EXPECT_EQ(executive->report(id).completed, 1500U);
        EXPECT_EQ(executive->report(id).in_flight, 0U);
        EXPECT_EQ(executive->report(id).failed, 0U);
    }
}

INSTANTIATE_TEST_SUITE_P(threads, ExecutiveStress, testing::Values(1, 2, 4));

TEST(ExecutiveSessions, come_and_go_in_the_middle_of_their_calls) {
    auto executive = make_executive();
    TestClient steady;
    ASSERT_TRUE(executive->add_session(1, steady.take_worker_side()));
    std::atomic<bool> stop{false};
    std::thread neighbour([&] {
        for (unsigned seed = 0; !stop; ++seed) {
            work(steady, seed, 50);
        }
    });
    std::mt19937 random(4);
    constexpr std::uint64_t outputs = 2 << 20;
    for (SessionId id = 2; id < 150; ++id) {
        auto client = std::make_unique<TestClient>(ring::Geometry{.arena_bytes = 10U << 20});
        ASSERT_TRUE(executive->add_session(id, client->take_worker_side()));
        yoke_params_sha256 params{};
        params.message = 64;
        for (unsigned i = 0; i < 10; ++i) {
            yoke_submission s = client->echo(0, outputs + i * (512ULL << 10), 1 << 20);
            s.service = YOKE_SERVICE_SHA256;
            s.out_length = 512 << 10;
            static_cast<void>(client->bulk->submit(s, &params));
            static_cast<void>(client->express->submit(client->echo(0, (1 << 20) + i * 65536ULL, 60'000), nullptr));
        }
        if (random() % 2 == 0) {
            std::this_thread::sleep_for(std::chrono::microseconds(random() % 500));
        }
        executive->remove_session(id);
        EXPECT_EQ(executive->report(id).session, 0U);
        // Nobody writes here any more.
        client->keep_arena();
        std::memset(client->data(outputs), 0x11, 5 << 20);
        for (std::uint32_t i = 0; i < (5U << 20); i += 512) {
            ASSERT_EQ(*client->data(outputs + i), std::byte{0x11});
        }
    }
    stop = true;
    neighbour.join();
}

TEST(ExecutiveSessions, end_with_the_executive_in_the_middle_of_their_calls) {
    for (unsigned round = 0; round < 20; ++round) {
        std::vector<std::unique_ptr<TestClient>> clients;
        auto executive = make_executive();
        for (SessionId id = 1; id <= 4; ++id) {
            clients.push_back(std::make_unique<TestClient>());
            ASSERT_TRUE(executive->add_session(id, clients.back()->take_worker_side()));
            for (unsigned i = 0; i < 20; ++i) {
                static_cast<void>(
                    clients.back()->bulk->submit(clients.back()->echo(0, (1ULL + i) << 17, 1 << 17), nullptr));
            }
        }
        executive.reset();
    }
}

TEST(ExecutiveSessions, removed_by_several_threads_at_once) {
    auto executive = make_executive();
    for (SessionId id = 1; id <= 50; ++id) {
        TestClient client;
        ASSERT_TRUE(executive->add_session(id, client.take_worker_side()));
        EXPECT_EQ(client.call(YOKE_RING_EXPRESS, client.echo(0, 1 << 20, 10)).status, 0);
        std::thread other([&] { executive->remove_session(id); });
        executive->remove_session(id);
        other.join();
        EXPECT_EQ(executive->report(id).session, 0U);
    }
}

TEST(ExecutiveSessions, leave_while_their_rings_fall_asleep) {
    // Whoever removes a session must be heard by an owner who at that moment finds nothing to do.
    auto executive = make_executive({.bulk_threads = 2, .express_spin_ns = 1, .bulk_spin_ns = 1});
    for (SessionId id = 1; id <= 3000; ++id) {
        TestClient client(ring::Geometry{.arena_bytes = YOKE_ARENA_BYTES_MIN, .express_slots = 4, .bulk_slots = 4});
        ASSERT_TRUE(executive->add_session(id, client.take_worker_side()));
        const unsigned ring = id % 2 == 0 ? YOKE_RING_BULK : YOKE_RING_EXPRESS;
        ASSERT_EQ(client.call(ring, client.echo(0, 65536, 100)).status, 0);
        executive->remove_session(id);
    }
}

TEST(ExecutiveSessions, thousands_at_once) {
    rlimit limit{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
    const auto count = static_cast<SessionId>(std::min<rlim_t>(3000, limit.rlim_cur / 4));  // three descriptors each
    auto executive = make_executive();
    std::vector<std::unique_ptr<TestClient>> clients;
    for (SessionId id = 1; id <= count; ++id) {
        clients.push_back(std::make_unique<TestClient>(
            ring::Geometry{.arena_bytes = YOKE_ARENA_BYTES_MIN, .express_slots = 4, .bulk_slots = 4}));
        ASSERT_TRUE(executive->add_session(id, clients.back()->take_worker_side()));
    }
    // All in flight at once, then every result.
    for (unsigned round = 0; round < 3; ++round) {
        for (const auto& client : clients) {
            ASSERT_GE(client->express->submit(client->echo(0, 65536, 100), nullptr), 0);
            ASSERT_GE(client->bulk->submit(client->echo(0, 131072, 100), nullptr), 0);
        }
        for (const auto& client : clients) {
            yoke_completion c{};
            ASSERT_TRUE(client->wait(YOKE_RING_EXPRESS, round, c));
            ASSERT_EQ(c.status, 0);
            ASSERT_TRUE(client->wait(YOKE_RING_BULK, round, c));
            ASSERT_EQ(c.status, 0);
        }
    }
    for (SessionId id = 1; id <= count; id += 2) {
        executive->remove_session(id);
    }
    EXPECT_EQ(clients[1]->call(YOKE_RING_BULK, clients[1]->echo(0, 65536, 100)).status, 0);
}

}  // namespace
}  // namespace yoke::executive
