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
    std::string options;  // for the compiler
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

// Frame ("frame") to point cloud ("cloud").
Pipeline transform_pipeline(const Camera& camera, const Pose& pose = facing);
// Two clouds to one ("cloud-1", "cloud-2" to "cloud"): what the second camera sees, put where the first one has no
// reading.
// @camera and @pose are those of the first cloud; @rigid takes the frame of the second cloud to that of the first one.
Pipeline fuse_pipeline(const Camera& camera, const Pose& rigid, const Pose& pose = facing);
// Point cloud ("cloud") to event ("event").
Pipeline detect_pipeline(const Camera& camera);

// Frame ("frame") to event ("event").
Pipeline gesture_pipeline(const Camera& camera);
// Frames of two such cameras ("frame-1", "frame-2") to event. @view takes the first camera's frame to the second one's.
Pipeline gesture_pipeline(const Camera& camera, const Pose& view);

}  // namespace gesture
