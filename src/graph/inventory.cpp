// Graph: what it shows of itself.
#include "control/template.hpp"
#include "graph/graph.hpp"

namespace yoke::graph {

namespace {

using control::Json;

Json text_or_null(const std::optional<std::string>& text) {
    return text ? Json(*text) : Json(nullptr);
}

Json describe_channel(const Channel& channel) {
    const ChannelCounters& counters = channel.counters;
    return {{"name", channel.definition.name},
            {"id", channel.id},
            {"source", text_or_null(channel.definition.source)},
            {"destination", text_or_null(channel.definition.destination)},
            {"capacity", channel.definition.capacity},
            {"datablocks", channel.datablocks.size()},
            {"datablock_bytes", channel.bytes},
            {"waiting_pushes", channel.pushes.size()},
            {"waiting_pulls", channel.pulls.size()},
            {"ended", channel.ended},
            {"pushed", counters.pushed},
            {"pulled", counters.pulled},
            {"discarded", counters.discarded},
            {"copies", counters.copies}};
}

Json describe_port(const Port& port) {
    return {{"name", port.definition.name},
            {"direction", port.definition.out ? "out" : "in"},
            {"template",
             {{"type", port.definition.form.type},
              {"extent", port.definition.form.extent},
              {"stride", port.definition.form.stride}}},
            {"channel", port.channel != nullptr ? Json(port.channel->definition.name) : Json(nullptr)}};
}

Json describe_ptask(const Ptask& ptask) {
    return {{"name", ptask.definition.name},
            {"function", ptask.definition.kernel.function},
            {"source_name", ptask.definition.kernel.source_name},
            {"geometry", ptask.geometry.global},
            {"runs", ptask.runs},
            {"ended", ptask.ended}};
}

}  // namespace

void Graph::describe(Json& inventory) const {
    const std::lock_guard lock(mutex_);
    std::uint64_t copied_in = 0;
    std::uint64_t copied_out = 0;
    const std::string error = error_text();
    for (const auto& [name, channel] : channels_) {
        (channel->source == nullptr ? copied_in : copied_out) += channel->counters.bytes;
        inventory["channels"].push_back(describe_channel(*channel));
    }
    for (const auto& [name, port] : ports_) {
        inventory["ports"].push_back(describe_port(*port));
    }
    for (const auto& [name, ptask] : ptasks_) {
        inventory["ptasks"].push_back(describe_ptask(*ptask));
    }
    inventory["graphs"].push_back({{"name", name_},
                                   {"state", state_text()},
                                   {"error", error.empty() ? Json(nullptr) : Json(error)},
                                   {"session", creator_},
                                   {"device", device_.name()},
                                   {"ptasks", ptasks_.size()},
                                   {"ports", ports_.size()},
                                   {"channels", channels_.size()},
                                   {"datablocks", pool_.live()},
                                   {"buffers", pool_.allocated()},
                                   {"reserved_bytes", reserved_},
                                   {"copied_in_bytes", copied_in},
                                   {"copied_out_bytes", copied_out},
                                   {"in_flight", passages_.in_flight()}});
}

}  // namespace yoke::graph
