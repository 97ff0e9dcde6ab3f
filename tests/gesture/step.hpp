// What the references of the gesture example's kernels share: a step's arguments before and after it ran, limits, and
// the two searches that several of them need.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "gesture/runner.hpp"

namespace yoke::test::reference {

using Floats = std::vector<float>;
using Bytes = std::vector<std::uint8_t>;
using Ints = std::vector<std::int32_t>;
using Words = std::vector<std::uint32_t>;

inline constexpr double body_step = 0.070;
inline constexpr double shadow_step = 0.010;
inline constexpr double shadow = 0.0080;
inline constexpr double slit = 0.0045;
inline constexpr double finger_step = 0.018;
inline constexpr long hole = 9;
inline constexpr long tile = 8;
inline constexpr std::uint32_t index_bits = 20;
inline constexpr std::uint32_t index_mask = 0xfffff;
inline constexpr double rank_per_m = 10000;
inline constexpr std::uint32_t rank_most = 0xfff;
inline constexpr double depth_rank_per_m = 500;
inline constexpr double area_per_m2 = 1e7;

class Step {
   public:
    Step(GestureRunner& runner, const gesture::Step& step, const gesture::Camera& camera)
        : width(static_cast<long>(camera.width)),
          height(static_cast<long>(camera.height)),
          focal(camera.focal_x),
          runner_(runner),
          step_(step) {}

    // Arguments by position.
    template <typename T>
    std::vector<T> read(std::size_t argument) const {
        return runner_.read<T>(step_.arguments.at(argument).buffer);
    }
    template <typename T>
    T constant(std::size_t argument) const {
        T value{};
        std::memcpy(&value, step_.arguments.at(argument).bytes.data(), sizeof value);
        return value;
    }
    void run() { runner_.run(step_); }

    template <typename T>
    void expect(std::size_t argument, const std::vector<T>& expected, double tolerance = 0, double share = 0) {
        const std::vector<T> found = read<T>(argument);
        std::size_t different = 0;
        std::string first;
        for (std::size_t i = 0; i < expected.size(); ++i) {
            const double a = static_cast<double>(expected[i]);
            const double b = static_cast<double>(found[i]);
            if (!(std::abs(a - b) <= tolerance * std::max(1.0, std::abs(a)))) {
                if (different++ == 0) {
                    first = " at " + std::to_string(i) + ": " + std::to_string(a) + " expected, " + std::to_string(b);
                }
            }
        }
        if (static_cast<double>(different) > share * static_cast<double>(expected.size()) && difference.empty()) {
            difference = step_.name + ":" + step_.arguments.at(argument).buffer + first + " (" +
                         std::to_string(different) + " elements differ)";
        }
    }

    [[nodiscard]] bool inside(long x, long y) const { return x >= 0 && y >= 0 && x < width && y < height; }
    [[nodiscard]] std::size_t at(long x, long y) const { return static_cast<std::size_t>(y * width + x); }
    [[nodiscard]] std::size_t pixels() const { return static_cast<std::size_t>(width * height); }

    long width;
    long height;
    double focal;
    std::string difference;

   private:
    GestureRunner& runner_;
    const gesture::Step& step_;
};

inline constexpr double few = 0.0002;  // share of elements that a limit may put on the other side

// Squared distance to the nearest mark, from the distances along the rows.
inline Ints squared(const Step& step, const Bytes& away) {
    Ints squares(away.size());
    for (long x = 0; x < step.width; ++x) {
        for (long y = 0; y < step.height; ++y) {
            long best = away[step.at(x, y)] * away[step.at(x, y)];
            for (long v = std::max(0L, y - 255); v < std::min(step.height, y + 256); ++v) {
                best = std::min(best, (v - y) * (v - y) + away[step.at(x, v)] * away[step.at(x, v)]);
            }
            squares[step.at(x, y)] = static_cast<std::int32_t>(best);
        }
    }
    return squares;
}

inline Ints roots_of(const Ints& parents) {
    Ints roots(parents.size(), -1);
    for (std::size_t i = 0; i < parents.size(); ++i) {
        std::int32_t root = parents[i];
        while (root >= 0 && parents[static_cast<std::size_t>(root)] != root) {
            root = parents[static_cast<std::size_t>(root)];
        }
        roots[i] = root;
    }
    return roots;
}

// The references: each runs its step and compares.
void blank(Step& step);
void project(Step& step);
void fuse(Step& step);
void smooth(Step& step);
void transform(Step& step);
void gather(Step& step);
void close(Step& step);
void outline(Step& step);
void across(Step& step);
void inscribe(Step& step);
void begin(Step& step);
void join(Step& step);
void survey(Step& step);
void tiles(Step& step);
void palm(Step& step);
void plane(Step& step);
void core(Step& step);
void trim(Step& step);
void climb(Step& step);
void settle(Step& step);
void meet(Step& step);
void merge(Step& step);
void measure(Step& step);
void conclude(Step& step);

}  // namespace yoke::test::reference
