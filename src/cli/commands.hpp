// The commands of `yoke`, each a function from its options to how it ended. Data goes to the standard output,
// everything else to the standard error.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/failure.hpp"
#include "cli/recipe.hpp"

namespace yoke::cli {

// Options that tables and JSON share.
struct ViewOptions {
    std::string socket;  // empty: libyoke's default
    bool json = false;
    bool plain = false;  // no header, columns separated by one tab
};

struct CheckOptions {
    std::string file;
    std::string socket;
    bool json = false;
    bool build = false;  // by a worker, kernels included
};

struct GraphStartOptions {
    std::string file;               // or the name of a graph that is kept
    std::vector<std::string> push;  // CHANNEL=FILE
    std::vector<std::string> pull;  // CHANNEL=FILE
    std::string socket;
    bool json = false;
    bool persist = false;
    bool raw = false;  // inputs that begin like a stream are data
};

// Of push and pull.
struct TransferOptions {
    std::string channel;  // "/graph/channel", with or without the slash
    std::string file = "-";
    std::optional<bool> end;             // push: the input's end is the stream's; unset: unless the graph persists
    std::optional<double> timeout_s;     // without anything taken or given; unset: as long as it takes
    std::optional<std::uint64_t> count;  // pull: datablocks; unset: until the end of the stream
    std::string socket;
    bool json = false;
    bool raw = false;  // push: an input that begins like a stream is data
};

struct WhyOptions {
    std::string graph;  // a name, or the file that it was started from
    std::string socket;
    bool json = false;
    bool all = false;  // also what only follows
};

struct StageOptions {
    std::string file;
    std::string kernel;            // empty: the only one
    std::string type;              // of the output; empty: from the kernel's signature
    std::string extent;            // of the output; empty: the input's
    std::string options;           // of the compiler
    std::vector<std::string> set;  // NAME=VALUE
    std::string socket;
};

Done show_status(const ViewOptions& options);
Done list_objects(const ViewOptions& options, const std::string& kind);
Done shut_down(const ViewOptions& options);
Done call_service(const CallOptions& options);
Done check_graph(const CheckOptions& options);
Done start_graph(const GraphStartOptions& options);
// `graph` is a name or a graph file. `forget`: what is kept of a graph that persists goes, too.
Done stop_graph(const std::string& graph, const std::string& socket, bool json, bool forget);
Done list_graphs(const ViewOptions& options);
Done show_graph(const std::string& graph, const std::string& socket, bool json);
Done draw_graph(const std::string& graph, const std::string& socket, bool live);
Done explain_graph(const WhyOptions& options);
Done push_file(const TransferOptions& options);
Done pull_file(const TransferOptions& options);
Done run_stage(const StageOptions& options);
Done diagnose(const ViewOptions& options);
Done show_version(const ViewOptions& options);

// Kinds of objects that `yoke ls` knows (docs/control.md).
const std::vector<std::string>& object_kinds();

}  // namespace yoke::cli
