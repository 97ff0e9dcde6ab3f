// `yoke graph ls`, `show`, `dot` and `why`: graphs as they are, without a change to them.
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <memory>

#include "cli/commands.hpp"
#include "cli/daemon.hpp"
#include "cli/graph_name.hpp"
#include "cli/graph_picture.hpp"
#include "cli/interrupt.hpp"
#include "cli/known_graph.hpp"
#include "cli/session.hpp"
#include "cli/table.hpp"

namespace yoke::cli {
namespace {

using nlohmann::json;

constexpr int live_ms = 1000;

void print_json(const json& value) {
    fmt::print("{}\n", value.dump(2, ' ', false, json::error_handler_t::replace));
}

// Only the members that people read; the rest is in the JSON.
json rows_with(const json& objects, const std::vector<std::string>& members) {
    json rows = json::array();
    for (const json& object : objects) {
        json row = json::object();
        for (const std::string& member : members) {
            const auto found = object.find(member);
            row[member] = found == object.end() ? json() : *found;
        }
        rows.push_back(std::move(row));
    }
    return rows;
}

std::string joined(const json& texts) {
    std::string made;
    for (const json& text : texts.is_array() ? texts : json::array()) {
        made += (made.empty() ? "" : " ") + (text.is_string() ? text.get<std::string>() : text.dump());
    }
    return made;
}

// Names within the graph: what all of them begin with says nothing.
json short_names(json rows, const std::string& graph) {
    for (json& row : rows) {
        for (auto& [member, value] : row.items()) {
            if (value.is_string() && value.get_ref<const std::string&>().starts_with(graph + "/") &&
                member != "endpoint") {
                value = value.get<std::string>().substr(graph.size() + 1);
            }
        }
    }
    return rows;
}

json port_rows(const GraphPicture& picture) {
    json rows = json::array();
    for (const json& port : picture.ports) {
        json channels = json::array();
        for (const json& channel : port.value("channels", json::array())) {
            const std::string name = channel.is_string() ? channel.get<std::string>() : "";
            channels.push_back(name.starts_with(picture.name + "/") ? name.substr(picture.name.size() + 1) : name);
        }
        const std::string flags = joined(port.value("flags", json::array()));
        rows.push_back({{"name", port.value("name", "")},
                        {"direction", port.value("direction", "")},
                        {"template", template_text(port.value("template", json::object()))},
                        {"flags", flags.empty() ? json() : json(flags)},
                        {"channels", channels.empty() ? json() : json(joined(channels))}});
    }
    return rows;
}

void print_section(const char* title, const json& rows, const ColumnOrder& order, const std::string& graph) {
    if (!rows.empty()) {
        fmt::print("\n{}\n{}", title, table_of(short_names(rows, graph), order, false));
    }
}

void print_picture(const GraphPicture& picture) {
    const json& graph = picture.graph;
    const auto number = [&](const char* member) { return cell_of(member, graph.value(member, json()), false); };
    fmt::print("{}: {}{}\n", picture.name, graph.value("state", "?"),
               graph.value("persist", false) ? ", persists" : "");
    if (graph.contains("error") && graph["error"].is_string()) {
        fmt::print("error: {}\n", cell_of("error", graph["error"], false));
    }
    if (graph.contains("device")) {
        fmt::print("on {}: {} datablocks, {} in flight, {} copied in, {} copied out\n", number("device"),
                   number("datablocks"), number("in_flight"), number("copied_in_bytes"), number("copied_out_bytes"));
    }
    const std::vector<std::string> ptask{"name", "function", "form", "priority", "runs", "ended"};
    print_section("PTASKS", rows_with(picture.ptasks, ptask), ptask, picture.name);
    print_section("PORTS", port_rows(picture), {"name", "direction", "template", "flags", "channels"}, picture.name);
    const std::vector<std::string> channel{"name",   "source", "destination", "capacity", "datablocks",
                                           "pushed", "pulled", "discarded",   "ended",    "endpoint"};
    print_section("CHANNELS", rows_with(picture.channels, channel), channel, picture.name);
}

Outcome<GraphPicture> picture_of(const std::string& graph, const std::string& socket) {
    if (is_graph_file(graph)) {
        return picture_of_file(graph);
    }
    return picture_of_running(socket, as_graph_name(graph));
}

// Kept, but with no worker to ask.
bool runs_nowhere(const json& record) {
    const std::string state = record.value("state", "");
    return state == "stopped" || state == "waiting" || state == "restoring";
}

json why_not_there(const json& record, const std::string& name) {
    const std::string state = record.value("state", "");
    const std::string error = cell_of("error", record.value("error", json()), false);
    return json::array(
        {{{"object", name},
          {"reason", state},
          {"sentence", state == "stopped" ? fmt::format("graph {} is stopped; yoke graph start {} runs it", name, name)
                       : state == "waiting"
                           ? fmt::format("graph {} waits until it can be brought back: {}", name, error)
                           : fmt::format("graph {} is being brought back", name)},
          {"channel", nullptr},
          {"follows", false}}});
}

Outcome<json> why_of_running(const WhyOptions& options, const std::string& name) {
    SessionNeeds needs;
    needs.socket = options.socket;
    const auto session = open_session(needs);
    if (!session) {
        return tl::unexpected<Failure>(session.error());
    }
    char* text = nullptr;
    const int error = yoke_graph_why(session->get(), name.c_str(), &text);
    const std::unique_ptr<char, decltype(&::free)> owner(text, &::free);
    if (error == -ENOENT) {
        return fail_no_graph(options.graph, name);
    }
    if (error != 0) {
        return fail_library(session->get(), error);
    }
    json reasons = json::parse(text, nullptr, false);
    return reasons.is_array() ? std::move(reasons) : json::array();
}

// The causes; behind them what follows, or how much that is.
void print_reasons(const json& reasons, bool all) {
    std::size_t follows = 0;
    for (const json& reason : reasons) {
        const bool cause = !reason.value("follows", false);
        follows += cause ? 0 : 1;
        if (cause || all) {
            fmt::print("{}{}\n", !cause && follows == 1 && reasons.size() > 1 ? "\n" : "",
                       cell_of("sentence", reason.value("sentence", json()), false));
        }
    }
    if (!all && follows != 0) {
        fmt::print("\n{} more wait{} for that (--all)\n", follows, follows == 1 ? "s" : "");
    }
}

}  // namespace

Done list_graphs(const ViewOptions& options) {
    const auto answer = ask_daemon(options.socket, {{"op", "list"}, {"kind", "graphs"}});
    if (!answer) {
        return tl::unexpected<Failure>(answer.error());
    }
    json graphs = json::array();
    for (const json& graph : answer->value("graphs", json::array())) {
        if (graph.value("account", 0U) == ::getuid() && !graph.value("pipe", false)) {
            graphs.push_back(graph);
        }
    }
    if (options.json) {
        print_json({{"graphs", graphs}});
    } else if (graphs.empty()) {
        if (!options.plain) {
            say("no graphs; `yoke graph start FILE` starts one");
        }
    } else {
        const std::vector<std::string> members{"name",   "state",    "persist",    "session",
                                               "ptasks", "channels", "datablocks", "error"};
        fmt::print("{}", table_of(rows_with(graphs, members), members, options.plain));
    }
    return {};
}

Done show_graph(const std::string& graph, const std::string& socket, bool as_json) {
    const auto record = find_graph(graph, socket);
    if (!record) {
        return tl::unexpected<Failure>(record.error());
    }
    const auto picture = picture_of_running(socket, record->value("name", ""));
    if (!picture) {
        return tl::unexpected<Failure>(picture.error());
    }
    if (as_json) {
        print_json({{"graph", picture->graph},
                    {"ptasks", picture->ptasks},
                    {"ports", picture->ports},
                    {"channels", picture->channels}});
    } else {
        print_picture(*picture);
    }
    return {};
}

Done draw_graph(const std::string& graph, const std::string& socket, bool live) {
    if (!live) {
        const auto picture = picture_of(graph, socket);
        if (!picture) {
            return picture.error().exit == exit_no_object ? fail_no_graph(graph, as_graph_name(graph))
                                                          : tl::unexpected<Failure>(picture.error());
        }
        fmt::print("{}", dot_of(*picture, false));
        return {};
    }
    const auto record = find_graph(graph, socket);
    if (!record) {
        return tl::unexpected<Failure>(record.error());
    }
    const std::string name = record->value("name", "");
    for (bool first = true; !interrupted(); first = false) {
        const auto picture = picture_of_running(socket, name);
        if (!picture) {
            // A graph that ends while it is watched ends the watching.
            return picture.error().exit != exit_no_object ? Done(tl::unexpected<Failure>(picture.error())) : Done();
        }
        fmt::print("{}{}", first ? "" : "\f", dot_of(*picture, true));
        if (std::fflush(stdout) != 0) {
            return fail(exit_failed, "cannot write to the standard output");
        }
        if (picture->graph.value("state", "") == "failed") {  // it never moves again
            const auto error = picture->graph.value("error", json());
            return fail(exit_failed, "graph {} has failed{}", name,
                        error.is_string() ? ": " + error.get<std::string>() : "");
        }
        static_cast<void>(wait_readable(-1, live_ms));
    }
    return {};
}

Done explain_graph(const WhyOptions& options) {
    const auto record = find_graph(options.graph, options.socket);
    if (!record) {
        return tl::unexpected<Failure>(record.error());
    }
    const std::string name = record->value("name", "");
    const auto reasons =
        runs_nowhere(*record) ? Outcome<json>(why_not_there(*record, name)) : why_of_running(options, name);
    if (!reasons) {
        return tl::unexpected<Failure>(reasons.error());
    }
    if (options.json) {
        print_json({{"graph", name}, {"why", *reasons}});
    } else if (reasons->empty()) {
        say("yoke: {} can move, or has nothing to do", name);
    } else {
        print_reasons(*reasons, options.all);
    }
    return {};
}

}  // namespace yoke::cli
