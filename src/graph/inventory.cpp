// Graph: what it shows of itself.
#include "control/definition.hpp"
#include "control/template.hpp"
#include "graph/graph.hpp"

namespace yoke::graph {

namespace {

using control::Json;

Json text_or_null(const std::optional<std::string>& text) {
    return text ? Json(*text) : Json(nullptr);
}

Json kind_or_null(const std::optional<control::EndpointDefinition>& endpoint) {
    return endpoint ? Json(control::endpoint_text(endpoint->kind)) : Json(nullptr);
}

Json describe_channel(const Channel& channel) {
    const ChannelCounters& counters = channel.counters;
    return {{"name", channel.definition.name},
            {"id", channel.outer_source || channel.outer_destination ? channel.id : 0},
            {"source", text_or_null(channel.definition.source)},
            {"destination", text_or_null(channel.definition.destination)},
            {"capacity", channel.definition.capacity},
            {"datablocks", channel.datablocks.size()},
            {"datablock_bytes", channel.bytes},
            {"waiting_pushes", channel.pushes.size()},
            {"waiting_pulls", channel.pulls.size()},
            {"back", channel.definition.back},
            {"variable", channel.variable},
            {"source_when", control::predicate_text(channel.definition.source_when)},
            {"destination_when", control::predicate_text(channel.definition.destination_when)},
            {"endpoint", channel.definition.endpoint ? Json(channel.definition.endpoint->path) : Json(nullptr)},
            {"endpoint_kind", kind_or_null(channel.definition.endpoint)},
            {"ended", channel.ended},
            {"pushed", counters.pushed},
            {"pulled", counters.pulled},
            {"discarded", counters.discarded},
            {"untaken", counters.untaken},
            {"copies", counters.copies}};
}

Json flags_of(const control::PortDefinition& port) {
    Json flags = Json::array();
    const auto add = [&](bool has, const char* flag) {
        if (has) {
            flags.push_back(flag);
        }
    };
    add(port.sticky, "sticky");
    add(port.init, "init");
    add(port.hold, "hold");
    add(port.variable, "variable");
    add(port.descriptor, "descriptor");
    add(port.meta == control::Meta::size, "size");
    add(port.meta == control::Meta::iterations, "iterations");
    return flags;
}

Json channels_of(const Port& port) {
    Json channels = Json::array();
    for (const Channel* const channel : {port.in, port.back}) {
        if (channel != nullptr) {
            channels.push_back(channel->definition.name);
        }
    }
    for (const Channel* const channel : port.out) {
        channels.push_back(channel->definition.name);
    }
    return channels;
}

Json describe_port(const Port& port) {
    return {{"name", port.definition.name},
            {"direction", control::direction_text(port.definition.direction)},
            {"flags", flags_of(port.definition)},
            {"template",
             {{"type", port.definition.form.type},
              {"extent", port.definition.form.extent},
              {"stride", port.definition.form.stride}}},
            {"channels", channels_of(port)}};
}

Json describe_ptask(const Ptask& ptask) {
    return {{"name", ptask.definition.name},
            {"function", ptask.definition.kernel.function},
            {"source_name", ptask.definition.kernel.source_name},
            {"geometry", ptask.geometry.global},
            {"form", ptask.form},
            {"priority", ptask.priority},
            {"runs", ptask.runs},
            {"ended", ptask.ended}};
}

}  // namespace

void Graph::describe(Json& inventory) const {
    const std::lock_guard lock(mutex_);
    std::uint64_t copied_in = 0;
    std::uint64_t copied_out = 0;
    const std::string failure = error_text();
    const std::string& error = failure.empty() ? stream_error_ : failure;
    for (const auto& [name, channel] : channels_) {
        (channel->outer_source ? copied_in : copied_out) += channel->counters.bytes;
        inventory["channels"].push_back(describe_channel(*channel));
    }
    for (const auto& [name, port] : ports_) {
        inventory["ports"].push_back(describe_port(*port));
    }
    for (const auto& [name, ptask] : ptasks_) {
        inventory["ptasks"].push_back(describe_ptask(*ptask));
    }
    inventory["graphs"].push_back({{"name", setup_.name},
                                   {"state", state_text()},
                                   {"error", error.empty() ? Json(nullptr) : Json(error)},
                                   {"session", setup_.creator},
                                   {"persist", setup_.persist},
                                   {"mode", setup_.mode},
                                   {"pipe", setup_.pipe},
                                   {"device", device_.name()},
                                   {"ptasks", ptasks_.size()},
                                   {"ports", ports_.size()},
                                   {"channels", channels_.size()},
                                   {"datablocks", pool_->live()},
                                   {"buffers", pool_->allocated()},
                                   {"reserved_bytes", reserved_},
                                   {"copied_in_bytes", copied_in},
                                   {"copied_out_bytes", copied_out},
                                   {"unfinished_sinks", unfinished_sinks()},
                                   {"in_flight", passages_.in_flight()}});
}

}  // namespace yoke::graph
