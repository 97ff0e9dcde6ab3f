// Real programs on a machine with a CUDA device: yoked, a worker with its filter of system calls and the driver inside,
// and libyoke. Calls run on the resident kernel and through the bulk lane, graphs beside them, workers die.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "support/client.hpp"

namespace yoke::test {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t words = 16U * 1024U;

constexpr const char* source =
    "kernel void add(global const int *in, global int *out, int n) {\n"
    "    size_t i = get_global_id(0); out[i] = in[i] + n; }\n"
    "kernel void slow(global const int *in, global int *out, int n) {\n"
    "    size_t i = get_global_id(0); int x = in[i];\n"
    "    for (int k = 0; k < 40000; ++k) x = x * 1664525 + n;\n"
    "    out[i] = in[i] + n + (x == 12345 ? 1 : 0) - (x == 12345 ? 1 : 0); }\n"
    "kernel void burn(volatile global const int *in, global int *out) {\n"
    "    size_t warp = get_global_id(0) / 32; int rounds = in[0]; int x = 0;\n"
    "    for (int k = 0; k < rounds; ++k) x += in[8 + ((warp + k + x) * 8) % 131072];\n"
    "    out[get_global_id(0) % 64] = x; }\n"
    "kernel void stray(global const int *in, global int *out, int n) {\n"
    "    size_t i = get_global_id(0); out[(size_t)in[i] * (size_t)1000000000] = n; }\n";

// A chain of `length` ptasks of one function.
class Chain {
   public:
    Chain(Session& session, const std::string& name, const char* function, int length, std::int32_t n)
        : graph_(session, name),
          from_(session.alloc(words * sizeof(std::int32_t))),
          to_(session.alloc(words * sizeof(std::int32_t))) {
        yoke_kernel kernel{};
        kernel.source = source;
        kernel.function = function;
        for (int k = 0; k < length; ++k) {
            const std::string ptask = "p" + std::to_string(k);
            graph_.port(ptask + ":in", YOKE_IN, Form("i32", {words}));
            graph_.port(ptask + ":out", YOKE_OUT, Form("i32", {words}));
            graph_.ptask(ptask, kernel, {"in", "out", Argument(n)});
            if (k == 0) {
                in_ = graph_.channel("in", "", ptask + ":in", 4);
            } else {
                graph_.channel("c" + std::to_string(k), "p" + std::to_string(k - 1) + ":out", ptask + ":in", 4);
            }
        }
        out_ = graph_.channel("out", "p" + std::to_string(length - 1) + ":out", "", 4);
        graph_.run();
    }
    void push(std::span<const std::int32_t> values) {
        std::memcpy(from_.data(), values.data(), from_.size());
        graph_.push(in_, from_.bytes(), 0, 30s);
    }
    bool pull(std::span<std::int32_t> values) {
        const bool any = graph_.pull(out_, to_.bytes(), 30s).has_value();
        std::memcpy(values.data(), to_.data(), to_.size());
        return any;
    }

   private:
    Graph graph_;
    Buffer from_;
    Buffer to_;
    std::uint32_t in_ = 0;
    std::uint32_t out_ = 0;
};

// A kernel that fills every multiprocessor of the device for a time, with work-groups that all end at about the same
// time: each warp follows a chain of loads, every one at an address that the one before it told, and waits for nearly
// all of its time. So it does not matter which warps a multiprocessor prefers, as it would with arithmetic, where older
// warps end long before the others and make room. The loads are volatile, which keeps them out of the multiprocessor's
// own cache; each is of a word for a whole warp, and the warps walk through all of the memory, near and far.
class Burner {
   public:
    explicit Burner(Session& session)
        : graph_(session, "/burner"), from_(session.alloc(in_words * 4)), to_(session.alloc(out_words * 4)) {
        yoke_kernel kernel{};
        kernel.source = source;
        kernel.function = "burn";
        kernel.geometry[0] = 132U * 2048U;  // what is resident at a time on the largest device this was run on
        kernel.local[0] = 256;              // the most that the kernel compiler allows where a kernel does not ask
        graph_.port("p:in", YOKE_IN, Form("i32", {in_words}));
        graph_.port("p:out", YOKE_OUT, Form("i32", {out_words}));
        graph_.ptask("p", kernel, {"in", "out"});
        in_ = graph_.channel("in", "", "p:in", 2);
        out_ = graph_.channel("out", "p:out", "", 2);
        graph_.run();
        std::memset(from_.data(), 0, from_.size());
        // How many rounds take a second? One run sees the code loaded; the others may be disturbed, so the fastest.
        begin(1000);
        end();
        for (int k = 0; k < 3; ++k) {
            const auto start = std::chrono::steady_clock::now();
            begin(trial);
            end();
            const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
            per_second_ = std::max(per_second_, trial / took.count());
        }
    }
    [[nodiscard]] std::int32_t rounds_of(std::chrono::duration<double> time) const {
        return static_cast<std::int32_t>(per_second_ * time.count());
    }
    void begin(std::int32_t rounds) {
        std::memcpy(from_.data(), &rounds, sizeof(rounds));
        graph_.push(in_, from_.bytes(), 0, 30s);
    }
    void end() { EXPECT_TRUE(graph_.pull(out_, to_.bytes(), 30s).has_value()); }

   private:
    static constexpr std::size_t in_words = 8 + 131'072;  // the rounds, and what the loads find: zeros
    static constexpr std::size_t out_words = 64;
    static constexpr std::int32_t trial = 200'000;
    Graph graph_;
    Buffer from_;
    Buffer to_;
    std::uint32_t in_ = 0;
    std::uint32_t out_ = 0;
    double per_second_ = 0;
};

class GpuProgram : public ClientTest {
   protected:
    void SetUp() override {
        ClientTest::SetUp();
        Session session(options_for(instance_));
        const auto list = [this] { return instance_.ask({{"op", "list"}}); };
        EXPECT_TRUE(eventually([&] {
            const auto now = list();
            return now && !now->body["devices"].empty() && now->body["devices"][0]["state"] != "opening";
        }));
        const auto now = list();
        ASSERT_TRUE(now);
        for (const auto& device : now->body["devices"]) {
            if (device["name"] == "cuda") {
                return;
            }
        }
        GTEST_SKIP() << "the worker has no CUDA device: " << now->body["devices"].dump() << instance_.log();
    }

    // Calls until one is served by the resident kernel.
    static bool reaches_kernel(Session& session) {
        Buffer in = session.alloc(512);
        Buffer out = session.alloc(512);
        const auto end = std::chrono::steady_clock::now() + 30s;  // a new worker opens the device first
        while (std::chrono::steady_clock::now() < end) {
            const yoke_result result = session.call(Call(YOKE_SERVICE_ECHO, in, out).place(YOKE_PLACE_WORKER));
            if (result.where == YOKE_WHERE_NSK) {
                return true;
            }
        }
        return false;
    }
};

TEST_F(GpuProgram, CallsRunOnTheResidentKernelAndThroughTheBulkLane) {
    Session session(options_for(instance_, 64U << 20U));
    EXPECT_TRUE(reaches_kernel(session)) << instance_.log();
    const Key key = session.key(YOKE_SERVICE_AES_XTS, key_bytes());
    std::map<int, std::size_t> where;
    for (int round = 0; round < 3000; ++round) {
        const std::size_t bytes = round % 300 == 299 ? 4UL << 20U : 16UL * (1 + static_cast<std::size_t>(round) % 256);
        Buffer in = session.alloc(bytes);
        Buffer here = session.alloc(bytes);
        Buffer there = session.alloc(bytes);
        fill(in.bytes().first(16), static_cast<std::uint64_t>(round));
        std::memset(there.data(), 0xa5, bytes);
        const auto params = xts(static_cast<std::uint64_t>(round));
        const auto call = [&](Buffer& out) { return Call(YOKE_SERVICE_AES_XTS, in, out).key(key).params(params); };
        session.call(call(here).place(YOKE_PLACE_CALLER));
        ++where[session.call(call(there).place(YOKE_PLACE_WORKER)).where];
        ASSERT_TRUE(std::ranges::equal(here.bytes(), there.bytes())) << round;
    }
    EXPECT_GT(where[YOKE_WHERE_NSK], 100U) << testing::PrintToString(where);
    EXPECT_GT(where[YOKE_WHERE_CUDA], 0U) << testing::PrintToString(where);
}

TEST_F(GpuProgram, GraphsRunBesideTheResidentKernel) {
    Session calls(options_for(instance_));
    ASSERT_TRUE(reaches_kernel(calls));
    std::atomic<bool> over{false};
    std::atomic<std::size_t> rounds{0};
    std::thread graphs([&] {
        Session session(options_for(instance_));
        for (int build = 0; build < 5; ++build) {  // code is loaded beside calls
            Chain chain(session, "/beside" + std::to_string(build), build % 2 == 0 ? "add" : "slow", 3, build);
            std::vector<std::int32_t> in(words);
            std::vector<std::int32_t> out(words);
            for (std::int32_t round = 0; round < 200; ++round) {
                std::fill(in.begin(), in.end(), round);
                chain.push(in);
                EXPECT_TRUE(chain.pull(out));
                EXPECT_EQ(std::count(out.begin(), out.end(), round + 3 * build), words) << build << " " << round;
                ++rounds;
            }
        }
        over.store(true);
    });
    Buffer in = calls.alloc(4096);
    Buffer out = calls.alloc(4096);
    std::size_t on_kernel = 0;
    std::size_t all = 0;
    while (!over.load()) {
        fill(in.bytes().first(64), all);
        const yoke_result result = calls.call(Call(YOKE_SERVICE_ECHO, in, out).place(YOKE_PLACE_WORKER));
        on_kernel += result.where == YOKE_WHERE_NSK ? 1 : 0;
        ++all;
        ASSERT_TRUE(std::ranges::equal(in.bytes(), out.bytes()));
    }
    graphs.join();
    EXPECT_EQ(rounds, 1000U);
    EXPECT_GT(on_kernel, all / 4) << "of " << all;
    const auto list = instance_.ask({{"op", "list"}});
    ASSERT_TRUE(list);
    EXPECT_EQ(list->body["devices"][0]["name"], "cuda") << list->body["devices"].dump();
}

TEST_F(GpuProgram, AWorkerKilledUnderLoadIsReplaced) {
    Session session(options_for(instance_));
    Buffer in = session.alloc(4096);
    Buffer out = session.alloc(4096);
    for (int death = 0; death < 3; ++death) {
        ASSERT_TRUE(reaches_kernel(session));
        const pid_t pid = worker(session);
        std::thread killer([this, pid] {
            std::this_thread::sleep_for(20ms);
            instance_.kill_worker(pid);
        });
        const auto end = std::chrono::steady_clock::now() + 3s;
        std::size_t repeated = 0;
        for (std::uint64_t n = 0; std::chrono::steady_clock::now() < end && worker(session) == pid; ++n) {
            fill(in, n);
            std::memset(out.data(), 0xa5, out.size());
            const yoke_result result = session.call(Call(YOKE_SERVICE_ECHO, in, out).place(YOKE_PLACE_WORKER));
            repeated += result.where == YOKE_WHERE_NSK ? 0 : 1;
            ASSERT_TRUE(std::ranges::equal(in.bytes(), out.bytes())) << n;
        }
        killer.join();
    }
    EXPECT_GE(session.info().reconnects, 3U);
}

// The context is lost with everything in it: the worker ends, calls go on at the next one.
TEST_F(GpuProgram, AStrayKernelEndsItsWorkerOnly) {
    Session calls(options_for(instance_));
    ASSERT_TRUE(reaches_kernel(calls));
    const pid_t pid = worker(calls);
    {
        Session session(options_for(instance_));
        Chain chain(session, "/stray", "stray", 1, 1);
        const std::vector<std::int32_t> in(words, 1'000'000);
        std::vector<std::int32_t> out(words);
        EXPECT_THROW(
            {
                chain.push(in);
                chain.pull(out);
            },
            error);
    }
    Buffer in = calls.alloc(4096);
    Buffer out = calls.alloc(4096);
    fill(in, 1);
    calls.call(Call(YOKE_SERVICE_ECHO, in, out).place(YOKE_PLACE_WORKER));
    EXPECT_TRUE(std::ranges::equal(in.bytes(), out.bytes()));
    EXPECT_NE(worker(calls), pid);
    EXPECT_TRUE(reaches_kernel(calls));
    Session session(options_for(instance_));
    Chain chain(session, "/good", "add", 1, 1);
    std::vector<std::int32_t> values(words, 41);
    chain.push(values);
    EXPECT_TRUE(chain.pull(values));
    EXPECT_EQ(values[words - 1], 42);
}

// A bulk call whose kernel waits for one that fills the device. Its deadline passes meanwhile, and its output comes two
// seconds later: into memory that is still quarantined, and nowhere else.
TEST_F(GpuProgram, AWriteTwoSecondsLateReachesOnlyQuarantinedMemory) {
    constexpr std::size_t bytes = 4U << 20U;
    Session session(options_for(instance_, 64U << 20U));
    Burner burner(session);
    ASSERT_TRUE(reaches_kernel(session));
    Buffer in = session.alloc(bytes);
    std::memset(in.data(), 0x11, bytes);
    Buffer warm = session.alloc(bytes);
    ASSERT_EQ(session.call(Call(YOKE_SERVICE_ECHO, in, warm).place(YOKE_PLACE_WORKER)).where, YOKE_WHERE_CUDA);
    void* memory = nullptr;
    ASSERT_EQ(yoke_alloc(session.get(), bytes, &memory), 0);
    std::memset(memory, 0xee, bytes);
    const std::span<std::byte> late(static_cast<std::byte*>(memory), bytes);

    // The resident kernel parks first; if it did so later, its processors would be free for the call.
    std::this_thread::sleep_for(100ms);
    // The first work-group to end makes room for the call.
    burner.begin(burner.rounds_of(5s));
    std::this_thread::sleep_for(100ms);
    const auto begun = std::chrono::steady_clock::now();
    const Call call = Call(YOKE_SERVICE_ECHO, in, late).place(YOKE_PLACE_WORKER).timeout(50ms);
    const yoke_call raw = call.raw();
    yoke_result result{};
    ASSERT_EQ(yoke_call_sync(session.get(), &raw, &result), -ETIME);
    ASSERT_EQ(yoke_free(session.get(), memory), 0);
    ASSERT_GE(session.info().quarantined, bytes);

    std::vector<Buffer> others;  // all that can be had is in use now
    for (std::size_t size = bytes; size >= 4096; size /= 2) {
        void* room = nullptr;
        while (yoke_alloc(session.get(), size, &room) == 0) {
            yoke_free(session.get(), room);
            others.push_back(session.alloc(size));
            std::memset(others.back().data(), 0x77, size);
            const auto* const at = others.back().data();
            ASSERT_TRUE(at + size <= late.data() || at >= late.data() + bytes) << "quarantined memory was given out";
        }
    }
    const auto all_are = [](std::span<const std::byte> span, int value) {
        return std::all_of(span.begin(), span.end(), [value](std::byte b) { return b == std::byte(value); });
    };
    EXPECT_TRUE(all_are(late, 0xee)) << "the output came before its time";
    EXPECT_TRUE(eventually([&] { return session.info().quarantined == 0; }));
    const std::chrono::duration<double> delay = std::chrono::steady_clock::now() - begun;
    EXPECT_GT(delay.count(), 2.0) << "the write did not come late enough to say anything";
    EXPECT_TRUE(all_are(late, 0x11)) << "the late write never came";
    for (const Buffer& other : others) {
        EXPECT_TRUE(all_are(other.bytes(), 0x77)) << "the late write changed memory that was in use";
    }
    EXPECT_TRUE(all_are(in.bytes(), 0x11));
    burner.end();
    RecordProperty("late_by_ms", static_cast<int>(delay.count() * 1000));
}

}  // namespace
}  // namespace yoke::test
