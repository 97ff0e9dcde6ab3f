// The graph that people mean: the name of one, with or without its slash, or the file that it was started from.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "cli/failure.hpp"

namespace yoke::cli {

// Whether @name, which begins with a slash, can be that of a graph, as far as its characters tell.
bool is_name(const std::string& name);
// The name of the graph in a file. Exit 1 with file, line and column.
Outcome<std::string> name_in_file(const std::string& file);
// The name of @graph, whether or not there is one.
Outcome<std::string> name_of_graph(const std::string& graph);
// yoked's record of @graph of this user. Exit 5: there is none; the sentence says which commands help.
Outcome<nlohmann::json> find_graph(const std::string& graph, const std::string& socket);
// What find_graph says when there is none.
tl::unexpected<Failure> fail_no_graph(const std::string& graph, const std::string& name);

}  // namespace yoke::cli
