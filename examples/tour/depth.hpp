// Second part of the tour: depth frames flow through a graph of two ptasks; the clouds that come out are compared with
// plain C++, and pictures show before and after.
#pragma once

#include <string>

#include "tour/image.hpp"
#include "tour/outcome.hpp"
#include "tour/report.hpp"

namespace tour {

struct DepthOptions {
    std::string frames;    // folder with 16-bit PNG files; empty: rendered ones
    std::string out;       // folder for pictures
    std::string examples;  // folder of depth.toml and kernels/
    Camera camera;
};

Done tour_depth(const DepthOptions& options, Report& report);

}  // namespace tour
