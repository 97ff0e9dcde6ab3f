// The gesture example: each kernel against plain C++, and the whole against recorded frames and rendered ones.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>

#include <gtest/gtest.h>

#include "gesture/pipeline.hpp"
#include "gesture/reference.hpp"
#include "gesture/runner.hpp"
#include "gesture/synthetic.hpp"
#include "tour/image.hpp"

namespace yoke::test {
namespace {

namespace fs = std::filesystem;

class Gesture : public testing::Test {
   protected:
    void SetUp() override { ASSERT_EQ(runner_.error(), ""); }

    gesture::Camera camera_;
    GestureRunner runner_{camera_};
};

// Recorded frames lie beside the repository where they are at all; they are not the project's own.
fs::path recorded(const std::string& kind) {
    return fs::path(YOKE_SOURCE_DIR).parent_path() / "shared/data/depth-hand" / kind;
}

std::vector<fs::path> frames_in(const fs::path& folder) {
    std::vector<fs::path> paths;
    std::error_code error;
    for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
        if (entry->path().extension() == ".png") {
            paths.push_back(entry->path());
        }
    }
    std::sort(paths.begin(), paths.end());
    return paths;
}

TEST_F(Gesture, EachKernelComputesWhatPlainCppDoes) {
    gesture::Synthetic film(42, camera_);
    for (const std::uint64_t number : {0U, 30U, 70U}) {
        gesture::Truth truth;
        const gesture::Depth frame = film.frame(number, truth);
        runner_.write("frame", std::as_bytes(std::span(frame)));
        for (const gesture::Step& step : runner_.steps()) {
            EXPECT_EQ(compare_step(runner_, step, camera_), "") << step.name << ", frame " << number;
        }
    }
}

TEST_F(Gesture, AnEmptyFrameHasNoHand) {
    const gesture::Event event = runner_.detect(gesture::Depth(camera_.width * camera_.height, 0));
    EXPECT_EQ(event.radius, 0);
    EXPECT_EQ(event.fingers, 0);
    EXPECT_EQ(event.open, 0);
}

TEST_F(Gesture, NoiseAndWallsAreNoOpenPalm) {
    gesture::Random random(7);
    gesture::Depth frame(camera_.width * camera_.height);
    for (std::uint16_t& pixel : frame) {
        pixel = static_cast<std::uint16_t>(random.uniform(0, 65535));
    }
    EXPECT_EQ(runner_.detect(frame).open, 0);
    std::fill(frame.begin(), frame.end(), std::uint16_t{5000});
    EXPECT_EQ(runner_.detect(frame).open, 0);
    std::fill(frame.begin(), frame.end(), std::uint16_t{65535});
    EXPECT_EQ(runner_.detect(frame).open, 0);
}

TEST_F(Gesture, RenderedHandsAreFoundAndRead) {
    // Seeds that no threshold was chosen by; a film of 300 frames each, of which every fifth is looked at.
    std::size_t frames = 0;
    std::size_t centres = 0;
    std::size_t gestures = 0;
    for (const std::uint64_t seed : {90001U, 90002U, 90003U, 90004U, 90005U}) {
        const gesture::Synthetic film(seed, camera_);
        for (std::uint64_t number = 0; number < 300; number += 5) {
            gesture::Truth truth;
            const gesture::Event event = runner_.detect(film.frame(number, truth));
            const double off =
                std::hypot(static_cast<double>(event.pixel_x) - truth.x, static_cast<double>(event.pixel_y) - truth.y);
            ++frames;
            centres += off <= 10 ? 1 : 0;
            gestures += (event.open == 1) == truth.open ? 1 : 0;
        }
    }
    ASSERT_EQ(frames, 300U);
    EXPECT_GE(centres, frames * 95 / 100);
    EXPECT_GE(gestures, frames * 95 / 100);
    RecordProperty("centres", static_cast<int>(centres));
    RecordProperty("gestures", static_cast<int>(gestures));
}

TEST_F(Gesture, RecordedOpenPalmsAreOpenPalmsAndOthersAreNot) {
    const auto palms = frames_in(recorded("open-palm"));
    const auto others = frames_in(recorded("non-gesture"));
    if (palms.empty() || others.empty()) {
        GTEST_SKIP() << "there are no recorded frames below " << recorded("").string();
    }
    for (const bool open : {true, false}) {
        for (const fs::path& path : open ? palms : others) {
            const auto frame = tour::read_depth_png(path.string());
            ASSERT_TRUE(frame) << frame.error().message;
            ASSERT_EQ(frame->pixels.size(), camera_.width * camera_.height);
            const gesture::Event event = runner_.detect(frame->pixels);
            EXPECT_EQ(event.open == 1, open) << path;
            // On the hand: a reading at the distance that is told, and a palm's width around it.
            const auto at =
                static_cast<std::size_t>(event.pixel_y) * camera_.width + static_cast<std::size_t>(event.pixel_x);
            EXPECT_NEAR(frame->pixels[at] * camera_.metres_per_unit, static_cast<double>(event.centre[3]), 0.01)
                << path;
            EXPECT_GT(event.radius, 0.03F) << path;
            EXPECT_LT(event.radius, 0.05F) << path;
        }
    }
}

}  // namespace
}  // namespace yoke::test
