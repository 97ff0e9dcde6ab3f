// The depth graph of examples/ against the same mathematics in plain C++: frames with edges, noise and holes.
#include <cmath>
#include <random>

#include "control/graph_file.hpp"
#include "device/cpu/test_device.hpp"
#include "graph/test_graph.hpp"

namespace yoke::graph {
namespace {

constexpr int width = 640;
constexpr int height = 480;
constexpr double metres_per_unit = 0.000125;

std::size_t at(int x, int y) {
    return static_cast<std::size_t>(y) * width + static_cast<std::size_t>(x);
}

// A tilted wall with a ball before it, noise, and holes: single pixels, a stripe, and one edge of the picture.
std::vector<std::uint16_t> render_frame(std::uint32_t seed) {
    std::mt19937 random(seed);
    std::vector<std::uint16_t> frame(static_cast<std::size_t>(width) * height);
    for (int y = 0; y < height; ++y) {
        for (int x = 0; x < width; ++x) {
            const double dx = x - 300;
            const double dy = y - 200;
            const double wall = 9000 + 3.0 * x;
            const double ball = dx * dx + dy * dy < 90.0 * 90.0 ? 5000 - std::sqrt(8100 - dx * dx - dy * dy) * 5 : 1e9;
            const bool hole = random() % 50 == 0 || (x > 400 && x < 404) || y < 2;
            const double value = std::min(wall, ball) + static_cast<double>(random() % 41) - 20;
            frame[at(x, y)] = hole ? std::uint16_t{0} : static_cast<std::uint16_t>(value);
        }
    }
    return frame;
}

// What the file passes to the kernels.
constexpr int radius = 4;
constexpr double sigma_pixels = 2.5;
constexpr double sigma_metres = 0.006;

double smooth_at(const std::vector<std::uint16_t>& frame, int x, int y) {
    const double centre = frame[at(x, y)] * metres_per_unit;
    if (centre == 0) {
        return 0;
    }
    double sum = 0;
    double weights = 0;
    for (int v = std::max(y - radius, 0); v <= std::min(y + radius, height - 1); ++v) {
        for (int u = std::max(x - radius, 0); u <= std::min(x + radius, width - 1); ++u) {
            const double value = frame[at(u, v)] * metres_per_unit;
            if (value == 0) {
                continue;
            }
            const double apart = (value - centre) / sigma_metres;
            const double pixels = (static_cast<double>(u - x) * (u - x) + static_cast<double>(v - y) * (v - y)) /
                                  (sigma_pixels * sigma_pixels);
            const double weight = std::exp(-0.5 * (pixels + apart * apart));
            sum += weight * value;
            weights += weight;
        }
    }
    return sum / weights;
}

std::array<double, 4> point_at(const std::vector<std::uint16_t>& frame, int x, int y) {
    const double z = smooth_at(frame, x, y);
    if (z == 0) {
        return {};
    }
    return {(x - 313.683) * z / 476.007, (y - 242.755) * z / 476.007, z, 1};
}

// Opens everything in the file; the ids of the outer channels "depth" and "cloud".
std::pair<std::uint32_t, std::uint32_t> open_depth_graph(TestRuntime& runtime) {
    const auto graph = control::load_graph(YOKE_EXAMPLES_DIR "/depth.toml");
    if (!graph) {
        ADD_FAILURE() << graph.error().message;
        return {};
    }
    EXPECT_TRUE(runtime->open_graph(1, graph->name));
    for (const control::PortDefinition& port : graph->ports) {
        const auto opened = runtime->open_port(1, port);
        EXPECT_TRUE(opened) << opened.error().message;
    }
    for (const control::PtaskDefinition& ptask : graph->ptasks) {
        const auto opened = runtime->open_ptask(1, ptask);
        EXPECT_TRUE(opened) << opened.error().message;
    }
    std::pair<std::uint32_t, std::uint32_t> ends;
    for (const control::ChannelDefinition& channel : graph->channels) {
        const auto opened = runtime->open_channel(1, channel);
        EXPECT_TRUE(opened) << opened.error().message;
        if (opened && opened->channel != 0) {
            (channel.source ? ends.second : ends.first) = opened->channel;
        }
    }
    runtime.must(runtime->run_graph(1, graph->name));
    return ends;
}

TEST(DepthGraph, MatchesPlainCpp) {
    const auto device = device::open_test_device(device::test_cache());
    ASSERT_NE(device, nullptr);
    TestRuntime runtime(*device);
    const auto [in, out] = open_depth_graph(runtime);
    ASSERT_NE(in, 0U);
    ASSERT_NE(out, 0U);
    for (const std::uint32_t seed : {1U, 2U}) {
        const std::vector<std::uint16_t> frame = render_frame(seed);
        Values pushed(frame.size() / 2);
        std::memcpy(pushed.data(), frame.data(), frame.size() * sizeof(std::uint16_t));
        ASSERT_EQ(runtime.push(in, pushed)->wait().status, 0);
        const auto pull = runtime.pull(out, frame.size() * 4);
        ASSERT_EQ(pull->wait().status, 0);
        std::vector<float> cloud(frame.size() * 4);
        std::memcpy(cloud.data(), pull->values.data(), cloud.size() * sizeof(float));
        std::size_t readings = 0;
        for (int y = 0; y < height; ++y) {
            for (int x = 0; x < width; ++x) {
                const std::array<double, 4> expected = point_at(frame, x, y);
                readings += expected[3] != 0 ? 1 : 0;
                for (std::size_t c = 0; c < 4; ++c) {
                    ASSERT_NEAR(static_cast<double>(cloud[at(x, y) * 4 + c]), expected[c], 2e-5)
                        << "pixel " << x << "," << y << " member " << c;
                }
            }
        }
        EXPECT_GT(readings, frame.size() * 9 / 10);
        EXPECT_LT(readings, frame.size()) << "holes stay holes";
    }
}

}  // namespace
}  // namespace yoke::graph
