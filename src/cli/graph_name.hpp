// The graph that people mean: a graph file that is there, else a name, with or without its slash.
#pragma once

#include <sys/stat.h>

#include <string>

namespace yoke::cli {

[[nodiscard]] inline bool is_graph_file(const std::string& graph) {
    struct stat status {};
    return ::stat(graph.c_str(), &status) == 0 && S_ISREG(status.st_mode);
}

[[nodiscard]] inline bool is_folder(const std::string& graph) {
    struct stat status {};
    return ::stat(graph.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

// "/graph", also "/graph/channel", of a name written with or without the slash.
[[nodiscard]] inline std::string as_graph_name(const std::string& graph) {
    return graph.starts_with('/') ? graph : "/" + graph;
}

}  // namespace yoke::cli
