// Two clouds to one, in plain C++: see step.hpp.
#include "gesture/step.hpp"

#include <array>
#include <limits>

namespace yoke::test::reference {

namespace {

constexpr double steps_per_m = 100000;
constexpr std::uint32_t nothing = std::numeric_limits<std::uint32_t>::max();

std::array<double, 3> moved(const gesture::Pose& pose, double x, double y, double z) {
    std::array<double, 3> to{};
    for (std::size_t row = 0; row < 3; ++row) {
        to[row] = static_cast<double>(pose[4 * row]) * x + static_cast<double>(pose[4 * row + 1]) * y +
                  static_cast<double>(pose[4 * row + 2]) * z + static_cast<double>(pose[4 * row + 3]);
    }
    return to;
}

}  // namespace

void blank(Step& step) {
    const auto before = step.read<float>(0);
    step.run();
    step.expect(0, before);
    step.expect(1, Words(step.pixels(), nothing));
}

void project(Step& step) {
    const auto cloud = step.read<float>(0);
    auto nearest = step.read<std::uint32_t>(1);
    const auto lens = step.constant<std::array<float, 4>>(2);
    const auto rigid = step.constant<gesture::Pose>(3);
    for (std::size_t i = 0; i < step.pixels(); ++i) {
        if (cloud[4 * i + 3] <= 0) {
            continue;
        }
        const auto at = moved(rigid, static_cast<double>(cloud[4 * i]), static_cast<double>(cloud[4 * i + 1]),
                              static_cast<double>(cloud[4 * i + 2]));
        const double x = at[0] / at[2] * static_cast<double>(lens[0]) + static_cast<double>(lens[2]);
        const double y = at[1] / at[2] * static_cast<double>(lens[1]) + static_cast<double>(lens[3]);
        if (at[2] <= 0.01 || x < 0 || y < 0 || x > static_cast<double>(step.width - 1) ||
            y > static_cast<double>(step.height - 1)) {
            continue;
        }
        const auto distance = static_cast<std::uint32_t>(std::lround(at[2] * steps_per_m));
        for (const long v : {static_cast<long>(y), std::min(static_cast<long>(y) + 1, step.height - 1)}) {
            for (const long u : {static_cast<long>(x), std::min(static_cast<long>(x) + 1, step.width - 1)}) {
                nearest[step.at(u, v)] = std::min(nearest[step.at(u, v)], distance);
            }
        }
    }
    step.run();
    step.expect(1, nearest, 1e-4, 0.002);
}

void fuse(Step& step) {
    const auto first = step.read<float>(0);
    const auto nearest = step.read<std::uint32_t>(1);
    const auto lens = step.constant<std::array<float, 4>>(3);
    const auto pose = step.constant<gesture::Pose>(4);
    Floats expected = first;
    for (long y = 0; y < step.height; ++y) {
        for (long x = 0; x < step.width; ++x) {
            const std::size_t i = step.at(x, y);
            if (first[4 * i + 3] > 0 || nearest[i] == nothing) {
                continue;
            }
            const double d = nearest[i] / steps_per_m;
            double rim = std::numeric_limits<double>::infinity();
            for (const auto& [dx, dy] :
                 {std::pair{1L, 0L}, {0L, 1L}, {1L, 1L}, {1L, -1L}, {-1L, 0L}, {0L, -1L}, {-1L, -1L}, {-1L, 1L}}) {
                for (long k = 1; k <= 12 && step.inside(x + k * dx, y + k * dy); ++k) {
                    if (const float there = first[4 * step.at(x + k * dx, y + k * dy) + 3]; there > 0) {
                        rim = std::min(rim, static_cast<double>(there));
                        break;
                    }
                }
            }
            if (d > rim + 0.030) {
                continue;
            }
            const auto point =
                moved(pose, (static_cast<double>(x) - static_cast<double>(lens[2])) * d / static_cast<double>(lens[0]),
                      (static_cast<double>(y) - static_cast<double>(lens[3])) * d / static_cast<double>(lens[1]), d);
            for (std::size_t row = 0; row < 3; ++row) {
                expected[4 * i + row] = static_cast<float>(point[row]);
            }
            expected[4 * i + 3] = static_cast<float>(d);
        }
    }
    step.run();
    step.expect(2, expected, 1e-5, few);
}

}  // namespace yoke::test::reference
