// gesture-graph: writes the gesture interface as a graph file (docs/graph.md). gesture.toml and gesture2.toml are what
// it writes for the camera of the recorded frames; for another camera, write your own.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>

#include "gesture/arguments.hpp"
#include "gesture/graph.hpp"
#include "gesture/stream.hpp"

namespace {

// As docs/graph.md has them; with or without the slash.
std::string checked_name(const std::string& text) {
    constexpr std::size_t bytes_max = 63;
    const std::string part = text.starts_with('/') ? text.substr(1) : text;
    const auto letter = [](unsigned char c) { return (c < 128 && std::isalnum(c) != 0) || c == '_'; };
    if (part.empty() || part.size() > bytes_max || !letter(static_cast<unsigned char>(part.front())) ||
        !std::all_of(part.begin(), part.end(), [&](unsigned char c) { return letter(c) || c == '-' || c == '.'; })) {
        throw CLI::ValidationError(text +
                                   " is no name of a graph; write / and 1 to 63 of the characters A-Z a-z 0-9 _ - .");
    }
    return "/" + part;
}

// Sentence of what is wrong, "" if nothing is, as CLI::Option::check wants it.
std::string quotable(const std::string& path) {
    const bool odd = std::any_of(path.begin(), path.end(),
                                 [](unsigned char c) { return c < ' ' || c == 127 || c == '"' || c == '\\'; });
    return odd ? path + " has characters that a graph file would need to escape; choose another path" : "";
}

std::string absolute(const std::string& path) {
    return path.starts_with('/') ? "" : path + " is relative, but the graph persists; write a path that begins with /";
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("gesture-graph: writes the gesture interface as a graph file");
    std::string name = "/gesture";
    std::string folder;
    bool two = false;
    std::vector<float> rows;
    std::vector<std::string> fifos;
    gesture::Camera camera;
    app.add_option("--name", name, "of the graph; default: /gesture")->transform(checked_name);
    app.add_option("--kernels", folder, "folder of the kernels, as seen from the graph file; default: beside it")
        ->check(quotable);
    app.add_option("--width", camera.width, "of a frame in pixels; default: 640");
    app.add_option("--height", camera.height, "default: 480");
    gesture::add_camera(app, camera);
    app.add_flag("--two", two, "frames of two such cameras, fused");
    gesture::add_pose(app, "--view", rows, "the first camera's frame to the second one's");
    app.add_option(
           "--fifo", fifos,
           "FIFOs of the frames (of the second camera's, too) and of the events: the graph then persists and needs "
           "no program")
        ->delimiter(',')
        ->check(quotable)
        ->check(absolute);
    if (const auto code = gesture::refused(app, "gesture-graph", argc, argv)) {
        return *code;
    }
    if (camera.width == 0 || camera.height == 0 || camera.width > gesture::pixels_max / camera.height) {
        fmt::print(stderr, "gesture-graph: a frame has 1 to {} pixels, not {} x {}\n", gesture::pixels_max,
                   camera.width, camera.height);
        return 2;
    }
    gesture::Pose view = gesture::beside;
    std::copy(rows.begin(), rows.end(), view.begin());
    if (fifos.size() != 0 && fifos.size() != (two ? 3U : 2U)) {
        fmt::print(stderr, "gesture-graph: --fifo has {} paths; give one for each camera and one for the events\n",
                   fifos.size());
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
