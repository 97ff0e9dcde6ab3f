// gesture-draw: pictures of what the gesture interface sees. Of each cloud and its event one PNG file: depth with the
// palm marked (green: an open palm) and a bar per stretched finger, the point cloud, and the points of the hand alone.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <filesystem>

#include "gesture/arguments.hpp"
#include "gesture/pipeline.hpp"
#include "gesture/stream.hpp"
#include "tour/picture.hpp"

namespace {

constexpr double hand_reach = 4.0;  // of what is shown as the hand, in palm radii
constexpr tour::Colour open_colour{60, 255, 110};
constexpr tour::Colour other_colour{255, 150, 40};

// From the frame of a user who faces the camera back to the camera's, in which pictures are drawn.
void face_back(tour::Cloud& cloud) {
    for (tour::Point& point : cloud.points) {
        point[0] = -point[0];
        point[1] = -point[1];
    }
}

void put(tour::Picture& picture, double x, double y, const tour::Colour& colour) {
    const long column = std::lround(x);
    const long row = std::lround(y);
    if (column >= 0 && row >= 0 && column < static_cast<long>(picture.width) &&
        row < static_cast<long>(picture.height)) {
        picture.pixels[static_cast<std::size_t>(row) * picture.width + static_cast<std::size_t>(column)] = colour;
    }
}

void mark(tour::Picture& picture, const gesture::Event& event, double focal) {
    const tour::Colour& colour = event.open != 0 ? open_colour : other_colour;
    const double radius = static_cast<double>(event.radius) / static_cast<double>(event.centre[3]) * focal;
    const auto x = static_cast<double>(event.pixel_x);
    const auto y = static_cast<double>(event.pixel_y);
    for (double thick = -1; thick <= 1; thick += 0.5) {
        for (double angle = 0; angle < 6.2832; angle += 0.4 / radius) {
            put(picture, x + (radius + thick) * std::cos(angle), y + (radius + thick) * std::sin(angle), colour);
        }
        for (double arm = -8; arm <= 8; arm += 0.5) {
            put(picture, x + arm, y + thick, colour);
            put(picture, x + thick, y + arm, colour);
        }
    }
    for (int finger = 0; finger < static_cast<int>(event.fingers); ++finger) {
        for (int at = 0; at < 8 * 30; ++at) {
            put(picture, 16 + 16 * finger + at % 8, static_cast<double>(picture.height) - 46 + at / 8, colour);
        }
    }
}

tour::Cloud hand_of(const tour::Cloud& cloud, const gesture::Event& event) {
    tour::Cloud hand = cloud;
    for (tour::Point& point : hand.points) {
        // The event is in the user's frame.
        const float away =
            std::hypot(point[0] + event.centre[0], point[1] + event.centre[1], point[2] - event.centre[2]);
        if (!(away < static_cast<float>(hand_reach) * event.radius)) {
            point = {};
        }
    }
    return hand;
}

void draw(const std::string& clouds_path, const std::string& events_path, const std::string& folder) {
    gesture::FileStage clouds(clouds_path);
    gesture::FileStage events(events_path);
    const gesture::Camera camera = gesture::read_camera(*clouds, "f32x4", "xform");
    const tour::Camera lens{camera.focal_x, camera.centre_x, camera.centre_y, camera.metres_per_unit};
    if (events->input().template_.extent[0] * sizeof(float) != sizeof(gesture::Event)) {
        throw yoke::error(EPROTO, events_path + " has no events; give what detect has written");
    }
    std::filesystem::create_directories(folder);
    tour::Cloud cloud{camera.width, camera.height, std::vector<tour::Point>(camera.width * camera.height)};
    gesture::Event event;
    for (std::uint64_t number = 0; clouds->read(std::as_writable_bytes(std::span(cloud.points))) &&
                                   events->read(std::as_writable_bytes(std::span(&event, 1)));
         ++number) {
        face_back(cloud);
        const tour::Range range = tour::range_of(cloud);
        tour::Picture depth = tour::shaded_depth(cloud, range);
        tour::Cloud hand = cloud;
        if (event.radius > 0) {
            mark(depth, event, camera.focal_x);
            hand = hand_of(cloud, event);
        }
        const tour::Picture picture =
            tour::side_by_side(tour::side_by_side(depth, tour::rendered_cloud(cloud, range, lens)),
                               tour::rendered_cloud(hand, tour::range_of(hand), lens));
        const std::string path = fmt::format("{}/gesture-{:03}.png", folder, number);
        if (auto done = tour::write_png(path, picture); !done) {
            throw yoke::error(EIO, done.error().message);
        }
        fmt::print("{}\n", path);
    }
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("gesture-draw: pictures of clouds (of xform, facing the camera) and their events (of detect)");
    std::string clouds;
    std::string events;
    std::string folder;
    app.add_option("CLOUDS", clouds, "what xform has written, a file or FIFO")->required();
    app.add_option("EVENTS", events, "what detect has written of them")->required();
    app.add_option("OUT", folder, "folder for the pictures")->required();
    if (const auto code = gesture::refused(app, "gesture-draw", argc, argv)) {
        return *code;
    }
    return yoke::stage_main("gesture-draw", [&] { draw(clouds, events, folder); });
}
