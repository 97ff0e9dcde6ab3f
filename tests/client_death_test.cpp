// Deadlines, quarantine and deaths: whatever happens to workers and yoked, every call ends with a right result or a
// typed error, and no executor writes into memory that is in use again.
#include <atomic>
#include <set>
#include <thread>
#include <vector>

#include "support/client.hpp"

namespace yoke::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

using ClientDeath = ClientTest;

TEST_F(ClientDeath, ALateWorkerNeverWritesIntoMemoryInUse) {
    Session session(options_for(instance_));
    Buffer in = session.alloc(4096);
    fill(in, 1);
    void* memory = nullptr;
    ASSERT_EQ(yoke_alloc(session.get(), 4096, &memory), 0);
    const std::span<std::byte> out(static_cast<std::byte*>(memory), 4096);
    std::ranges::fill(out, std::byte{0xee});
    const std::uint64_t free_before = session.info().arena_free;
    yoke_result result{};
    {
        Stopped stopped(worker(session));
        const yoke_call call = Call(YOKE_SERVICE_ECHO, in, out).place(YOKE_PLACE_WORKER).timeout(30ms).raw();
        const auto begun = std::chrono::steady_clock::now();
        EXPECT_EQ(yoke_call_sync(session.get(), &call, &result), -ETIME);
        EXPECT_GE(std::chrono::steady_clock::now() - begun, 30ms);
        EXPECT_EQ(session.info().quarantined, 8192U);
        // New calls that would write there, or read what may still change, are refused wherever they would run.
        for (const yoke_place place : {YOKE_PLACE_CALLER, YOKE_PLACE_AUTO, YOKE_PLACE_WORKER}) {
            const yoke_call again = Call(YOKE_SERVICE_ECHO, in, out).place(place).raw();
            EXPECT_EQ(yoke_call_sync(session.get(), &again, nullptr), -EBUSY);
            std::array<std::byte, 64> mine{};
            const yoke_call reads = Call(YOKE_SERVICE_ECHO, out.first(64), mine).place(YOKE_PLACE_AUTO).raw();
            EXPECT_EQ(yoke_call_sync(session.get(), &reads, nullptr), -EBUSY);
        }
        // Freed memory is not handed out again.
        EXPECT_EQ(yoke_free(session.get(), memory), 0);
        EXPECT_EQ(session.info().arena_free, free_before);
        EXPECT_EQ(yoke_free(session.get(), memory), -EINVAL) << "freed twice";
        std::vector<Buffer> all;
        void* next = nullptr;
        while (yoke_alloc(session.get(), 4096, &next) == 0) {
            const auto* begin = static_cast<std::byte*>(next);
            EXPECT_TRUE(begin + 4096 <= out.data() || begin >= out.data() + out.size());
        }
        EXPECT_TRUE(std::ranges::all_of(out, [](std::byte b) { return b == std::byte{0xee}; }));
    }
    EXPECT_TRUE(eventually([&] { return session.info().quarantined == 0; }));
    EXPECT_GE(session.info().arena_free, 4096U) << "the freed block did not come back";
    EXPECT_EQ(session.info().reconnects, 0U);
}

TEST_F(ClientDeath, QuarantineEndsWithTheWorker) {
    Session session(options_for(instance_));
    Buffer in = session.alloc(4096);
    Buffer out = session.alloc(4096);
    const pid_t first = worker(session);
    const Stopped stopped(first);
    const yoke_call call = Call(YOKE_SERVICE_ECHO, in, out).place(YOKE_PLACE_WORKER).timeout(20ms).raw();
    EXPECT_EQ(yoke_call_sync(session.get(), &call, nullptr), -ETIME);
    EXPECT_GT(session.info().quarantined, 0U);
    instance_.kill_worker(first);
    EXPECT_TRUE(eventually([&] { return session.info().quarantined == 0; }));
    EXPECT_EQ(session.call(Call(YOKE_SERVICE_ECHO, in, out).place(YOKE_PLACE_WORKER)).status, 0);
    EXPECT_NE(worker(session), first);
    EXPECT_EQ(session.info().reconnects, 1U);
}

TEST_F(ClientDeath, WithoutAWorkerCallsRunHereOrFailTyped) {
    Session session(options_for(instance_));
    Buffer in = session.alloc(4096);
    Buffer out = session.alloc(4096);
    fill(in, 4);
    const Key key = session.key(YOKE_SERVICE_AES_XTS, key_bytes());
    const pid_t first = worker(session);
    const Stopped stopped(first);
    const auto call = [&](yoke_place place) {
        return Call(YOKE_SERVICE_AES_XTS, in, out).key(key).params(xts(1)).place(place);
    };
    const yoke_ticket waiting = session.submit(call(YOKE_PLACE_WORKER));
    instance_.kill_yoked();
    instance_.kill_worker(first);
    const auto result = session.wait(waiting, 60s);
    ASSERT_TRUE(result);
    EXPECT_EQ(result->status, -ENOTCONN) << "not begun, and no worker to repeat it";
    const Call again = call(YOKE_PLACE_WORKER);
    const yoke_call raw = again.raw();
    EXPECT_EQ(yoke_call_sync(session.get(), &raw, nullptr), -ENOTCONN);
    EXPECT_EQ(session.call(call(YOKE_PLACE_AUTO)).where, YOKE_WHERE_CALLER);
    ASSERT_TRUE(instance_.start()) << instance_.error();
    EXPECT_TRUE(eventually([&] { return yoke_call_sync(session.get(), &raw, nullptr) == 0; }));
    EXPECT_GE(session.info().reconnects, 1U);
}

// One thread of the storm: calls of all kinds, each checked.
struct Tally {
    std::atomic<std::uint64_t> right{0};
    std::atomic<std::uint64_t> failed{0};
    std::atomic<std::uint64_t> wrong{0};
    std::atomic<std::uint64_t> repeated{0};
    std::atomic<std::uint64_t> reconnects{0};
};

bool typed(int status) {
    static const std::set<int> known = {-EIO, -ENOTCONN, -EBUSY, -ETIME, -ECONNRESET};
    return known.contains(status);
}

void storm(const yoke_options& options, unsigned seed, const std::atomic<bool>& stop, Tally& tally) {
    Session session(options);
    const Key key = session.key(YOKE_SERVICE_AES_XTS, key_bytes());
    constexpr std::size_t places = 24;
    constexpr std::size_t block = 128 * 1024;
    Buffer in = session.alloc(block);
    Buffer expected = session.alloc(block);
    Buffer out = session.alloc(places * block);
    fill(in, seed);
    session.call(Call(YOKE_SERVICE_AES_XTS, in, expected).key(key).params(xts(seed)).place(YOKE_PLACE_CALLER));
    std::vector<bool> busy(places, false);
    std::mt19937 random(seed);
    const auto judge = [&](int status, std::span<const std::byte> got) {
        if (status != 0) {
            (typed(status) ? tally.failed : tally.wrong)++;
        } else {
            (std::ranges::equal(got, expected.bytes().first(got.size())) ? tally.right : tally.wrong)++;
        }
    };
    while (!stop) {
        for (std::size_t k = 0; k < places; k++) {
            if (busy[k]) {
                continue;
            }
            const std::size_t bytes = random() % 4 == 0 ? block : 512 * (1 + random() % 16);
            const auto target = out.bytes().subspan(k * block, bytes);
            std::ranges::fill(target, std::byte{0});
            const auto call = Call(YOKE_SERVICE_AES_XTS, in.bytes().first(bytes), target)
                                  .key(key)
                                  .params(xts(seed))
                                  .place(random() % 4 == 0 ? YOKE_PLACE_AUTO : YOKE_PLACE_WORKER);
            try {
                if (random() % 4 == 0) {
                    session.call(call);
                    judge(0, target);
                } else {
                    session.submit(call, [&, k, target](const yoke_result& result) {
                        busy[k] = false;
                        judge(result.status, target);
                    });
                    busy[k] = true;
                }
            } catch (const error& failure) {
                if (failure.code() != EAGAIN) {
                    judge(-failure.code(), {});
                }
            }
        }
        session.dispatch(1ms);
    }
    while (std::ranges::find(busy, true) != busy.end()) {
        if (session.dispatch(60s) == 0) {
            tally.wrong++;  // a call that never ends
            break;
        }
    }
    tally.repeated += session.info().repeated;
    tally.reconnects += session.info().reconnects;
}

// Some hundred more calls have ended right: the next kill hits a storm in full swing.
bool goes_on(const Tally& tally) {
    const std::uint64_t before = tally.right;
    return eventually([&] { return tally.right >= before + 250; });
}

TEST_F(ClientDeath, EveryCallEndsWhileWorkersAreKilled) {
    std::atomic<bool> stop{false};
    Tally tally;
    std::vector<std::thread> threads;
    for (unsigned k = 0; k < 4; k++) {
        threads.emplace_back([&, k] {
            try {
                storm(options_for(instance_, 8U << 20U), k + 1, stop, tally);
            } catch (const error& failure) {
                ADD_FAILURE() << failure.what();
            }
        });
    }
    int kills = 0;
    for (int k = 0; k < 8; k++) {
        EXPECT_TRUE(goes_on(tally));
        for (const pid_t pid : instance_.worker_pids()) {
            instance_.kill_worker(pid);
            kills++;
        }
    }
    EXPECT_TRUE(goes_on(tally));
    stop = true;
    for (std::thread& thread : threads) {
        thread.join();
    }
    EXPECT_EQ(tally.wrong, 0U);
    EXPECT_GT(tally.right, 1000U);
    EXPECT_GE(kills, 4);
    EXPECT_GT(tally.reconnects, 0U);
    std::printf("right %lu, typed errors %lu, repeated %lu, reconnects %lu of %d deaths\n", tally.right.load(),
                tally.failed.load(), tally.repeated.load(), tally.reconnects.load(), kills);
}

TEST_F(ClientDeath, EveryCallEndsWhileYokedAndWorkersAreKilled) {
    std::atomic<bool> stop{false};
    Tally tally;
    std::thread thread([&] {
        try {
            storm(options_for(instance_, 8U << 20U), 1, stop, tally);
        } catch (const error& failure) {
            ADD_FAILURE() << failure.what();
        }
    });
    for (int k = 0; k < 3; k++) {
        EXPECT_TRUE(goes_on(tally));
        const std::vector<pid_t> workers = instance_.worker_pids();
        instance_.kill_yoked();
        for (const pid_t pid : workers) {
            instance_.kill_worker(pid);
        }
        ASSERT_TRUE(instance_.start()) << instance_.error();
    }
    EXPECT_TRUE(goes_on(tally));
    stop = true;
    thread.join();
    EXPECT_EQ(tally.wrong, 0U);
    EXPECT_GT(tally.right, 100U);
    EXPECT_GT(tally.reconnects, 0U);
}

}  // namespace
}  // namespace yoke::test
