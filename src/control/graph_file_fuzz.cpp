// Fuzzes the reader of graph files. A graph that it accepts must be one that the worker accepts: every message made of
// it passes its schema, and its definitions survive the way.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "control/definition.hpp"
#include "control/graph_file.hpp"
#include "control/schema.hpp"

namespace {

using namespace yoke::control;

void require(bool condition) {
    if (!condition) {
        std::abort();
    }
}

bool passes(const Json& message) {
    return check_request(Peer::client_to_worker, message).has_value();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(data, data + size);
    const auto graph = parse_graph(text, "fuzz.toml", "");
    if (!graph) {
        require(graph.error().code == EINVAL);
        require(graph.error().message.starts_with("fuzz.toml:"));
        return 0;
    }
    require(passes(graph_message_of(*graph)));
    for (const PortDefinition& port : graph->ports) {
        const Json message = message_of(port);
        require(passes(message) && port_from(message) == port);
        require(template_bytes(port.form).has_value() && check_port(port).has_value());
    }
    for (const PtaskDefinition& ptask : graph->ptasks) {
        const Json message = message_of(ptask);
        require(passes(message) && ptask_from(message) == ptask && check_ptask(ptask).has_value());
    }
    for (const ChannelDefinition& channel : graph->channels) {
        const Json message = message_of(channel);
        require(passes(message) && channel_from(message) == channel && check_channel(channel).has_value());
    }
    return 0;
}
