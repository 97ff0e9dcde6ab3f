// The commands of `yoke`, each a function from its options to how it ended. Data goes to the standard output,
// everything else to the standard error.
#pragma once

#include <string>
#include <vector>

#include "cli/failure.hpp"
#include "cli/recipe.hpp"

namespace yoke::cli {

// Options that tables and JSON share.
struct ViewOptions {
    std::string socket;  // empty: libyoke's default
    bool json = false;
    bool plain = false;  // no header, columns separated by one tab
};

struct GraphStartOptions {
    std::string file;
    std::vector<std::string> push;  // CHANNEL=FILE
    std::vector<std::string> pull;  // CHANNEL=FILE
    std::string socket;
    bool json = false;
};

Done show_status(const ViewOptions& options);
Done list_objects(const ViewOptions& options, const std::string& kind);
Done shut_down(const ViewOptions& options);
Done call_service(const CallOptions& options);
Done check_graph(const std::string& file, bool json);
Done start_graph(const GraphStartOptions& options);
// `graph` is a name or a graph file.
Done remove_graph(const std::string& graph, const std::string& socket, bool json);
Done diagnose(const ViewOptions& options);
Done show_version(const ViewOptions& options);

// Kinds of objects that `yoke ls` knows (docs/control.md).
const std::vector<std::string>& object_kinds();

}  // namespace yoke::cli
