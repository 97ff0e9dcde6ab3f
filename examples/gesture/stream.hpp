// What the headers of the example's streams say of the camera: parameters focal_x, focal_y, center_x, center_y in
// pixels, and unit, the metres of one step of a pixel's value. They are passed on from program to program.
#pragma once

#include <string>

#include <yoke/stage.hpp>

#include "gesture/frame.hpp"

namespace gesture {

inline constexpr std::size_t side_max = 1024;  // pixels: detect.cl keeps an index of a pixel in 20 bits

inline void set_camera(yoke::Stage& stage, const Camera& camera) {
    stage.set("unit", camera.metres_per_unit);
    stage.set("focal_x", camera.focal_x);
    stage.set("focal_y", camera.focal_y);
    stage.set("center_x", camera.centre_x);
    stage.set("center_y", camera.centre_y);
}

// The camera of the input, whose records must be pictures of @type.
inline Camera read_camera(yoke::Stage& stage, const std::string& type) {
    const yoke_template form = stage.input().template_;
    if (form.type != type || form.extent[2] != 1 || form.extent[0] > side_max || form.extent[1] > side_max) {
        throw yoke::error(EPROTO, std::string("the input has records of ") + form.type + ", " +
                                      std::to_string(form.extent[0]) + " x " + std::to_string(form.extent[1]) + " x " +
                                      std::to_string(form.extent[2]) + "; give pictures of " + type +
                                      " with at most 1024 x 1024 pixels");
    }
    Camera camera;
    camera.width = form.extent[0];
    camera.height = form.extent[1];
    camera.metres_per_unit = stage.number("unit");
    camera.focal_x = stage.number("focal_x");
    camera.focal_y = stage.number("focal_y");
    camera.centre_x = stage.number("center_x");
    camera.centre_y = stage.number("center_y");
    if (!(camera.metres_per_unit > 0 && camera.focal_x > 0 && camera.focal_y > 0)) {
        throw yoke::error(EPROTO, "unit, focal_x and focal_y of the input must be above 0; see what made the stream");
    }
    return camera;
}

}  // namespace gesture
