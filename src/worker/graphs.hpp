// The account's graphs as requests see them: the runtime's, with their endpoints and with what persists of them.
//
// A graph that persists is recorded while it is made, kept when it is run, and brought back by the same requests, made
// by session 0, the worker itself. While graphs are brought back no other request about graphs is served, so that a
// client that opens its graphs anew after a restart finds a graph that is whole, or none.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <shared_mutex>
#include <string>
#include <vector>

#include "graph/runtime.hpp"
#include "worker/endpoint/endpoints.hpp"
#include "worker/engine.hpp"
#include "worker/persistence.hpp"

namespace yoke::worker {

class Graphs {
   public:
    // `state_directory`: where definitions are kept; "": nothing can persist. `engine` outlives this.
    Graphs(Engine& engine, std::string state_directory);
    Graphs(const Graphs&) = delete;
    Graphs& operator=(const Graphs&) = delete;
    ~Graphs();

    // Answers a request whose schema has been checked. Blocks (device, compiler, paths). Any thread.
    control::Json serve(const graph::Limits& limits, std::uint32_t session, const std::string& op,
                        const control::Json& request);
    // Brings back the graphs that ran when the last worker ended, except those that are here. Blocks likewise. False:
    // some could not be; records() says why.
    bool restore(const graph::Limits& limits);
    // Graphs (names) that restore() does not bring back, since they were the death of the last workers; somebody may
    // run them all the same. Any thread.
    void leave_out(const control::Json& names);
    // A session has gone, and perhaps graphs with it: closes their endpoints.
    void sweep();
    // For the inventory: graphs that are to be brought back and are not here yet. Never blocks for long.
    [[nodiscard]] control::Json records() const;

    // What the handlers of requests (graph_request.cpp) use beside the runtime. Errors name the object.
    Status run(graph::Runtime& runtime, std::uint32_t session, const std::string& name);
    Status terminate(graph::Runtime& runtime, std::uint32_t session, const std::string& name);
    // Terminates the graph, if it is here, and forgets what is kept of it.
    Status remove(graph::Runtime& runtime, std::uint32_t session, const std::string& name);
    [[nodiscard]] Persistence& persistence() { return persistence_; }

   private:
    // Channels of the runtime, for endpoints: these exist only while it does.
    class RuntimeChannels;

    Status run_with_endpoints(graph::Runtime& runtime, std::uint32_t session, const std::string& name,
                              const std::vector<graph::EndpointBinding>& bindings);
    Status bring_back(graph::Runtime& runtime, const std::string& name);
    Result<Endpoints*> endpoints(graph::Runtime& runtime);
    void stop_endpoints(const std::string& key);
    void note_restoring(const std::string& name, const std::string& error);
    bool forget_restoring(const std::string& name);
    [[nodiscard]] bool is_left_out(const std::string& name) const;

    Engine& engine_;
    Persistence persistence_;
    std::shared_mutex bringing_back_;  // requests share it

    mutable std::mutex mutex_;
    std::set<std::string> left_out_;
    std::map<std::string, std::string> restoring_;           // graphs that are not back, and why
    std::map<std::string, graph::EndpointBinding> at_work_;  // keys of graphs whose endpoints are open, one of each
    std::unique_ptr<RuntimeChannels> channels_;
    std::unique_ptr<Endpoints> endpoints_;  // none before the first graph that has some
};

}  // namespace yoke::worker
