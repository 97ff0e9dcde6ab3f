// A hand that moves and makes signs before a person's torso, for tests and machines without a camera.
#pragma once

#include <cstdint>

#include "gesture/frame.hpp"
#include "gesture/render.hpp"

namespace gesture {

// What is known of a rendered frame.
struct Truth {
    double x = 0;  // the middle of the palm, in pixels
    double y = 0;
    double distance = 0;  // metres along the camera's axis
    int fingers = 0;      // stretched ones
    bool open = false;    // five fingers stretched and apart
};

// An endless film. The same seed gives the same frames, in whatever order they are asked for.
class Synthetic {
   public:
    // @view takes the frame of the camera that the film was made for to that of the one that sees it.
    Synthetic(std::uint64_t seed, const Camera& camera, const Pose& view = same_place);
    // Frame @number of the film, and what it shows.
    // The truth is that of the camera that the film was made for.
    [[nodiscard]] Depth frame(std::uint64_t number, Truth& truth) const;
    // The same into memory of as many pixels as the camera has.
    void frame(std::uint64_t number, Truth& truth, std::span<std::uint16_t> depth) const;

   private:
    struct Build {
        double size = 1;   // of the hand
        double side = 1;   // 1: right hand, -1: left hand
        double width = 1;  // of the fingers
    };
    std::uint64_t seed_;
    Camera camera_;
    Pose view_;
    Build build_;
    double phase_[6] = {};
};

}  // namespace gesture
