// xform: takes the noise out of depth frames and makes a point cloud in the user's frame of each. A graph of two
// ptasks.
#include <CLI/CLI.hpp>

#include "gesture/arguments.hpp"
#include "gesture/graph.hpp"
#include "gesture/stream.hpp"

namespace {

void transform_stream(const gesture::Pose& pose) {
    yoke::Stage stage;
    const gesture::Camera camera = gesture::read_camera(stage, "u16", "catdepth");
    stage.output(yoke::Records(yoke::Form("f32x4", {camera.width, camera.height})));
    const gesture::Pipeline pipeline = gesture::transform_pipeline(camera, pose);
    gesture::open_pipeline(stage.session(), stage.graph_name(), pipeline, YOKE_GESTURE_DIR);
    stage.graph(gesture::outer_port(pipeline, "frame"), gesture::outer_port(pipeline, "cloud"));
    stage.run();
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("xform: depth frames to point clouds (x, y, z in the user's frame, distance), as catdepth | xform");
    std::vector<float> rows;
    gesture::add_pose(app, "--pose", rows,
                      "camera's frame (x right, y down, z forward) to the user's; default: the user faces the camera");
    if (const auto code = gesture::refused(app, "xform", argc, argv)) {
        return *code;
    }
    gesture::Pose pose = gesture::facing;
    std::copy(rows.begin(), rows.end(), pose.begin());
    return yoke::stage_main("xform", [&] { transform_stream(pose); });
}
