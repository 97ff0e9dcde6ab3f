// See standstill.hpp. The worker knows the causes (yoke_graph_why); here they are told in the words of the command.
#include "cli/standstill.hpp"

#include <stdlib.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "cli/failure.hpp"
#include "cli/number.hpp"
#include "cli/outer_channel.hpp"
#include "cli/record.hpp"

namespace yoke::cli {
namespace {

using nlohmann::json;

constexpr std::size_t causes_max = 3;        // more are no help
constexpr std::chrono::seconds patience{1};  // before a standstill is asked about

std::string advice(const json& cause, const std::string& graph) {
    const std::string reason = text_in(cause, "reason");
    const char* const option = reason == "nobody pulls" ? "pull" : reason == "nobody pushes" ? "push" : nullptr;
    const std::string channel = text_in(cause, "channel");
    if (option == nullptr || !channel.starts_with(graph + "/")) {
        return {};
    }
    return fmt::format(", or start the graph with --{} {}=FILE", option, channel.substr(graph.size() + 1));
}

json reasons_of(yoke_session* session, const std::string& graph) {
    char* text = nullptr;
    const int error = yoke_graph_why(session, graph.c_str(), &text);
    const std::unique_ptr<char, decltype(&::free)> owner(text, &::free);
    json reasons = error == 0 ? json::parse(text, nullptr, false) : json::array();
    return reasons.is_array() ? std::move(reasons) : json::array();
}

// What the worker tells as a cause; "": there is none, or it is one that takes its time.
std::string cause_of_standstill(yoke_session* session, const std::string& graph) {
    std::string cause;
    for (const json& reason : reasons_of(session, graph)) {
        const std::string what = text_in(reason, "reason");
        if (what.starts_with("endpoint") || what == "function does not run" || what == "number on its way") {
            return {};
        }
        if (cause.empty() && !reason.value("follows", false)) {
            cause = text_in(reason, "sentence");
        }
    }
    return cause;
}

}  // namespace

std::string failure_of_graph(yoke_session* session, const std::string& graph) {
    for (const json& reason : reasons_of(session, graph)) {
        if (text_in(reason, "reason") == "failed") {
            return text_in(reason, "sentence");
        }
    }
    return {};
}

std::string Stillness::look(const GraphPicture& picture) {
    const auto now = std::chrono::steady_clock::now();
    if (picture.stale || picture.channels != channels_) {
        channels_ = picture.channels;
        moved_ = now;
        cause_.clear();
    } else if (cause_.empty() && now - moved_ > patience) {
        cause_ = cause_of_standstill(session_, graph_);
        return {};
    }
    return cause_;
}

void say_standstill(yoke_session* session, const std::string& graph, const std::set<std::string>& served, bool starts) {
    std::size_t causes = 0;
    for (const json& reason : reasons_of(session, graph)) {
        if (reason.value("follows", false) || served.contains(text_in(reason, "channel"))) {
            continue;
        }
        if (++causes <= causes_max) {
            say("yoke: {} does not move: {}{}", graph, text_in(reason, "sentence"),
                starts ? advice(reason, graph) : std::string());
        }
    }
    if (causes > causes_max) {
        say("yoke: {}: yoke graph why {}", counted(causes - causes_max, "more reason"), graph);
    }
}

void say_unpulled(const std::string& socket, const std::string& graph, const std::set<std::string>& served) {
    const auto channels = outer_channels(socket, graph);
    for (const auto& [name, channel] : channels ? *channels : OuterChannels()) {
        if (!channel.pushable && channel.endpoint.empty() && channel.datablocks != 0 && !served.contains(name)) {
            say("yoke: nobody has pulled the {} in {}, which {} gone; start the graph with --pull {}=FILE",
                counted(channel.datablocks, "datablock"), name, channel.datablocks == 1 ? "is" : "are",
                name.substr(graph.size() + 1));
        }
    }
}

}  // namespace yoke::cli
