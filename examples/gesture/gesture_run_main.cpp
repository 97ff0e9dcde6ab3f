// gesture-run: frames through the gesture interface as one graph, gesture.toml. The frames of a stream are read into
// the arena, where a camera would have put them, and pushed from there; the standard output gets the events as detect
// writes them: gesture-run FRAMES | hidinput --print
#include <CLI/CLI.hpp>

#include "gesture/arguments.hpp"
#include "gesture/graph.hpp"
#include "gesture/slow_notice.hpp"
#include "gesture/stream.hpp"

namespace {

struct Options {
    std::string frames;
    std::string graph = YOKE_GESTURE_DIR "/gesture.toml";
    std::string times;
    double rate = 0;
    std::uint64_t count = 0;
};

constexpr std::chrono::seconds patience{60};

std::vector<yoke::Buffer> read_frames(gesture::FileStage& stream, yoke::Session& session, std::size_t bytes) {
    std::vector<yoke::Buffer> frames;
    do {
        frames.push_back(session.alloc(bytes));
    } while (stream->read(frames.back()));
    frames.pop_back();
    if (frames.empty()) {
        throw yoke::error(ENODATA, "the stream has no frames; see what catdepth says");
    }
    return frames;
}

void run(const Options& options) {
    gesture::FileStage stream(options.frames);
    const gesture::Camera camera = gesture::read_camera(*stream, "u16", "catdepth");
    const gesture::Pipeline pipeline = gesture::gesture_pipeline(camera);
    yoke_options open{};
    open.arena_bytes = 256U << 20U;
    yoke::Session session(open);
    const auto frames = read_frames(stream, session, camera.width * camera.height * 2);
    yoke::Graph graph = [&] {
        const gesture::SlowNotice notice;
        return yoke::Graph::load(session, options.graph);
    }();
    const auto in = graph.channel("frames", "", gesture::outer_port(pipeline, "frame"));
    const auto out = graph.channel("events", gesture::outer_port(pipeline, "event"), "");
    graph.run();
    yoke::Stage stage = yoke::Stage::source();
    stage.set("width", static_cast<double>(camera.width));
    stage.set("height", static_cast<double>(camera.height));
    stage.output(yoke::Records(yoke::Form("f32", {sizeof(gesture::Event) / sizeof(float)})));
    yoke::Buffer event = session.alloc(sizeof(gesture::Event));
    gesture::Beat beat(options.rate, options.times);
    for (std::uint64_t number = 0; number < (options.count == 0 ? frames.size() : options.count); ++number) {
        beat.wait(number);
        graph.push(in, frames[number % frames.size()], 0, patience);
        graph.pull(out, event, patience);
        stage.write(event);
    }
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("gesture-run: frames through the gesture interface as one graph");
    Options options;
    app.add_option("FRAMES", options.frames, "what catdepth has written, a file or FIFO")->required();
    app.add_option("--graph", options.graph, "graph file with channels frames and events; default: gesture.toml");
    app.add_option("--rate", options.rate, "frames a second; default: one after the other")->check(gesture::frame_rate);
    app.add_option("--count", options.count, "ends after so many frames, which are repeated; default: each once")
        ->check(gesture::whole_number);
    app.add_option("--times", options.times, "file for the time of each frame, CLOCK_MONOTONIC in ns");
    if (const auto code = gesture::refused(app, "gesture-run", argc, argv)) {
        return *code;
    }
    return yoke::stage_main("gesture-run", [&] { run(options); });
}
