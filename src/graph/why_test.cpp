// What a graph says when it cannot move, and how bad graphs are refused: naming graph, ptask and port.
#include <thread>

#include "graph/test_reasons.hpp"

namespace yoke::graph {
namespace {

constexpr std::size_t items = 4;

class WhyTest : public ReasonsTest {};

TEST_F(WhyTest, NamesTheMissingDatablock) {
    Builder g(runtime_, "/g");
    g.port("p:a", Direction::in, items);
    g.port("p:b", Direction::in, items);
    g.port("p:out", Direction::out, items);
    g.ptask("p", "sum", {"a", "b", "out"});
    g.port("q:in", Direction::in, items);
    g.port("q:out", Direction::out, items);
    g.ptask("q", "add", {"in", "out"}, {1});
    EXPECT_TRUE(says("not running", {"/g", "/g/p:a"})) << "it is not whole";
    const auto a = g.channel("a", "", "p:a");
    g.channel("b", "", "p:b");
    g.channel("inner", "p:out", "q:in");
    g.channel("out", "q:out", "", 1);
    EXPECT_TRUE(says("not running", {"run it"}));
    g.run();
    EXPECT_TRUE(says("nobody pushes", {"/g/p", "/g/p:a", "/g/a"}));
    EXPECT_EQ(runtime_.push(a, Values(items, 1))->wait().status, 0);
    EXPECT_TRUE(says("nobody pushes", {"/g/p", "/g/p:b", "/g/b"}));
    EXPECT_TRUE(says("no datablock", {"/g/q", "/g/p", "/g/inner"}));
    EXPECT_EQ(runtime_->why(1, "/none").error().code, ENOENT);
}

TEST_F(WhyTest, NamesTheFullChannel) {
    const auto [in, out] = runtime_.open_chain("/g", 2, items, 1);
    for (int i = 0; i < 4; ++i) {
        runtime_.push(in, Values(items, 1));
    }
    EXPECT_TRUE(says("nobody pulls", {"/g/p1", "/g/out", "full (1 datablock)"}));
    EXPECT_TRUE(says("no room", {"/g/p0", "/g/p1", "/g/c1"}));
    EXPECT_EQ(runtime_.push(in, {}, YOKE_FLAG_END, now_ns() + 1)->wait().status, -YOKE_ETIME);
}

// A circle whose only datablock was dropped by a predicate.
TEST_F(WhyTest, NamesAnEmptyCircle) {
    Builder g(runtime_, "/g");
    g.port("p:in", Direction::in, items);
    g.port("p:state", Direction::in, items, [](PortDefinition& port) { port.init = true; });
    g.port("p:out", Direction::out, items);
    g.ptask("p", "sum", {"in", "state", "out"});
    g.port("q:in", Direction::in, items);
    g.port("q:out", Direction::out, items);
    g.ptask("q", "add", {"in", "out"}, {1});
    const auto in = g.channel("in", "", "p:in");
    g.channel("forth", "p:out", "q:in");
    g.channel("again", "q:out", "p:state", 1, [](control::ChannelDefinition& channel) {
        channel.back = true;
        channel.source_when = when(control::Predicate::Kind::never, 0);
    });
    g.run();
    EXPECT_EQ(runtime_.push(in, Values(items, 1))->wait().status, 0);
    EXPECT_EQ(runtime_.push(in, Values(items, 1))->wait().status, 0);
    EXPECT_TRUE(says("empty circle", {"/g/p", "/g/q", "/g/again", "\"never\" has dropped 1 datablock;"}));
}

// A circle of one ptask that could go on if the ptask behind it took something: that one is the cause.
TEST_F(WhyTest, NamesWhatBlocksACircleFromOutside) {
    Builder g(runtime_, "/g");
    g.port("p:in", Direction::in, items);
    g.port("p:state", Direction::in, items, [](PortDefinition& port) { port.init = true; });
    g.port("p:out", Direction::out, items);
    g.ptask("p", "sum", {"in", "state", "out"});
    g.port("q:in", Direction::in, items);
    g.port("q:slow", Direction::in, items, [](PortDefinition& port) { port.sticky = true; });
    g.port("q:out", Direction::out, items);
    g.ptask("q", "sum", {"in", "slow", "out"});
    const auto in = g.channel("in", "", "p:in");
    g.channel("slow", "", "q:slow");
    g.channel("forth", "p:out", "q:in", 1);
    g.channel("again", "p:out", "p:state", 1, back_edge);
    g.channel("out", "q:out", "", 1);
    g.run();
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(runtime_.push(in, Values(items, 1))->wait().status, 0);
    }
    EXPECT_TRUE(says("no room", {"/g/p", "/g/q", "/g/forth", "full (1 datablock)"}));
    EXPECT_TRUE(says("nobody pushes", {"/g/q:slow", "/g/slow"}));
}

// The loop gives a number in each run, and its result after the last; who adds them takes one number for each result.
// So the numbers fill their channel before the result comes. That channel has the capacity it was given, and is named.
TEST_F(WhyTest, NamesAFullCircle) {
    for (const std::uint32_t capacity : {1U, 2U, 3U}) {
        Builder g(runtime_, "/g");
        g.port("loop:x", Direction::in_out, items);
        g.port("loop:y", Direction::out, items);
        g.port("loop:times", Direction::in, 1, [](PortDefinition& port) { port.meta = control::Meta::iterations; });
        g.ptask("loop", "count", {"x", "y"});
        g.port("q:each", Direction::in, items);
        g.port("q:last", Direction::in, items);
        g.port("q:out", Direction::out, items);
        g.ptask("q", "sum", {"each", "last", "out"});
        const auto in = g.channel("in", "", "loop:x");
        const auto times = g.channel("times", "", "loop:times");
        g.channel("again", "loop:x", "loop:x", 1, back_edge);
        g.channel("each", "loop:y", "q:each", capacity);
        g.channel("last", "loop:x", "q:last");
        const auto out = g.channel("out", "q:out", "");
        g.run();
        EXPECT_EQ(runtime_.push(in, Values(items, 10))->wait().status, 0);
        EXPECT_EQ(runtime_.push(times, Values(1, 3))->wait().status, 0);
        if (capacity < 3) {
            const auto filled = [&] { return runtime_.find("channels", "/g/each")["datablocks"] == capacity; };
            const std::uint64_t until = now_ns() + far_ns;
            while (!filled() && now_ns() < until) {  // the number of runs comes from the device
                std::this_thread::sleep_for(std::chrono::milliseconds(1));
            }
            EXPECT_TRUE(filled());
            EXPECT_TRUE(says("full circle", {"/g/loop", "/g/q", "waits for itself", "channel /g/each is full",
                                             fmt::format("({} datablock", capacity), "more capacity"}));
            EXPECT_EQ((*runtime_->why(1, "/g"))[0]["channel"], "/g/each");
            EXPECT_EQ(runtime_.find("channels", "/g/each")["capacity"], capacity) << "it was enlarged";
            EXPECT_EQ(runtime_.pull_with(out, items, YOKE_FLAG_NOWAIT)->wait().status, -YOKE_ETIME);
        } else {  // the remedy works
            const auto pull = runtime_.pull(out, items);
            EXPECT_EQ(pull->wait().status, 0);
            EXPECT_EQ(pull->values, Values(items, 10 + 13));
        }
        g.terminate();
    }
}

// q needs what the predicate of channel b drops; no capacity of channel a helps.
TEST_F(WhyTest, NamesThePredicateThatHasDroppedWhatACircleNeeds) {
    for (const bool at_source : {true, false}) {
        Builder g(runtime_, "/g");
        g.port("p:in", Direction::in, items);
        g.port("p:x", Direction::out, items);
        g.port("p:y", Direction::out, items);
        g.ptask("p", "split", {"in", "x", "y"});
        g.port("q:a", Direction::in, items);
        g.port("q:b", Direction::in, items);
        g.port("q:out", Direction::out, items);
        g.ptask("q", "sum", {"a", "b", "out"});
        const auto in = g.channel("in", "", "p:in");
        g.channel("a", "p:x", "q:a", 1);
        g.channel("b", "p:y", "q:b", 8, [&](control::ChannelDefinition& channel) {
            (at_source ? channel.source_when : channel.destination_when) =
                when(control::Predicate::Kind::on, YOKE_SIGNAL_USER_1);
        });
        const auto out = g.channel("out", "q:out", "");
        g.run();
        EXPECT_EQ(runtime_.push_with(in, Values(items, 1), YOKE_SIGNAL_USER_1)->wait().status, 0);
        EXPECT_EQ(runtime_.pull(out, items)->wait().status, 0);
        for (int i = 0; i < 3; ++i) {
            EXPECT_EQ(runtime_.push(in, Values(items, 1))->wait().status, 0);
        }
        EXPECT_TRUE(says("dropped datablock", {"/g/q -> /g/p -> /g/q", "port /g/q:b has no datablock in channel /g/b",
                                               "\"on user-1\" has dropped 1 datablock;", "channel /g/a is full",
                                               "give /g/b another predicate"}));
        const control::Json reasons = *runtime_->why(1, "/g");
        EXPECT_EQ(reasons[0]["channel"], "/g/b");
        for (const control::Json& reason : reasons) {
            EXPECT_EQ(reason["sentence"].get<std::string>().find("more capacity"), std::string::npos) << reason;
        }
        g.terminate();
    }
}

TEST_F(WhyTest, ModeKeepsOtherSessionsOut) {
    ASSERT_TRUE(runtime_->open_graph(1, "/g", false, 0400));
    runtime_.must(runtime_.open_ptask("/g/p", "add", items, {"in", "=out"}, {1}));
    const auto in = runtime_.open_channel("/g/in", std::nullopt, "/g/p:in");
    const auto out = runtime_.open_channel("/g/out", "/g/p:out", std::nullopt);
    EXPECT_EQ(runtime_.open_channel("/g/x", std::nullopt, "/g/p:in", 1, 2).error().code, EACCES);
    const auto run = runtime_->run_graph(2, "/g");
    ASSERT_FALSE(run);
    EXPECT_EQ(run.error().code, EACCES);
    EXPECT_NE(run.error().message.find("mode 0400"), std::string::npos) << run.error().message;
    runtime_.must(runtime_->run_graph(1, "/g"));
    EXPECT_EQ(runtime_.push(*in, Values(items, 1), 0, 0, 2)->wait().status, -YOKE_EACCES);
    EXPECT_EQ(runtime_.push(*in, Values(items, 1), 0, 0, 1)->wait().status, 0);
    EXPECT_EQ(runtime_.pull(*out, items, 0, 2)->wait().status, 0) << "0400 lets others pull";
    EXPECT_EQ(runtime_->terminate_graph(2, "/g").error().code, EACCES);
    EXPECT_TRUE(runtime_->why(2, "/g"));
    EXPECT_TRUE(runtime_->terminate_graph(1, "/g"));
}

TEST_F(WhyTest, APersistentGraphOutlivesItsCreatorAndIsNoPlaceForItsFunctions) {
    Builder g(runtime_, "/g", 1, true);
    g.port("p:in", Direction::in, items);
    g.port("p:out", Direction::out, items);
    control::PtaskDefinition client = g.definition("p", "f", {"in", "out"});
    client.kernel.form = "client";
    const auto refused = runtime_->open_ptask(1, client);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, EINVAL);
    EXPECT_NE(refused.error().message.find("/g/p"), std::string::npos) << refused.error().message;
    g.ptask("p", "add", {"in", "out"}, {1});
    const auto in = g.channel("in", "", "p:in");
    const auto out = g.channel("out", "p:out", "");
    g.run();
    runtime_->disown(1);
    runtime_->forget(1);
    EXPECT_EQ(runtime_.push(in, Values(items, 1), 0, 0, 2)->wait().status, 0);
    EXPECT_EQ(runtime_.pull(out, items, 0, 3)->wait().status, 0);
    EXPECT_TRUE(runtime_->terminate_graph(2, "/g"));
    EXPECT_EQ(runtime_->datablocks(), 0U);
}

TEST_F(WhyTest, AFunctionOfTheClientRunsBetweenKernels) {
    Builder g(runtime_, "/g");
    for (const std::string p : {"a", "f", "b"}) {
        g.port(p + ":in", Direction::in, items);
        g.port(p + ":out", Direction::out, items);
    }
    g.ptask("a", "add", {"in", "out"}, {1});
    g.ptask("b", "add", {"in", "out"}, {100});
    control::PtaskDefinition client = g.definition("f", "double", {"in", "out"});
    client.kernel.form = "client";
    ASSERT_TRUE(runtime_->open_ptask(1, client));
    const auto in = g.channel("in", "", "a:in");
    const auto to_client = g.channel("to", "a:out", "f:in", 2);
    const auto from_client = g.channel("from", "f:out", "b:in", 2);
    const auto out = g.channel("out", "b:out", "");
    EXPECT_NE(to_client, 0U);
    EXPECT_NE(from_client, 0U);
    g.run();
    for (int i = 0; i < 5; ++i) {
        EXPECT_EQ(runtime_.push(in, Values(items, i), i == 4 ? YOKE_FLAG_END : 0)->wait().status, 0);
        const auto asked = runtime_.pull(to_client, items);
        ASSERT_EQ(asked->wait().status, 0);
        Values doubled = asked->values;
        for (std::int32_t& value : doubled) {
            value *= 2;
        }
        EXPECT_EQ(runtime_.push(from_client, doubled)->wait().status, 0);
        const auto pull = runtime_.pull(out, items);
        ASSERT_EQ(pull->wait().status, 0);
        EXPECT_EQ(pull->values, Values(items, 2 * (i + 1) + 100));
    }
    EXPECT_EQ(runtime_.pull(to_client, items)->wait().status, -YOKE_ENODATA);
    EXPECT_EQ(runtime_.push(from_client, {}, YOKE_FLAG_END)->wait().status, 0);
    EXPECT_EQ(runtime_.pull(out, items)->wait().status, -YOKE_ENODATA);
    EXPECT_EQ(runtime_.find("graphs", "/g")["state"], "ended");
    EXPECT_TRUE(runtime_->terminate_graph(1, "/g"));
    EXPECT_EQ(runtime_->datablocks(), 0U);
}

TEST_F(WhyTest, ServicesAreKernels) {
    Builder g(runtime_, "/g");
    const auto bytes = [](std::size_t count) {
        return [count](PortDefinition& port) { port.form = {"u8", {count, 1, 1}, 0}; };
    };
    g.port("hash:in", Direction::in, 1, bytes(64));
    g.port("hash:out", Direction::out, 1, bytes(32));
    control::PtaskDefinition hash = g.definition("hash", "sha256", {"in", "out"});
    hash.kernel.form = "service";
    const auto opened = runtime_->open_ptask(1, hash);
    ASSERT_TRUE(opened) << opened.error().message;
    const auto in = g.channel("in", "", "hash:in");
    const auto out = g.channel("out", "hash:out", "");
    g.run();
    EXPECT_EQ(runtime_.push(in, Values(16, 0))->wait().status, 0);
    const auto pull = runtime_.pull(out, 8);
    ASSERT_EQ(pull->wait().status, 0);
    // SHA-256 of 64 zero bytes: f5a5fd42 d16a2030 ...
    EXPECT_EQ(static_cast<std::uint32_t>(pull->values[0]), 0x42fda5f5U);
    EXPECT_EQ(static_cast<std::uint32_t>(pull->values[1]), 0x30206ad1U);
    g.terminate();

    Builder h(runtime_, "/h");
    h.port("s:in", Direction::in, 1, bytes(64));
    h.port("s:out", Direction::out, 1, bytes(31));
    const auto refuse = [&](const std::string& service, int code) {
        control::PtaskDefinition wrong = h.definition("s", service, {"in", "out"});
        wrong.kernel.form = "service";
        const auto refused = runtime_->open_ptask(1, wrong);
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, code) << refused.error().message;
        EXPECT_NE(refused.error().message.find("/h/s"), std::string::npos) << refused.error().message;
    };
    refuse("sha256", EINVAL);
    refuse("no-such", ENOENT);
    refuse("aes-ecb", ENOKEY);
}

TEST_F(WhyTest, TheDeviceTakesTheFirstFormThatItRuns) {
    Builder g(runtime_, "/g");
    g.port("p:in", Direction::in, items);
    g.port("p:out", Direction::out, items);
    control::PtaskDefinition ptask = g.definition("p", "add", {"in", "out"}, {1});
    control::KernelDefinition good = ptask.kernel;
    ptask.kernel.form = "cubin";
    const auto refused = runtime_->open_ptask(1, ptask);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ENOTSUP);
    EXPECT_NE(refused.error().message.find("cubin"), std::string::npos) << refused.error().message;
    ptask.others = {good};
    ASSERT_TRUE(runtime_->open_ptask(1, ptask));
    EXPECT_EQ(runtime_.find("ptasks", "/g/p")["form"], "opencl");
}

TEST(Deadline, AKernelThatDoesNotEndFailsItsGraphAndIsReported) {
    device::HostDevice device;
    add_test_functions(device);
    std::atomic<bool> end{false};
    const device::Parameter buffer{device::Parameter::Kind::buffer, 0, "", ""};
    device.add("forever", {buffer, buffer}, [&end](std::span<const device::HostArgument>, const device::Geometry&) {
        while (!end) {
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        return 0;
    });
    std::mutex mutex;
    std::condition_variable told;
    std::string stuck;
    auto runtime = Runtime::create(device, {}, [&](const std::string& /*object*/, const std::string& why) {
        const std::lock_guard lock(mutex);
        stuck = why;
        told.notify_all();
    });
    ASSERT_TRUE(runtime);
    TestRuntime wrapped(std::move(*runtime));
    Builder g(wrapped, "/g");
    g.port("p:in", Direction::in, items);
    g.port("p:out", Direction::out, items);
    control::PtaskDefinition ptask = g.definition("p", "forever", {"in", "out"});
    ptask.deadline_ns = 5'000'000;
    ASSERT_TRUE(wrapped->open_ptask(1, ptask));
    const auto in = g.channel("in", "", "p:in");
    const auto out = g.channel("out", "p:out", "");
    g.run();
    const auto [other_in, other_out] = wrapped.open_chain("/other", 2, items);
    const auto first = wrapped.pull(out, items);
    const auto second = wrapped.pull(out, items);
    wrapped.push(in, Values(items, 1));
    EXPECT_EQ(second->wait().status, -YOKE_EIO) << "one that waits ends at once";
    const std::string error = wrapped.find("graphs", "/g")["error"];
    EXPECT_NE(error.find("/g/p has run longer than its deadline of 5 ms"), std::string::npos) << error;
    EXPECT_EQ(wrapped.push(other_in, Values(items, 1))->wait().status, 0);
    EXPECT_EQ(wrapped.pull(other_out, items)->wait().status, 0) << "other graphs go on";
    {
        std::unique_lock lock(mutex);
        EXPECT_TRUE(told.wait_for(lock, std::chrono::seconds(60), [&] { return !stuck.empty(); }));
        EXPECT_NE(stuck.find("/g/p"), std::string::npos) << stuck;
    }
    end = true;
    EXPECT_EQ(first->wait().status, -YOKE_EIO);
}

TEST(Graph, TerminatingOneWhoseKernelDoesNotEndSaysSo) {
    device::HostDevice device;
    add_test_functions(device);
    std::atomic<bool> end{false};
    const device::Parameter buffer{device::Parameter::Kind::buffer, 0, "b", "int*"};
    device.add("forever", {buffer, buffer}, [&end](std::span<const device::HostArgument>, const device::Geometry&) {
        while (!end) {
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        return 0;
    });
    std::string stuck;
    Limits limits;
    limits.terminate_grace_ns = 20'000'000;
    auto runtime = Runtime::create(device, limits, [&](const std::string& /*object*/, const std::string& why) {
        stuck = why;
        end = true;  // in a worker, the process ends
    });
    ASSERT_TRUE(runtime);
    TestRuntime wrapped(std::move(*runtime));
    Builder g(wrapped, "/g");
    g.port("p:in", Direction::in, items);
    g.port("p:out", Direction::out, items);
    ASSERT_TRUE(wrapped->open_ptask(1, g.definition("p", "forever", {"in", "out"})));
    const auto in = g.channel("in", "", "p:in");
    const auto out = g.channel("out", "p:out", "");
    g.run();
    const auto waiting = wrapped.pull(out, items);
    wrapped.push(in, Values(items, 1));
    ASSERT_TRUE(wrapped->terminate_graph(1, "/g"));
    EXPECT_NE(stuck.find("graph /g is terminated"), std::string::npos) << stuck;
    static_cast<void>(waiting->wait());
}

}  // namespace
}  // namespace yoke::graph
