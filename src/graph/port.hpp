// A port: where a channel meets a ptask.
#pragma once

#include <cstdint>

#include "control/graph_file.hpp"

namespace yoke::graph {

struct Channel;
struct Ptask;

struct Port {
    control::PortDefinition definition;
    std::uint64_t bytes = 0;  // of a datablock
    Ptask* ptask = nullptr;
    Channel* channel = nullptr;
};

}  // namespace yoke::graph
