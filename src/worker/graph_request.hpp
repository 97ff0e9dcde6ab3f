// The graph requests of docs/control.md, as calls of the graph runtime.
#pragma once

#include <string>

#include "control/message.hpp"
#include "worker/engine.hpp"

namespace yoke::worker {

// Answers a request whose schema has been checked. Blocks (device, compiler). Any thread.
control::Json serve_graph_request(Engine& engine, const graph::Limits& limits, std::uint32_t session,
                                  const std::string& op, const control::Json& request);

}  // namespace yoke::worker
