// The channels of a graph that lead outside, as yoked lists them: what push and pull need to know of them.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "cli/failure.hpp"
#include "cli/flow.hpp"

namespace yoke::cli {

struct OuterChannel {
    std::string name;       // "/graph/channel"
    DatablockShape shape;   // of the port at its inner end
    bool pushable = false;  // else it is pulled from
    bool persists = false;  // its graph does
    std::string endpoint;   // path; empty: programs push and pull
    std::string endpoint_kind;
    std::string source_when;  // predicates
    std::string destination_when;
    bool back = false;
    std::uint32_t capacity = 0;
    std::uint64_t datablocks = 0;  // that wait in it
};

using OuterChannels = std::map<std::string, OuterChannel>;

// Those of graph @graph of this user, by name. Exit 5: there is no such graph.
Outcome<OuterChannels> outer_channels(const std::string& socket, const std::string& graph);
// The same; but a graph whose worker has died is waited for, as sessions wait for the next worker (docs/cli.md): for as
// long as yoked holds the account back, and until the graph has been opened again.
Outcome<OuterChannels> await_outer_channels(const std::string& socket, const std::string& graph);
// Exit 5, with the names that there are.
Outcome<OuterChannel> pick_channel(const OuterChannels& channels, const std::string& name);
// What the lane takes over from its channel.
void fit(Lane& lane, const OuterChannel& channel);

}  // namespace yoke::cli
