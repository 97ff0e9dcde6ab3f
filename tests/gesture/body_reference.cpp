// From a depth frame to bodies and the palm, in plain C++: see step.hpp.
#include "gesture/step.hpp"

#include <array>
#include <limits>
#include <numeric>
#include <queue>

namespace yoke::test::reference {

void smooth(Step& step) {
    const auto frame = step.read<std::uint16_t>(0);
    const double unit = static_cast<double>(step.constant<float>(3));
    const long radius = step.constant<std::int32_t>(4);
    const double pixels = static_cast<double>(step.constant<float>(5));
    const double metres = static_cast<double>(step.constant<float>(6));
    Floats expected(frame.size());
    for (long y = 0; y < step.height; ++y) {
        for (long x = 0; x < step.width; ++x) {
            const double centre = frame[step.at(x, y)] * unit;
            double sum = 0;
            double weights = 0;
            for (long v = y - radius; centre > 0 && v <= y + radius; ++v) {
                for (long u = x - radius; u <= x + radius; ++u) {
                    if (step.inside(u, v) && frame[step.at(u, v)] > 0) {
                        const double value = frame[step.at(u, v)] * unit;
                        const double weight = std::exp(-static_cast<double>((u - x) * (u - x) + (v - y) * (v - y)) /
                                                           (2 * pixels * pixels) -
                                                       (value - centre) * (value - centre) / (2 * metres * metres));
                        sum += weight * value;
                        weights += weight;
                    }
                }
            }
            expected[step.at(x, y)] = weights > 0 ? static_cast<float>(sum / weights) : 0;
        }
    }
    step.run();
    step.expect(1, expected, 1e-5);
}

void transform(Step& step) {
    const auto depth = step.read<float>(0);
    const auto lens = step.constant<std::array<float, 4>>(2);
    const auto pose = step.constant<gesture::Pose>(3);
    Floats expected(4 * depth.size());
    for (long y = 0; y < step.height; ++y) {
        for (long x = 0; x < step.width; ++x) {
            const std::size_t i = step.at(x, y);
            const float d = depth[i];
            const std::array<float, 4> seen{(static_cast<float>(x) - lens[2]) * d / lens[0],
                                            (static_cast<float>(y) - lens[3]) * d / lens[1], d, 1};
            for (std::size_t row = 0; d > 0 && row < 3; ++row) {
                expected[4 * i + row] = std::inner_product(seen.begin(), seen.end(),
                                                           pose.begin() + static_cast<std::ptrdiff_t>(4 * row), 0.0F);
            }
            expected[4 * i + 3] = std::max(d, 0.0F);
        }
    }
    step.run();
    step.expect(1, expected, 1e-5);
}

void gather(Step& step) {
    const auto cloud = step.read<float>(0);
    const long columns = (step.width + tile - 1) / tile;
    Floats seen(step.pixels());
    Bytes occupied(static_cast<std::size_t>(columns * ((step.height + tile - 1) / tile)));
    for (long y = 0; y < step.height; ++y) {
        for (long x = 0; x < step.width; ++x) {
            seen[step.at(x, y)] = cloud[4 * step.at(x, y) + 3];
            if (seen[step.at(x, y)] > 0) {
                occupied[static_cast<std::size_t>(y / tile * columns + x / tile)] = 1;
            }
        }
    }
    step.run();
    step.expect(1, seen);
    step.expect(2, occupied);
}

void close(Step& step) {
    const auto seen = step.read<float>(0);
    Floats plain = seen;
    Floats closed = seen;
    struct Rim {
        double distance = 0;
        long away = 0;
    };
    const auto rim = [&](long x, long y, long dx, long dy) {
        for (long i = 1; i <= hole && step.inside(x + i * dx, y + i * dy); ++i) {
            if (const float value = seen[step.at(x + i * dx, y + i * dy)]; value > 0) {
                return Rim{static_cast<double>(value), i};
            }
        }
        return Rim{};
    };
    for (long y = 0; y < step.height; ++y) {
        for (long x = 0; x < step.width; ++x) {
            if (seen[step.at(x, y)] > 0) {
                continue;
            }
            double sum = 0;
            double least = std::numeric_limits<double>::infinity();
            double most = 0;
            double behind = 0;
            for (const auto& [dx, dy] : {std::pair{1L, 0L}, {0L, 1L}, {1L, 1L}, {1L, -1L}}) {
                const Rim one = rim(x, y, dx, dy);
                const Rim other = rim(x, y, -dx, -dy);
                const auto [near, far] = std::minmax(one.distance, other.distance);
                const double wide = static_cast<double>(one.away + other.away) * far / step.focal;
                if (near > 0 && far - near < body_step && wide < (far - near > shadow_step ? shadow : slit)) {
                    behind = std::max(behind, far);
                }
                sum += near + far;
                least = std::min(least, near);
                most = std::max(most, far);
            }
            const bool whole = least > 0 && most - least < finger_step * least;
            plain[step.at(x, y)] = whole ? static_cast<float>(sum / 8) : 0;
            closed[step.at(x, y)] = static_cast<float>(least > 0 && most - least < body_step ? most : behind);
        }
    }
    step.run();
    step.expect(2, plain, 1e-5, few);
    step.expect(3, closed, 1e-5, few);
}

void outline(Step& step) {
    const auto depth = step.read<float>(0);
    Bytes rim(depth.size(), 1);
    for (long y = 1; y < step.height - 1; ++y) {
        for (long x = 1; x < step.width - 1; ++x) {
            const double here = static_cast<double>(depth[step.at(x, y)]);
            bool ends = here <= 0;
            for (const std::size_t j : {step.at(x - 1, y), step.at(x + 1, y), step.at(x, y - 1), step.at(x, y + 1)}) {
                const double there = static_cast<double>(depth[j]);
                ends = ends || there <= 0 || std::abs(there - here) > body_step;
            }
            rim[step.at(x, y)] = ends ? 1 : 0;
        }
    }
    step.run();
    step.expect(1, rim, 0, few);
}

void across(Step& step) {
    const auto mark = step.read<std::uint8_t>(0);
    const long limit = step.constant<std::int32_t>(2);
    Bytes away(mark.size(), static_cast<std::uint8_t>(limit));
    for (long y = 0; y < step.height; ++y) {
        for (long x = 0; x < step.width; ++x) {
            for (long u = std::max(0L, x - limit); mark[step.at(x, y)] != 2 && u < std::min(step.width, x + limit);
                 ++u) {
                if (mark[step.at(u, y)] == 1) {
                    away[step.at(x, y)] =
                        static_cast<std::uint8_t>(std::min<long>(away[step.at(x, y)], std::abs(u - x)));
                }
            }
        }
    }
    step.run();
    step.expect(1, away);
}

void inscribe(Step& step) {
    const Ints squares = squared(step, step.read<std::uint8_t>(0));
    Floats expected(squares.size());
    std::transform(squares.begin(), squares.end(), expected.begin(),
                   [](std::int32_t square) { return std::sqrt(static_cast<float>(square)); });
    step.run();
    step.expect(1, expected, 1e-6);
}

void begin(Step& step) {
    const auto depth = step.read<float>(0);
    Ints label(depth.size(), -1);
    for (std::size_t i = 0; i < depth.size(); ++i) {
        label[i] = depth[i] > 0 ? static_cast<std::int32_t>(i) : -1;
    }
    step.run();
    step.expect(1, label);
    step.expect(2, Words(depth.size(), 0));
    step.expect(3, Words{std::numeric_limits<std::uint32_t>::max(), 0});
}

void join(Step& step) {
    const auto depth = step.read<float>(0);
    const auto before = step.read<std::int32_t>(1);
    Ints expected(depth.size(), -1);
    for (std::size_t seed = 0; seed < depth.size(); ++seed) {
        if (before[seed] < 0 || expected[seed] >= 0) {
            continue;
        }
        std::queue<std::size_t> open({seed});
        expected[seed] = static_cast<std::int32_t>(seed);
        while (!open.empty()) {
            const std::size_t i = open.front();
            open.pop();
            const long x = static_cast<long>(i) % step.width;
            const long y = static_cast<long>(i) / step.width;
            for (const auto& [u, v] : {std::pair{x - 1, y}, {x + 1, y}, {x, y - 1}, {x, y + 1}}) {
                if (step.inside(u, v) && before[step.at(u, v)] >= 0 && expected[step.at(u, v)] < 0 &&
                    std::abs(depth[step.at(u, v)] - depth[i]) <= static_cast<float>(body_step)) {
                    expected[step.at(u, v)] = static_cast<std::int32_t>(seed);
                    open.push(step.at(u, v));
                }
            }
        }
    }
    step.run();
    if (roots_of(step.read<std::int32_t>(1)) != expected) {
        step.difference = "join: the bodies are not those of a flood fill";
    }
}

void survey(Step& step) {
    const auto depth = step.read<float>(0);
    const auto circle = step.read<float>(1);
    const Ints roots = roots_of(step.read<std::int32_t>(2));
    auto pixels = step.read<std::uint32_t>(3);
    auto chosen = step.read<std::uint32_t>(4);
    for (std::size_t i = 0; i < depth.size(); ++i) {
        if (roots[i] >= 0) {
            ++pixels[static_cast<std::size_t>(roots[i])];
            if (circle[i] * depth[i] >= 0.018F * static_cast<float>(step.focal)) {
                chosen[0] =
                    std::min(chosen[0],
                             static_cast<std::uint32_t>(std::lround(static_cast<double>(depth[i]) * depth_rank_per_m)));
            }
        }
    }
    step.run();
    step.expect(2, roots);
    step.expect(3, pixels);
    step.expect(4, chosen, 0.005);  // one rank
}

void tiles(Step& step) {
    const auto cloud = step.read<float>(0);
    const auto depth = step.read<float>(1);
    const auto circle = step.read<float>(2);
    const auto rim = step.read<std::uint8_t>(3);
    const auto label = step.read<std::int32_t>(4);
    const auto pixels = step.read<std::uint32_t>(5);
    const long columns = (step.width + tile - 1) / tile;
    Ints summit(static_cast<std::size_t>(columns * ((step.height + tile - 1) / tile)), -1);
    Floats length(summit.size(), 0);
    for (long y = 0; y < step.height; ++y) {
        for (long x = 0; x < step.width; ++x) {
            const std::size_t i = step.at(x, y);
            const std::size_t t = static_cast<std::size_t>(y / tile * columns + x / tile);
            const float pitch = depth[i] / static_cast<float>(step.focal);
            if (cloud[4 * i + 3] <= 0 ||
                static_cast<float>(pixels[static_cast<std::size_t>(label[i])]) * pitch * pitch < 0.005F) {
                continue;
            }
            length[t] += rim[i] == 1 ? pitch : 0;
            const auto best = static_cast<std::size_t>(summit[t]);
            if (summit[t] < 0 || circle[i] * depth[i] > circle[best] * depth[best]) {
                summit[t] = static_cast<std::int32_t>(i);
            }
        }
    }
    step.run();
    step.expect(6, summit, 0, 0.002);
    step.expect(7, length, 1e-4, 0.002);
}

// The palm is an optimum: no place that a kernel may choose has a higher score.
void palm(Step& step) {
    const auto depth = step.read<float>(0);
    const auto circle = step.read<float>(1);
    const auto summit = step.read<std::int32_t>(3);
    const auto before = step.read<std::uint32_t>(5);
    step.run();
    const auto chosen = step.read<std::uint32_t>(5);
    if (chosen[0] != before[0]) {
        step.difference = "palm: the front has changed";
    }
    if (chosen[1] == 0) {
        return;
    }
    const auto centre = static_cast<std::int32_t>(chosen[1] & index_mask);
    const auto i = static_cast<std::size_t>(centre);
    const double radius = static_cast<double>(circle[i] * depth[i]) / step.focal;
    if (std::find(summit.begin(), summit.end(), centre) == summit.end() || radius < 0.022 || radius > 0.060) {
        step.difference = "palm: pixel " + std::to_string(centre) + " is no summit, or of a radius no palm has";
    }
    // A summit: no pixel within two tiles of it, of its depth, has a larger circle.
    const long x = centre % step.width;
    const long y = centre / step.width;
    for (long v = y - tile; v <= y + tile; ++v) {
        for (long u = x - tile; u <= x + tile; ++u) {
            if (step.inside(u, v) && std::abs(depth[step.at(u, v)] - depth[i]) < 0.02F &&
                circle[step.at(u, v)] * depth[step.at(u, v)] > 1.02F * circle[i] * depth[i]) {
                step.difference = "palm: there is a larger circle beside it";
            }
        }
    }
}

}  // namespace yoke::test::reference
