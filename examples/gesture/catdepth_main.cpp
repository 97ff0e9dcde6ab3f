// catdepth: depth frames from a folder of 16-bit PNG files, from a V4L2 depth camera, or rendered, to a stream.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>

#include "gesture/arguments.hpp"
#include "gesture/depth_camera.hpp"
#include "gesture/dma_memory.hpp"
#include "gesture/folder.hpp"
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

// Frame by number; nothing at the end. Sets the size of the camera's picture before the first.
using Source = std::function<std::optional<std::span<const std::byte>>(std::uint64_t)>;

Source from_folder(const Options& options, gesture::Camera& camera) {
    const auto folder = std::make_shared<gesture::Folder>(options.folder, options.loop);
    camera.width = folder->width();
    camera.height = folder->height();
    return [=](std::uint64_t number) { return folder->frame(number); };
}

Source rendered(const Options& options, const gesture::Camera& camera) {
    const auto truths = options.truth.empty() ? nullptr : std::make_shared<std::ofstream>(options.truth);
    if (truths) {
        *truths << "frame,x,y,distance,fingers,open\n";
    }
    gesture::Pose view = gesture::same_place;
    std::copy(options.view.begin(), options.view.end(), view.begin());
    return [=, film = gesture::Synthetic(*options.seed, camera, view),
            frame = gesture::Depth()](std::uint64_t number) mutable -> std::optional<std::span<const std::byte>> {
        gesture::Truth truth;
        frame = film.frame(number, truth);
        if (truths && !(*truths << number << ',' << truth.x << ',' << truth.y << ',' << truth.distance << ','
                                << truth.fingers << ',' << truth.open << std::endl)) {
            throw yoke::error(EIO, "cannot write " + options.truth + "; see the free space and the permissions");
        }
        return std::as_bytes(std::span(frame));
    };
}

// Rooms in the arena of a session, which the function keeps.
gesture::DepthCamera::Memory arena_memory() {
    constexpr std::size_t page = 4096;
    const auto session = std::make_shared<yoke::Session>();
    const auto memory = std::make_shared<std::vector<yoke::Buffer>>();
    return [=](std::size_t bytes) -> gesture::DepthCamera::Room {
        std::byte* const room = memory->emplace_back(session->alloc(bytes + page)).data();
        return {{room + (page - reinterpret_cast<std::uintptr_t>(room) % page) % page, bytes}, -1};
    };
}

gesture::DepthCamera::Memory dma_memory(const std::string& path) {
    const auto memory = std::make_shared<gesture::DmaMemory>(path);
    return [=](std::size_t bytes) -> gesture::DepthCamera::Room {
        const auto buffer = memory->allocate(bytes);
        return {buffer.bytes, buffer.descriptor};
    };
}

// The camera writes into the arena of a session where its driver can, or into buffers of another driver where the user
// says so.
Source from_camera(const Options& options, gesture::Camera& camera) {
    using Lending = gesture::DepthCamera::Lending;
    const auto memory = options.dmabuf.empty() ? arena_memory() : dma_memory(options.dmabuf);
    const auto device = std::make_shared<gesture::DepthCamera>(
        options.device, options.dmabuf.empty() ? Lending::address : Lending::descriptor, memory);
    camera.width = device->width();
    camera.height = device->height();
    if (device->copies()) {
        std::fprintf(stderr, "catdepth: %s does not write into other memory; each frame is copied once more\n",
                     options.device.c_str());
    }
    return [=](std::uint64_t) -> std::optional<std::span<const std::byte>> {
        static_cast<void>(memory);  // outlives the camera's last frame
        return device->frame();
    };
}

void send(const Options& options) {
    gesture::Camera camera = options.camera;
    const Source source = options.seed             ? rendered(options, camera)
                          : options.device.empty() ? from_folder(options, camera)
                                                   : from_camera(options, camera);
    yoke::Stage stage = yoke::Stage::source();
    gesture::set_camera(stage, camera);
    stage.output(yoke::Records(yoke::Form("u16", {camera.width, camera.height})));
    gesture::Beat beat(options.rate, options.times);
    for (std::uint64_t number = 0; number < options.count; ++number) {
        const auto frame = source(number);
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
        app.add_option("DIR", options.folder, "folder with 16-bit grey PNG files")->check(CLI::ExistingDirectory);
    auto* device = app.add_option("--device", options.device, "V4L2 depth camera, e.g. /dev/video0 (Z16 or Y16)");
    app.add_option("--dmabuf", options.dmabuf,
                   "the camera writes into buffers of this DRM device, e.g. /dev/dri/card0, instead of the arena")
        ->needs(device);
    auto* seed = app.add_option("--synthetic", options.seed, "renders the film of this seed, without end")
                     ->check(gesture::not_negative);
    app.add_option("--truth", options.truth, "file for what the rendered frames show, as CSV")->needs(seed);
    gesture::add_pose(app, "--view", options.view,
                      "sees the film from elsewhere: from the frame of the camera that it was made for to this one's")
        ->needs(seed);
    app.add_option("--rate", options.rate, "frames a second; default: as fast as they are taken")
        ->check(gesture::not_negative);
    app.add_option("--times", options.times, "file for the time of each frame, CLOCK_MONOTONIC in ns");
    app.add_flag("--loop", options.loop, "begins again at the end of DIR")->needs(folder);
    app.add_option("--count", options.count, "ends after so many frames")->check(gesture::not_negative);
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
