// How a graph ends that a command runs in the foreground.
//
// Nobody is told: yoked is asked, often at first, since a short stream is soon over, and then a few times a second. A
// graph has ended when its ptasks have and when its sinks (files, FIFOs and sockets that the worker writes) have
// written everything and have closed their paths.
#pragma once

#include <yoke/yoke.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>

#include "cli/failure.hpp"

namespace yoke::cli {

// What yoked lists of a graph of this account that runs somewhere; nothing when there is no such graph.
Outcome<std::optional<nlohmann::json>> record_of(const std::string& socket, const std::string& graph);

// How long sinks are given to write when something has failed: a reader that takes nothing must not keep the command.
constexpr std::chrono::seconds patience_with_sinks{5};

// Whether the graph ends by itself: all its outer channels have endpoints. False also where yoked cannot be asked.
[[nodiscard]] bool ends_by_itself(const std::string& socket, const std::string& graph);

// Waits for the end of a graph, if it ends by itself; else until it is terminated or fails. Exit 1: it has failed, and
// its sinks have written what they had been given, or it was terminated; 130: Ctrl-C.
Done wait_for_end(const std::string& socket, const std::string& graph);

// The same of a graph into which has been pushed: waits until it has ended, also where nobody pulls what stays in it.
// Exit 1 also where it cannot end: it stands still, since such a channel is full. Where somebody else is to push as
// well (into a channel without an endpoint that is none of @served), its end is not waited for: only until it stands
// still, at most 5 s. @session asks why.
Done wait_for_streams(yoke_session* session, const std::string& socket, const std::string& graph,
                      const std::set<std::string>& served);

// Whether sinks of the graph have not written all yet, or it has failed: then its end is worth waiting for. True also
// where yoked cannot be asked.
[[nodiscard]] bool has_unfinished_sinks(const std::string& socket, const std::string& graph);

// Behind a failure, of the graph or of the command: gives sinks time to write what came before it, counted from @since.
void wait_for_sinks(const std::string& socket, const std::string& graph, std::chrono::steady_clock::time_point since);

}  // namespace yoke::cli
