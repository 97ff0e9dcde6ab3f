// See graphs.hpp.
#include "client/graphs.hpp"

#include <algorithm>

#include "base/log.hpp"
#include "control/name.hpp"

namespace yoke::client {

namespace {

using control::Json;

// The worker's number in an answer to open_channel or open_pipe, 0 for an inner channel.
Result<std::uint32_t> channel_in(const Json& answer) {
    const auto found = answer.find("channel");
    if (found == answer.end() || !found->is_number_unsigned() || found->get<std::uint64_t>() > UINT32_MAX) {
        return fail(EPROTO, "the worker's answer to open_channel has no channel; is it of another version of yoke?");
    }
    return found->get<std::uint32_t>();
}

bool was_created(const Json& answer) {
    const auto found = answer.find("created");
    return found != answer.end() && found->is_boolean() && found->get<bool>();
}

// The worker is gone or does not answer, rather than refusing.
bool unanswered(int code) {
    return code == ECONNRESET || code == EPIPE || code == ETIME;
}

}  // namespace

Status Graphs::keep(const Json& body, Json& answer) {
    const auto& op = body.at("op").get_ref<const std::string&>();
    const std::string graph = control::graph_of(body.at("name").get_ref<const std::string&>());
    if (op == "terminate_graph" || op == "remove_graph" || op == "close_pipe") {
        end(graph);
        return {};
    }
    if (op == "why") {
        return {};
    }
    if (op == "open_port" || (op == "open_ptask" && body.at("kernel").value("form", "") == "client")) {
        definitions_[body.at("name").get<std::string>()] = body;
    }
    Request request{.graph = graph, .body = body};
    if (op == "open_channel" || op == "open_pipe") {
        auto remote = channel_in(answer);
        if (!remote) {
            return tl::unexpected(remote.error());
        }
        request.channel = *remote != 0 ? number_for(graph, *remote) : 0;
        answer["channel"] = request.channel;
    }
    // What somebody else has made is opened again by whoever made it; the order to run it may be anybody's.
    const bool ours = was_created(answer) || op == "run_graph" || op == "set_priority" || request.channel != 0;
    if (op == "set_priority") {
        // Only the last one counts.
        requests_.remove_if(
            [&](const Request& kept) { return kept.body.at("op") == op && kept.body.at("name") == body.at("name"); });
    }
    const bool known = std::ranges::any_of(requests_, [&](const Request& kept) { return kept.body == body; });
    graphs_[graph];
    if (ours && !known) {
        requests_.push_back(std::move(request));
    }
    return {};
}

void Graphs::end(const std::string& graph) {
    requests_.remove_if([&](const Request& request) { return request.graph == graph; });
    std::erase_if(channels_, [&](const auto& channel) { return channel.second.graph == graph; });
    std::erase_if(definitions_, [&](const auto& definition) { return control::graph_of(definition.first) == graph; });
    graphs_.erase(graph);
}

Graphs::ClientPtask Graphs::find_ptask(const std::string& name) const {
    ClientPtask found;
    for (const auto& [object, body] : definitions_) {
        if (object == name) {
            found.ptask = control::ptask_from(body);
        } else if (body.at("op") == "open_port" && control::ptask_of(object) == name) {
            found.ports.push_back(control::port_from(body));
        }
    }
    for (const Request& request : requests_) {
        if (request.channel != 0 && request.body.at("op") == "open_channel") {
            found.channels.emplace_back(control::channel_from(request.body), request.channel);
        }
    }
    return found;
}

// The number of a channel is the worker's, unless that was given to another channel before a restart.
std::uint32_t Graphs::number_for(const std::string& graph, std::uint32_t remote) {
    const auto known =
        std::ranges::find_if(channels_, [&](const auto& channel) { return channel.second.remote == remote; });
    if (known != channels_.end()) {
        return known->first;
    }
    const std::uint32_t number = channels_.contains(remote) ? channels_.rbegin()->first + 1 : remote;
    channels_[number] = {.graph = graph, .remote = remote};
    return number;
}

void Graphs::forget_remote() {
    for (Request& request : requests_) {
        request.open = false;
    }
    for (auto& [number, channel] : channels_) {
        channel.remote = 0;
    }
    for (auto& [name, graph] : graphs_) {
        graph.lost = true;
        graph.lost_datablocks += graph.pushed - std::min(graph.pushed, graph.pulled);
        graph.pushed = 0;
        graph.pulled = 0;
    }
}

bool Graphs::blame(const std::string& object) {
    const auto found = graphs_.find(control::graph_of(object));
    if (found == graphs_.end()) {
        return false;
    }
    ++found->second.deaths;
    return true;
}

bool Graphs::given_up(const std::string& graph) const {
    const auto found = graphs_.find(graph);
    return found != graphs_.end() && found->second.deaths >= deaths_max;
}

bool Graphs::forget_lost(const std::string& graph) {
    const auto found = graphs_.find(graph);
    if (found == graphs_.end() || !found->second.lost) {
        return false;
    }
    end(graph);
    return true;
}

bool Graphs::stale() const {
    return std::ranges::any_of(requests_,
                               [this](const Request& request) { return !request.open && !given_up(request.graph); });
}

Status Graphs::reopen_one(Request& request, Link& link, const Keys& keys, std::uint64_t deadline_ns) {
    auto answer = link.request(keys.for_worker(request.body), {}, deadline_ns);
    if (!answer) {
        return tl::unexpected(answer.error());
    }
    if (request.channel != 0) {
        auto remote = channel_in(answer->body);
        if (!remote) {
            return tl::unexpected(remote.error());
        }
        channels_[request.channel].remote = *remote;
    }
    request.open = true;
    return {};
}

Status Graphs::reopen(Link& link, const Keys& keys, std::uint64_t deadline_ns) {
    for (Request& request : requests_) {
        if (request.open || given_up(request.graph)) {
            continue;
        }
        auto opened = reopen_one(request, link, keys, deadline_ns);
        if (!opened && unanswered(opened.error().code)) {
            return opened;
        }
        if (!opened) {
            log_info(Topic::client, "part of a graph could not be opened again",
                     {{"graph", request.graph}, {"error", opened.error().message}});
        }
    }
    for (auto& [name, graph] : graphs_) {
        const bool whole =
            std::ranges::none_of(requests_, [this_name = std::string_view(name)](const Request& request) {
                return request.graph == this_name && !request.open;
            });
        if (graph.lost && whole) {
            graph.lost = false;
            graph.restarted = true;
        }
    }
    return {};
}

std::optional<std::uint32_t> Graphs::remote(std::uint32_t channel) const {
    const auto found = channels_.find(channel);
    if (found == channels_.end() || found->second.remote == 0) {
        return std::nullopt;
    }
    return found->second.remote;
}

std::string Graphs::graph_of(std::uint32_t channel) const {
    const auto found = channels_.find(channel);
    return found != channels_.end() ? found->second.graph : std::string();
}

std::optional<std::uint64_t> Graphs::take_restart(std::uint32_t channel) {
    const auto found = channels_.find(channel);
    if (found == channels_.end() || !graphs_[found->second.graph].restarted) {
        return std::nullopt;
    }
    Graph& graph = graphs_[found->second.graph];
    graph.restarted = false;
    return std::exchange(graph.lost_datablocks, 0);
}

void Graphs::count(std::uint32_t channel, std::uint64_t pushed, std::uint64_t pulled) {
    const auto found = channels_.find(channel);
    if (found != channels_.end()) {
        Graph& graph = graphs_[found->second.graph];
        graph.pushed += pushed;
        graph.pulled += pulled;
        graph.deaths = pulled != 0 ? 0 : graph.deaths;
    }
}

}  // namespace yoke::client
