// libyoke against a real yoked and a real worker: calls, deadlines and quarantine, fork, and the deaths of workers in
// the middle of thousands of calls. Whatever happens, a call ends with a right result or a typed error.
#include <yoke/yoke.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/instance.hpp"
#include "support/process_tree.hpp"

namespace yoke {
namespace {

using namespace std::chrono_literals;
using test::Instance;
using testing::HasSubstr;

// Tests kill workers on purpose, far more often than an honest account loses them.
constexpr const char* forgiving =
    "[lifetime]\nidle_exit_s = 60\n[supervision]\nsuspects_max = 1000000\nbackoff_first_ms = 1\nbackoff_max_ms = 50\n";

yoke_options options_for(const Instance& instance, std::uint64_t arena_bytes = 16U << 20U) {
    yoke_options options{};
    options.socket = instance.socket().c_str();
    options.arena_bytes = arena_bytes;
    return options;
}

std::array<std::byte, 64> key_bytes() {
    std::array<std::byte, 64> bytes{};
    for (std::size_t k = 0; k < bytes.size(); k++) {
        bytes[k] = static_cast<std::byte>(k * 37 + 11);
    }
    return bytes;
}

void fill(std::span<std::byte> memory, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    for (std::byte& byte : memory) {
        byte = static_cast<std::byte>(random());
    }
}

yoke_params_aes_xts xts(std::uint64_t start, std::uint32_t unit = 512) {
    yoke_params_aes_xts params{};
    std::memcpy(params.start, &start, sizeof(start));
    params.unit = unit;
    return params;
}

class Client : public testing::Test {
   protected:
    void SetUp() override { ASSERT_TRUE(instance_.ready()) << instance_.error(); }

    pid_t worker(Session& session) { return static_cast<pid_t>(session.info().worker_pid); }

    Instance instance_{{.config = forgiving, .environment = {}}};
};

TEST_F(Client, TheWorkerComputesWhatTheCallerComputes) {
    Session session(options_for(instance_));
    const Key key = session.key(YOKE_SERVICE_AES_XTS, key_bytes());
    for (const std::size_t bytes : {16UL, 48UL, 512UL, 4096UL, 30'000UL, 65'536UL, 1'000'000UL, 4UL << 20U}) {
        Buffer in = session.alloc(bytes);
        Buffer here = session.alloc(bytes);
        Buffer there = session.alloc(bytes);
        fill(in, bytes);
        const auto params = xts(bytes);
        const auto call = [&](Buffer& out) { return Call(YOKE_SERVICE_AES_XTS, in, out).key(key).params(params); };
        const yoke_result mine = session.call(call(here).place(YOKE_PLACE_CALLER));
        const yoke_result theirs = session.call(call(there).place(YOKE_PLACE_WORKER));
        EXPECT_EQ(mine.where, YOKE_WHERE_CALLER);
        EXPECT_EQ(theirs.where, YOKE_WHERE_CPU);
        EXPECT_EQ(theirs.out_length, bytes);
        ASSERT_TRUE(std::ranges::equal(here.bytes(), there.bytes())) << bytes;
        session.call(
            Call(YOKE_SERVICE_AES_XTS, there, here).key(key).params(params).decrypt().place(YOKE_PLACE_WORKER));
        ASSERT_TRUE(std::ranges::equal(in.bytes(), here.bytes())) << bytes;
        Buffer digest_here = session.alloc(32);
        Buffer digest_there = session.alloc(32);
        session.call(Call(YOKE_SERVICE_SHA256, in, digest_here).place(YOKE_PLACE_CALLER));
        session.call(Call(YOKE_SERVICE_SHA256, in, digest_there).place(YOKE_PLACE_WORKER));
        ASSERT_TRUE(std::ranges::equal(digest_here.bytes(), digest_there.bytes())) << bytes;
    }
    const yoke_session_info info = session.info();
    EXPECT_EQ(info.in_flight, 0U);
    EXPECT_EQ(info.reconnects, 0U);
    EXPECT_EQ(info.quarantined, 0U);
    EXPECT_EQ(info.fallbacks, 0U);
}

TEST_F(Client, RefusesTheSameCallsInBothPlaces) {
    Session session(options_for(instance_));
    Buffer memory = session.alloc(4096);
    for (const yoke_place place : {YOKE_PLACE_CALLER, YOKE_PLACE_WORKER}) {
        const auto status = [&](const Call& call) {
            const yoke_call raw = call.raw();
            return yoke_call_sync(session.get(), &raw, nullptr);
        };
        EXPECT_EQ(status(Call(999, memory, {}).place(place)), -ENOSYS);
        EXPECT_EQ(status(Call(YOKE_SERVICE_ECHO, memory, memory).place(place)), -EINVAL);
        EXPECT_EQ(
            status(Call(YOKE_SERVICE_SHA256, memory.bytes().first(64), memory.bytes().subspan(64, 31)).place(place)),
            -EMSGSIZE);
        EXPECT_EQ(
            status(Call(YOKE_SERVICE_AES_ECB, memory.bytes().first(64), memory.bytes().subspan(64, 64)).place(place)),
            -ENOKEY);
    }
    std::array<std::byte, 64> outside{};
    const yoke_call call = Call(YOKE_SERVICE_ECHO, outside, memory).place(YOKE_PLACE_WORKER).raw();
    yoke_result result{};
    EXPECT_EQ(yoke_call_sync(session.get(), &call, &result), -EFAULT);
    EXPECT_EQ(result.detail, YOKE_MEMBER_INPUT);
    EXPECT_THAT(yoke_error(session.get()), HasSubstr("yoke_alloc"));
}

TEST_F(Client, BouncesInPlaceCalls) {
    Session session(options_for(instance_));
    const Key key = session.key(YOKE_SERVICE_AES_XTS, key_bytes());
    Buffer memory = session.alloc(100'000);
    fill(memory, 5);
    const std::uint64_t free_before = session.info().arena_free;
    const std::vector<std::byte> plain(memory.bytes().begin(), memory.bytes().end());
    const auto call = Call(YOKE_SERVICE_AES_XTS, memory, memory).key(key).params(xts(0)).place(YOKE_PLACE_WORKER);
    session.call_inplace(call);
    EXPECT_FALSE(std::ranges::equal(memory.bytes(), plain));
    session.call_inplace(Call(call).decrypt());
    EXPECT_TRUE(std::ranges::equal(memory.bytes(), plain));
    EXPECT_EQ(session.info().arena_free, free_before) << "the bounce memory was not given back";
}

TEST_F(Client, ThousandsInFlightEndOnceEach) {
    yoke_options options = options_for(instance_);
    options.express_slots = 16;
    options.bulk_slots = 8;
    Session session(options);
    constexpr std::size_t places = 64;
    constexpr std::size_t block = 96 * 1024;  // larger than the express ring takes
    Buffer in = session.alloc(block);
    Buffer out = session.alloc(places * block);
    fill(in, 7);
    std::vector<int> busy(places, 0);
    int ended = 0;
    int submitted = 0;
    while (ended < 3000) {
        for (std::size_t k = 0; k < places && submitted < 3000; k++) {
            if (busy[k] != 0) {
                continue;
            }
            const std::size_t bytes = submitted % 3 == 0 ? block : 64;
            const auto target = out.bytes().subspan(k * block, bytes);
            try {
                session.submit(Call(YOKE_SERVICE_ECHO, in.bytes().first(bytes), target).place(YOKE_PLACE_WORKER),
                               [&, k, target](const yoke_result& result) {
                                   EXPECT_EQ(result.status, 0);
                                   EXPECT_EQ(result.out_length, target.size());
                                   EXPECT_TRUE(std::ranges::equal(target, in.bytes().first(target.size())));
                                   std::ranges::fill(target, std::byte{0});
                                   EXPECT_EQ(busy[k]--, 1);
                                   ended++;
                               });
                busy[k]++;
                submitted++;
            } catch (const error& failure) {
                ASSERT_EQ(failure.code(), EAGAIN) << failure.what();
                break;
            }
        }
        session.dispatch(10s);
    }
    EXPECT_EQ(session.info().in_flight, 0U);
}

// A worker that is stopped answers nobody, as one that hangs.
class Stopped {
   public:
    explicit Stopped(pid_t worker) : worker_(worker) {
        ::kill(worker_, SIGSTOP);
        EXPECT_TRUE(test::eventually([this] { return all_threads_stopped(); }));
    }
    Stopped(const Stopped&) = delete;
    Stopped& operator=(const Stopped&) = delete;
    ~Stopped() { ::kill(worker_, SIGCONT); }

   private:
    [[nodiscard]] bool all_threads_stopped() const {
        const std::string tasks = "/proc/" + std::to_string(worker_) + "/task";
        const auto threads = std::filesystem::directory_iterator(tasks);
        return std::all_of(begin(threads), end(threads), [](const auto& thread) {
            std::ifstream stat(thread.path() / "stat");
            std::string line;
            std::getline(stat, line);
            return line.find(") T ") != std::string::npos;
        });
    }

    pid_t worker_;
};

TEST_F(Client, ALateWorkerNeverWritesIntoMemoryInUse) {
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
    EXPECT_TRUE(test::eventually([&] { return session.info().quarantined == 0; }));
    EXPECT_GE(session.info().arena_free, 4096U) << "the freed block did not come back";
    EXPECT_EQ(session.info().reconnects, 0U);
}

TEST_F(Client, QuarantineEndsWithTheWorker) {
    Session session(options_for(instance_));
    Buffer in = session.alloc(4096);
    Buffer out = session.alloc(4096);
    const pid_t first = worker(session);
    const Stopped stopped(first);
    const yoke_call call = Call(YOKE_SERVICE_ECHO, in, out).place(YOKE_PLACE_WORKER).timeout(20ms).raw();
    EXPECT_EQ(yoke_call_sync(session.get(), &call, nullptr), -ETIME);
    EXPECT_GT(session.info().quarantined, 0U);
    instance_.kill_worker(first);
    EXPECT_TRUE(test::eventually([&] { return session.info().quarantined == 0; }));
    EXPECT_EQ(session.call(Call(YOKE_SERVICE_ECHO, in, out).place(YOKE_PLACE_WORKER)).status, 0);
    EXPECT_NE(worker(session), first);
    EXPECT_EQ(session.info().reconnects, 1U);
}

TEST_F(Client, CancelEndsEarlyOrNotAtAll) {
    Session session(options_for(instance_));
    Buffer in = session.alloc(1U << 20U);
    Buffer out = session.alloc(1U << 20U);
    fill(in, 2);
    yoke_ticket first = 0;
    yoke_ticket second = 0;
    {
        const Stopped stopped(worker(session));
        first = session.submit(Call(YOKE_SERVICE_ECHO, in, out).place(YOKE_PLACE_WORKER));
        second = session.submit(
            Call(YOKE_SERVICE_ECHO, in.bytes().first(64), out.bytes().first(64)).place(YOKE_PLACE_WORKER));
        EXPECT_FALSE(session.wait(first, 0ns));
        EXPECT_FALSE(session.wait(second, 1ms));
        session.cancel(first);
        session.cancel(second);
        EXPECT_FALSE(session.wait(first, 0ns)) << "a cancelled call ends when its executor says so";
    }
    for (const yoke_ticket ticket : {first, second}) {
        const auto result = session.wait(ticket, 20s);
        ASSERT_TRUE(result);
        EXPECT_TRUE(result->status == -ECANCELED || result->status == 0) << result->status;
    }
    EXPECT_THROW(session.cancel(first), error);
}

TEST_F(Client, CloseWithCallsInFlightDisturbsNobody) {
    Session other(options_for(instance_));
    Buffer in = other.alloc(4096);
    Buffer out = other.alloc(4096);
    {
        Session session(options_for(instance_));
        Buffer mine = session.alloc(8U << 20U);
        const Stopped stopped(worker(session));
        for (std::size_t k = 0; k < 20; k++) {
            session.submit(Call(YOKE_SERVICE_ECHO, mine.bytes().first(4096 * (k + 1)),
                                mine.bytes().subspan(4U << 20U, 4096 * (k + 1)))
                               .place(YOKE_PLACE_WORKER),
                           [](const yoke_result&) { ADD_FAILURE() << "called after close"; });
        }
        Session closing(std::move(session));
    }
    fill(in, 9);
    for (int k = 0; k < 100; k++) {
        other.call(Call(YOKE_SERVICE_ECHO, in, out).place(YOKE_PLACE_WORKER));
        ASSERT_TRUE(std::ranges::equal(in.bytes(), out.bytes()));
    }
}

TEST_F(Client, AKeyDestroyedInFlightStillServesItsCalls) {
    Session session(options_for(instance_));
    Buffer in = session.alloc(65536);
    Buffer out = session.alloc(65536);
    Buffer expected = session.alloc(65536);
    fill(in, 3);
    yoke_ticket ticket = 0;
    {
        std::optional<Key> key(session.key(YOKE_SERVICE_AES_XTS, key_bytes()));
        session.call(Call(YOKE_SERVICE_AES_XTS, in, expected).key(*key).params(xts(0)).place(YOKE_PLACE_CALLER));
        const Stopped stopped(worker(session));
        ticket = session.submit(Call(YOKE_SERVICE_AES_XTS, in, out).key(*key).params(xts(0)).place(YOKE_PLACE_WORKER));
        key.reset();
    }
    const auto result = session.wait(ticket, 20s);
    ASSERT_TRUE(result);
    EXPECT_EQ(result->status, 0);
    EXPECT_TRUE(std::ranges::equal(out.bytes(), expected.bytes()));
}

TEST_F(Client, AChildOfForkOpensItsOwnSession) {
    Session session(options_for(instance_));
    Buffer in = session.alloc(64);
    Buffer out = session.alloc(64);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        const yoke_call call = Call(YOKE_SERVICE_ECHO, in, out).place(YOKE_PLACE_WORKER).raw();
        int failures = yoke_call_sync(session.get(), &call, nullptr) != -ECHILD;
        yoke_close(session.get());
        try {
            Session own(options_for(instance_));
            Buffer mine = own.alloc(128);
            own.call(
                Call(YOKE_SERVICE_ECHO, mine.bytes().first(64), mine.bytes().subspan(64)).place(YOKE_PLACE_WORKER));
        } catch (const error&) {
            failures += 2;
        }
        ::_exit(failures);
    }
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    for (int k = 0; k < 100; k++) {
        EXPECT_EQ(session.call(Call(YOKE_SERVICE_ECHO, in, out).place(YOKE_PLACE_WORKER)).status, 0);
    }
}

TEST_F(Client, WithoutAWorkerCallsRunHereOrFailTyped) {
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
    const auto result = session.wait(waiting, 20s);
    ASSERT_TRUE(result);
    EXPECT_EQ(result->status, -ENOTCONN) << "not begun, and no worker to repeat it";
    const yoke_call raw = call(YOKE_PLACE_WORKER).raw();
    EXPECT_EQ(yoke_call_sync(session.get(), &raw, nullptr), -ENOTCONN);
    EXPECT_EQ(session.call(call(YOKE_PLACE_AUTO)).where, YOKE_WHERE_CALLER);
    ASSERT_TRUE(instance_.start()) << instance_.error();
    EXPECT_TRUE(test::eventually([&] { return yoke_call_sync(session.get(), &raw, nullptr) == 0; }));
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
        if (session.dispatch(20s) == 0) {
            tally.wrong++;  // a call that never ends
            break;
        }
    }
    tally.repeated += session.info().repeated;
    tally.reconnects += session.info().reconnects;
}

TEST_F(Client, EveryCallEndsWhileWorkersAreKilled) {
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
        std::this_thread::sleep_for(250ms);
        for (const pid_t pid : instance_.worker_pids()) {
            instance_.kill_worker(pid);
            kills++;
        }
    }
    std::this_thread::sleep_for(300ms);
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

TEST_F(Client, EveryCallEndsWhileYokedAndWorkersAreKilled) {
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
        std::this_thread::sleep_for(250ms);
        const std::vector<pid_t> workers = instance_.worker_pids();
        instance_.kill_yoked();
        for (const pid_t pid : workers) {
            instance_.kill_worker(pid);
        }
        ASSERT_TRUE(instance_.start()) << instance_.error();
    }
    std::this_thread::sleep_for(250ms);
    stop = true;
    thread.join();
    EXPECT_EQ(tally.wrong, 0U);
    EXPECT_GT(tally.right, 100U);
    EXPECT_GT(tally.reconnects, 0U);
}

TEST_F(Client, GraphsPushAndPull) {
    Session session(options_for(instance_));
    Graph graph(session, "/pair");
    const Form row("i32", {256});
    for (const char* ptask : {"first", "second"}) {
        graph.port(std::string(ptask) + ":in", YOKE_IN, row);
        graph.port(std::string(ptask) + ":out", YOKE_OUT, row);
        yoke_kernel kernel{};
        kernel.source =
            "kernel void add(global const int *in, global int *out, int n) { int i = get_global_id(0); out[i] = in[i] "
            "+ n; }";
        kernel.function = "add";
        graph.ptask(ptask, kernel, {"in", "out", std::int32_t{1}});
    }
    const std::uint32_t in = graph.channel("numbers", "", "first:in");
    graph.channel("between", "first:out", "second:in");
    const std::uint32_t out = graph.channel("sums", "second:out", "");
    graph.run();
    Buffer data = session.alloc(1024);
    Buffer sums = session.alloc(1024);
    for (std::int32_t round = 0; round < 50; round++) {
        const auto numbers = data.as<std::int32_t>();
        std::iota(numbers.begin(), numbers.end(), round);
        graph.push(in, data);
        const auto result = graph.pull(out, sums, 20s);
        ASSERT_TRUE(result);
        EXPECT_EQ(result->sequence, static_cast<std::uint64_t>(round));
        for (std::size_t k = 0; k < 256; k++) {
            ASSERT_EQ(sums.as<std::int32_t>()[k], round + 2 + static_cast<std::int32_t>(k));
        }
    }
    yoke_result result{};
    EXPECT_EQ(yoke_pull(session.get(), out, sums.data(), sums.size(), 20'000'000, &result), -ETIME);
    EXPECT_EQ(session.info().quarantined, 0U) << "the worker ends a pull at its deadline by itself";
    graph.push(in, {}, YOKE_FLAG_END);
    EXPECT_FALSE(graph.pull(out, sums, 20s));
    EXPECT_EQ(yoke_push(session.get(), 4711, data.data(), data.size(), 0, 0, nullptr), -ENOENT);
}

TEST_F(Client, AGraphDiesWithItsWorkerAndSaysSo) {
    Session session(options_for(instance_));
    Graph graph(session, "/lone");
    graph.port("only:in", YOKE_IN, Form("u8", {64}));
    graph.port("only:out", YOKE_OUT, Form("u8", {64}));
    yoke_kernel kernel{};
    kernel.source =
        "kernel void copy(global const uchar *in, global uchar *out) { out[get_global_id(0)] = in[get_global_id(0)]; }";
    kernel.function = "copy";
    graph.ptask("only", kernel, {"in", "out"});
    graph.channel("in", "", "only:in");
    const std::uint32_t out = graph.channel("out", "only:out", "");
    graph.run();
    Buffer memory = session.alloc(64);
    yoke_ticket ticket = 0;
    ASSERT_EQ(yoke_submit_pull(session.get(), out, memory.data(), 64, 0, nullptr, nullptr, &ticket), 0);
    EXPECT_FALSE(session.wait(ticket, 20ms));
    instance_.kill_worker(worker(session));
    const auto result = session.wait(ticket, 20s);
    ASSERT_TRUE(result);
    EXPECT_TRUE(result->status == -EIO || result->status == -ERESTART) << result->status;
}

TEST_F(Client, KernelsThatDoNotCompileAreExplained) {
    Session session(options_for(instance_));
    Graph graph(session, "/broken");
    graph.port("bad:in", YOKE_IN, Form("u8", {64}));
    graph.port("bad:out", YOKE_OUT, Form("u8", {64}));
    yoke_kernel kernel{};
    kernel.source = "kernel void f(global const uchar *in, global uchar *out)\n{\n    nonsense;\n}\n";
    kernel.source_name = "bad.cl";
    kernel.function = "f";
    try {
        graph.ptask("bad", kernel, {"in", "out"});
        FAIL() << "nonsense compiled";
    } catch (const error& failure) {
        EXPECT_EQ(failure.code(), ENOEXEC);
        EXPECT_THAT(failure.what(), HasSubstr("nonsense"));
        EXPECT_THAT(failure.what(), HasSubstr("3"));
    }
}

TEST_F(Client, AsksTheDaemon) {
    char* answer = nullptr;
    ASSERT_EQ(yoke_ask_daemon(instance_.socket().c_str(), 0, R"({"op": "status"})", &answer), 0) << yoke_error(nullptr);
    EXPECT_THAT(answer, HasSubstr("\"version\""));
    std::free(answer);
    EXPECT_EQ(yoke_ask_daemon(instance_.socket().c_str(), 0, R"({"op": "nonsense"})", &answer), -ENOSYS);
    EXPECT_EQ(answer, nullptr);
    EXPECT_EQ(yoke_ask_daemon(instance_.socket().c_str(), 0, "no JSON", &answer), -EBADMSG);
}

TEST_F(Client, ExceptionsOfCallbacksReachTheCaller) {
    Session session(options_for(instance_));
    Buffer memory = session.alloc(128);
    session.submit(
        Call(YOKE_SERVICE_ECHO, memory.bytes().first(64), memory.bytes().subspan(64)).place(YOKE_PLACE_WORKER),
        [](const yoke_result&) { throw std::runtime_error("from the callback"); });
    EXPECT_THROW(session.dispatch(20s), std::runtime_error);
    EXPECT_EQ(session.dispatch(0ns), 0);
}

}  // namespace
}  // namespace yoke
