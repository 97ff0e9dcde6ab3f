// `yoke graph`: graphs from files, run in the foreground with files at their outer channels.
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <optional>
#include <set>

#include "cli/commands.hpp"
#include "cli/daemon.hpp"
#include "cli/flow.hpp"
#include "cli/graph_end.hpp"
#include "cli/graph_name.hpp"
#include "cli/graph_picture.hpp"
#include "cli/interrupt.hpp"
#include "cli/known_graph.hpp"
#include "cli/number.hpp"
#include "cli/outer_channel.hpp"
#include "cli/session.hpp"
#include "cli/slow_notice.hpp"
#include "cli/standstill.hpp"

namespace yoke::cli {
namespace {

// A failure of a function that reads a graph file: a missing file is no missing object.
tl::unexpected<Failure> fail_file(const yoke_session* session, int error) {
    auto failure = fail_library(session, error);
    if (failure.value().exit == exit_no_object) {
        failure.value().exit = exit_failed;
    }
    return failure;
}

struct Binding {
    std::string channel;
    std::string file;
};

Outcome<Binding> parse_binding(const std::string& option, const std::string& text) {
    const auto equals = text.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == text.size()) {
        return fail(exit_usage, "{} {}: write CHANNEL=FILE", option, text);
    }
    return Binding{text.substr(0, equals), text.substr(equals + 1)};
}

// Opens the ends of files first: what is misspelt is told before a daemon is started and kernels are compiled.
Outcome<std::vector<Lane>> open_files(const GraphStartOptions& options) {
    std::vector<Lane> lanes;
    for (const auto& text : options.push) {
        const auto binding = parse_binding("--push", text);
        if (!binding) {
            return tl::unexpected<Failure>(binding.error());
        }
        auto input = Input::open(binding->file);
        if (!input) {
            return tl::unexpected<Failure>(input.error());
        }
        Lane lane;
        lane.name = binding->channel;
        lane.input.emplace(std::move(*input));
        lane.raw = options.raw;
        lanes.push_back(std::move(lane));
    }
    for (const auto& text : options.pull) {
        const auto binding = parse_binding("--pull", text);
        if (!binding) {
            return tl::unexpected<Failure>(binding.error());
        }
        auto output = Output::open(binding->file, true);
        if (!output) {
            return tl::unexpected<Failure>(output.error());
        }
        Lane lane;
        lane.name = binding->channel;
        lane.output.emplace(std::move(*output));
        lanes.push_back(std::move(lane));
    }
    return lanes;
}

// Opening a graph that somebody else has opened joins it; running and then terminating it would take it from them.
Done refuse_foreign_graph(yoke_session* session, const std::string& socket, const std::string& graph) {
    yoke_session_info info{};
    if (const int error = yoke_info(session, &info); error != 0) {
        return fail_library(session, error);
    }
    const auto record = record_of(socket, graph);
    if (!record) {
        return tl::unexpected<Failure>(record.error());
    }
    if (*record && (*record)->value("session", 0U) != info.session) {
        return fail(exit_failed, "graph {} exists already; stop it first (yoke graph stop {}), or rename yours", graph,
                    graph);
    }
    return {};
}

// What a command that leaves a graph behind tells.
void say_started(const GraphStartOptions& options, const std::string& name) {
    if (options.json) {
        say("{}", nlohmann::ordered_json{{"graph", name}, {"persist", true}}.dump());
    } else {
        say("yoke: {} runs and persists; yoke graph stop {} ends it", name, name);
    }
}

// Whether a file that is read here, or by an endpoint, is written by the other while it is read: refused before
// anything is emptied.
Done check_files(const std::vector<Lane>& lanes, const OuterChannels& channels) {
    for (const Lane& reading : lanes) {
        for (const Lane& writing : lanes) {
            if (reading.input && writing.output) {
                if (auto differs = writing.output->differs_from(*reading.input); !differs) {
                    return differs;
                }
            }
        }
    }
    for (const auto& [name, channel] : channels) {
        if (channel.endpoint_kind != "file" && channel.endpoint_kind != "fifo") {
            continue;
        }
        for (const Lane& lane : lanes) {
            if (channel.pushable && lane.output) {
                if (auto differs = lane.output->differs_from(channel.endpoint); !differs) {
                    return differs;
                }
            }
            if (!channel.pushable && lane.input && lane.input->is(channel.endpoint)) {
                return fail(exit_failed, "{} is to be pushed, and channel {} writes into it; name another file",
                            lane.input->name(), name);
            }
        }
    }
    return {};
}

// Finds the lanes' channels; refuses to push where the graph pushes out, and to pull where it takes in.
Done bind_lanes(std::vector<Lane>& lanes, const std::string& socket, const std::string& graph) {
    if (lanes.empty()) {
        return {};
    }
    const auto channels = outer_channels(socket, graph);
    if (!channels) {
        return tl::unexpected<Failure>(channels.error());
    }
    std::set<std::string> bound;
    for (Lane& lane : lanes) {
        const auto channel = pick_channel(*channels, lane.name.starts_with('/') ? lane.name : graph + "/" + lane.name);
        if (!channel) {
            return tl::unexpected<Failure>(channel.error());
        }
        if (channel->pushable != lane.input.has_value()) {
            return fail(exit_usage, "channel {} is {}; use {}", channel->name,
                        channel->pushable ? "pushed into" : "pulled from", channel->pushable ? "--push" : "--pull");
        }
        if (!bound.insert(channel->name).second) {
            return fail(exit_usage, "channel {} is given twice; give it one file", channel->name);
        }
        if (!channel->endpoint.empty()) {
            return fail(exit_usage, "channel {} is served by its endpoint {}; leave it out", channel->name,
                        channel->endpoint);
        }
        fit(lane, *channel);
    }
    return check_files(lanes, *channels);
}

void say_summary(const GraphStartOptions& options, const std::string& graph, const Flow* flow) {
    const std::uint64_t pushed = flow != nullptr ? flow->pushed() : 0;
    const std::uint64_t pulled = flow != nullptr ? flow->pulled() : 0;
    if (options.json) {
        say("{}", nlohmann::ordered_json{{"graph", graph}, {"pushed", pushed}, {"pulled", pulled}}.dump());
    } else if (flow != nullptr) {
        say("yoke: {} pushed, {} pulled", counted(pushed, "datablock"), pulled);
    } else {
        say("yoke: {} has ended", graph);
    }
}

Done run_alone(const GraphStartOptions& options, const std::string& graph) {
    const bool by_itself = ends_by_itself(options.socket, graph);
    if (!options.json) {
        say("yoke: {} runs; {}Ctrl-C ends it", graph, by_itself ? "the end of its streams or " : "");
    }
    if (auto done = wait_for_end(options.socket, graph); !done) {
        return done;
    }
    say_summary(options, graph, nullptr);
    return {};
}

Done run_flow(yoke_session* asking, const GraphStartOptions& options, const std::string& graph, std::vector<Lane> lanes,
              bool persists) {
    std::set<std::string> served;
    for (const Lane& lane : lanes) {
        served.insert(lane.name);
    }
    Flow flow(std::move(lanes));
    if (!persists) {
        flow.ends_graph();
    }
    if (!options.json) {
        flow.on_standstill([&](yoke_session* session) { say_standstill(session, graph, served, true); });
    }
    if (auto done = flow.run(options.socket); !done) {
        if (!persists && !interrupted()) {
            wait_for_sinks(options.socket, graph, flow.cut_at().value_or(std::chrono::steady_clock::now()));
        }
        return done;
    }
    // What was pushed may still be on its way into the graph's own files.
    if (!persists && has_unfinished_sinks(options.socket, graph)) {
        if (auto done = wait_for_streams(asking, options.socket, graph, served); !done) {
            if (!options.json && !interrupted()) {
                say_unpulled(options.socket, graph, served);
            }
            return done;
        }
    }
    say_summary(options, graph, &flow);
    if (!options.json && !persists) {
        say_unpulled(options.socket, graph, served);
    }
    return {};
}

// Terminates the graph that this command has opened, however the command ends; unless it is to outlive it.
class OpenedGraph {
   public:
    OpenedGraph(yoke_session* session, std::string name) : session_(session), name_(std::move(name)) {}
    OpenedGraph(const OpenedGraph&) = delete;
    OpenedGraph& operator=(const OpenedGraph&) = delete;
    ~OpenedGraph() {
        if (!left_) {
            yoke_terminate_graph(session_, name_.c_str());
        }
    }
    void leave() { left_ = true; }
    [[nodiscard]] const std::string& name() const { return name_; }

   private:
    yoke_session* session_;
    std::string name_;
    bool left_ = false;
};

// Whether what is no file is the name of a graph: one that yoked knows, or nothing that a file would be called.
bool names_kept(const GraphStartOptions& options) {
    const auto answer = ask_daemon(options.socket, {{"op", "list"}, {"kind", "graphs"}});
    for (const auto& graph : answer ? answer->value("graphs", nlohmann::json::array()) : nlohmann::json::array()) {
        if (graph.value("account", 0U) == ::getuid() && graph.value("name", "") == as_graph_name(options.file)) {
            return true;
        }
    }
    return options.file.find_first_of("./", 1) == std::string::npos && !options.file.starts_with('.');
}

// Opens all that the file says.
Done load_graph(yoke_session* session, const std::string& file) {
    const SlowNotice notice(compiling);
    const int error = yoke_load_graph(session, file.c_str(), nullptr, 0);
    return error == 0 ? Done() : fail_file(session, error);
}

// Has a worker compile the kernels.
Done build_graph(const CheckOptions& options) {
    const auto session = open_session({.socket = options.socket});
    if (!session) {
        return tl::unexpected<Failure>(session.error());
    }
    const SlowNotice notice(compiling);
    const int error = yoke_build_graph(session->get(), options.file.c_str());
    return error == 0 ? Done() : fail_file(session->get(), error);
}

int run_kept(yoke_session* session, const std::string& name) {
    const SlowNotice notice(compiling);
    return yoke_run_graph(session, name.c_str());
}

// A graph that is kept: its name is enough. It runs on by itself.
Done start_kept(const GraphStartOptions& options) {
    if (!options.push.empty() || !options.pull.empty()) {
        return fail(exit_usage, "{} is no file; use yoke push and yoke pull with a graph that is kept", options.file);
    }
    const std::string name = as_graph_name(options.file);
    if (!is_name(name)) {
        return fail_no_graph(options.file, name);
    }
    SessionNeeds needs;
    needs.socket = options.socket;
    const auto session = open_session(needs);
    if (!session) {
        return tl::unexpected<Failure>(session.error());
    }
    if (const int error = run_kept(session->get(), name); error != 0) {
        return error == -ENOENT
                   ? fail(exit_no_object, "there is no file {}, and no graph {} is kept; `yoke graph ls` lists yours",
                          options.file, name)
                   : fail_library(session->get(), error);
    }
    say_started(options, name);
    return {};
}

// Opens the graph of a file so that it persists; what the file says otherwise stays.
Outcome<bool> open_persistent(yoke_session* session, const GraphStartOptions& options, const GraphPicture& picture) {
    const bool persist = options.persist || picture.graph.value("persist", false);
    if (persist) {
        const auto mode = picture.graph.value("mode", std::uint32_t{0});
        if (const int error = yoke_open_graph_as(session, picture.name.c_str(), 1, mode); error != 0) {
            return fail_library(session, error);
        }
    }
    return persist;
}

}  // namespace

Done check_graph(const CheckOptions& options) {
    auto name = name_in_file(options.file);
    if (name && options.build) {
        if (auto done = build_graph(options); !done) {
            name = tl::unexpected<Failure>(done.error());
        }
    }
    if (options.json) {
        const nlohmann::ordered_json answer{
            {"file", options.file},
            {"ok", name.has_value()},
            {"graph", name ? nlohmann::ordered_json(*name) : nlohmann::ordered_json()},
            {"error", name ? nlohmann::ordered_json() : nlohmann::ordered_json(name.error().message)}};
        fmt::print("{}\n", answer.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
    } else if (name) {
        say("yoke: {} is a good graph{}", options.file, options.build ? ", and its kernels build" : "");
    }
    return name ? Done{} : tl::unexpected<Failure>(name.error());
}

Done start_graph(const GraphStartOptions& options) {
    if (is_folder(options.file)) {
        return fail(exit_failed, "{} is a directory; name a graph file in it, or a graph that is kept", options.file);
    }
    if (!is_graph_file(options.file) && names_kept(options)) {
        return start_kept(options);
    }
    const auto picture = picture_of_file(options.file);
    if (!picture) {
        return tl::unexpected<Failure>(picture.error());
    }
    auto lanes = open_files(options);
    if (!lanes) {
        return tl::unexpected<Failure>(lanes.error());
    }
    SessionNeeds needs;
    needs.socket = options.socket;
    auto session = open_session(needs);
    if (!session) {
        return tl::unexpected<Failure>(session.error());
    }
    if (auto done = refuse_foreign_graph(session->get(), options.socket, picture->name); !done) {
        return done;
    }
    const auto persists = open_persistent(session->get(), options, *picture);
    if (!persists) {
        return tl::unexpected<Failure>(persists.error());
    }
    OpenedGraph graph(session->get(), picture->name);
    if (auto done = load_graph(session->get(), options.file); !done) {
        return done;
    }
    if (auto done = refuse_foreign_graph(session->get(), options.socket, graph.name()); !done) {
        graph.leave();
        return done;
    }
    if (auto done = bind_lanes(*lanes, options.socket, graph.name()); !done) {
        return done;
    }
    if (const int error = yoke_run_graph(session->get(), graph.name().c_str()); error != 0) {
        return fail_library(session->get(), error);
    }
    if (*persists) {
        graph.leave();
    }
    if (!lanes->empty()) {
        return run_flow(session->get(), options, graph.name(), std::move(*lanes), *persists);
    }
    if (*persists) {
        say_started(options, graph.name());
        return {};
    }
    return run_alone(options, graph.name());
}

}  // namespace yoke::cli
