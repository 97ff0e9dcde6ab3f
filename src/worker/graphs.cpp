// Endpoints are opened before the graph runs and put to work behind it, so that a path that is wrong costs nothing and
// a graph that is refused reads nothing. What is kept is written last: only what has run comes back.
#include "worker/graphs.hpp"

#include <algorithm>
#include <cerrno>

#include "base/log.hpp"
#include "control/name.hpp"
#include "worker/graph_request.hpp"

namespace yoke::worker {

using control::Json;
using control::KeptState;

namespace {

// Names can be given anew while the endpoints of the last graph of that name close; numbers of channels never are.
std::string key_of(const std::string& graph, const std::vector<graph::EndpointBinding>& bindings) {
    return bindings.empty() ? std::string() : fmt::format("{}#{}", graph, bindings.front().channel);
}

Place place_of(const std::string& graph, const std::string& key, const graph::EndpointBinding& binding, bool persist) {
    Place place;
    place.graph = graph;
    place.key = key;
    place.channel_name = binding.name;
    place.channel = binding.channel;
    place.source = binding.source;
    place.persist = persist;
    place.bytes = binding.bytes;
    place.form = binding.form;
    place.variable = binding.variable;
    place.port = binding.port;
    place.definition = binding.definition;
    return place;
}

}  // namespace

class Graphs::RuntimeChannels final : public Channels {
   public:
    explicit RuntimeChannels(graph::Runtime& runtime) : runtime_(runtime) {}
    void push(const graph::Transfer& transfer) noexcept override { runtime_.push(transfer); }
    void pull(const graph::Transfer& transfer) noexcept override { runtime_.pull(transfer); }
    void cancel(std::uint64_t key) noexcept override { runtime_.cancel(Endpoints::session, key); }
    void fail_graph(const std::string& graph, const std::string& why) noexcept override {
        runtime_.fail_graph(graph, why);
    }
    void break_stream(std::uint32_t channel, const std::string& why) noexcept override {
        runtime_.break_stream(channel, why);
    }
    void finish_sink(std::uint32_t channel) noexcept override { runtime_.finish_sink(channel); }

   private:
    graph::Runtime& runtime_;
};

Graphs::Graphs(Engine& engine, std::string state_directory)
    : engine_(engine), persistence_(std::move(state_directory)) {
    for (const std::string& name : persistence_.kept(KeptState::running)) {
        restoring_.emplace(name, "");
    }
}

Graphs::~Graphs() = default;

Json Graphs::serve(const graph::Limits& limits, std::uint32_t session, const std::string& op, const Json& request) {
    auto runtime = engine_.open(limits);
    if (!runtime) {
        return control::answer_error(request, runtime.error());
    }
    if (op == "run_graph") {
        const auto& name = request["name"].get_ref<const std::string&>();
        const auto there = (*runtime)->endpoints(Endpoints::session, name);
        if (!there && there.error().code == ENOENT && persistence_.keeps(name)) {
            const std::unique_lock alone(bringing_back_);
            if (auto back = bring_back(**runtime, name); !back) {
                return control::answer_error(request, back.error());
            }
            return control::answer(request);
        }
    }
    const std::shared_lock shared(bringing_back_);
    return serve_graph_request({*this, **runtime, session, request}, op);
}

bool Graphs::restore(const graph::Limits& limits) {
    const auto names = persistence_.kept(KeptState::running);
    if (names.empty()) {
        return true;
    }
    auto runtime = engine_.open(limits);
    if (auto able = persistence_.check(); runtime && !able) {
        runtime = tl::unexpected(able.error());
    }
    bool all = true;
    const std::unique_lock alone(bringing_back_);
    for (const std::string& name : names) {
        if (runtime && (*runtime)->endpoints(Endpoints::session, name)) {
            forget_restoring(name);
            continue;
        }
        if (is_left_out(name)) {
            note_restoring(name, fmt::format("graph {} was the death of two workers and is not brought back; mend its "
                                             "kernels, or run it again with `yoke graph start {}`",
                                             name, name));
            continue;
        }
        const Status back = runtime ? bring_back(**runtime, name) : tl::unexpected(runtime.error());
        if (back) {
            log_info(Topic::worker, "graph is back", {{"graph", name}});
        } else {
            log_warning(Topic::worker, "graph that persists cannot be brought back",
                        {{"graph", name}, {"why", back.error().message}});
            note_restoring(name, back.error().message);
            all = false;
        }
    }
    return all;
}

// The caller holds bringing_back_ alone.
Status Graphs::bring_back(graph::Runtime& runtime, const std::string& name) {
    const auto requests = persistence_.load(name);
    if (!requests) {
        return tl::unexpected(requests.error());
    }
    const auto give_up = [&](int code, const std::string& why) -> Status {
        if (auto ended = runtime.terminate_graph(Endpoints::session, name); !ended) {
            log_debug(Topic::worker, "graph was not made", {{"graph", name}});
        }
        persistence_.forget(name);
        return fail(code, "graph {} cannot be brought back: {}", name, why);
    };
    for (const Json& request : *requests) {
        const auto& op = request["op"].get_ref<const std::string&>();
        const Json answer = serve_graph_request({*this, runtime, Endpoints::session, request}, op);
        if (answer["ok"] != true) {
            return give_up(answer.value("errno", EIO), answer.value("error", std::string()));
        }
    }
    if (auto started = run(runtime, Endpoints::session, name); !started) {
        return give_up(started.error().code, started.error().message);
    }
    forget_restoring(name);
    return {};
}

Status Graphs::run(graph::Runtime& runtime, std::uint32_t session, const std::string& name) {
    const auto bindings = runtime.endpoints(session, name);
    if (!bindings) {
        return tl::unexpected(bindings.error());
    }
    if (auto started = run_with_endpoints(runtime, session, name, *bindings); !started) {
        return started;
    }
    auto kept = persistence_.keep(name);
    if (!kept) {
        // Half a promise is none: it would be gone after the next restart.
        if (auto ended = terminate(runtime, session, name); !ended) {
            log_warning(Topic::worker, "graph runs on", {{"graph", name}, {"why", ended.error().message}});
        }
    }
    return kept;
}

Status Graphs::run_with_endpoints(graph::Runtime& runtime, std::uint32_t session, const std::string& name,
                                  const std::vector<graph::EndpointBinding>& bindings) {
    const std::string key = key_of(name, bindings);
    if (key.empty()) {
        return runtime.run_graph(session, name);
    }
    auto server = endpoints(runtime);
    if (!server) {
        return tl::unexpected(server.error());
    }
    {
        const std::lock_guard lock(mutex_);
        if (!at_work_.emplace(key, bindings.front()).second) {
            return runtime.run_graph(session, name);  // which says that it runs already
        }
    }
    std::vector<Place> places;
    for (const graph::EndpointBinding& binding : bindings) {
        places.push_back(place_of(name, key, binding, persistence_.records(name)));
    }
    auto opened = Endpoints::open(places);
    if (!opened && opened.error().code == ENOENT) {
        opened.error().code = ENXIO;  // ENOENT says that the graph is not there
    }
    Status started = opened ? runtime.run_graph(session, name) : tl::unexpected(opened.error());
    if (started) {
        started = (*server)->begin(key, std::move(*opened));
        if (!started) {
            runtime.fail_graph(name, started.error().message);
        }
    }
    if (!started) {
        const std::lock_guard lock(mutex_);
        at_work_.erase(key);
    }
    return started;
}

Result<Endpoints*> Graphs::endpoints(graph::Runtime& runtime) {
    const std::lock_guard lock(mutex_);
    if (!endpoints_) {
        channels_ = std::make_unique<RuntimeChannels>(runtime);
        auto made = Endpoints::create(*channels_);
        if (!made) {
            return tl::unexpected(made.error());
        }
        endpoints_ = std::move(*made);
    }
    return endpoints_.get();
}

Status Graphs::terminate(graph::Runtime& runtime, std::uint32_t session, const std::string& name) {
    const auto bindings = runtime.endpoints(Endpoints::session, name);
    const Status ended = runtime.terminate_graph(session, name);
    // One that is only kept stops coming back.
    if (!ended && (ended.error().code != ENOENT || !persistence_.keeps(name))) {
        return ended;
    }
    if (bindings) {
        stop_endpoints(key_of(name, *bindings));
    }
    forget_restoring(name);
    return persistence_.stop(name);
}

Status Graphs::remove(graph::Runtime& runtime, std::uint32_t session, const std::string& name) {
    if (auto ended = terminate(runtime, session, name); !ended) {
        return ended;
    }
    const auto removed = persistence_.remove(name);
    return removed ? Status() : tl::unexpected(removed.error());
}

void Graphs::stop_endpoints(const std::string& key) {
    Endpoints* server = nullptr;
    {
        const std::lock_guard lock(mutex_);
        if (at_work_.erase(key) != 0) {
            server = endpoints_.get();
        }
    }
    if (server != nullptr) {
        server->stop(key);
    }
}

void Graphs::leave_out(const Json& names) {
    const std::lock_guard lock(mutex_);
    left_out_ = names.get<std::set<std::string>>();
}

bool Graphs::is_left_out(const std::string& name) const {
    const std::lock_guard lock(mutex_);
    return left_out_.contains(name);
}

void Graphs::sweep() {
    graph::Runtime* runtime = engine_.runtime();
    std::map<std::string, graph::EndpointBinding> at_work;
    {
        const std::lock_guard lock(mutex_);
        at_work = at_work_;
    }
    for (const auto& [key, binding] : at_work) {
        const auto there = runtime->endpoints(Endpoints::session, control::graph_of(binding.name));
        const bool same = there && std::ranges::any_of(*there, [&, id = binding.channel](const auto& other) {
                              return other.channel == id;
                          });
        if (!same) {
            stop_endpoints(key);
        }
    }
}

void Graphs::note_restoring(const std::string& name, const std::string& error) {
    const std::lock_guard lock(mutex_);
    restoring_[name] = error;
}

bool Graphs::forget_restoring(const std::string& name) {
    const std::lock_guard lock(mutex_);
    return restoring_.erase(name) != 0;
}

Json Graphs::records() const {
    const std::lock_guard lock(mutex_);
    Json records = Json::array();
    for (const auto& [name, error] : restoring_) {
        records.push_back({{"name", name},
                           {"state", error.empty() ? "restoring" : "waiting"},
                           {"error", error.empty() ? Json(nullptr) : Json(error)},
                           {"session", Endpoints::session},
                           {"persist", true}});
    }
    return records;
}

}  // namespace yoke::worker
