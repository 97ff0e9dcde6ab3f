// `yoke push` and `yoke pull`: datablocks between a file and an outer channel of a graph that somebody runs.
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "cli/commands.hpp"
#include "cli/flow.hpp"
#include "cli/graph_name.hpp"
#include "cli/outer_channel.hpp"
#include "cli/standstill.hpp"

namespace yoke::cli {
namespace {

// A graph, or nothing at all, where a channel was meant.
tl::unexpected<Failure> fail_graph_only(const TransferOptions& options, const std::string& name, bool push) {
    const auto channels = outer_channels(options.socket, name);
    if (!channels) {
        return tl::unexpected<Failure>(channels.error());
    }
    std::vector<std::string> names;
    for (const auto& [known, channel] : *channels) {
        if (channel.pushable == push && channel.endpoint.empty()) {
            names.push_back(known);
        }
    }
    return fail(exit_usage, "{} is a graph; write the channel's name, /GRAPH/CHANNEL: it has {}", name,
                names.empty() ? std::string(push ? "none to push into" : "none to pull from")
                              : fmt::format("{}", fmt::join(names, ", ")));
}

// Finds the channel; refuses what cannot be pushed, or pulled, from outside.
Outcome<OuterChannel> find(const TransferOptions& options, bool push) {
    const std::string name = as_graph_name(options.channel);
    const auto slash = name.find('/', 1);
    if (slash == std::string::npos) {
        return fail_graph_only(options, name, push);
    }
    auto channels = await_outer_channels(options.socket, name.substr(0, slash));
    if (!channels) {
        return tl::unexpected<Failure>(channels.error());
    }
    auto found = pick_channel(*channels, name);
    if (!found) {
        return found;
    }
    if (found->pushable != push) {
        return fail(exit_usage, "channel {} is {}; use yoke {}", name, found->pushable ? "pushed into" : "pulled from",
                    found->pushable ? "push" : "pull");
    }
    if (!found->endpoint.empty()) {
        return fail(exit_failed, "channel {} is served by its endpoint {}; {} that instead", name, found->endpoint,
                    push ? "write to" : "read from");
    }
    return found;
}

Done transfer(const TransferOptions& options, Lane lane, const OuterChannel& channel) {
    fit(lane, channel);
    const bool push = lane.input.has_value();
    std::vector<Lane> lanes;
    lanes.push_back(std::move(lane));
    Flow flow(std::move(lanes));
    if (options.timeout_s) {
        flow.give_up_after(*options.timeout_s);
    }
    if (push && !options.json) {
        const std::string graph = channel.name.substr(0, channel.name.find('/', 1));
        flow.on_standstill([=](yoke_session* session) { say_standstill(session, graph, {channel.name}, false); });
    }
    if (auto done = flow.run(options.socket); !done) {
        return done;
    }
    if (options.json) {
        const nlohmann::ordered_json summary{
            {"channel", channel.name}, {"pushed", flow.pushed()}, {"pulled", flow.pulled()}};
        say("{}", summary.dump());
    }
    return {};
}

}  // namespace

Done push_file(const TransferOptions& options) {
    auto input = Input::open(options.file);
    if (!input) {
        return tl::unexpected<Failure>(input.error());
    }
    const auto channel = find(options, true);
    if (!channel) {
        return tl::unexpected<Failure>(channel.error());
    }
    Lane lane;
    lane.input.emplace(std::move(*input));
    lane.ends = options.end.value_or(!channel->persists);
    lane.raw = options.raw;
    return transfer(options, std::move(lane), *channel);
}

Done pull_file(const TransferOptions& options) {
    const auto channel = find(options, false);
    if (!channel) {
        return tl::unexpected<Failure>(channel.error());
    }
    auto output = Output::open(options.file, true);
    if (!output) {
        return tl::unexpected<Failure>(output.error());
    }
    Lane lane;
    lane.output.emplace(std::move(*output));
    lane.datablocks_max = options.count;
    return transfer(options, std::move(lane), *channel);
}

}  // namespace yoke::cli
