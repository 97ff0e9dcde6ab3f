// The kernels from a depth frame to an event, as data: which kernel reads and writes which buffer, in which order. The
// programs open ptasks and channels from it, the tests run it step by step beside plain C++, and the benchmark runs it
// by hand-written OpenCL; so all three do the same.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "gesture/frame.hpp"

namespace gesture {

// What detect tells of a frame: the structure `event` of detect.cl.
struct Event {
    std::array<float, 4> centre{};  // of the palm: x, y, z in the user's frame in metres, and the distance; 0: no hand
    float pixel_x = 0;              // the same in the picture
    float pixel_y = 0;
    float radius = 0;   // of the palm, in metres
    float fingers = 0;  // stretched ones
    float open = 0;     // 1: an open palm
    std::array<float, 7> reserved{};
};
static_assert(sizeof(Event) == 64);

// The palm: the structure `hand` of detect.cl.
struct Hand {
    std::array<float, 4> centre{};
    std::array<float, 4> normal{};
    float radius = 0;
    std::int32_t index = 0;
    std::int32_t label = 0;
    std::int32_t reserved = 0;
};
static_assert(sizeof(Hand) == 48);

enum class Access { In, Out, InOut, Constant };

struct Argument {
    Access access = Access::In;
    std::string buffer;            // name, unless it is a constant
    std::vector<std::byte> bytes;  // value of a constant
    std::string type;              // and its scalars: "i32" or "f32"
};

struct Step {
    std::string name;  // of the ptask
    std::string file;  // beside this one
    std::string function;
    std::array<std::size_t, 2> geometry{};  // work items
    std::size_t local = 0;                  // work items of the only group, 0: the runtime chooses
    std::vector<Argument> arguments;
};

// Elements of a buffer: type as in yoke templates, and how many.
struct Shape {
    std::string type;
    std::array<std::size_t, 2> extent{};

    [[nodiscard]] std::size_t bytes() const;
};

struct Pipeline {
    std::map<std::string, Shape> buffers;
    std::vector<Step> steps;
};

// Rows of the matrix that takes the camera's frame to the user's, and the last row (0, 0, 0, 1).
using Pose = std::array<float, 16>;
// The user faces the camera: x to their right, y up, z away from the camera.
constexpr Pose facing{-1, 0, 0, 0, 0, -1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1};

// Frame ("frame") to point cloud ("cloud").
Pipeline transform_pipeline(const Camera& camera, const Pose& pose = facing);
// Point cloud ("cloud") to event ("event").
Pipeline detect_pipeline(const Camera& camera);

}  // namespace gesture
