// detect: finds the hand in point clouds, counts its stretched fingers and tells an open palm. All of it runs on the
// device as one graph; of each cloud one event of 64 bytes leaves it (pipeline.hpp: Event).
#include <CLI/CLI.hpp>

#include "gesture/arguments.hpp"
#include "gesture/graph.hpp"
#include "gesture/stream.hpp"

namespace {

void detect_stream() {
    yoke::Stage stage;
    const gesture::Camera camera = gesture::read_camera(stage, "f32x4", "xform");
    stage.set("width", static_cast<double>(camera.width));
    stage.set("height", static_cast<double>(camera.height));
    stage.output(yoke::Records(yoke::Form("f32", {sizeof(gesture::Event) / sizeof(float)})));
    const gesture::Pipeline pipeline = gesture::detect_pipeline(camera);
    gesture::open_pipeline(stage.session(), stage.graph_name(), pipeline, YOKE_GESTURE_DIR);
    stage.graph(gesture::outer_port(pipeline, "cloud"), gesture::outer_port(pipeline, "event"));
    stage.run();
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("detect: point clouds to events, as catdepth | xform | detect | hidinput");
    if (const auto code = gesture::refused(app, "detect", argc, argv)) {
        return *code;
    }
    return yoke::stage_main("detect", detect_stream);
}
