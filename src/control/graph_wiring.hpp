// Whether the channels of a graph fit its ports: what can be said of a definition before anything is opened.
#pragma once

#include <cstddef>
#include <string>

#include "base/error.hpp"
#include "control/graph_file.hpp"

namespace yoke::control {

// A mistake and whose it is, so that a file's reader can say where that stands.
struct Miswiring {
    enum class Kind : std::uint8_t { port, ptask, channel };
    Kind kind = Kind::channel;
    std::size_t index = 0;  // in GraphDefinition::ports, ::ptasks or ::channels
    std::string message;
};

// Nothing, or the first of: a channel with both ends outside, or at a port that there is not, at a port of the wrong
// direction, between ports whose templates differ, at a port that has a channel already; an endpoint without absolute
// path in a persistent graph; a port without a channel that it needs; a meta or descriptor port whose other port does
// not fit; ptasks that wait for each other in a circle of channels none of which is marked back; a channel marked back
// that closes no circle; in a persistent graph a function or a key of the client; a ptask that takes or gives nothing.
// Templates must be valid.
std::optional<Miswiring> find_miswiring(const GraphDefinition& graph);

}  // namespace yoke::control
