// What of the pushed input a graph did not take.
//
// A ptask ends with the shortest of its inputs, and with it whatever waits in its other channels. A pipe's writer would
// notice; who pushes into a channel that can hold all of it would not. So each command that pushes asks at its end what
// became of it: a datablock that was refused, that a channel dropped because nobody took any more, or that waits in a
// graph which cannot move, is a failure that names the channel.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/failure.hpp"
#include "cli/graph_picture.hpp"

namespace yoke::cli {

// One pushed channel, when its transfers have ended.
struct Pushed {
    std::string channel;              // "/graph/channel"
    std::string input;                // name of the file
    std::uint64_t datablocks = 0;     // that the channel accepted
    std::uint64_t refused = 0;        // datablocks that it did not
    std::uint64_t refused_bytes = 0;  // with what the file holds behind them, as far as that is known
    bool more = false;                // there may be more behind those
};

// Whether something in the graph still waits to be taken: in a channel of @pushed, or in one that leads from there on
// to a ptask or an endpoint.
[[nodiscard]] bool waits_to_be_taken(const GraphPicture& graph, const std::vector<Pushed>& pushed);

// Exit 1 if not all has been taken, one sentence per channel: how much is left, and why. @cause: why the graph does not
// move, if it stands still; what waits in it is then left, too.
Done check_taken(const GraphPicture& graph, const std::vector<Pushed>& pushed, const std::string& cause);

}  // namespace yoke::cli
