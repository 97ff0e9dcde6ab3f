// A pipeline as a yoke graph. Each step is a ptask whose ports have the names of its buffers; a channel leads from the
// port that wrote a buffer last to each port that reads it next. A buffer that a step changes is an in-out port: the
// datablock comes in, is changed and goes on, so that who reads it later has no copy of it.
#pragma once

#include <string>
#include <vector>

#include <yoke/yoke.hpp>

#include "gesture/pipeline.hpp"

namespace gesture {

// Ends are "ptask:port"; an empty one is the outside.
struct Wire {
    std::string name;
    std::string source;
    std::string destination;
};

// Channels of the pipeline. Those to and from the outside have the names of their buffers, inner ones "ptask.port".
std::vector<Wire> wires_of(const Pipeline& pipeline);

// Opens ports, ptasks and inner channels in @graph, which is open in @session. Kernels are read from @folder. Throws
// yoke::error.
void open_pipeline(yoke_session* session, const std::string& graph, const Pipeline& pipeline,
                   const std::string& folder);

// The port of the outer channel for @buffer, e.g. "smooth:frame". The pipeline must have such a buffer.
std::string outer_port(const Pipeline& pipeline, const std::string& buffer);

// How an outer channel is called in a graph file, and the FIFO that the worker serves it from; "": a program does.
struct Outer {
    std::string channel;
    std::string fifo;
};

// The pipeline as a graph file (docs/graph.md). @folder: where the kernels are, as seen from that file; "": beside it.
// @outer: by buffer. With a FIFO at every outer channel the graph persists, since it needs no program.
std::string graph_file(const std::string& name, const Pipeline& pipeline, const std::string& folder,
                       const std::map<std::string, Outer>& outer);

}  // namespace gesture
