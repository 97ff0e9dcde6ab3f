// A depth frame and the camera that sees it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace gesture {

// Pinhole camera. The defaults are those of an Intel RealSense SR305.
struct Camera {
    std::size_t width = 640;
    std::size_t height = 480;
    double focal_x = 476.007;  // pixels
    double focal_y = 476.007;
    double centre_x = 313.683;  // pixels
    double centre_y = 242.755;
    double metres_per_unit = 0.000125;
};

// Distances along the camera's axis in its units, rows from the top; 0: no reading.
using Depth = std::vector<std::uint16_t>;

}  // namespace gesture
