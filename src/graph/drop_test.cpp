// Datablocks without content (drop) at ports that keep or read what comes: they pass, and what was kept stays.
#include "graph/test_builder.hpp"

namespace yoke::graph {
namespace {

constexpr std::size_t items = 4;

class DropTest : public testing::Test {
   protected:
    DropTest() {
        add_test_functions(device_);
        add_port_functions(device_);
    }

    void push(std::uint32_t channel, std::int32_t value) {
        EXPECT_EQ(runtime_.push(channel, Values(items, value))->wait().status, 0);
    }
    void drop(std::uint32_t channel) { EXPECT_EQ(runtime_.push_with(channel, {}, YOKE_SIGNAL_DROP)->wait().status, 0); }
    void expect_pull(std::uint32_t channel, std::int32_t value) {
        const auto pull = runtime_.pull(channel, items);
        ASSERT_EQ(pull->wait().status, 0);
        EXPECT_EQ(pull->values, Values(items, value));
    }
    void expect_dropped(std::uint32_t channel) {
        const auto pull = runtime_.pull(channel, items);
        ASSERT_EQ(pull->wait().status, 0);
        EXPECT_EQ(pull->wait().out_length, 0U);
        EXPECT_NE(pull->wait().signal & YOKE_SIGNAL_DROP, 0);
    }

    device::HostDevice device_;
    TestRuntime runtime_{device_};
};

TEST_F(DropTest, MaliciousDropsAtAStickyPortLeaveWhatItKeeps) {
    Builder g(runtime_, "/g");
    g.port("p:a", Direction::in, items);
    g.port("p:b", Direction::in, items, [](PortDefinition& port) { port.sticky = true; });
    g.port("p:out", Direction::out, items);
    g.ptask("p", "sum", {"a", "b", "out"});
    const auto a = g.channel("a", "", "p:a");
    const auto b = g.channel("b", "", "p:b");
    const auto out = g.channel("out", "p:out", "");
    g.run();
    drop(b);
    push(a, 1);
    expect_dropped(out);
    push(b, 10);
    push(a, 2);
    expect_pull(out, 12);
    drop(b);
    push(a, 3);
    expect_dropped(out);
    push(a, 4);
    expect_pull(out, 14);
    g.terminate();
}

TEST_F(DropTest, MaliciousDropsAtMetaAndHoldPortsPass) {
    Builder g(runtime_, "/g");
    g.port("p:x", Direction::in_out, items);
    g.port("p:n", Direction::in, 1, [](PortDefinition& port) { port.meta = control::Meta::iterations; });
    g.ptask("p", "grow", {"x"}, {1});
    g.port("q:x", Direction::in, items);
    g.port("q:k", Direction::in, items, [](PortDefinition& port) { port.hold = true; });
    g.port("q:out", Direction::out, items);
    g.ptask("q", "sum", {"x", "k", "out"});
    const auto in = g.channel("in", "", "p:x");
    const auto n = g.channel("n", "", "p:n");
    const auto k = g.channel("k", "", "q:k");
    g.channel("inner", "p:x", "q:x");
    const auto out = g.channel("out", "q:out", "");
    g.run();
    drop(n);
    push(in, 1);
    push(k, 100);
    expect_dropped(out);
    EXPECT_EQ(runtime_.push(n, {3})->wait().status, 0);
    push(in, 1);
    expect_pull(out, 104);
    g.terminate();
}

}  // namespace
}  // namespace yoke::graph
