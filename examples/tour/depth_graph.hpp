// The graph of examples/depth.toml, opened for frames of one size.
#pragma once

#include <yoke/yoke.h>

#include <string>

#include "tour/depth_reference.hpp"
#include "tour/image.hpp"
#include "tour/outcome.hpp"

namespace tour {

struct DepthShape {
    std::size_t width = 0;
    std::size_t height = 0;
    Camera camera;
    FilterShape filter;
};

struct DepthGraph {
    std::string name;
    std::uint32_t depth = 0;  // channel: frames are pushed
    std::uint32_t cloud = 0;  // channel: clouds are pulled
    std::string built_by;     // "examples/depth.toml" or "API calls"
};

// Opens and runs the graph: from examples/depth.toml where that fits the shape, else by API calls with the same
// kernels.
// @examples: folder of depth.toml and kernels/.
Outcome<DepthGraph> open_depth_graph(yoke_session* session, const std::string& examples, const DepthShape& shape);

}  // namespace tour
