// Ends of graphs: sinks that must have told that they are done, and errors that travel at the end of a stream.
#include <gmock/gmock.h>

#include "graph/test_graph.hpp"

namespace yoke::graph {
namespace {

using testing::HasSubstr;

class EndTest : public testing::Test {
   protected:
    static constexpr std::uint64_t items = 16;

    void SetUp() override {
        add_test_functions(device_);
        runtime_.emplace(device_);
    }
    TestRuntime& runtime() { return *runtime_; }
    // A channel whose outer end is a file that the test itself reads and writes.
    std::uint32_t open_served(const std::string& name, std::optional<std::string> from, std::optional<std::string> to) {
        control::ChannelDefinition channel{name, std::move(from), std::move(to), 8};
        channel.endpoint = {control::EndpointDefinition::Kind::file, "/f", false};
        const auto opened = runtime()->open_channel(1, channel);
        EXPECT_TRUE(opened) << opened.error().message;
        return opened ? opened->channel : 0;
    }
    // /g: a + b -> out, each with an endpoint unless `pulled`.
    void open_sum(bool pulled = false) {
        ASSERT_TRUE(runtime()->open_graph(1, "/g"));
        runtime().must(runtime().open_ptask("/g/p", "sum", items, {"a", "b", "=out"}));
        a_ = open_served("/g/a", std::nullopt, "/g/p:a");
        b_ = open_served("/g/b", std::nullopt, "/g/p:b");
        out_ = pulled ? *runtime().open_channel("/g/out", "/g/p:out", std::nullopt)
                      : open_served("/g/out", "/g/p:out", std::nullopt);
        runtime().must(runtime()->run_graph(1, "/g"));
    }
    void push(std::uint32_t channel, int count) {
        for (int i = 0; i < count; ++i) {
            EXPECT_EQ(runtime().push(channel, Values(items, i))->wait().status, 0);
        }
    }
    void end(std::uint32_t channel) { EXPECT_EQ(runtime().push(channel, {}, YOKE_FLAG_END)->wait().status, 0); }
    void pull(int count) {
        for (int i = 0; i < count; ++i) {
            const auto flight = runtime().pull(out_, items);
            ASSERT_EQ(flight->wait().status, 0);
            EXPECT_EQ(flight->wait().signal & YOKE_SIGNAL_END, 0) << "the end is one by an error";
            EXPECT_EQ(flight->values, Values(items, 2 * i));
        }
    }
    int pull_status() { return runtime().pull(out_, items)->wait().status; }
    control::Json graph() { return runtime().find("graphs", "/g"); }

    device::HostDevice device_;
    std::optional<TestRuntime> runtime_;
    std::uint32_t a_ = 0;
    std::uint32_t b_ = 0;
    std::uint32_t out_ = 0;
};

TEST_F(EndTest, AGraphEndsWhenItsSinksHaveWrittenAll) {
    open_sum();
    push(a_, 1);
    push(b_, 1);
    end(a_);
    EXPECT_EQ(runtime().pull(out_, items)->wait().status, 0);
    EXPECT_EQ(pull_status(), -YOKE_ENODATA);
    EXPECT_EQ(graph()["state"], "running");
    EXPECT_EQ(graph()["unfinished_sinks"], 1);
    const auto why = runtime()->why(1, "/g");
    ASSERT_TRUE(why);
    EXPECT_THAT(why->dump(), HasSubstr("/f, is being written"));
    runtime()->finish_sink(out_);
    EXPECT_EQ(graph()["state"], "ended");
    EXPECT_EQ(graph()["unfinished_sinks"], 0);
}

TEST_F(EndTest, AnErrorOfASourceTravelsBehindItsDatablocks) {
    open_sum();
    push(b_, 3);
    push(a_, 2);
    runtime()->break_stream(a_, "the file is cut off");
    end(a_);
    pull(2);
    EXPECT_EQ(pull_status(), -YOKE_EIO);
    EXPECT_EQ(graph()["state"], "running");
    EXPECT_EQ(graph()["error"], "the file is cut off");
    runtime()->finish_sink(out_);
    EXPECT_EQ(graph()["state"], "failed");
    EXPECT_EQ(graph()["error"], "the file is cut off");
}

// Who pulls slowly gets all that came before the error, though the graph has failed meanwhile.
TEST_F(EndTest, WhatCameBeforeAnErrorCanBePulledAfterIt) {
    open_sum(true);
    push(a_, 3);
    push(b_, 3);
    runtime()->break_stream(b_, "the file is cut off");
    end(b_);
    EXPECT_EQ(graph()["state"], "failed");
    pull(3);
    EXPECT_EQ(pull_status(), -YOKE_EIO);
    EXPECT_EQ(runtime()->datablocks(), 0U);
}

// A stream is as long as its shortest input: what is wrong behind that concerns nobody.
TEST_F(EndTest, AnErrorBehindTheEndOfTheStreamIsNone) {
    open_sum();
    push(a_, 1);
    push(b_, 2);
    end(a_);
    runtime()->break_stream(b_, "the file is cut off");
    EXPECT_EQ(runtime().push(b_, {}, YOKE_FLAG_END)->wait().status, -YOKE_EPIPE);
    EXPECT_EQ(runtime().pull(out_, items)->wait().status, 0);
    EXPECT_EQ(pull_status(), -YOKE_ENODATA);
    runtime()->finish_sink(out_);
    EXPECT_EQ(graph()["state"], "ended");
}

}  // namespace
}  // namespace yoke::graph
