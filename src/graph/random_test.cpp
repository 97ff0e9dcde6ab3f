// Random graphs against a sequential interpreter: whatever the shape, the capacities, the lengths of the streams and
// the interleaving, the same datablocks come out in the same order. Outputs have several readers, kernels write in
// place, ptasks carry state over back edges and repeat themselves as often as a stream of numbers says.
//
// YOKE_RANDOM_GRAPHS sets how many there are (else 500; with YOKE_SOAK 10 000), YOKE_RANDOM_SEED the first.
#include <cstdlib>
#include <random>
#include <thread>

#if defined(YOKE_TEST_CUDA)
#include "device/cpu/test_device.hpp"
#endif
#include "graph/test_builder.hpp"

namespace yoke::graph {
namespace {

constexpr std::size_t items = 8;

using Stream = std::vector<Values>;

enum class Function : std::uint8_t { add, split, sum, grow, accumulate, repeat };

struct Node {
    Function function{};
    std::int32_t constant = 0;
    std::vector<std::size_t> inputs;   // edges
    std::vector<std::size_t> outputs;  // streams
};

// A graph without cycles but those that a node makes: nodes in an order in which each comes behind those it reads from.
// A stream is what an output, or the outside, gives; an edge is a channel that takes it to one reader.
struct Plan {
    struct Edge {
        std::size_t stream = 0;
        std::uint32_t capacity = 1;
    };
    std::vector<Node> nodes;
    std::size_t streams = 0;
    std::vector<Edge> edges;
    std::map<std::size_t, Stream> sources;  // edges pushed into; streams of numbers are one element wide
    std::vector<std::size_t> sinks;         // edges pulled from
};

class Planner {
   public:
    explicit Planner(std::uint32_t seed) : random_(seed) {}

    Plan plan() {
        for (std::size_t i = 0, count = number(1, 3); i < count; ++i) {
            new_source(items, 1000);
        }
        const std::vector<std::size_t> sources = open_;
        for (std::size_t i = 0, count = number(1, 9); i < count; ++i) {
            add_node();
        }
        for (const std::size_t source : sources) {  // no channel leads from outside to outside
            if (std::find(open_.begin(), open_.end(), source) != open_.end()) {
                std::erase(open_, source);
                add_node_of(Function::add, {source}, 1);
            }
        }
        plan_.sinks = open_;
        return plan_;
    }

   private:
    std::size_t number(std::size_t from, std::size_t to) {
        return std::uniform_int_distribution<std::size_t>(from, to)(random_);
    }
    std::size_t new_edge(std::size_t stream) {
        plan_.edges.push_back({stream, static_cast<std::uint32_t>(number(1, 4))});
        return plan_.edges.size() - 1;
    }
    std::size_t new_source(std::size_t width, std::size_t largest) {
        const std::size_t edge = new_edge(plan_.streams++);
        Stream stream(number(0, 12));
        for (Values& values : stream) {
            values = iota(width, static_cast<std::int32_t>(number(0, largest)));
        }
        plan_.sources.emplace(edge, std::move(stream));
        if (width == items) {
            open_.push_back(edge);
        }
        return edge;
    }
    std::size_t take_open() {
        const std::size_t at = number(0, open_.size() - 1);
        const std::size_t edge = open_[at];
        open_.erase(open_.begin() + static_cast<std::ptrdiff_t>(at));
        return edge;
    }
    void add_node_of(Function function, std::vector<std::size_t> inputs, std::size_t outputs) {
        Node node;
        node.function = function;
        node.constant = static_cast<std::int32_t>(number(0, 9));
        node.inputs = std::move(inputs);
        for (std::size_t i = 0; i < outputs; ++i) {
            node.outputs.push_back(plan_.streams++);
            for (std::size_t reader = 0, readers = number(1, 5) / 4 + 1; reader < readers; ++reader) {
                open_.push_back(new_edge(node.outputs.back()));
            }
        }
        plan_.nodes.push_back(std::move(node));
    }
    void add_node() {
        const auto function = static_cast<Function>(number(0, 5));
        if (function == Function::sum && open_.size() < 2) {
            return add_node_of(Function::add, {take_open()}, 1);
        }
        std::vector<std::size_t> inputs{take_open()};
        if (function == Function::sum) {
            inputs.push_back(take_open());
        } else if (function == Function::repeat) {
            inputs.push_back(new_source(1, 3));
        }
        add_node_of(function, std::move(inputs), function == Function::split ? 2 : 1);
    }

    std::mt19937 random_;
    Plan plan_;
    std::vector<std::size_t> open_;  // edges without a reader
};

// What a node makes of its n-th inputs; `state` is carried from one to the next.
std::vector<Values> apply(const Node& node, const Values& a, const Values& b, Values& state) {
    Values first(items);
    Values second(items);
    for (std::size_t i = 0; i < items; ++i) {
        switch (node.function) {
            case Function::add:
            case Function::grow:
                first[i] = a[i] + node.constant;
                break;
            case Function::split:
                first[i] = a[i] * 3;
                second[i] = a[i] - 5;
                break;
            case Function::sum:
                first[i] = a[i] + b[i];
                break;
            case Function::accumulate:
                first[i] = state[i] += a[i];
                break;
            case Function::repeat:
                first[i] = a[i] + node.constant * b[0];
                break;
        }
    }
    return {first, second};
}

// What each edge carries when everything runs to its end, one node after the other.
std::vector<Stream> interpret(const Plan& plan) {
    std::vector<Stream> streams(plan.streams);
    for (const auto& [edge, stream] : plan.sources) {
        streams[plan.edges[edge].stream] = stream;
    }
    for (const Node& node : plan.nodes) {
        const auto input = [&](std::size_t i) -> const Stream& { return streams[plan.edges[node.inputs[i]].stream]; };
        const std::size_t last = node.inputs.size() - 1;
        const std::size_t length = std::min(input(0).size(), input(last).size());
        Values state(items, 0);
        for (std::size_t n = 0; n < length; ++n) {
            const std::vector<Values> made = apply(node, input(0)[n], input(last)[n], state);
            for (std::size_t i = 0; i < node.outputs.size(); ++i) {
                streams[node.outputs[i]].push_back(made[i]);
            }
        }
    }
    std::vector<Stream> edges;
    edges.reserve(plan.edges.size());
    for (const Plan::Edge& edge : plan.edges) {
        edges.push_back(streams[edge.stream]);
    }
    return edges;
}

// Opens a node; gives the names of its inputs, then of its outputs.
std::pair<std::vector<std::string>, std::vector<std::string>> open_node(Builder& g, const Node& node,
                                                                        const std::string& name) {
    const auto port = [&](const std::string& own, Direction direction) {
        g.port(name + ":" + own, direction, items);
        return name + ":" + own;
    };
    switch (node.function) {
        case Function::add: {
            std::vector<std::string> in{port("in", Direction::in)};
            std::vector<std::string> out{port("out", Direction::out)};
            g.ptask(name, "add", {"in", "out"}, {node.constant});
            return {in, out};
        }
        case Function::split: {
            std::vector<std::string> in{port("in", Direction::in)};
            std::vector<std::string> out{port("a", Direction::out), port("b", Direction::out)};
            g.ptask(name, "split", {"in", "a", "b"});
            return {in, out};
        }
        case Function::sum: {
            std::vector<std::string> in{port("a", Direction::in), port("b", Direction::in)};
            std::vector<std::string> out{port("out", Direction::out)};
            g.ptask(name, "sum", {"a", "b", "out"});
            return {in, out};
        }
        case Function::grow: {
            const std::string both = port("x", Direction::in_out);
            g.ptask(name, "grow", {"x"}, {node.constant});
            return {{both}, {both}};
        }
        case Function::accumulate: {
            const std::string in = port("in", Direction::in);
            g.port(name + ":state", Direction::in, items, [](PortDefinition& state) { state.init = true; });
            const std::string out = port("out", Direction::out);
            g.ptask(name, "sum", {"in", "state", "out"});
            g.channel(name + "-again", out, name + ":state", 1, back_edge);
            return {{in}, {out}};
        }
        case Function::repeat:
            break;
    }
    const std::string both = port("x", Direction::in_out);
    g.port(name + ":n", Direction::in, 1, [](PortDefinition& n) { n.meta = control::Meta::iterations; });
    g.ptask(name, "grow", {"x"}, {node.constant});
    return {{both, name + ":n"}, {both}};
}

// Builds the planned graph; the ids of its channels by edge.
std::vector<std::uint32_t> build(TestRuntime& runtime, const Plan& plan) {
    Builder g(runtime, "/r");
    std::vector<std::string> from(plan.streams);
    std::vector<std::string> to(plan.edges.size());
    for (std::size_t n = 0; n < plan.nodes.size(); ++n) {
        const auto [inputs, outputs] = open_node(g, plan.nodes[n], fmt::format("n{}", n));
        for (std::size_t i = 0; i < inputs.size(); ++i) {
            to[plan.nodes[n].inputs[i]] = inputs[i];
        }
        for (std::size_t i = 0; i < outputs.size(); ++i) {
            from[plan.nodes[n].outputs[i]] = outputs[i];
        }
    }
    std::vector<std::uint32_t> ids;
    for (std::size_t edge = 0; edge < plan.edges.size(); ++edge) {
        const Plan::Edge& planned = plan.edges[edge];
        ids.push_back(g.channel(fmt::format("e{}", edge), from[planned.stream], to[edge], planned.capacity));
    }
    g.run();
    return ids;
}

void run_plan(TestRuntime& runtime, const Plan& plan, std::uint32_t seed) {
    const auto expected = interpret(plan);
    const auto ids = build(runtime, plan);
    std::vector<std::thread> writers;
    for (const auto& [edge, stream] : plan.sources) {
        writers.emplace_back([&, id = ids[edge], &values = stream, edge = edge] {
            const bool end_with_last = (seed + edge) % 2 == 0 && !values.empty();
            for (std::size_t n = 0; n < values.size(); ++n) {
                const bool last = end_with_last && n + 1 == values.size();
                const int status = runtime.push(id, values[n], last ? YOKE_FLAG_END : 0)->wait().status;
                EXPECT_TRUE(status == 0 || status == -YOKE_EPIPE) << status;
            }
            if (!end_with_last) {
                const int status = runtime.push(id, {}, YOKE_FLAG_END)->wait().status;
                EXPECT_TRUE(status == 0 || status == -YOKE_EPIPE) << status;
            }
        });
    }
    std::vector<std::pair<std::size_t, std::shared_ptr<Flight>>> pulls;
    for (const std::size_t sink : plan.sinks) {
        for (std::size_t n = 0; n <= expected[sink].size(); ++n) {
            pulls.emplace_back(sink, runtime.pull(ids[sink], items));
        }
    }
    std::map<std::size_t, std::size_t> seen;
    for (const auto& [sink, pull] : pulls) {
        const std::size_t n = seen[sink]++;
        const yoke_completion& completion = pull->wait();
        if (n == expected[sink].size()) {
            EXPECT_EQ(completion.status, -YOKE_ENODATA) << "seed " << seed;
        } else {
            ASSERT_EQ(completion.status, 0) << "seed " << seed;
            ASSERT_EQ(pull->values, expected[sink][n]) << "seed " << seed << " edge " << sink << " datablock " << n;
        }
    }
    for (std::thread& writer : writers) {
        writer.join();
    }
    // What nobody reads may still wait for a number from the device.
    const std::uint64_t late = now_ns() + far_ns;
    while (runtime.find("graphs", "/r")["state"] != "ended" && now_ns() < late) {
        std::this_thread::yield();
    }
    EXPECT_EQ(runtime.find("graphs", "/r")["state"], "ended") << "seed " << seed << runtime->why(1, "/r")->dump(1);
    EXPECT_TRUE(runtime->terminate_graph(1, "/r"));
    ASSERT_EQ(runtime->datablocks(), 0U) << "seed " << seed;
}

std::uint32_t from_environment(const char* name, std::uint32_t otherwise) {
    const char* const text = std::getenv(name);
    return text != nullptr ? static_cast<std::uint32_t>(std::strtoul(text, nullptr, 10)) : otherwise;
}

TEST(RandomGraphs, MatchASequentialInterpreter) {
    const std::uint32_t rounds =
        from_environment("YOKE_RANDOM_GRAPHS", std::getenv("YOKE_SOAK") != nullptr ? 10'000 : 500);
    const std::uint32_t first = from_environment("YOKE_RANDOM_SEED", 1);
#if defined(YOKE_TEST_CUDA)
    const auto device = device::open_test_device(device::test_cache());
    ASSERT_NE(device, nullptr);
    TestRuntime runtime(*device);
#else
    device::HostDevice device;
    add_test_functions(device);
    add_port_functions(device);
    TestRuntime runtime(device);
#endif
    for (std::uint32_t seed = first; seed < first + rounds && !testing::Test::HasFailure(); ++seed) {
        run_plan(runtime, Planner(seed).plan(), seed);
        runtime.forget_flights();
    }
}

}  // namespace
}  // namespace yoke::graph
