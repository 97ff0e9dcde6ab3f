// Random graphs against a sequential interpreter: whatever the shape, the capacities, the lengths of the streams and
// the interleaving, the same datablocks come out in the same order.
#include <cstdlib>
#include <random>
#include <thread>

#if defined(YOKE_TEST_CUDA)
#include "device/cpu/test_device.hpp"
#endif
#include "graph/test_flow.hpp"

namespace yoke::graph {
namespace {

constexpr std::size_t items = 8;

using Stream = std::vector<Values>;

struct Node {
    std::string function;
    std::int32_t constant = 0;
    std::vector<std::size_t> inputs;   // edges
    std::vector<std::size_t> outputs;  // edges
};

// A graph without cycles: nodes in an order in which each comes behind those it reads from. An edge is a channel.
struct Plan {
    std::vector<Node> nodes;
    std::size_t edges = 0;
    std::vector<std::size_t> sources;  // edges pushed into
    std::vector<std::size_t> sinks;    // edges pulled from
    std::vector<std::uint32_t> capacity;
    std::vector<Stream> streams;  // of the sources
};

class Planner {
   public:
    explicit Planner(std::uint32_t seed) : random_(seed) {}

    Plan plan() {
        for (std::size_t i = 0, count = number(1, 3); i < count; ++i) {
            plan_.sources.push_back(new_edge());
        }
        open_ = plan_.sources;
        for (std::size_t i = 0, count = number(1, 9); i < count; ++i) {
            add_node();
        }
        for (const std::size_t source : plan_.sources) {  // no channel leads from outside to outside
            if (std::find(open_.begin(), open_.end(), source) != open_.end()) {
                std::erase(open_, source);
                plan_.nodes.push_back({"add", 1, {source}, {new_edge()}});
                open_.push_back(plan_.nodes.back().outputs[0]);
            }
        }
        plan_.sinks = open_;
        for (std::size_t i = 0; i < plan_.edges; ++i) {
            plan_.capacity.push_back(static_cast<std::uint32_t>(number(1, 4)));
        }
        for (std::size_t s = 0; s < plan_.sources.size(); ++s) {
            Stream stream(number(0, 12));
            for (Values& values : stream) {
                values = iota(items, static_cast<std::int32_t>(number(0, 1000)));
            }
            plan_.streams.push_back(std::move(stream));
        }
        return plan_;
    }

   private:
    std::size_t number(std::size_t from, std::size_t to) {
        return std::uniform_int_distribution<std::size_t>(from, to)(random_);
    }
    std::size_t new_edge() { return plan_.edges++; }
    std::size_t take_open() {
        const std::size_t at = number(0, open_.size() - 1);
        const std::size_t edge = open_[at];
        open_.erase(open_.begin() + static_cast<std::ptrdiff_t>(at));
        return edge;
    }
    void add_node() {
        Node node;
        const std::size_t kind = number(0, open_.size() >= 2 ? 2 : 1);
        node.function = kind == 0 ? "add" : kind == 1 ? "split" : "sum";
        node.constant = static_cast<std::int32_t>(number(0, 9));
        for (std::size_t i = 0; i < (kind == 2 ? 2U : 1U); ++i) {
            node.inputs.push_back(take_open());
        }
        for (std::size_t i = 0; i < (kind == 1 ? 2U : 1U); ++i) {
            node.outputs.push_back(new_edge());
            open_.push_back(node.outputs.back());
        }
        plan_.nodes.push_back(node);
    }

    std::mt19937 random_;
    Plan plan_;
    std::vector<std::size_t> open_;  // edges without a reader
};

// What each edge carries when everything runs to its end, one node after the other.
std::vector<Stream> interpret(const Plan& plan) {
    std::vector<Stream> edges(plan.edges);
    for (std::size_t s = 0; s < plan.sources.size(); ++s) {
        edges[plan.sources[s]] = plan.streams[s];
    }
    for (const Node& node : plan.nodes) {
        std::size_t length = edges[node.inputs[0]].size();
        for (const std::size_t input : node.inputs) {
            length = std::min(length, edges[input].size());
        }
        for (std::size_t n = 0; n < length; ++n) {
            const Values& a = edges[node.inputs[0]][n];
            const Values& b = edges[node.inputs.back()][n];
            Values first(items);
            Values second(items);
            for (std::size_t i = 0; i < items; ++i) {
                first[i] = node.function == "add"   ? a[i] + node.constant
                           : node.function == "sum" ? a[i] + b[i]
                                                    : a[i] * 3;
                second[i] = a[i] - 5;
            }
            edges[node.outputs[0]].push_back(first);
            if (node.outputs.size() == 2) {
                edges[node.outputs[1]].push_back(second);
            }
        }
    }
    return edges;
}

// Builds the planned graph; the ids of its outer channels by edge.
std::map<std::size_t, std::uint32_t> build(TestRuntime& runtime, const Plan& plan) {
    EXPECT_TRUE(runtime->open_graph(1, "/r"));
    std::vector<std::optional<std::string>> from(plan.edges);
    std::vector<std::optional<std::string>> to(plan.edges);
    for (std::size_t n = 0; n < plan.nodes.size(); ++n) {
        const Node& node = plan.nodes[n];
        std::vector<std::string> ports;
        for (std::size_t i = 0; i < node.inputs.size(); ++i) {
            ports.push_back(fmt::format("i{}", i));
            to[node.inputs[i]] = fmt::format("/r/n{}:i{}", n, i);
        }
        for (std::size_t i = 0; i < node.outputs.size(); ++i) {
            ports.push_back(fmt::format("=o{}", i));
            from[node.outputs[i]] = fmt::format("/r/n{}:o{}", n, i);
        }
        const Values constants = node.function == "add" ? Values{node.constant} : Values{};
        runtime.must(runtime.open_ptask(fmt::format("/r/n{}", n), node.function, items, ports, constants));
    }
    std::map<std::size_t, std::uint32_t> ids;
    for (std::size_t edge = 0; edge < plan.edges; ++edge) {
        const auto id = runtime.open_channel(fmt::format("/r/e{}", edge), from[edge], to[edge], plan.capacity[edge]);
        EXPECT_TRUE(id) << id.error().message;
        ids[edge] = *id;
    }
    runtime.must(runtime->run_graph(1, "/r"));
    return ids;
}

void run_plan(TestRuntime& runtime, const Plan& plan, std::uint32_t seed) {
    const auto expected = interpret(plan);
    const auto ids = build(runtime, plan);
    std::vector<std::thread> writers;
    for (std::size_t s = 0; s < plan.sources.size(); ++s) {
        writers.emplace_back([&, s] {
            const std::uint32_t id = ids.at(plan.sources[s]);
            const Stream& stream = plan.streams[s];
            const bool end_with_last = (seed + s) % 2 == 0 && !stream.empty();
            for (std::size_t n = 0; n < stream.size(); ++n) {
                const bool last = end_with_last && n + 1 == stream.size();
                const int status = runtime.push(id, stream[n], last ? YOKE_FLAG_END : 0)->wait().status;
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
            pulls.emplace_back(sink, runtime.pull(ids.at(sink), items));
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
    EXPECT_EQ(runtime.find("graphs", "/r")["state"], "ended") << "seed " << seed;
    EXPECT_TRUE(runtime->terminate_graph(1, "/r"));
    ASSERT_EQ(runtime->datablocks(), 0U) << "seed " << seed;
}

TEST(RandomGraphs, MatchASequentialInterpreter) {
    const std::uint32_t rounds = std::getenv("YOKE_SOAK") != nullptr ? 10'000 : 200;
#if defined(YOKE_TEST_CUDA)
    const auto device = device::open_test_device(device::test_cache());
    ASSERT_NE(device, nullptr);
    TestRuntime runtime(*device);
#else
    device::HostDevice device;
    add_test_functions(device);
    TestRuntime runtime(device);
#endif
    for (std::uint32_t seed = 1; seed <= rounds && !testing::Test::HasFailure(); ++seed) {
        run_plan(runtime, Planner(seed).plan(), seed);
    }
}

}  // namespace
}  // namespace yoke::graph
