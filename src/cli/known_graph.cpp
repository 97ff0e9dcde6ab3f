// See known_graph.hpp.
#include "cli/known_graph.hpp"

#include <unistd.h>
#include <yoke/yoke.h>

#include <array>

#include "cli/daemon.hpp"
#include "cli/graph_name.hpp"

namespace yoke::cli {

bool is_name(const std::string& name) {
    return name.size() > 1 &&
           name.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.", 1) ==
               std::string::npos;
}

Outcome<std::string> name_in_file(const std::string& file) {
    std::array<char, 8192> text{};
    const int error = yoke_check_graph(file.c_str(), text.data(), text.size());
    if (error != 0) {
        return fail(exit_of(-error), "{}", text[0] == '\0' ? std::strerror(-error) : text.data());
    }
    return std::string(text.data());
}

Outcome<std::string> name_of_graph(const std::string& graph) {
    return is_graph_file(graph) ? name_in_file(graph) : as_graph_name(graph);
}

tl::unexpected<Failure> fail_no_graph(const std::string& graph, const std::string& name) {
    if (is_graph_file(graph)) {
        return fail(exit_no_object, "graph {} of {} is not there; `yoke graph start {}` starts it", name, graph, graph);
    }
    if (!is_name(name) || graph.ends_with(".toml")) {
        return fail(exit_no_object, "'{}' is neither a file nor the name of a graph; `yoke graph ls` lists yours",
                    graph);
    }
    return fail(exit_no_object, "there is no graph {}; `yoke graph ls` lists yours, `yoke graph start FILE` starts one",
                name);
}

Outcome<nlohmann::json> find_graph(const std::string& graph, const std::string& socket) {
    const auto name = name_of_graph(graph);
    if (!name) {
        return tl::unexpected<Failure>(name.error());
    }
    const auto answer = ask_daemon(socket, {{"op", "list"}, {"kind", "graphs"}});
    if (!answer) {
        return tl::unexpected<Failure>(answer.error());
    }
    for (const auto& record : answer->value("graphs", nlohmann::json::array())) {
        if (record.value("account", 0U) == ::getuid() && record.value("name", "") == *name &&
            !record.value("pipe", false)) {
            return record;
        }
    }
    return fail_no_graph(graph, *name);
}

}  // namespace yoke::cli
