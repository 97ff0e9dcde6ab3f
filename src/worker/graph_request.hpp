// The graph requests of docs/control.md, as calls of the graph runtime and of what surrounds it.
#pragma once

#include <string>

#include "control/message.hpp"
#include "worker/graphs.hpp"

namespace yoke::worker {

// A request about graphs on its way.
struct GraphCall {
    Graphs& graphs;
    graph::Runtime& runtime;
    std::uint32_t session;
    const control::Json& request;

    [[nodiscard]] const std::string& name() const { return request["name"].get_ref<const std::string&>(); }
};

// Answers a request whose schema has been checked. Blocks (device, compiler, paths). Any thread. For Graphs: others go
// through Graphs::serve().
control::Json serve_graph_request(const GraphCall& call, const std::string& op);

}  // namespace yoke::worker
