// catdepth: depth frames from a folder of 16-bit PNG files, from a V4L2 depth camera, or rendered, to a stream.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "gesture/arguments.hpp"
#include "gesture/depth_camera.hpp"
#include "gesture/dma_memory.hpp"
#include "gesture/folder.hpp"
#include "gesture/shelf.hpp"
#include "gesture/stream.hpp"
#include "gesture/synthetic.hpp"

namespace {

struct Options {
    std::string folder;
    std::string device;
    std::string dmabuf;
    std::optional<std::uint64_t> seed;
    std::string truth;
    std::string times;
    double rate = 0;  // frames a second, 0: as fast as they are read
    bool loop = false;
    std::uint64_t count = UINT64_MAX;
    gesture::Camera camera;  // its lens
    std::vector<float> view;
};

// What comes before the stream's header, and then frame by number; nothing at the end. Frames are made in the stage's
// arena where they can be, so that a next stage that has joined gets them without a copy.
struct Source {
    gesture::Camera camera;
    std::function<std::optional<std::span<const std::byte>>(std::uint64_t)> frame;
};

Source from_folder(const Options& options, yoke::Stage& stage) {
    const auto folder = std::make_shared<gesture::Folder>(options.folder);
    const auto shelf = std::make_shared<gesture::Shelf>(stage);
    gesture::Camera camera = options.camera;
    camera.width = folder->width();
    camera.height = folder->height();
    return {camera, [=, &stage](std::uint64_t number) -> std::optional<std::span<const std::byte>> {
                if (options.loop) {
                    return folder->repeated(number, [&](std::size_t bytes) { return shelf->allocate(bytes); });
                }
                return folder->frame(number, [&](std::size_t bytes) { return stage.room(bytes); });
            }};
}

Source rendered(const Options& options, yoke::Stage& stage) {
    const auto truths = std::make_shared<gesture::Lines>(options.truth);
    truths->write("frame,x,y,distance,fingers,open");
    gesture::Pose view = gesture::same_place;
    std::copy(options.view.begin(), options.view.end(), view.begin());
    const gesture::Camera& camera = options.camera;
    return {camera, [=, &stage, film = gesture::Synthetic(*options.seed, camera, view),
                     bytes = camera.width * camera.height * sizeof(std::uint16_t)](std::uint64_t number) {
                gesture::Truth truth;
                const std::span<std::byte> room = stage.room(bytes);
                film.frame(number, truth, {reinterpret_cast<std::uint16_t*>(room.data()), bytes / 2});
                truths->write(number, ',', truth.x, ',', truth.y, ',', truth.distance, ',', truth.fingers, ',',
                              truth.open);
                return room;
            }};
}

// The camera writes into the arena where its driver can, or into buffers of another driver where the user says so.
Source from_camera(const Options& options, yoke::Stage& stage) {
    using Lending = gesture::DepthCamera::Lending;
    const auto dma = options.dmabuf.empty() ? nullptr : std::make_shared<gesture::DmaMemory>(options.dmabuf);
    const auto device = std::make_shared<gesture::DepthCamera>(
        options.device, dma ? Lending::descriptor : Lending::address, dma ? dma->rooms() : gesture::arena_rooms(stage));
    gesture::Camera camera = options.camera;
    camera.width = device->width();
    camera.height = device->height();
    if (device->copies()) {
        std::fprintf(stderr, "catdepth: %s does not write into other memory; each frame is copied once more\n",
                     options.device.c_str());
    }
    return {camera, [=, &stage](std::uint64_t) -> std::optional<std::span<const std::byte>> {
                static_cast<void>(dma);  // outlives the camera's last frame
                return device->frame([&](std::size_t bytes) { return stage.room(bytes); });
            }};
}

void send(const Options& options) {
    yoke::Stage stage = yoke::Stage::source();  // outlives the source, whose frames lie in its arena
    const Source source = options.seed             ? rendered(options, stage)
                          : options.device.empty() ? from_folder(options, stage)
                                                   : from_camera(options, stage);
    gesture::set_camera(stage, source.camera);
    gesture::Beat beat(options.rate, options.times);
    stage.output(yoke::Records(yoke::Form("u16", {source.camera.width, source.camera.height})));
    for (std::uint64_t number = 0; number < options.count; ++number) {
        const auto frame = source.frame(number);
        if (!frame) {
            return;
        }
        beat.wait(number);
        stage.write(*frame);
    }
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("catdepth: depth frames to a stream, as catdepth DIR | xform | detect | hidinput --print");
    Options options;
    auto* folder =
        app.add_option("DIR", options.folder, "folder with 16-bit grey PNG files")->check(gesture::folder_of_frames);
    auto* device = app.add_option("--device", options.device, "V4L2 depth camera, e.g. /dev/video0 (Z16 or Y16)");
    app.add_option("--dmabuf", options.dmabuf,
                   "the camera writes into buffers of this DRM device, e.g. /dev/dri/card0, instead of the arena")
        ->needs(device);
    auto* seed = app.add_option("--synthetic", options.seed, "renders the film of this seed, without end")
                     ->check(gesture::whole_number);
    app.add_option("--truth", options.truth, "file for what the rendered frames show, as CSV")->needs(seed);
    gesture::add_pose(app, "--view", options.view,
                      "sees the film from elsewhere: from the frame of the camera that it was made for to this one's")
        ->needs(seed);
    app.add_option("--rate", options.rate, "frames a second; default: as fast as they are taken")
        ->check(gesture::frame_rate);
    app.add_option("--times", options.times, "file for the time of each frame, CLOCK_MONOTONIC in ns");
    app.add_flag("--loop", options.loop, "begins again at the end of DIR")->needs(folder);
    app.add_option("--count", options.count, "ends after so many frames")->check(gesture::whole_number);
    gesture::add_camera(app, options.camera);
    folder->excludes(device)->excludes(seed);
    device->excludes(seed);
    if (const auto code = gesture::refused(app, "catdepth", argc, argv)) {
        return *code;
    }
    if (options.folder.empty() && options.device.empty() && !options.seed) {
        std::fprintf(stderr, "catdepth: name a folder, --device or --synthetic; see catdepth --help\n");
        return 2;
    }
    return yoke::stage_main("catdepth", [&] { send(options); });
}
