// A graph as commands show it: its ptasks, ports and channels, from yoked's list or from a graph file, and as text for
// Graphviz.
//
// The picture: a ptask is a record, its in ports in the upper row, its out ports in the lower one; a channel is an edge
// from port to port that tells how many datablocks it can hold; a back edge is dashed; an outer end is a small circle,
// or a note with the path of its endpoint. Whatever comes from a name or path is quoted.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "cli/failure.hpp"

namespace yoke::cli {

struct GraphPicture {
    std::string name;                                 // "/graph"
    nlohmann::json graph = nlohmann::json::object();  // record of yoked's list; from a file: name, persist, mode
    nlohmann::json ptasks = nlohmann::json::array();
    nlohmann::json ports = nlohmann::json::array();
    nlohmann::json channels = nlohmann::json::array();
    bool live = false;   // the records have counts
    bool stale = false;  // old ones: the worker does not answer
};

// What yoked lists of graph @name of this user. Exit 5: there is none.
Outcome<GraphPicture> picture_of_running(const std::string& socket, const std::string& name);
// From a file, without a daemon. The error names file, line and column.
Outcome<GraphPicture> picture_of_file(const std::string& path);

// Text for Graphviz' dot; with @counts those of channels and ptasks, of a picture that has them.
std::string dot_of(const GraphPicture& picture, bool counts);

// A port's template as people write it: "f32x4 640x480".
std::string template_text(const nlohmann::json& form);

}  // namespace yoke::cli
