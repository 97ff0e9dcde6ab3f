// Transfers that wait: whatever lets them go on wakes them, and no other end is theirs than the one they asked for.
#include <thread>

#include "graph/graph.hpp"
#include "graph/move.hpp"
#include "graph/test_builder.hpp"

namespace yoke::graph {
namespace {

constexpr std::size_t items = 4;
constexpr auto passing = YOKE_SIGNAL_USER_1;

void lets_pass_some(control::ChannelDefinition& channel) {
    channel.destination_when = when(control::Predicate::Kind::on, passing);
}

class WaitingTest : public testing::Test {
   protected:
    WaitingTest() {
        add_test_functions(device_);
        add_port_functions(device_);
    }

    // A function of the client, "f".
    void open_function(Builder& graph, const std::vector<std::string>& ins, const std::vector<std::string>& outs) {
        std::vector<std::string> ports;
        for (const auto* const names : {&ins, &outs}) {
            for (const std::string& name : *names) {
                graph.port("f:" + name, names == &ins ? Direction::in : Direction::out, items);
                ports.push_back(name);
            }
        }
        control::PtaskDefinition function = graph.definition("f", "f", ports);
        function.kernel.form = "client";
        const auto opened = runtime_->open_ptask(1, function);
        EXPECT_TRUE(opened) << opened.error().message;
    }

    // A function whose only output goes to two channels, a and b.
    std::pair<std::uint32_t, std::uint32_t> open_fork(Builder& graph, std::uint32_t capacity = 2) {
        open_function(graph, {}, {"out"});
        const auto a = graph.channel("a", "f:out", "", capacity);
        const auto b = graph.channel("b", "f:out", "", capacity);
        graph.run();
        return {a, b};
    }

    std::uint32_t open_pipe(const std::string& name, std::uint32_t capacity) {
        auto opened = runtime_->open_pipe(1, {name, {"i32", {items, 1, 1}, 0}, false, capacity});
        EXPECT_TRUE(opened) << opened.error().message;
        return opened ? opened->channel : 0;
    }

    void push(std::uint32_t channel, std::int32_t value) {
        EXPECT_EQ(runtime_.push(channel, Values(items, value))->wait().status, 0);
    }

    void expect_pull(std::uint32_t channel, std::int32_t value) { expect(runtime_.pull(channel, items), value); }

    static void expect(const std::shared_ptr<Flight>& pull, std::int32_t value) {
        ASSERT_EQ(pull->wait().status, 0);
        EXPECT_EQ(pull->values, Values(items, value));
    }

    device::HostDevice device_;
    TestRuntime runtime_{device_};
};

TEST_F(WaitingTest, WhatAFunctionGivesServesThePullsOfAllItsChannels) {
    Builder g(runtime_, "/g");
    const auto [a, b] = open_fork(g);
    for (const auto into : {a, b}) {
        const auto from_a = runtime_.pull(a, items);
        const auto from_b = runtime_.pull(b, items);
        push(into, 7);
        expect(from_a, 7);
        expect(from_b, 7);
    }
    const auto pipe = open_pipe("/pipe-1", 2);
    const auto from_a = runtime_.pull(a, items);
    const auto from_b = runtime_.pull(b, items);
    push(pipe, 8);
    EXPECT_EQ(runtime_.move(pipe, b)->wait().status, 0);
    expect(from_a, 8);
    expect(from_b, 8);
}

TEST_F(WaitingTest, APushOfAFunctionGoesOnWhenTheLastOfItsChannelsHasRoom) {
    Builder g(runtime_, "/g");
    const auto [a, b] = open_fork(g, 1);
    std::int32_t value = 0;
    for (const auto into : {a, b}) {
        for (const auto& [first, last] : {std::pair(a, b), std::pair(b, a)}) {
            push(into, ++value);
            const auto waits = runtime_.push(into, Values(items, value + 1));
            expect_pull(first, value);
            EXPECT_FALSE(waits->over());
            expect_pull(last, value);
            EXPECT_EQ(waits->wait().status, 0);
            ++value;
            expect_pull(a, value);
            expect_pull(b, value);
        }
    }
}

TEST_F(WaitingTest, AMoveToAFunctionGoesOnWhenTheLastOfItsChannelsHasRoom) {
    Builder g(runtime_, "/g");
    const auto [a, b] = open_fork(g, 1);
    const auto pipe = open_pipe("/pipe-1", 4);
    std::int32_t value = 0;
    for (const auto& [first, last] : {std::pair(a, b), std::pair(b, a)}) {
        push(a, ++value);
        push(pipe, value + 1);
        const auto waits = runtime_.move(pipe, b);
        expect_pull(first, value);
        EXPECT_FALSE(waits->over());
        expect_pull(last, value);
        EXPECT_EQ(waits->wait().status, 0);
        ++value;
        expect_pull(a, value);
        expect_pull(b, value);
    }
}

TEST_F(WaitingTest, APushOfAFunctionGoesOnWhenTheFullChannelIsClosed) {
    Builder g(runtime_, "/g");
    open_function(g, {}, {"out"});
    for (const std::string port : {"x", "y"}) {
        g.port("p:" + port, Direction::in, items);
    }
    g.port("p:out", Direction::out, items);
    g.ptask("p", "sum", {"x", "y", "out"});
    const auto a = g.channel("a", "f:out", "p:x", 1);
    const auto b = g.channel("b", "f:out", "", 4);
    const auto y = g.channel("y", "", "p:y", 1);
    g.channel("out", "p:out", "", 1);
    g.run();
    push(b, 1);  // p waits for y
    const auto waits_at_a = runtime_.push(a, Values(items, 2));
    const auto waits_at_b = runtime_.push(b, Values(items, 3));
    EXPECT_FALSE(waits_at_a->over() || waits_at_b->over());
    EXPECT_EQ(runtime_.push(y, {}, YOKE_FLAG_END)->wait().status, 0);
    EXPECT_EQ(waits_at_a->wait().status, 0) << "b is still read";
    EXPECT_EQ(waits_at_b->wait().status, 0);
    push(a, 4);
    expect_pull(b, 1);
    int sum = 0;
    for (int i = 0; i < 2; ++i) {
        const auto pull = runtime_.pull(b, items);
        EXPECT_EQ(pull->wait().status, 0);
        sum += pull->values[0];
    }
    EXPECT_EQ(sum, 2 + 3) << "two lines have no order between them";
    expect_pull(b, 4);
}

TEST_F(WaitingTest, TheEndOfAFunctionsPortEndsWhatWaitsAtAllItsChannels) {
    Builder g(runtime_, "/g");
    const auto [a, b] = open_fork(g, 1);
    push(a, 1);
    expect_pull(b, 1);
    const auto waits = runtime_.push(a, Values(items, 2));
    const auto pull = runtime_.pull(b, items);
    EXPECT_EQ(runtime_.push(b, {}, YOKE_FLAG_END)->wait().status, 0);
    EXPECT_EQ(waits->wait().status, -YOKE_EPIPE);
    EXPECT_EQ(pull->wait().status, -YOKE_ENODATA);
    expect_pull(a, 1);
    EXPECT_EQ(runtime_.pull(a, items)->wait().status, -YOKE_ENODATA);
}

TEST_F(WaitingTest, WhatAPredicateDropsMakesRoomForPushesThatWait) {
    Builder g(runtime_, "/g");
    open_function(g, {}, {"out"});
    const auto a = g.channel("a", "f:out", "", 2, lets_pass_some);
    const auto b = g.channel("b", "f:out", "", 2);
    g.run();
    const auto first = runtime_.pull(a, items);
    push(b, 1);  // dropped at a
    push(b, 2);
    std::vector<std::shared_ptr<Flight>> waiting;
    for (const std::int32_t value : {3, 4, 5}) {
        waiting.push_back(runtime_.push_with(a, Values(items, value), value > 3 ? passing : 0));
    }
    const auto drain = runtime_.pull_with(b, 0, YOKE_FLAG_DRAIN);
    EXPECT_EQ(drain->wait().status, 0);
    EXPECT_EQ(drain->wait().detail, 5U) << "those that wait to be pushed wait, too";
    expect(first, 4);
    for (const auto& push : waiting) {
        EXPECT_EQ(push->wait().status, 0);
    }
    expect_pull(a, 5);
}

// A stream that makes itself, and nobody gets any of it: what waits for nothing must not hold everybody up.
TEST_F(WaitingTest, AStreamThatIsAllDroppedGoesOnBesideEverythingElse) {
    Builder g(runtime_, "/g");
    g.port("p:in", Direction::in, items, [](PortDefinition& port) { port.init = true; });
    g.port("p:out", Direction::out, items);
    g.ptask("p", "add", {"in", "out"}, {1});
    g.port("q:in", Direction::in, items);
    g.port("q:out", Direction::out, items);
    g.ptask("q", "add", {"in", "out"}, {1});
    g.channel("inner", "p:out", "q:in", 2, lets_pass_some);
    const auto out = g.channel("out", "q:out", "", 2);
    g.run();
    const auto discarded = [&] { return runtime_.find("channels", "/g/inner")["discarded"].get<std::uint64_t>(); };
    const std::uint64_t before = discarded();
    while (discarded() < before + 5000) {
        std::this_thread::yield();
    }
    const auto pull = runtime_.pull(out, items);
    g.terminate();
    EXPECT_EQ(pull->wait().status, -YOKE_ECANCELED);
}

// in -> add -> out, whose predicate drops most; the ptask waits for room while more is there to be added.
class PredicateAtAnOuterChannel : public WaitingTest {
   protected:
    PredicateAtAnOuterChannel() {
        Builder g(runtime_, "/g");
        g.port("p:in", Direction::in, items);
        g.port("p:out", Direction::out, items);
        g.ptask("p", "add", {"in", "out"}, {1});
        in_ = g.channel("in", "", "p:in", 8);
        out_ = g.channel("out", "p:out", "", 2, lets_pass_some);
        beside_ = g.channel("beside", "p:out", "", 8);
        g.run();
    }

    void push_some(const std::vector<std::int32_t>& values, std::int32_t first_to_pass) {
        for (const std::int32_t value : values) {
            const auto signals = static_cast<std::uint8_t>(value >= first_to_pass ? passing : 0);
            EXPECT_EQ(runtime_.push_with(in_, Values(items, value), signals)->wait().status, 0);
        }
    }

    std::uint32_t in_ = 0;
    std::uint32_t out_ = 0;
    std::uint32_t beside_ = 0;
};

TEST_F(PredicateAtAnOuterChannel, APullThatDropsAllLetsTheWriterGoOn) {
    push_some({1, 2, 3, 4, 5}, 5);
    expect_pull(out_, 6);
}

TEST_F(PredicateAtAnOuterChannel, APullWithoutWaitingDoesNotTakeDroppedOnesForAnEmptyChannel) {
    push_some({1, 2, 3, 4, 5}, 5);
    const auto pull = runtime_.pull_with(out_, items, YOKE_FLAG_NOWAIT);
    expect(pull, 6);
}

TEST_F(PredicateAtAnOuterChannel, AMoveThatDropsAllLetsTheWriterGoOn) {
    const auto pipe = open_pipe("/pipe-1", 1);
    push_some({1, 2, 3, 4, 5}, 5);
    EXPECT_EQ(runtime_.move(out_, pipe)->wait().status, 0);
    expect_pull(pipe, 6);
}

TEST_F(PredicateAtAnOuterChannel, LookingThatDropsLetsTheWriterGoOn) {
    push_some({1, 2, 3}, 2);
    expect_pull(beside_, 2);
    expect_pull(beside_, 3);
    const auto third = runtime_.pull(beside_, items);
    EXPECT_FALSE(third->over()) << "out is full";
    const auto peek = runtime_.pull_with(out_, items, YOKE_FLAG_PEEK);
    expect(peek, 3);
    expect(third, 4);
}

TEST_F(WaitingTest, AFunctionThatOnlyReadsEndsWithItsLastDatablock) {
    Builder g(runtime_, "/g");
    open_function(g, {"in"}, {});
    const auto in = g.channel("in", "", "f:in");
    g.run();
    push(in, 1);
    EXPECT_EQ(runtime_.push(in, Values(items, 2), YOKE_FLAG_END)->wait().status, 0);
    expect_pull(in, 1);
    EXPECT_EQ(runtime_.find("graphs", "/g")["state"], "running");
    expect_pull(in, 2);
    EXPECT_EQ(runtime_.find("graphs", "/g")["state"], "ended");
}

TEST_F(WaitingTest, APullOfAFunctionThatHasEndedLearnsIt) {
    Builder g(runtime_, "/g");
    open_function(g, {"in"}, {"out"});
    const auto in = g.channel("in", "", "f:in");
    const auto out = g.channel("out", "f:out", "");
    g.run();
    const auto waits = runtime_.pull(in, items);
    EXPECT_EQ(runtime_.push(out, {}, YOKE_FLAG_END)->wait().status, 0);
    EXPECT_EQ(waits->wait().status, -YOKE_ENODATA);
    EXPECT_EQ(runtime_.pull(in, items)->wait().status, -YOKE_ENODATA);
    EXPECT_EQ(runtime_.push(in, Values(items))->wait().status, -YOKE_EPIPE);
}

TEST_F(WaitingTest, AFunctionWhoseOutputsNobodyReadsEndsItsWriters) {
    Builder g(runtime_, "/g");
    open_function(g, {"in"}, {"out"});
    for (const std::string port : {"x", "y"}) {
        g.port("p:" + port, Direction::in, items);
    }
    g.port("p:out", Direction::out, items);
    g.ptask("p", "sum", {"x", "y", "out"});
    const auto in = g.channel("in", "", "f:in", 1);
    const auto x = g.channel("x", "f:out", "p:x", 1);
    const auto y = g.channel("y", "", "p:y", 1);
    g.channel("out", "p:out", "", 1);
    g.run();
    push(in, 1);
    const auto waits = runtime_.push(in, Values(items, 2));
    EXPECT_EQ(runtime_.push(y, {}, YOKE_FLAG_END)->wait().status, 0);
    EXPECT_EQ(runtime_.push(x, Values(items))->wait().status, -YOKE_EPIPE);
    EXPECT_EQ(waits->wait().status, -YOKE_EPIPE);
    EXPECT_EQ(runtime_.pull(in, items)->wait().status, -YOKE_ENODATA);
    EXPECT_EQ(runtime_.find("graphs", "/g")["state"], "ended");
}

TEST_F(WaitingTest, AMoveThatIsGivenUpLetsTheNextOneGo) {
    const auto from = open_pipe("/pipe-1", 4);
    const auto full = open_pipe("/pipe-2", 1);
    const auto empty = open_pipe("/pipe-3", 4);
    push(full, 1);
    for (const std::int32_t value : {2, 3}) {
        push(from, value);
    }
    const auto cancelled = runtime_.move(from, full, 1, 0, 77);
    const auto next = runtime_.move(from, empty, 1, 0, 78);
    EXPECT_FALSE(cancelled->over() || next->over());
    runtime_->cancel(1, 77);
    EXPECT_EQ(cancelled->wait().status, -YOKE_ECANCELED);
    EXPECT_EQ(next->wait().status, 0);
    const auto late = runtime_.move(from, full, 1, now_ns() + 2'000'000);
    const auto last = runtime_.move(from, empty);
    EXPECT_EQ(late->wait().status, -YOKE_ETIME);
    EXPECT_EQ(last->wait().status, 0);
    expect_pull(empty, 2);
    expect_pull(empty, 3);
}

// Pipes without their runtime: nobody calls tick().
class PipeTest : public testing::Test, public GraphHost {
   protected:
    void deadline(std::uint64_t /*deadline_ns*/) noexcept override {}
    void stuck(const std::string& /*object*/, const std::string& why) noexcept override { ADD_FAILURE() << why; }

    struct Pipe {
        std::shared_ptr<Graph> graph;
        Channel* channel = nullptr;
    };
    Pipe open(const std::string& name) {
        auto queue = device_.create_queue();
        EXPECT_TRUE(queue);
        const auto id = static_cast<std::uint32_t>(pipes_.size() + 1);
        Pipe pipe{std::make_shared<Graph>(GraphSetup{name, 1, false, 0, true}, device_, std::move(*queue), budget_,
                                          limits_, *this),
                  nullptr};
        EXPECT_TRUE(pipe.graph->open_pipe(1, {name, {"i32", {items, 1, 1}, 0}, false, 1}, id, pipe.channel));
        pipes_.push_back(pipe);
        return pipe;
    }

    Transfer transfer(Flight& flight, std::uint64_t deadline = 0) const {
        Transfer transfer;
        transfer.sink = &flight;
        transfer.session = 1;
        transfer.data = reinterpret_cast<std::byte*>(flight.values.data());
        transfer.length = static_cast<std::uint32_t>(flight.values.size() * sizeof(std::int32_t));
        transfer.deadline_ns = deadline;
        return transfer;
    }
    static std::uint64_t soon() { return now_ns() + 20'000'000; }
    static void wait_until(std::uint64_t deadline) {
        while (now_ns() <= deadline) {
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
    }

    Budget budget_{1 << 20};
    Limits limits_;
    device::HostDevice device_;
    std::vector<Pipe> pipes_;
};

TEST_F(PipeTest, NoDatablockIsLostToAPullWhoseDeadlineHasPassed) {
    const Pipe pipe = open("/pipe-1");
    Flight late{Values(items)};
    Flight patient{Values(items)};
    Flight push{Values(items, 1)};
    const std::uint64_t deadline = soon();
    pipe.graph->pull(*pipe.channel, transfer(late, deadline));
    pipe.graph->pull(*pipe.channel, transfer(patient, deadline + far_ns));
    wait_until(deadline);
    pipe.graph->push(*pipe.channel, transfer(push));
    EXPECT_EQ(late.wait().status, -YOKE_ETIME);
    EXPECT_EQ(patient.wait().status, 0);
    EXPECT_EQ(patient.values, push.values);
    EXPECT_EQ(push.wait().status, 0);
}

TEST_F(PipeTest, APushWhoseDeadlineHasPassedDoesNotArrive) {
    const Pipe pipe = open("/pipe-1");
    Flight first{Values(items, 1)};
    Flight late{Values(items, 2)};
    Flight patient{Values(items, 3)};
    const std::uint64_t deadline = soon();
    pipe.graph->push(*pipe.channel, transfer(first));
    pipe.graph->push(*pipe.channel, transfer(late, deadline));
    pipe.graph->push(*pipe.channel, transfer(patient, deadline + far_ns));
    wait_until(deadline);
    for (const std::int32_t value : {1, 3}) {
        Flight pull{Values(items)};
        pipe.graph->pull(*pipe.channel, transfer(pull));
        EXPECT_EQ(pull.wait().status, 0);
        EXPECT_EQ(pull.values, Values(items, value));
    }
    EXPECT_EQ(first.wait().status, 0);
    EXPECT_EQ(late.wait().status, -YOKE_ETIME);
    EXPECT_EQ(patient.wait().status, 0);
}

TEST_F(PipeTest, AMoveWhoseDeadlineHasPassedTakesNothing) {
    open("/pipe-1");
    open("/pipe-2");
    const auto line = std::make_shared<MoveLine>([this](std::uint32_t id) {
        return Outer{pipes_.at(id - 1).graph, pipes_.at(id - 1).channel};
    });
    Flight late;
    Flight push{Values(items, 1)};
    const std::uint64_t deadline = soon();
    Transfer move = transfer(late, deadline);
    move.channel = 1;
    move.to = 2;
    line->add(move);
    wait_until(deadline);
    pipes_[0].graph->push(*pipes_[0].channel, transfer(push));
    EXPECT_EQ(late.wait().status, -YOKE_ETIME);
    EXPECT_EQ(push.wait().status, 0);
    Flight pull{Values(items)};
    pipes_[0].graph->pull(*pipes_[0].channel, transfer(pull));
    EXPECT_EQ(pull.wait().status, 0);
    EXPECT_EQ(pull.values, push.values);
}

class CountingWatcher final : public Watcher {
   public:
    void changed() noexcept override { ++changes; }
    int changes = 0;
};

TEST_F(PipeTest, AWatcherWaitsOnceHoweverOftenItIsLeft) {
    const Pipe pipe = open("/pipe-1");
    const auto watcher = std::make_shared<CountingWatcher>();
    const auto other = std::make_shared<CountingWatcher>();
    for (int i = 0; i < 100; ++i) {
        Datablock datablock;
        yoke_completion completion{};
        EXPECT_TRUE(pipe.graph->take(*pipe.channel, 1, watcher, datablock, completion).waits);
        EXPECT_TRUE(pipe.graph->take(*pipe.channel, 1, other, datablock, completion).waits);
        const auto gone = std::make_shared<CountingWatcher>();
        EXPECT_TRUE(pipe.graph->take(*pipe.channel, 1, gone, datablock, completion).waits);
    }
    EXPECT_LE(pipe.channel->watchers.size(), 3U) << "the last that has gone may still be there";
    Flight push{Values(items, 1)};
    pipe.graph->push(*pipe.channel, transfer(push));
    EXPECT_EQ(push.wait().status, 0);
    EXPECT_EQ(watcher->changes, 1);
    EXPECT_EQ(other->changes, 1);
    for (int i = 0; i < 100; ++i) {
        EXPECT_TRUE(pipe.graph->check_room(*pipe.channel, 1, watcher).waits);
    }
    Flight pull{Values(items)};
    pipe.graph->pull(*pipe.channel, transfer(pull));
    EXPECT_EQ(pull.wait().status, 0);
    EXPECT_EQ(watcher->changes, 2);
    EXPECT_EQ(other->changes, 1);
}

}  // namespace
}  // namespace yoke::graph
