// `yoke graph stop` and `rm`: ending a graph, and forgetting what is kept of it.
#include <nlohmann/json.hpp>

#include "cli/commands.hpp"
#include "cli/known_graph.hpp"
#include "cli/session.hpp"

namespace yoke::cli {

Done stop_graph(const std::string& graph, const std::string& socket, bool as_json, bool forget) {
    const auto record = find_graph(graph, socket);
    if (!record) {
        return tl::unexpected<Failure>(record.error());
    }
    const std::string name = record->value("name", "");
    SessionNeeds needs;
    needs.socket = socket;
    const auto session = open_session(needs);
    if (!session) {
        return tl::unexpected<Failure>(session.error());
    }
    const int error =
        forget ? yoke_remove_graph(session->get(), name.c_str()) : yoke_terminate_graph(session->get(), name.c_str());
    if (error == -ENOENT) {
        return fail_no_graph(graph, name);  // somebody else was faster
    }
    if (error != 0) {
        return fail_library(session->get(), error);
    }
    if (as_json) {
        fmt::print("{}\n", nlohmann::ordered_json{{"graph", name}, {"terminated", true}, {"removed", forget}}.dump(2));
    }
    return {};
}

}  // namespace yoke::cli
