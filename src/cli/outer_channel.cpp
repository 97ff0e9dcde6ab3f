// One question to yoked gives graphs and channels together: between two, a graph could be replaced by another.
#include "cli/outer_channel.hpp"

#include <unistd.h>

#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

#include "cli/daemon.hpp"
#include "cli/interrupt.hpp"
#include "cli/record.hpp"
#include "cli/session.hpp"

namespace yoke::cli {
namespace {

using nlohmann::json;

constexpr int look_ms = 50;
constexpr std::uint64_t looks_max = 60;  // 3 s for the program that has made the graph to open it again, and to run it

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

// Whether a graph that persists is yet to come back.
bool comes_back(const json& record) {
    const std::string state = text_in(record, "state");
    return state == "waiting" || state == "restoring";
}

// Of a graph of this user; null: there is none. While it is brought back, there may be two.
const json* record_of(const json& answer, const std::string& graph) {
    const json* found = nullptr;
    const auto graphs = answer.find("graphs");
    if (graphs == answer.end()) {
        return found;
    }
    for (const json& record : *graphs) {
        if (record.value("account", 0U) == ::getuid() && text_in(record, "name") == graph &&
            (found == nullptr || comes_back(record))) {
            found = &record;
        }
    }
    return found;
}

OuterChannels channels_in(const json& answer, const std::string& graph, bool persists) {
    OuterChannels channels;
    for (const json& record : answer.value("channels", json::array())) {
        const std::string name = text_in(record, "name");
        if (record.value("account", 0U) == ::getuid() && name.starts_with(graph + "/") && record.value("id", 0U) != 0 &&
            (text_in(record, "source").empty() || text_in(record, "destination").empty())) {
            channels.emplace(name, channel_of(record, persists));
        }
    }
    for (const json& record : answer.value("ports", json::array())) {
        for (auto& [name, channel] : channels) {
            if (record.value("account", 0U) == ::getuid() && text_in(record, "name") == channel.shape.port) {
                take_template(channel.shape, record.value("template", json::object()));
            }
        }
    }
    return channels;
}

tl::unexpected<Failure> fail_missing(const std::string& graph) {
    return fail(exit_no_object, "there is no graph {}; `yoke graph ls` lists yours", graph);
}

// Whether this account's worker has died and no other has taken its place: graphs may come back.
bool has_lost_worker(const json& answer) {
    const json workers = answer.value("workers", json::array());
    return std::ranges::any_of(workers, [](const json& worker) {
        return worker.value("account", 0U) == ::getuid() && worker.value("deaths", 0U) != 0 &&
               text_in(worker, "state") != "running";
    });
}

}  // namespace

Outcome<OuterChannels> outer_channels(const std::string& socket, const std::string& graph) {
    const auto answer = ask_list(socket);
    if (!answer) {
        return tl::unexpected<Failure>(answer.error());
    }
    const json* const record = record_of(*answer, graph);
    if (record == nullptr) {
        return fail_missing(graph);
    }
    return channels_in(*answer, graph, record->value("persist", false));
}

Outcome<OuterChannels> await_outer_channels(const std::string& socket, const std::string& graph) {
    Session session;                // has yoked start the next worker, and keeps it there
    std::uint64_t built_looks = 0;  // at a graph that is opened and does not run
    for (std::uint64_t looks = 0; !interrupted(); static_cast<void>(wait_readable(-1, look_ms)), ++looks) {
        const auto answer = ask_list(socket);
        if (!answer) {
            return tl::unexpected<Failure>(answer.error());
        }
        const json* const record = record_of(*answer, graph);
        const std::string state = record != nullptr ? text_in(*record, "state") : std::string();
        const std::string error = record != nullptr ? text_in(*record, "error") : std::string();
        if (state == "stopped") {
            return fail(exit_no_object, "graph {} is stopped; yoke graph start {} runs it", graph, graph);
        }
        if (!error.empty() && state == "waiting") {
            return fail(exit_failed, "graph {} waits until it can be brought back: {}", graph, error);
        }
        // One that is opened again is complete when it runs; but its program may never run it.
        built_looks = state == "built" ? built_looks + 1 : 0;
        const bool completes = session && state == "built" && built_looks < looks_max;
        const bool comes = record != nullptr && (comes_back(*record) || completes);
        if (record != nullptr && !comes) {
            return channels_in(*answer, graph, record->value("persist", false));
        }
        if (!comes && (session ? looks >= looks_max : !has_lost_worker(*answer))) {
            return fail_missing(graph);
        }
        if (!session) {
            auto opened = open_session({.socket = socket});
            if (!opened) {
                return tl::unexpected<Failure>(opened.error());
            }
            session = std::move(*opened);
        }
    }
    return tl::unexpected<Failure>(interrupted_midway().value());
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
