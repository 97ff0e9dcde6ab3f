// Graphs through libyoke: built by the nine calls, fed by push, read by pull.
#include <numeric>

#include "support/client.hpp"

namespace yoke::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

using ClientGraph = ClientTest;

TEST_F(ClientGraph, GraphsPushAndPull) {
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
        const auto result = graph.pull(out, sums, 60s);
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
    EXPECT_FALSE(graph.pull(out, sums, 60s));
    EXPECT_EQ(yoke_push(session.get(), 4711, data.data(), data.size(), 0, 0, nullptr), -ENOENT);
}

// A graph of one ptask that copies, for the tests of deaths.
struct Copier {
    explicit Copier(Session& session) : graph(session, "/copier") {
        graph.port("only:in", YOKE_IN, Form("u8", {64}));
        graph.port("only:out", YOKE_OUT, Form("u8", {64}));
        yoke_kernel kernel{};
        kernel.source =
            "kernel void copy(global const uchar *in, global uchar *out) { out[get_global_id(0)] = "
            "in[get_global_id(0)]; }";
        kernel.function = "copy";
        graph.ptask("only", kernel, {"in", "out"});
        in = graph.channel("in", "", "only:in");
        out = graph.channel("out", "only:out", "");
        graph.run();
    }

    Graph graph;
    std::uint32_t in = 0;
    std::uint32_t out = 0;
};

TEST_F(ClientGraph, AGraphIsRestartedAfterItsWorkersDeathAndSaysSo) {
    Session session(options_for(instance_));
    Copier copier(session);
    Buffer data = session.alloc(64);
    Buffer back = session.alloc(64);
    for (int round = 0; round < 3; round++) {
        fill(data, static_cast<std::uint64_t>(round));
        copier.graph.push(copier.in, data);
        copier.graph.push(copier.in, data);
        ASSERT_TRUE(copier.graph.pull(copier.out, back, 60s));
        EXPECT_TRUE(std::ranges::equal(data.bytes(), back.bytes()));
        instance_.kill_worker(worker(session));
        yoke_result result{};
        EXPECT_EQ(yoke_pull(session.get(), copier.out, back.data(), 64, 0, &result), -ERESTART);
        EXPECT_EQ(result.detail, 1U) << "two were pushed and one was pulled";
        EXPECT_THAT(yoke_error(session.get()), HasSubstr("restarted"));
    }
    EXPECT_EQ(session.info().reconnects, 3U);
}

TEST_F(ClientGraph, APullThatWaitsHearsOfTheRestart) {
    Session session(options_for(instance_));
    Copier copier(session);
    Buffer memory = session.alloc(128);
    yoke_ticket ticket = 0;
    ASSERT_EQ(yoke_submit_pull(session.get(), copier.out, memory.data(), 64, 0, nullptr, nullptr, &ticket), 0);
    EXPECT_FALSE(session.wait(ticket, 20ms));
    instance_.kill_worker(worker(session));
    const auto result = session.wait(ticket, 60s);
    ASSERT_TRUE(result);
    EXPECT_EQ(result->status, -ERESTART);
    EXPECT_EQ(result->detail, 0U);
    copier.graph.push(copier.in, memory.bytes().first(64));
    EXPECT_TRUE(copier.graph.pull(copier.out, memory.bytes().subspan(64), 60s));
}

TEST_F(ClientGraph, ATerminatedGraphStaysTerminated) {
    Session session(options_for(instance_));
    std::uint32_t in = 0;
    {
        const Copier copier(session);
        in = copier.in;
    }
    Buffer memory = session.alloc(64);
    EXPECT_EQ(yoke_push(session.get(), in, memory.data(), 64, 0, 0, nullptr), -ENOENT);
    instance_.kill_worker(worker(session));
    session.call(
        Call(YOKE_SERVICE_ECHO, memory.bytes().first(32), memory.bytes().subspan(32)).place(YOKE_PLACE_WORKER));
    EXPECT_EQ(yoke_run_graph(session.get(), "/copier"), -ENOENT);
    const Copier again(session);
}

TEST_F(ClientGraph, KernelsThatDoNotCompileAreExplained) {
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

}  // namespace
}  // namespace yoke::test
