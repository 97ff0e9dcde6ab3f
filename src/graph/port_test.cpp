// Each kind of port and channel: what it keeps, makes, copies and lets pass.
#include "graph/test_builder.hpp"

namespace yoke::graph {
namespace {

using Kind = control::Predicate::Kind;
using testing::Test;

constexpr std::size_t items = 4;
constexpr std::uint8_t both_iteration = YOKE_SIGNAL_ITERATION_BEGIN | YOKE_SIGNAL_ITERATION_END;

class PortTest : public Test {
   protected:
    PortTest() {
        add_test_functions(device_);
        add_port_functions(device_);
    }

    void expect_pull(std::uint32_t channel, const Values& expected) {
        const auto pull = runtime_.pull(channel, items);
        ASSERT_EQ(pull->wait().status, 0);
        EXPECT_EQ(pull->values, expected);
    }
    void expect_end(std::uint32_t channel) { EXPECT_EQ(runtime_.pull(channel, items)->wait().status, -YOKE_ENODATA); }
    void push(std::uint32_t channel, std::int32_t value, std::uint8_t flags = 0) {
        EXPECT_EQ(runtime_.push(channel, Values(items, value), flags)->wait().status, 0);
    }
    void push_number(std::uint32_t channel, std::int32_t value) {
        EXPECT_EQ(runtime_.push(channel, Values(1, value))->wait().status, 0);
    }
    static Values all(std::int32_t value) { return Values(items, value); }

    device::HostDevice device_;
    TestRuntime runtime_{device_};
};

void sticky(PortDefinition& port) {
    port.sticky = true;
}
void init(PortDefinition& port) {
    port.init = true;
}
void variable(PortDefinition& port) {
    port.variable = true;
}
void iterations(PortDefinition& port) {
    port.meta = control::Meta::iterations;
    port.form = {"u32", {1, 1, 1}, 0};
}

TEST_F(PortTest, StickyKeepsItsLast) {
    Builder g(runtime_, "/g");
    g.port("p:a", Direction::in, items);
    g.port("p:b", Direction::in, items, sticky);
    g.port("p:out", Direction::out, items);
    g.ptask("p", "sum", {"a", "b", "out"});
    const auto a = g.channel("a", "", "p:a");
    const auto b = g.channel("b", "", "p:b");
    const auto out = g.channel("out", "p:out", "");
    g.run();
    push(b, 100);
    push(a, 1);
    push(a, 2);
    expect_pull(out, all(101));
    expect_pull(out, all(102));
    push(b, 200);  // alone it runs nothing: a is not there
    push(a, 3);
    expect_pull(out, all(203));
    push(b, 300, YOKE_FLAG_END);  // its stream may end: the last stays
    push(a, 4);
    push(a, 5, YOKE_FLAG_END);
    expect_pull(out, all(304));
    expect_pull(out, all(305));
    expect_end(out);
    g.terminate();
}

TEST_F(PortTest, OnlyStickyInputsRunWhenOneIsNew) {
    Builder g(runtime_, "/g");
    g.port("p:a", Direction::in, items, sticky);
    g.port("p:b", Direction::in, items, sticky);
    g.port("p:out", Direction::out, items);
    g.ptask("p", "sum", {"a", "b", "out"});
    const auto a = g.channel("a", "", "p:a");
    const auto b = g.channel("b", "", "p:b");
    const auto out = g.channel("out", "p:out", "");
    g.run();
    push(a, 1);
    push(b, 10);
    expect_pull(out, all(11));
    push(b, 20);
    expect_pull(out, all(21));
    EXPECT_EQ(runtime_.find("ptasks", "/g/p")["runs"].get<int>(), 2);
    push(a, 5, YOKE_FLAG_END);
    expect_pull(out, all(25));
    push(b, 30, YOKE_FLAG_END);
    expect_pull(out, all(35));
    expect_end(out);
    g.terminate();
}

TEST_F(PortTest, InitWithoutChannelIsFreshInEachRun) {
    Builder g(runtime_, "/g");
    g.port("p:sum", Direction::in_out, items, [](PortDefinition& port) {
        port.init = true;
        port.initial = {7, 0, 0, 0};
    });
    g.port("p:in", Direction::in, items);
    g.port("p:unused", Direction::out, items);
    g.ptask("p", "sum", {"in", "sum", "unused"});
    const auto in = g.channel("in", "", "p:in");
    const auto initial = g.channel("initial", "p:sum", "");
    const auto out = g.channel("out", "p:unused", "");
    g.run();
    for (int i = 0; i < 3; ++i) {
        push(in, i);
        expect_pull(out, all(7 + i));
        expect_pull(initial, all(7));
    }
    g.terminate();
}

TEST_F(PortTest, InitWithABackEdgeKeepsState) {
    for (const std::uint32_t capacity : {1U, 2U, 8U}) {
        Builder g(runtime_, "/g");
        g.port("p:in", Direction::in, items);
        g.port("p:state", Direction::in, items, init);
        g.port("p:out", Direction::out, items);
        g.ptask("p", "sum", {"in", "state", "out"});
        const auto in = g.channel("in", "", "p:in", capacity);
        g.channel("again", "p:out", "p:state", capacity, back_edge);
        const auto out = g.channel("out", "p:out", "", capacity);
        g.run();
        std::int32_t sum = 0;
        for (int i = 1; i <= 20; ++i) {
            push(in, i, i == 20 ? YOKE_FLAG_END : 0);
            expect_pull(out, all(sum += i));
        }
        expect_end(out);
        g.terminate();
    }
}

TEST_F(PortTest, APtaskWithoutInputsMakesAStream) {
    Builder g(runtime_, "/g");
    g.port("p:state", Direction::in_out, items, init);
    g.port("p:out", Direction::out, items);
    g.ptask("p", "count", {"state", "out"});
    g.channel("again", "p:state", "p:state", 1, back_edge);
    const auto out = g.channel("out", "p:out", "", 2);
    g.run();
    for (int i = 0; i < 10; ++i) {
        expect_pull(out, all(i));
    }
    g.terminate();
}

TEST_F(PortTest, SharedDatablocksAreCopiedBeforeTheyAreWritten) {
    Builder g(runtime_, "/g");
    g.port("p:in", Direction::in, items);
    g.port("p:out", Direction::out, items);
    g.ptask("p", "add", {"in", "out"}, {1});
    for (const std::string reader : {"a", "b"}) {
        g.port(reader + ":x", Direction::in_out, items);
        g.ptask(reader, "grow", {"x"}, {reader == "a" ? 10 : 100});
        g.channel("to-" + reader, "p:out", reader + ":x");
        g.channel("from-" + reader, reader + ":x", "");
    }
    const auto in = g.channel("in", "", "p:in");
    const auto raw = g.channel("raw", "p:out", "");
    g.run();
    const auto a = runtime_.find("channels", "/g/from-a")["id"].get<std::uint32_t>();
    const auto b = runtime_.find("channels", "/g/from-b")["id"].get<std::uint32_t>();
    for (int i = 0; i < 20; ++i) {
        push(in, i);
        expect_pull(a, all(i + 11));
        expect_pull(b, all(i + 101));
        expect_pull(raw, all(i + 1));
    }
    EXPECT_EQ(runtime_.find("channels", "/g/to-a")["copies"].get<int>(), 0);
    g.terminate();
}

TEST_F(PortTest, WhatOnlyOneReaderHasIsWrittenInPlace) {
    Builder g(runtime_, "/g");
    for (int i = 0; i < 5; ++i) {
        g.port(fmt::format("p{}:x", i), Direction::in_out, items);
        g.ptask(fmt::format("p{}", i), "grow", {"x"}, {1});
        g.channel(fmt::format("c{}", i), i == 0 ? "" : fmt::format("p{}:x", i - 1), fmt::format("p{}:x", i));
    }
    const auto out = g.channel("out", "p4:x", "");
    g.run();
    const auto in = runtime_.find("channels", "/g/c0")["id"].get<std::uint32_t>();
    for (int i = 0; i < 10; ++i) {
        push(in, i);
        expect_pull(out, all(i + 5));
    }
    EXPECT_EQ(runtime_.find("graphs", "/g")["buffers"].get<int>(), 1) << "one buffer served all";
    g.terminate();
}

TEST_F(PortTest, VariableSizes) {
    Builder g(runtime_, "/g");
    g.port("p:in", Direction::in, items, variable);
    g.port("p:out", Direction::out, items, variable);
    g.ptask("p", "first", {"in", "out", "#in", "#out"});
    const auto in = g.channel("in", "", "p:in");
    const auto out = g.channel("out", "p:out", "");
    g.run();
    for (const std::size_t length : {std::size_t{4}, std::size_t{1}, std::size_t{0}, std::size_t{3}}) {
        EXPECT_EQ(runtime_.push(in, iota(length, 5))->wait().status, 0);
        const auto pull = runtime_.pull(out, items);
        const yoke_completion& completion = pull->wait();
        ASSERT_EQ(completion.status, 0);
        ASSERT_EQ(completion.out_length, length * 4);
        EXPECT_EQ(completion.detail & 0xffff'ffffU, length);
        pull->values.resize(length);
        EXPECT_EQ(pull->values, iota(length, 5));
    }
    EXPECT_EQ(runtime_.push(in, iota(items + 1, 5))->wait().status, -YOKE_EINVAL);
    EXPECT_EQ(runtime_.push(in, iota(3, 5))->wait().status, 0);
    const auto small = runtime_.pull(out, 2);
    EXPECT_EQ(small->wait().status, -YOKE_EMSGSIZE);
    EXPECT_EQ(small->wait().out_length, 12U) << "and it stays";
    EXPECT_EQ(runtime_.pull(out, 3)->wait().out_length, 12U);
    g.terminate();
}

TEST_F(PortTest, MetaPortsGiveSizes) {
    Builder g(runtime_, "/g");
    g.port("p:in", Direction::in, items);
    g.port("p:out", Direction::out, items, variable);
    g.port("p:size", Direction::in, 1, [&](PortDefinition& port) {
        port.meta = control::Meta::size;
        port.form = {"u32", {1, 1, 1}, 0};
        port.of = "/g/p:out";
    });
    g.ptask("p", "first", {"in", "out", "#in", "#out"});
    const auto in = g.channel("in", "", "p:in");
    const auto size = g.channel("size", "", "p:size");
    const auto out = g.channel("out", "p:out", "");
    g.run();
    for (const std::int32_t length : {2, 0, 4, 1}) {
        push(in, 9);
        push_number(size, length);
    }
    for (const std::size_t length : {2U, 0U, 4U, 1U}) {
        const auto pull = runtime_.pull(out, items);
        ASSERT_EQ(pull->wait().status, 0);
        ASSERT_EQ(pull->wait().out_length, length * 4);
        pull->values.resize(length);
        EXPECT_EQ(pull->values, Values(length, 9));
    }
    push(in, 9);
    push_number(size, 5);
    EXPECT_EQ(runtime_.pull(out, items)->wait().status, -YOKE_EIO);
    const std::string error = runtime_.find("graphs", "/g")["error"];
    EXPECT_NE(error.find("/g/p:size"), std::string::npos) << error;
    EXPECT_NE(error.find("/g/p:out can make 4; give it an extent of 5 in all"), std::string::npos) << error;
    g.terminate();
}

TEST_F(PortTest, DescriptorsTellSizeAndExtents) {
    Builder g(runtime_, "/g");
    const auto two = [](PortDefinition& port) {
        port.variable = true;
        port.form = {"i32", {2, 2, 1}, 0};
    };
    g.port("p:in", Direction::in, 4, two);
    g.port("p:out", Direction::out, 4);
    g.port("p:what", Direction::out, 4, [](PortDefinition& port) {
        port.form = {"u64", {4, 1, 1}, 0};
        port.descriptor = true;
        port.of = "/g/p:in";
    });
    g.ptask("p", "extents", {"in", "out", "%in"});
    const auto in = g.channel("in", "", "p:in");
    const auto out = g.channel("out", "p:out", "");
    const auto what = g.channel("what", "p:what", "");
    g.run();
    EXPECT_EQ(runtime_.push(in, iota(4, 0))->wait().status, 0);
    EXPECT_EQ(runtime_.push(in, iota(2, 0))->wait().status, 0);
    EXPECT_EQ(runtime_.push_with(in, iota(2, 0), 0, 0, {1, 2, 1})->wait().status, 0);
    EXPECT_EQ(runtime_.push_with(in, iota(2, 0), 0, 0, {2, 2, 1})->wait().status, -YOKE_EINVAL);
    EXPECT_EQ(runtime_.push_with(in, iota(2, 0), 0, 0, {3, 1, 1})->wait().status, -YOKE_EINVAL);
    EXPECT_EQ(runtime_.push(in, iota(3, 0))->wait().status, 0);
    const Values told[] = {{2, 2, 1, 4}, {2, 1, 1, 2}, {1, 2, 1, 2}, {3, 1, 1, 3}};
    for (const Values& extent : told) {
        expect_pull(out, extent);
        const auto pull = runtime_.pull(what, 8);
        ASSERT_EQ(pull->wait().status, 0);
        EXPECT_EQ(pull->values, (Values{extent[3] * 4, 0, extent[0], 0, extent[1], 0, extent[2], 0}));
    }
    g.terminate();
}

TEST_F(PortTest, AKernelRepeatsOnTheSameDatablocks) {
    Builder g(runtime_, "/g");
    g.port("p:x", Direction::in_out, items);
    g.port("p:n", Direction::in, 1, iterations);
    g.ptask("p", "grow", {"x"}, {3});
    const auto in = g.channel("in", "", "p:x");
    const auto n = g.channel("n", "", "p:n");
    const auto out = g.channel("out", "p:x", "");
    g.run();
    for (const std::int32_t count : {1, 5, 0, 100}) {
        push(in, count);
        push_number(n, count);
        expect_pull(out, all(count + 3 * count));
    }
    g.terminate();
}

TEST_F(PortTest, NoRepetitionLeavesInitialValues) {
    Builder g(runtime_, "/g");
    g.port("p:in", Direction::in, items);
    g.port("p:out", Direction::out, items, [](PortDefinition& port) { port.initial = {8, 0, 0, 0}; });
    g.port("p:n", Direction::in, 1, iterations);
    g.ptask("p", "add", {"in", "out"}, {1});
    const auto in = g.channel("in", "", "p:in");
    const auto n = g.channel("n", "", "p:n");
    const auto out = g.channel("out", "p:out", "");
    g.run();
    push(in, 1);
    push_number(n, 0);
    expect_pull(out, all(8));
    push(in, 1);
    push_number(n, 2);
    expect_pull(out, all(2));
    g.terminate();
}

// head(state, step) = state + step; tail = head + 1; tail goes back to state.
struct LoopGraph {
    std::uint32_t in = 0;
    std::uint32_t step = 0;
    std::uint32_t n = 0;
    std::uint32_t out = 0;
};

LoopGraph build_loop(Builder& g, std::uint32_t capacity, bool tail) {
    g.port("head:state", Direction::in, items);
    g.port("head:step", Direction::in, items);
    g.port("head:out", Direction::out, items);
    g.port("head:n", Direction::in, 1, iterations);
    g.ptask("head", "sum", {"state", "step", "out"});
    if (tail) {
        g.port("tail:in", Direction::in, items);
        g.port("tail:out", Direction::out, items);
        g.ptask("tail", "add", {"in", "out"}, {1});
        g.channel("inner", "head:out", "tail:in", capacity);
    }
    const std::string end = tail ? "tail:out" : "head:out";
    LoopGraph loop;
    loop.in = g.channel("in", "", "head:state", capacity);
    loop.step = g.channel("step", "", "head:step", capacity);
    loop.n = g.channel("n", "", "head:n", capacity);
    g.channel("again", end, "head:state", capacity, back_edge);
    loop.out = g.channel("out", end, "", capacity);
    g.run();
    return loop;
}

TEST_F(PortTest, ASubgraphIterates) {
    for (const std::uint32_t capacity : {1U, 2U, 8U}) {
        for (const bool tail : {false, true}) {
            Builder g(runtime_, "/g");
            const LoopGraph loop = build_loop(g, capacity, tail);
            std::vector<std::shared_ptr<Flight>> flights;
            const Values counts{3, 0, 1, 7, 0, 0, 2};
            for (std::size_t i = 0; i < counts.size(); ++i) {
                const auto value = static_cast<std::int32_t>(i);
                const std::uint8_t flags = i + 1 == counts.size() ? YOKE_FLAG_END : 0;
                flights.push_back(runtime_.push(loop.in, all(100 * value), flags));
                flights.push_back(runtime_.push(loop.step, all(10 + value), flags));
                flights.push_back(runtime_.push(loop.n, {counts[i]}, flags));
            }
            for (std::size_t i = 0; i < counts.size(); ++i) {
                const auto value = static_cast<std::int32_t>(i);
                const auto pull = runtime_.pull(loop.out, items);
                const yoke_completion& completion = pull->wait();
                ASSERT_EQ(completion.status, 0) << runtime_->why(1, "/g")->dump(1);
                EXPECT_EQ(pull->values, all(100 * value + counts[i] * (10 + value + (tail ? 1 : 0)))) << i;
                EXPECT_EQ(completion.signal & both_iteration, 0) << "they stay in the loop";
            }
            expect_end(loop.out);
            for (const auto& flight : flights) {
                EXPECT_EQ(flight->wait().status, 0);
            }
            g.terminate();
        }
    }
}

// An inner loop that adds 1 twice, in an outer loop that runs three times.
TEST_F(PortTest, LoopsNest) {
    Builder g(runtime_, "/g");
    g.port("a:x", Direction::in_out, items);
    g.port("a:n", Direction::in, 1, iterations);
    g.ptask("a", "grow", {"x"}, {100});
    g.port("b:x", Direction::in_out, items);
    g.port("b:n", Direction::in, 1, iterations);
    g.ptask("b", "grow", {"x"}, {1});
    g.port("c:x", Direction::in_out, items);
    g.ptask("c", "grow", {"x"}, {10});
    const auto in = g.channel("in", "", "a:x");
    const auto outer = g.channel("outer", "", "a:n");
    const auto inner = g.channel("inner", "", "b:n");
    g.channel("to-b", "a:x", "b:x");
    g.channel("again-b", "b:x", "b:x", 1, back_edge);
    g.channel("to-c", "b:x", "c:x");
    g.channel("again-a", "c:x", "a:x", 1, back_edge);
    const auto out = g.channel("out", "c:x", "");
    g.run();
    push(in, 5);
    push_number(outer, 3);
    for (int i = 0; i < 3; ++i) {
        push_number(inner, 2);
    }
    expect_pull(out, all(5 + 3 * (100 + 2 + 10)));
    push(in, 7);
    push_number(outer, 0);
    expect_pull(out, all(7));
    push(in, 1);
    push_number(outer, 1);
    push_number(inner, 0);
    expect_pull(out, all(1 + 110));
    g.terminate();
}

// A value from outside that stays the same in all iterations.
TEST_F(PortTest, HoldKeepsUntilTheEndOfAnIteration) {
    Builder g(runtime_, "/g");
    g.port("head:x", Direction::in_out, items);
    g.port("head:n", Direction::in, 1, iterations);
    g.ptask("head", "grow", {"x"}, {1});
    g.port("tail:x", Direction::in, items);
    g.port("tail:k", Direction::in, items, [](PortDefinition& port) { port.hold = true; });
    g.port("tail:out", Direction::out, items);
    g.ptask("tail", "sum", {"x", "k", "out"});
    const auto in = g.channel("in", "", "head:x");
    const auto n = g.channel("n", "", "head:n");
    const auto k = g.channel("k", "", "tail:k");
    g.channel("inner", "head:x", "tail:x");
    g.channel("again", "tail:out", "head:x", 1, back_edge);
    const auto out = g.channel("out", "tail:out", "");
    g.run();
    push(k, 10);
    push(k, 1000);
    push(in, 0);
    push(in, 1);
    push_number(n, 3);
    push_number(n, 2);
    expect_pull(out, all(3 * 11));
    expect_pull(out, all(1 + 2 * 1001));
    g.terminate();
}

TEST_F(PortTest, PredicatesAtTheSource) {
    Builder g(runtime_, "/g");
    g.port("p:in", Direction::in, items);
    g.port("p:out", Direction::out, items);
    g.ptask("p", "add", {"in", "out"}, {0});
    const auto in = g.channel("in", "", "p:in", 16);
    const auto branch = [&](const char* name, Kind kind) {
        return g.channel(name, "p:out", "", 16, [kind](auto& c) { c.source_when = when(kind, YOKE_SIGNAL_USER_1); });
    };
    const std::map<Kind, std::uint32_t> out{{Kind::always, branch("always", Kind::always)},
                                            {Kind::never, branch("never", Kind::never)},
                                            {Kind::on, branch("on", Kind::on)},
                                            {Kind::unless, branch("unless", Kind::unless)},
                                            {Kind::open_on, branch("open", Kind::open_on)},
                                            {Kind::close_on, branch("close", Kind::close_on)}};
    g.run();
    for (int i = 0; i < 6; ++i) {
        const std::uint8_t signals = i == 2 || i == 4 ? YOKE_SIGNAL_USER_1 : YOKE_SIGNAL_USER_2;
        EXPECT_EQ(runtime_.push_with(in, all(i), signals, i == 5 ? YOKE_FLAG_END : 0)->wait().status, 0);
    }
    const std::map<Kind, Values> expected{
        {Kind::always, {0, 1, 2, 3, 4, 5}}, {Kind::never, {}},       {Kind::on, {2, 4}}, {Kind::unless, {0, 1, 3, 5}},
        {Kind::open_on, {2, 3, 4, 5}},      {Kind::close_on, {0, 1}}};
    for (const auto& [kind, values] : expected) {
        for (const std::int32_t value : values) {
            expect_pull(out.at(kind), all(value));
        }
        expect_end(out.at(kind));
    }
    g.terminate();
}

TEST_F(PortTest, PredicatesAtTheDestinationDropWhatDoesNotPass) {
    Builder g(runtime_, "/g");
    g.port("p:in", Direction::in, items);
    g.port("p:out", Direction::out, items);
    g.ptask("p", "add", {"in", "out"}, {1});
    const auto in = g.channel("in", "", "p:in", 1, [](auto& channel) {
        channel.destination_when = when(Kind::on, YOKE_SIGNAL_USER_2);  // a trigger
    });
    const auto out = g.channel("out", "p:out", "", 8);
    g.run();
    for (int i = 0; i < 9; ++i) {
        const std::uint8_t signals = i % 3 == 2 ? YOKE_SIGNAL_USER_2 : 0;
        EXPECT_EQ(runtime_.push_with(in, all(i), signals, i == 8 ? YOKE_FLAG_END : 0)->wait().status, 0);
    }
    for (const int value : {3, 6, 9}) {
        const auto pull = runtime_.pull(out, items);
        ASSERT_EQ(pull->wait().status, 0);
        EXPECT_EQ(pull->values, all(value));
        EXPECT_NE(pull->wait().signal & YOKE_SIGNAL_USER_2, 0);
    }
    expect_end(out);
    EXPECT_EQ(runtime_.find("channels", "/g/in")["discarded"].get<int>(), 6);
    g.terminate();
}

TEST_F(PortTest, DropTravelsInsteadOfContent) {
    Builder g(runtime_, "/g");
    g.port("p:in", Direction::in, items);
    g.port("p:out", Direction::out, items);
    g.ptask("p", "add", {"in", "out"}, {1});
    g.port("q:x", Direction::in_out, items);
    g.ptask("q", "grow", {"x"}, {10});
    const auto in = g.channel("in", "", "p:in");
    g.channel("inner", "p:out", "q:x");
    const auto out = g.channel("out", "q:x", "");
    g.run();
    push(in, 1);
    EXPECT_EQ(runtime_.push_with(in, {}, YOKE_SIGNAL_DROP)->wait().status, 0);
    push(in, 3, YOKE_FLAG_END);
    expect_pull(out, all(12));
    const auto dropped = runtime_.pull(out, items);
    EXPECT_EQ(dropped->wait().status, 0);
    EXPECT_EQ(dropped->wait().out_length, 0U);
    EXPECT_EQ(dropped->wait().signal, YOKE_SIGNAL_DROP);
    expect_pull(out, all(14));
    expect_end(out);
    g.terminate();
}

TEST_F(PortTest, LooksWithoutTakingAndDrains) {
    const auto [in, out] = runtime_.open_chain("/g", 1, items);
    const auto early = runtime_.pull_with(out, items, YOKE_FLAG_PEEK);
    for (int i = 0; i < 3; ++i) {
        push(in, i);
    }
    EXPECT_EQ(early->wait().status, 0);
    EXPECT_EQ(early->values, all(1));
    for (int i = 0; i < 2; ++i) {
        const auto peek = runtime_.pull_with(out, items, YOKE_FLAG_PEEK);
        EXPECT_EQ(peek->wait().status, 0);
        EXPECT_EQ(peek->values, all(1));
        EXPECT_EQ(peek->wait().sequence, 0U);
    }
    expect_pull(out, all(1));
    const auto drain = runtime_.pull_with(out, 0, YOKE_FLAG_DRAIN);
    EXPECT_EQ(drain->wait().status, 0);
    EXPECT_EQ(drain->wait().detail, 2U);
    push(in, 9);
    expect_pull(out, all(10));
    EXPECT_EQ(runtime_.pull_with(out, items, YOKE_FLAG_NOWAIT)->wait().status, -YOKE_ETIME);
    EXPECT_EQ(runtime_.pull_with(out, items, YOKE_FLAG_NOWAIT | YOKE_FLAG_PEEK)->wait().status, -YOKE_ETIME);
    EXPECT_EQ(runtime_.pull_with(out, items, YOKE_FLAG_PEEK | YOKE_FLAG_DRAIN)->wait().status, -YOKE_EINVAL);
    EXPECT_EQ(runtime_.pull_with(out, items, YOKE_FLAG_END)->wait().status, -YOKE_EINVAL);
}

TEST_F(PortTest, PriorityDecidesWhoRunsFirst) {
    Builder g(runtime_, "/g");
    std::vector<std::string> order;
    std::mutex mutex;
    for (const std::string name : {"low", "high", "middle"}) {
        device_.add(name, {{device::Parameter::Kind::buffer, 0, "", ""}, {device::Parameter::Kind::buffer, 0, "", ""}},
                    [&, name](std::span<const device::HostArgument>, const device::Geometry&) {
                        const std::lock_guard lock(mutex);
                        order.push_back(name);
                        return 0;
                    });
        g.port(name + ":in", Direction::in, items);
        g.port(name + ":out", Direction::out, items);
        g.ptask(name, name, {"in", "out"});
        g.channel(name + "-out", name + ":out", "");
        push(g.channel(name + "-in", "", name + ":in"), 1);
    }
    EXPECT_TRUE(runtime_->set_priority(1, "/g", 2));
    EXPECT_TRUE(runtime_->set_priority(1, "/g/high", 9));
    EXPECT_TRUE(runtime_->set_priority(1, "/g/middle", 5));
    EXPECT_EQ(runtime_->set_priority(1, "/g/high", 11).error().code, EINVAL);
    EXPECT_EQ(runtime_->set_priority(1, "/g/none", 1).error().code, ENOENT);
    g.run();
    for (const std::string name : {"low", "high", "middle"}) {
        const auto out = runtime_.find("channels", "/g/" + name + "-out")["id"].get<std::uint32_t>();
        EXPECT_EQ(runtime_.pull(out, items)->wait().status, 0);
    }
    EXPECT_EQ(order, (std::vector<std::string>{"high", "middle", "low"}));
    g.terminate();
}

}  // namespace
}  // namespace yoke::graph
