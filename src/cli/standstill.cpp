// See standstill.hpp. The worker knows the causes (yoke_graph_why); here they are told in the words of the command.
#include "cli/standstill.hpp"

#include <stdlib.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "cli/failure.hpp"
#include "cli/number.hpp"
#include "cli/outer_channel.hpp"

namespace yoke::cli {
namespace {

using nlohmann::json;

constexpr std::size_t causes_max = 3;  // more are no help

std::string member_text(const json& object, const char* member) {
    const auto found = object.find(member);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::string advice(const json& cause, const std::string& graph) {
    const std::string reason = member_text(cause, "reason");
    const char* const option = reason == "nobody pulls" ? "pull" : reason == "nobody pushes" ? "push" : nullptr;
    const std::string channel = member_text(cause, "channel");
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

}  // namespace

std::string cause_of_standstill(yoke_session* session, const std::string& graph) {
    std::string cause;
    for (const json& reason : reasons_of(session, graph)) {
        const std::string what = member_text(reason, "reason");
        if (what.starts_with("endpoint") || what == "function does not run" || what == "number on its way") {
            return {};
        }
        if (cause.empty() && !reason.value("follows", false)) {
            cause = member_text(reason, "sentence");
        }
    }
    return cause;
}

void say_standstill(yoke_session* session, const std::string& graph, const std::set<std::string>& served, bool starts) {
    std::size_t causes = 0;
    for (const json& reason : reasons_of(session, graph)) {
        if (reason.value("follows", false) || served.contains(member_text(reason, "channel"))) {
            continue;
        }
        if (++causes <= causes_max) {
            say("yoke: {} does not move: {}{}", graph, member_text(reason, "sentence"),
                starts ? advice(reason, graph) : std::string());
        }
    }
    if (causes > causes_max) {
        say("yoke: of {} more yoke graph why {} speaks", counted(causes - causes_max, "reason"), graph);
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
