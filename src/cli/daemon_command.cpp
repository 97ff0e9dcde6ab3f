// `yoke status`, `yoke ls` and `yoke shutdown`: what yoked knows, as tables or as its own JSON.
#include <algorithm>
#include <cstdio>

#include "cli/commands.hpp"
#include "cli/daemon.hpp"
#include "cli/number.hpp"
#include "cli/table.hpp"

namespace yoke::cli {
namespace {

using nlohmann::json;

// What people look for first.
const ColumnOrder first_columns{"name",    "id",   "account", "pid",    "session",     "graph",   "state",
                                "service", "type", "extent",  "source", "destination", "capacity"};

void print_json(const json& answer) {
    fmt::print("{}\n", answer.dump(2, ' ', false, json::error_handler_t::replace));
}

// Members that are scalars; what nests is shown by its own command.
json rows_of(const json& objects) {
    json rows = json::array();
    for (const auto& object : objects) {
        rows.push_back(object.is_object() ? object : json{{"name", object}});
    }
    return rows;
}

}  // namespace

const std::vector<std::string>& object_kinds() {
    static const std::vector<std::string> kinds{"workers",  "sessions", "graphs",  "ptasks", "ports",
                                                "channels", "services", "devices", "keys",   "pipes"};
    return kinds;
}

Done show_status(const ViewOptions& options) {
    const auto answer = ask_daemon(options.socket, {{"op", "status"}});
    if (!answer) {
        return tl::unexpected<Failure>(answer.error());
    }
    if (options.json) {
        print_json(*answer);
        return {};
    }
    const json workers = rows_of(answer->value("workers", json::array()));
    if (!options.plain) {
        fmt::print("yoked {}, pid {}, up {}, {} instance at {}\n", answer->value("version", "?"),
                   answer->value("pid", 0), human_duration(answer->value("uptime_ns", std::uint64_t{0})),
                   answer->value("instance", "?"), answer->value("socket", "?"));
        fmt::print("{}", workers.empty() ? "no worker runs; the first call of an account starts its worker\n" : "\n");
    }
    fmt::print("{}", table_of(workers, {"account", "pid", "generation", "state", "sessions", "graphs"}, options.plain));
    return {};
}

Done list_objects(const ViewOptions& options, const std::string& kind) {
    const auto& kinds = object_kinds();
    if (!kind.empty() && std::find(kinds.begin(), kinds.end(), kind) == kinds.end()) {
        return fail(exit_usage, "there is no kind {}; there are {}", kind, fmt::join(kinds, ", "));
    }
    json request{{"op", "list"}};
    if (!kind.empty()) {
        request["kind"] = kind;
    }
    const auto answer = ask_daemon(options.socket, request);
    if (!answer) {
        return tl::unexpected<Failure>(answer.error());
    }
    if (options.json) {
        print_json(*answer);
        return {};
    }
    bool first = true;
    for (const auto& name : kinds) {
        if (!kind.empty() && name != kind) {
            continue;
        }
        const json objects = rows_of(answer->value(name, json::array()));
        if (kind.empty() && !options.plain) {
            fmt::print("{}{} ({})\n", first ? "" : "\n", name, objects.size());
            first = false;
        }
        if (kind.empty() && options.plain) {
            // One column more, so that lines of all kinds can be told apart.
            json marked = json::array();
            for (json object : objects) {
                object["kind"] = name;
                marked.push_back(std::move(object));
            }
            fmt::print("{}", table_of(marked, {"kind", "name", "id"}, true));
        } else if (!objects.empty()) {
            fmt::print("{}", table_of(objects, first_columns, options.plain));
        } else if (!options.plain && !kind.empty()) {
            say("no {}", kind);
        }
    }
    return {};
}

Done shut_down(const ViewOptions& options) {
    const auto answer = ask_daemon(options.socket, {{"op", "shutdown"}});
    if (!answer) {
        return tl::unexpected<Failure>(answer.error());
    }
    if (options.json) {
        print_json(*answer);
    }
    return {};
}

}  // namespace yoke::cli
