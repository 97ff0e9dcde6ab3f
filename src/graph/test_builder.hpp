// For tests: graphs whose ports have flags, built in a few lines, and transfers with signals and flags.
#pragma once

#include <functional>

#include "graph/test_flow.hpp"

namespace yoke::graph {

using control::Direction;
using control::PortDefinition;

// A graph under construction. Names are given without the graph's.
class Builder {
   public:
    Builder(TestRuntime& runtime, std::string graph, std::uint32_t session = 1, bool persist = false)
        : runtime_(runtime), graph_(std::move(graph)), session_(session) {
        const auto opened = runtime_->open_graph(session_, graph_, persist);
        EXPECT_TRUE(opened) << opened.error().message;
    }

    // Port "ptask:port"; `change` sets flags.
    void port(const std::string& name, Direction direction, std::size_t items,
              const std::function<void(PortDefinition&)>& change = {}) {
        PortDefinition port;
        port.name = full(name);
        port.direction = direction;
        port.form = {"i32", {items, 1, 1}, 0};
        if (change) {
            change(port);
        }
        must(runtime_->open_port(session_, port));
    }

    control::PtaskDefinition definition(const std::string& name, const std::string& function,
                                        const std::vector<std::string>& ports, const Values& constants = {}) const {
        control::PtaskDefinition ptask;
        ptask.name = full(name);
        ptask.kernel.source = TestRuntime::source;
        ptask.kernel.source_name = "test.cl";
        ptask.kernel.function = function;
        for (const std::string& port : ports) {
            using Tells = control::ArgumentDefinition::Tells;
            const Tells tells = port.starts_with('#') ? Tells::count : port.starts_with('%') ? Tells::extent : Tells{};
            ptask.arguments.push_back({full(name) + ":" + port.substr(tells == Tells{} ? 0 : 1), {}, tells});
        }
        for (const std::int32_t constant : constants) {
            std::vector<std::uint8_t> bytes(sizeof constant);
            std::memcpy(bytes.data(), &constant, sizeof constant);
            ptask.arguments.push_back({std::nullopt, bytes});
        }
        return ptask;
    }

    // "#in": the number of elements of what is at port "in"; "%in": its extents.
    void ptask(const std::string& name, const std::string& function, const std::vector<std::string>& ports,
               const Values& constants = {}) {
        must(runtime_->open_ptask(session_, definition(name, function, ports, constants)));
    }

    std::uint32_t channel(const std::string& name, const std::string& from, const std::string& to,
                          std::uint32_t capacity = 8,
                          const std::function<void(control::ChannelDefinition&)>& change = {}) {
        control::ChannelDefinition channel;
        channel.name = full(name);
        channel.source = from.empty() ? std::nullopt : std::optional(full(from));
        channel.destination = to.empty() ? std::nullopt : std::optional(full(to));
        channel.capacity = capacity;
        if (change) {
            change(channel);
        }
        auto opened = runtime_->open_channel(session_, channel);
        EXPECT_TRUE(opened) << opened.error().message;
        return opened ? opened->channel : 0;
    }

    void run() { TestRuntime::must(runtime_->run_graph(session_, graph_)); }
    void terminate() {
        TestRuntime::must(runtime_->terminate_graph(session_, graph_));
        EXPECT_EQ(runtime_->datablocks(), 0U);
    }
    [[nodiscard]] std::string full(const std::string& name) const { return graph_ + "/" + name; }

   private:
    static void must(const Result<Opened>& opened) { EXPECT_TRUE(opened) << opened.error().message; }

    TestRuntime& runtime_;
    std::string graph_;
    std::uint32_t session_;
};

inline void back_edge(control::ChannelDefinition& channel) {
    channel.back = true;
}

inline control::Predicate when(control::Predicate::Kind kind, std::uint8_t signals) {
    return {kind, signals};
}

// Beside add_test_functions(): kernels that change in place, count, and make something of nothing.
inline void add_port_functions(device::HostDevice& device) {
    using device::Geometry;
    using device::HostArgument;
    using device::Parameter;
    const Parameter buffer{Parameter::Kind::buffer, 0, "buffer", "int*"};
    const Parameter number{Parameter::Kind::constant, 4, "n", "int"};
    const Parameter four{Parameter::Kind::constant, 16, "extent", "uint4"};
    device.add("grow", {buffer, number}, [](std::span<const HostArgument> a, const Geometry& geometry) {
        for (std::size_t i = 0; i < geometry.global[0]; ++i) {
            ints(a[0])[i] += ints(a[1])[0];
        }
        return 0;
    });
    // out = state, state += 1
    device.add("count", {buffer, buffer}, [](std::span<const HostArgument> a, const Geometry& geometry) {
        for (std::size_t i = 0; i < geometry.global[0]; ++i) {
            ints(a[1])[i] = ints(a[0])[i]++;
        }
        return 0;
    });
    // The first n of in, then its number of elements, as far as there is room.
    device.add("first", {buffer, buffer, number, number}, [](std::span<const HostArgument> a, const Geometry&) {
        const auto in_count = static_cast<std::size_t>(ints(a[2])[0]);
        const auto out_count = static_cast<std::size_t>(ints(a[3])[0]);
        for (std::size_t i = 0; i < std::min(in_count, out_count); ++i) {
            ints(a[1])[i] = ints(a[0])[i];
        }
        return 0;
    });
    device.add("extents", {buffer, buffer, four}, [](std::span<const HostArgument> a, const Geometry&) {
        std::copy_n(ints(a[2]).begin(), 4, ints(a[1]).begin());
        return 0;
    });
}

}  // namespace yoke::graph
