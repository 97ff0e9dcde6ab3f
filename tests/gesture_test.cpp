// The gesture example: each kernel against plain C++, and the whole against recorded frames and rendered ones.
#include <algorithm>
#include <array>
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
    GestureRunner runner_{gesture::gesture_pipeline(camera_)};
};

// Recorded frames lie beside the repository where they are at all; they are not the project's own.
// YOKE_DEPTH_HAND names another place.
fs::path recorded(const std::string& kind) {
    if (const char* place = std::getenv("YOKE_DEPTH_HAND"); place != nullptr) {
        return fs::path(place) / kind;
    }
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

// Two discs as large as palms, alike but for their depth and the outline around them, as `palm` is given them.
struct TwoDiscs {
    struct Disc {
        long x = 0;
        float depth = 0;
        float outline = 0;  // metres
    };
    TwoDiscs(GestureRunner& runner, const gesture::Camera& camera, Disc one, Disc other) : runner_(runner) {
        const std::size_t pixels = camera.width * camera.height;
        std::vector<float> depth(pixels);
        std::vector<float> circle(pixels);
        std::vector<std::int32_t> label(pixels, -1);
        std::vector<std::int32_t> summit(runner.elements("summit"), -1);
        std::vector<float> length(summit.size());
        for (const Disc& disc : {one, other}) {
            const auto radius = 0.035F * static_cast<float>(camera.focal_x) / disc.depth;
            for (long v = -40; v <= 40; ++v) {
                for (long u = -40; u <= 40; ++u) {
                    const auto at =
                        static_cast<std::size_t>(row + v) * camera.width + static_cast<std::size_t>(disc.x + u);
                    depth[at] = disc.depth;
                    circle[at] = std::max(radius - std::hypot(static_cast<float>(u), static_cast<float>(v)), 0.0F);
                    label[at] = static_cast<std::int32_t>(disc.x);
                }
            }
            const auto tile =
                static_cast<std::size_t>(row / 8) * (camera.width / 8) + static_cast<std::size_t>(disc.x / 8);
            summit[tile] = static_cast<std::int32_t>(row * static_cast<long>(camera.width) + disc.x);
            length[tile] = disc.outline;
        }
        const std::array<std::uint32_t, 2> chosen{250, 0};  // the front of all bodies is 0.5 m away
        runner.write("depth", std::as_bytes(std::span(depth)));
        runner.write("circle", std::as_bytes(std::span(circle)));
        runner.write("label", std::as_bytes(std::span(label)));
        runner.write("summit", std::as_bytes(std::span(summit)));
        runner.write("length", std::as_bytes(std::span(length)));
        runner.write("chosen", std::as_bytes(std::span(chosen)));
        width_ = static_cast<long>(camera.width);
    }
    // Column of the palm that is chosen; -1: none.
    long palm() {
        const auto step = std::find_if(runner_.steps().begin(), runner_.steps().end(),
                                       [](const gesture::Step& one) { return one.name == "palm"; });
        runner_.run(*step);
        const auto chosen = runner_.read<std::uint32_t>("chosen");
        return chosen[1] == 0 ? -1 : static_cast<long>(chosen[1] & 0xfffffU) % width_;
    }

   private:
    static constexpr long row = 240;
    GestureRunner& runner_;
    long width_ = 0;
};

TEST_F(Gesture, AmongPalmsTheNearerOneWinsUnlessTheOtherLooksMuchMoreLikeOne) {
    EXPECT_EQ(TwoDiscs(runner_, camera_, {160, 0.50F, 0.3F}, {480, 0.55F, 0.3F}).palm(), 160);
    EXPECT_EQ(TwoDiscs(runner_, camera_, {160, 0.55F, 0.3F}, {480, 0.50F, 0.3F}).palm(), 480);
    EXPECT_EQ(TwoDiscs(runner_, camera_, {160, 0.50F, 0.3F}, {480, 0.60F, 0.6F}).palm(), 160);
    EXPECT_EQ(TwoDiscs(runner_, camera_, {160, 0.50F, 0.3F}, {480, 0.52F, 0.6F}).palm(), 480);
}

TEST_F(Gesture, NothingFarBehindTheFrontIsAPalm) {
    EXPECT_EQ(TwoDiscs(runner_, camera_, {160, 0.76F, 1.0F}, {480, 0.80F, 1.0F}).palm(), -1);
    EXPECT_EQ(TwoDiscs(runner_, camera_, {160, 0.80F, 1.0F}, {480, 0.74F, 1.0F}).palm(), 480);
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

// Two cameras that see a hand from two sides.
class GestureFused : public testing::Test {
   protected:
    void SetUp() override { ASSERT_EQ(runner_.error(), ""); }
    void show(std::uint64_t seed, std::uint64_t number, gesture::Truth& truth) {
        const gesture::Depth first = gesture::Synthetic(seed, camera_).frame(number, truth);
        const gesture::Depth second = gesture::Synthetic(seed, camera_, gesture::beside).frame(number, truth);
        runner_.write("frame-1", std::as_bytes(std::span(first)));
        runner_.write("frame-2", std::as_bytes(std::span(second)));
    }

    gesture::Camera camera_;
    GestureRunner runner_{gesture::gesture_pipeline(camera_, gesture::beside)};
};

TEST_F(GestureFused, EachKernelComputesWhatPlainCppDoes) {
    gesture::Truth truth;
    show(42, 30, truth);
    for (const gesture::Step& step : runner_.steps()) {
        EXPECT_EQ(compare_step(runner_, step, camera_), "") << step.name;
    }
}

TEST_F(GestureFused, TheSecondCameraFillsWhatTheFirstDoesNotSeeAndIsPutWhereItBelongs) {
    gesture::Truth truth;
    show(42, 30, truth);
    runner_.conclude();
    const auto first = runner_.read<float>("cloud-1");
    const auto fused = runner_.read<float>("cloud");
    const auto nearest = runner_.read<std::uint32_t>("nearest");
    std::size_t readings = 0;
    std::size_t both = 0;
    std::size_t agree = 0;
    std::size_t filled = 0;
    for (std::size_t i = 0; i < nearest.size(); ++i) {
        readings += first[4 * i + 3] > 0 ? 1 : 0;
        filled += first[4 * i + 3] <= 0 && fused[4 * i + 3] > 0 ? 1 : 0;
        if (first[4 * i + 3] > 0 && nearest[i] != UINT32_MAX) {
            ++both;
            agree += std::abs(first[4 * i + 3] - static_cast<float>(nearest[i]) / 100000.0F) < 0.005F ? 1 : 0;
        }
    }
    EXPECT_GT(both, readings / 2) << "both cameras see the same person";
    EXPECT_GT(agree, both * 8 / 10) << "the rest is what one of them sees past an edge";
    EXPECT_GT(filled, readings / 100);
}

TEST_F(GestureFused, RenderedHandsAreFoundAndRead) {
    std::size_t frames = 0;
    std::size_t centres = 0;
    std::size_t gestures = 0;
    for (const std::uint64_t seed : {91001U, 91002U, 91003U, 91004U, 91005U}) {
        for (std::uint64_t number = 0; number < 300; number += 15) {
            gesture::Truth truth;
            show(seed, number, truth);
            const gesture::Event event = runner_.conclude();
            const double off =
                std::hypot(static_cast<double>(event.pixel_x) - truth.x, static_cast<double>(event.pixel_y) - truth.y);
            ++frames;
            centres += off <= 10 ? 1 : 0;
            gestures += (event.open == 1) == truth.open ? 1 : 0;
        }
    }
    ASSERT_EQ(frames, 100U);
    EXPECT_GE(centres, 95U);
    EXPECT_GE(gestures, 95U);
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
