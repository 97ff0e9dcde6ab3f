// See graph_end.hpp.
#include "cli/graph_end.hpp"

#include <unistd.h>

#include <algorithm>

#include "cli/daemon.hpp"
#include "cli/interrupt.hpp"
#include "cli/outer_channel.hpp"
#include "cli/record.hpp"
#include "cli/standstill.hpp"

namespace yoke::cli {
namespace {

using nlohmann::json;

constexpr int first_look_ms = 5;
constexpr int longest_look_ms = 250;

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

bool sinks_write(const json& record) {
    return record.value("unfinished_sinks", 0U) != 0;
}

// Whether it has come to its end; exit 1: by being terminated, or by an error, behind which its sinks have written.
Outcome<bool> has_ended(const std::string& socket, const std::string& graph) {
    const auto record = record_of(socket, graph);
    // A yoked that is being restarted says nothing about the graph.
    if (!record) {
        return false;
    }
    if (!*record) {
        return fail(exit_failed, "graph {} was terminated, or its worker died; yoked's log says which", graph);
    }
    const std::string state = text_in(**record, "state");
    if (state == "failed") {
        wait_for_sinks(socket, graph, std::chrono::steady_clock::now());
        const std::string error = text_in(**record, "error");
        return fail(exit_failed, "graph {} has failed{}", graph, error.empty() ? "" : ": " + error);
    }
    return state == "ended";
}

// Whether nobody else is to push. Nobody knows without an answer: then it is asked again until there is one.
bool is_fed(const std::string& socket, const std::string& graph, const std::set<std::string>& served) {
    const auto channels = outer_channels(socket, graph);
    return !channels || std::ranges::all_of(*channels, [&](const auto& entry) {
        return !entry.second.pushable || !entry.second.endpoint.empty() || served.contains(entry.first);
    });
}

}  // namespace

Outcome<std::optional<json>> record_of(const std::string& socket, const std::string& graph) {
    const auto answer = ask_list(socket, "graphs");
    if (!answer) {
        return tl::unexpected<Failure>(answer.error());
    }
    if (is_stale(*answer)) {
        return fail(exit_failed, "the worker does not answer, so that nobody can say how graph {} is; see yoke status",
                    graph);
    }
    for (const auto& object : answer->value("graphs", json::array())) {
        // One that is kept and not running has no session.
        if (object.value("account", 0U) == ::getuid() && text_in(object, "name") == graph &&
            object.contains("session")) {
            return object;
        }
    }
    return std::nullopt;
}

bool ends_by_itself(const std::string& socket, const std::string& graph) {
    const auto channels = outer_channels(socket, graph);
    return channels && std::ranges::all_of(*channels, [](const auto& entry) { return !entry.second.endpoint.empty(); });
}

Done wait_for_end(const std::string& socket, const std::string& graph) {
    for (Looks looks; looks.next();) {
        const auto ended = has_ended(socket, graph);
        if (!ended) {
            return tl::unexpected<Failure>(ended.error());
        }
        if (*ended && ends_by_itself(socket, graph)) {
            return {};
        }
    }
    return interrupted_midway();
}

Done wait_for_streams(yoke_session* session, const std::string& socket, const std::string& graph,
                      const std::set<std::string>& served) {
    const bool fed = is_fed(socket, graph, served);
    const auto until = std::chrono::steady_clock::now() + patience_with_sinks;
    Stillness stillness(session, graph);
    for (Looks looks; looks.next();) {
        const auto ended = has_ended(socket, graph);
        if (!ended) {
            return tl::unexpected<Failure>(ended.error());
        }
        if (*ended || (!fed && std::chrono::steady_clock::now() > until)) {
            return {};
        }
        const auto picture = picture_of_running(socket, graph);
        if (const std::string cause = picture ? stillness.look(*picture) : ""; !cause.empty()) {
            return fed ? Done(fail(exit_failed, "graph {} does not come to its end: {}", graph, cause)) : Done();
        }
    }
    return interrupted_midway();
}

bool has_unfinished_sinks(const std::string& socket, const std::string& graph) {
    const auto record = record_of(socket, graph);
    return !record || (*record && (sinks_write(**record) || text_in(**record, "state") == "failed"));
}

void wait_for_sinks(const std::string& socket, const std::string& graph, std::chrono::steady_clock::time_point since) {
    Looks looks;
    do {
        const auto record = record_of(socket, graph);
        if (record && (!*record || !sinks_write(**record))) {
            return;
        }
    } while (looks.next() && std::chrono::steady_clock::now() - since < patience_with_sinks);
}

}  // namespace yoke::cli
