// How a graph ends that a command runs in the foreground.
//
// Nobody is told: yoked is asked, often at first, since a short stream is soon over, and then a few times a second. A
// graph has ended when its ptasks have and when its sinks (files, FIFOs and sockets that the worker writes) have
// written everything and have closed their paths.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>

#include "cli/failure.hpp"

namespace yoke::cli {

// What yoked lists of a graph of this account that runs somewhere; nothing when there is no such graph.
Outcome<std::optional<nlohmann::json>> record_of(const std::string& socket, const std::string& graph);

// Whether the graph ends by itself: all its outer channels are served, by endpoints or by who serves @served (names of
// channels). False also where yoked cannot be asked.
[[nodiscard]] bool ends_by_itself(const std::string& socket, const std::string& graph,
                                  const std::set<std::string>& served);

// Waits for the end of a graph, if it ends by itself; else until it is terminated or fails. Exit 1: it has failed, and
// its sinks have written what they had been given, or it was terminated; 130: Ctrl-C.
Done wait_for_end(const std::string& socket, const std::string& graph, const std::set<std::string>& served);

// Whether sinks of the graph have not written all yet, or it has failed: then its end is worth waiting for. True also
// where yoked cannot be asked.
[[nodiscard]] bool has_unfinished_sinks(const std::string& socket, const std::string& graph);

// Of a graph that has failed, or is about to: gives its sinks time to write what came before the error. Returns at once
// if no error is known of the graph.
void wait_for_sinks(const std::string& socket, const std::string& graph);

}  // namespace yoke::cli
