// gesture-graph: writes the gesture interface as a graph file (docs/graph.md). gesture.toml and gesture2.toml are what
// it writes for the camera of the recorded frames; for another camera, write your own.
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "gesture/arguments.hpp"
#include "gesture/graph.hpp"

int main(int argc, char** argv) {
    CLI::App app("gesture-graph: writes the gesture interface as a graph file");
    std::string name = "/gesture";
    std::string folder;
    bool two = false;
    std::vector<double> lens;
    std::vector<float> rows;
    std::vector<std::string> fifos;
    gesture::Camera camera;
    app.add_option("--name", name, "of the graph; default: /gesture");
    app.add_option("--kernels", folder, "folder of the kernels, as seen from the graph file; default: beside it");
    app.add_option("--width", camera.width, "of a frame in pixels; default: 640")->check(CLI::PositiveNumber);
    app.add_option("--height", camera.height, "default: 480")->check(CLI::PositiveNumber);
    app.add_option("--camera", lens, "focal_x,focal_y,center_x,center_y in pixels, unit in metres; default: SR305")
        ->expected(5)
        ->delimiter(',');
    app.add_flag("--two", two, "frames of two such cameras, fused");
    app.add_option("--view", rows,
                   "three rows of four numbers, in metres, that take the first camera's frame to the second one's")
        ->expected(12)
        ->delimiter(',');
    app.add_option(
           "--fifo", fifos,
           "FIFOs of the frames (of the second camera's, too) and of the events: the graph then persists and needs "
           "no program")
        ->delimiter(',');
    if (const auto code = gesture::refused(app, argc, argv)) {
        return *code;
    }
    if (!lens.empty()) {
        camera = {camera.width, camera.height, lens[0], lens[1], lens[2], lens[3], lens[4]};
    }
    gesture::Pose view = gesture::beside;
    std::copy(rows.begin(), rows.end(), view.begin());
    if (fifos.size() != 0 && fifos.size() != (two ? 3U : 2U)) {
        fmt::print(stderr, "gesture-graph: --fifo is needed for each camera and for the events\n");
        return 2;
    }
    const auto pipeline = two ? gesture::gesture_pipeline(camera, view) : gesture::gesture_pipeline(camera);
    const std::vector<std::string> buffers =
        two ? std::vector<std::string>{"frame-1", "frame-2", "event"} : std::vector<std::string>{"frame", "event"};
    std::map<std::string, gesture::Outer> outer;
    for (std::size_t i = 0; i < buffers.size(); ++i) {
        outer[buffers[i]] = {buffers[i] == "event" ? "events"
                             : i == 0              ? "frames"
                                                   : "frames-2",
                             fifos.empty() ? "" : fifos[i]};
    }
    fmt::print("# {}: written by gesture-graph; see docs/gesture.md.\n{}",
               two ? "The gesture interface for two cameras" : "The gesture interface",
               gesture::graph_file(name, pipeline, folder, outer));
    return 0;
}
