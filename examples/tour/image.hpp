// Pictures in memory: depth frames (16-bit grey) and coloured pictures (8-bit RGB), packed rows from the top.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "tour/outcome.hpp"

namespace tour {

struct DepthFrame {
    std::size_t width = 0;
    std::size_t height = 0;
    std::vector<std::uint16_t> pixels;  // distance in camera units; 0: no reading
    std::string name;
};

using Colour = std::array<std::uint8_t, 3>;

struct Picture {
    std::size_t width = 0;
    std::size_t height = 0;
    std::vector<Colour> pixels;
};

// Pinhole camera of the frames.
struct Camera {
    double focal = 476.007;     // pixels
    double centre_x = 313.683;  // pixels
    double centre_y = 242.755;  // pixels
    double metres_per_unit = 0.000125;
};

// Reads a 16-bit grey PNG without interpreting gamma: pixels are distances, not light.
Outcome<DepthFrame> read_depth_png(const std::string& path);
// The same into memory that @room gives for a frame of that size.
Done read_depth_png(const std::string& path,
                    const std::function<std::uint16_t*(std::size_t width, std::size_t height)>& room);
Done write_png(const std::string& path, const Picture& picture);

}  // namespace tour
