// One question to yoked gives graphs and channels together: between two, a graph could be replaced by another.
#include "cli/outer_channel.hpp"

#include <unistd.h>

#include <fmt/ranges.h>

#include <vector>

#include "cli/daemon.hpp"

namespace yoke::cli {
namespace {

using nlohmann::json;

std::string text_in(const json& object, const char* member) {
    const auto found = object.find(member);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

OuterChannel channel_of(const json& record, bool persists) {
    OuterChannel channel;
    channel.name = text_in(record, "name");
    channel.pushable = text_in(record, "source").empty();
    channel.shape.port = text_in(record, channel.pushable ? "destination" : "source");
    channel.shape.variable = record.value("variable", false);
    channel.shape.bytes = record.value("datablock_bytes", std::size_t{0});
    channel.persists = persists;
    channel.endpoint = text_in(record, "endpoint");
    channel.endpoint_kind = text_in(record, "endpoint_kind");
    channel.source_when = text_in(record, "source_when");
    channel.destination_when = text_in(record, "destination_when");
    channel.back = record.value("back", false);
    channel.capacity = record.value("capacity", 0U);
    channel.datablocks = record.value("datablocks", std::uint64_t{0});
    return channel;
}

void take_template(DatablockShape& shape, const json& form) {
    shape.type = text_in(form, "type");
    shape.extent = form.value("extent", shape.extent);
    shape.stride = form.value("stride", shape.stride);
}

}  // namespace

Outcome<OuterChannels> outer_channels(const std::string& socket, const std::string& graph) {
    const auto answer = ask_daemon(socket, {{"op", "list"}});
    if (!answer) {
        return tl::unexpected<Failure>(answer.error());
    }
    bool found = false;
    bool persists = false;
    for (const json& record : answer->value("graphs", json::array())) {
        if (record.value("account", 0U) == ::getuid() && text_in(record, "name") == graph) {
            found = true;
            persists = record.value("persist", false);
        }
    }
    if (!found) {
        return fail(exit_no_object, "there is no graph {}; `yoke graph ls` lists yours", graph);
    }
    OuterChannels channels;
    for (const json& record : answer->value("channels", json::array())) {
        const std::string name = text_in(record, "name");
        if (record.value("account", 0U) == ::getuid() && name.starts_with(graph + "/") && record.value("id", 0U) != 0 &&
            (text_in(record, "source").empty() || text_in(record, "destination").empty())) {
            channels.emplace(name, channel_of(record, persists));
        }
    }
    for (const json& record : answer->value("ports", json::array())) {
        for (auto& [name, channel] : channels) {
            if (record.value("account", 0U) == ::getuid() && text_in(record, "name") == channel.shape.port) {
                take_template(channel.shape, record.value("template", json::object()));
            }
        }
    }
    return channels;
}

Outcome<OuterChannel> pick_channel(const OuterChannels& channels, const std::string& name) {
    if (const auto found = channels.find(name); found != channels.end()) {
        return found->second;
    }
    std::vector<std::string> names;
    for (const auto& [known, channel] : channels) {
        names.push_back(known);
    }
    return fail(exit_no_object, "there is no channel {} to push to or pull from; the graph has {}", name,
                names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", ")));
}

void fit(Lane& lane, const OuterChannel& channel) {
    lane.name = channel.name;
    lane.capacity = channel.capacity;
    lane.shape = channel.shape;
    lane.back = channel.back;
    lane.source_when = channel.source_when;
    lane.destination_when = channel.destination_when;
}

}  // namespace yoke::cli
