// See graph_end.hpp.
#include "cli/graph_end.hpp"

#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "cli/daemon.hpp"
#include "cli/interrupt.hpp"
#include "cli/outer_channel.hpp"

namespace yoke::cli {
namespace {

using nlohmann::json;

constexpr int first_look_ms = 5;
constexpr int longest_look_ms = 250;
// A reader that takes nothing must not keep the command of a graph that has failed.
constexpr std::chrono::seconds patience_with_sinks{5};

// Looks at longer and longer intervals. False: interrupted.
class Looks {
   public:
    bool next() {
        static_cast<void>(wait_readable(-1, wait_ms_));
        wait_ms_ = std::min(2 * wait_ms_, longest_look_ms);
        return !interrupted();
    }

   private:
    int wait_ms_ = first_look_ms;
};

std::string state_of(const json& record) {
    return record.value("state", "");
}

bool sinks_write(const json& record) {
    return record.value("unfinished_sinks", 0U) != 0;
}

}  // namespace

Outcome<std::optional<json>> record_of(const std::string& socket, const std::string& graph) {
    const auto answer = ask_daemon(socket, {{"op", "list"}, {"kind", "graphs"}});
    if (!answer) {
        return tl::unexpected<Failure>(answer.error());
    }
    for (const auto& object : answer->value("graphs", json::array())) {
        // One that is kept and not running has no session.
        if (object.value("account", 0U) == ::getuid() && object.value("name", "") == graph &&
            object.contains("session")) {
            return object;
        }
    }
    return std::nullopt;
}

bool ends_by_itself(const std::string& socket, const std::string& graph, const std::set<std::string>& served) {
    const auto channels = outer_channels(socket, graph);
    return channels && std::ranges::all_of(*channels, [&](const auto& entry) {
               return !entry.second.endpoint.empty() || served.contains(entry.first);
           });
}

Done wait_for_end(const std::string& socket, const std::string& graph, const std::set<std::string>& served) {
    for (Looks looks; looks.next();) {
        const auto record = record_of(socket, graph);
        // A yoked that is being restarted says nothing about the graph.
        if (!record) {
            continue;
        }
        if (!*record) {
            return fail(exit_failed, "graph {} was terminated", graph);
        }
        const std::string state = state_of(**record);
        if (state == "ended" && ends_by_itself(socket, graph, served)) {
            return {};
        }
        if (state == "failed") {
            wait_for_sinks(socket, graph);
            const auto error = (*record)->value("error", json());
            return fail(exit_failed, "graph {} has failed{}", graph,
                        error.is_string() ? ": " + error.get<std::string>() : "");
        }
    }
    return interrupted_failure();
}

bool has_unfinished_sinks(const std::string& socket, const std::string& graph) {
    const auto record = record_of(socket, graph);
    return !record || (*record && (sinks_write(**record) || state_of(**record) == "failed"));
}

void wait_for_sinks(const std::string& socket, const std::string& graph) {
    const auto until = std::chrono::steady_clock::now() + patience_with_sinks;
    Looks looks;
    do {
        auto record = record_of(socket, graph);
        if (record && (!*record || !(**record)["error"].is_string() || !sinks_write(**record))) {
            return;
        }
    } while (looks.next() && std::chrono::steady_clock::now() < until);
}

}  // namespace yoke::cli
