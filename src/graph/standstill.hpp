// Why the ptasks of a running graph stand still.
//
// A ptask waits for a datablock, for room, or for a number that is on its way. Whoever follows who waits for whom comes
// to a cause: an outer channel that nobody pushes into or pulls from, or whose endpoint gives or takes nothing; a
// function whose program does not run it; or back to where he was: a circle that is full, or empty, or where a
// predicate has dropped what one of them needs. Whoever waits for another ptask only follows. Causes come first, each
// once.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "control/message.hpp"

namespace yoke::graph {

struct Channel;
struct Ptask;
using Ptasks = std::map<std::string, std::unique_ptr<Ptask>>;
using Channels = std::map<std::string, std::unique_ptr<Channel>>;

// [{"object", "reason", "sentence", "channel", "follows"}], causes and then the rest, both in the order in which
// datablocks flow. Empty: some ptask can run, or there is nothing to do. The caller holds the graph's lock.
control::Json reasons_of(const Ptasks& ptasks, const Channels& channels);
// The same of a graph whose ptasks have all ended: sinks that have not written all.
control::Json reasons_of_sinks(const Channels& channels);

}  // namespace yoke::graph
