// A depth frame and the camera that sees it.
#pragma once

#include <array>
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

// Rows of a matrix that takes points of one frame to another; the last one is (0, 0, 0, 1), the rest rigid.
using Pose = std::array<float, 16>;
constexpr Pose same_place{1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1};
// From a camera's frame (x right, y down, z forward) to that of a user who faces it: x to their right, y up, z away
// from it.
constexpr Pose facing{-1, 0, 0, 0, 0, -1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1};

// First @b, then @a.
constexpr Pose after(const Pose& a, const Pose& b) {
    Pose c{};
    for (std::size_t i = 0; i < 16; ++i) {
        for (std::size_t k = 0; k < 4; ++k) {
            c[i] += a[i / 4 * 4 + k] * b[4 * k + i % 4];
        }
    }
    return c;
}

// The way back.
constexpr Pose inverse(const Pose& pose) {
    Pose back = same_place;
    for (std::size_t row = 0; row < 3; ++row) {
        back[4 * row + 3] = 0;
        for (std::size_t column = 0; column < 3; ++column) {
            back[4 * row + column] = pose[4 * column + row];
            back[4 * row + 3] -= pose[4 * column + row] * pose[4 * column + 3];
        }
    }
    return back;
}

// A second camera: 0.25 m to the right of the first one and turned by 22 degrees, so that both look at a hand half a
// metre away. From the first camera's frame to its own.
constexpr Pose beside{0.9271839F,  0, 0.3746066F, -0.2317960F, 0, 1, 0, 0,
                      -0.3746066F, 0, 0.9271839F, 0.0936516F,  0, 0, 0, 1};

// Distances along the camera's axis in its units, rows from the top; 0: no reading.
using Depth = std::vector<std::uint16_t>;

}  // namespace gesture
