// Real programs on a machine with a CUDA device: yoked, a worker with its filter of system calls and the driver inside,
// and libyoke. Calls run on the resident kernel and through the bulk lane, graphs beside them, workers die.
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

}  // namespace
}  // namespace yoke::test
