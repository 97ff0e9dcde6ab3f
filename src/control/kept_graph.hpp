// Where definitions of graphs that persist are kept: a folder per account with a folder per state.
//
//     STATE/running/NAME.json    brought back when the account's worker starts
//     STATE/stopped/NAME.json    brought back when somebody runs the graph
//
// The state is the folder, so that a change of state is one rename and the definition is written once. The folder is
// the account's: yoked, which may be root, reads names in it and nothing else, and follows no links.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace yoke::control {

enum class KeptState : std::uint8_t { running, stopped };

inline constexpr std::size_t kept_graphs_max =
    1024;  // of one account and state: as many as an account may have at most

// Path of the file of graph "/NAME".
std::string kept_path(const std::string& state_directory, KeptState state, const std::string& graph);
std::string kept_directory(const std::string& state_directory, KeptState state);
// Names ("/NAME", sorted) of the graphs that are kept in a state; names that are none are passed over, and so is all
// beyond kept_graphs_max. Empty when there is no such folder.
std::vector<std::string> kept_graphs(const std::string& state_directory, KeptState state);

}  // namespace yoke::control
