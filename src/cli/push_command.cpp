// `yoke push` and `yoke pull`: datablocks between a file and an outer channel of a graph that somebody runs.
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "cli/commands.hpp"
#include "cli/flow.hpp"
#include "cli/graph_name.hpp"
#include "cli/outer_channel.hpp"

namespace yoke::cli {
namespace {

// Finds the channel; refuses what cannot be pushed, or pulled, from outside.
Outcome<OuterChannel> find(const TransferOptions& options, bool push) {
    const std::string name = as_graph_name(options.channel);
    const auto slash = name.find('/', 1);
    if (slash == std::string::npos) {
        return fail(exit_usage, "{} is a graph; write the channel's name, /GRAPH/CHANNEL", name);
    }
    auto channels = outer_channels(options.socket, name.substr(0, slash));
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
    std::vector<Lane> lanes;
    lanes.push_back(std::move(lane));
    Flow flow(std::move(lanes));
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
    lane.all = true;
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
