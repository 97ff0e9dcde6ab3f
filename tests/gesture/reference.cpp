// See reference.hpp. A reference reads the buffers as they were before the step, and gives those that the step writes.
// Sums and square roots may differ in the last places and thresholds with them, so a few elements in ten thousand may
// disagree where numbers are compared with limits.
#include "gesture/reference.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <numeric>
#include <queue>
#include <set>

namespace yoke::test {
namespace {

using Floats = std::vector<float>;
using Bytes = std::vector<std::uint8_t>;
using Ints = std::vector<std::int32_t>;
using Words = std::vector<std::uint32_t>;

constexpr double body_step = 0.070;
constexpr double shadow_step = 0.010;
constexpr double shadow = 0.0080;
constexpr double slit = 0.0045;
constexpr double finger_step = 0.018;
constexpr long hole = 9;
constexpr long tile = 8;
constexpr std::uint32_t index_bits = 20;
constexpr std::uint32_t index_mask = 0xfffff;
constexpr double rank_per_m = 10000;
constexpr std::uint32_t rank_most = 0xfff;
constexpr double depth_rank_per_m = 500;
constexpr double area_per_m2 = 1e7;

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

constexpr double few = 0.0002;  // share of elements that a limit may put on the other side

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

// Squared distance to the nearest mark, from the distances along the rows.
Ints squared(const Step& step, const Bytes& away) {
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

Ints roots_of(const Ints& parents) {
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

void core(Step& step) {
    const auto depth = step.read<float>(0);
    const auto circle = step.read<float>(1);
    const auto label = step.read<std::int32_t>(2);
    const auto hand = step.read<gesture::Hand>(3).front();
    const float wide = std::max(0.33F * hand.radius, 0.0125F) * static_cast<float>(step.focal);
    Bytes thick(depth.size(), 2);
    for (std::size_t i = 0; i < depth.size(); ++i) {
        if (hand.radius > 0 && label[i] == hand.label) {
            thick[i] = circle[i] * depth[i] >= wide ? 1 : 0;
        }
    }
    step.run();
    step.expect(4, thick, 0, few);
}

// Distance and height of a point over the plane of the palm.
struct Place {
    double reach = 0;
    double height = 0;
    double away = 0;
};
Place place_of(const Floats& cloud, std::size_t i, const gesture::Hand& hand) {
    std::array<double, 3> off{};
    double height = 0;
    double square = 0;
    for (std::size_t axis = 0; axis < 3; ++axis) {
        off[axis] = static_cast<double>(cloud[4 * i + axis]) - static_cast<double>(hand.centre[axis]);
        height += off[axis] * static_cast<double>(hand.normal[axis]);
        square += off[axis] * off[axis];
    }
    return {std::sqrt(std::max(0.0, square - height * height)), height, std::sqrt(square)};
}

void plane(Step& step) {
    const auto cloud = step.read<float>(0);
    const auto circle = step.read<float>(1);
    const auto label = step.read<std::int32_t>(2);
    const auto chosen = step.read<std::uint32_t>(3);
    step.run();
    const auto hand = step.read<gesture::Hand>(4).front();
    if (chosen[1] == 0) {
        step.difference = hand.radius == 0 ? "" : "plane: a palm where there is none";
        return;
    }
    const std::size_t centre = chosen[1] & index_mask;
    // The least squares are checked by what defines them: the points of the plane scatter evenly about it.
    double sum = 0;
    double count = 0;
    const long reach = static_cast<long>(circle[centre]);
    for (long dy = -reach; dy <= reach; ++dy) {
        for (long dx = -reach; dx <= reach; ++dx) {
            const std::size_t i = centre + static_cast<std::size_t>(dy * step.width + dx);
            if (dx * dx + dy * dy > reach * reach || cloud[4 * i + 3] <= 0) {
                continue;
            }
            const double height = place_of(cloud, i, hand).height;
            if (height < 0.006) {
                sum += height;
                count += 1;
            }
        }
    }
    const float radius = circle[centre] * cloud[4 * centre + 3] / static_cast<float>(step.focal);
    if (count == 0 || std::abs(sum / count) > 0.0015 || std::abs(hand.radius - radius) > 1e-6F ||
        hand.index != static_cast<std::int32_t>(centre) || hand.label != label[centre] || hand.normal[2] >= 0) {
        step.difference = "plane: the points of the palm are " + std::to_string(sum / count) + " m off on average";
    }
}

void trim(Step& step) {
    const auto cloud = step.read<float>(0);
    const auto label = step.read<std::int32_t>(1);
    const Ints squares = squared(step, step.read<std::uint8_t>(2));
    const auto hand = step.read<gesture::Hand>(3).front();
    Floats reach(step.pixels(), 0);
    for (std::size_t i = 0; i < reach.size(); ++i) {
        const float distance = cloud[4 * i + 3];
        if (hand.radius > 0 && label[i] == hand.label && distance > 0) {
            const Place place = place_of(cloud, i, hand);
            const float covered =
                std::max(0.33F * hand.radius, 0.0125F) * static_cast<float>(step.focal) / distance + 1.5F;
            if (place.away < 4.0 * static_cast<double>(hand.radius) &&
                static_cast<float>(squares[i]) > covered * covered) {
                reach[i] = static_cast<float>(place.reach);
            }
        }
    }
    step.run();
    step.expect(4, reach, 1e-4, few);
    step.expect(5, Words(reach.size(), 0));
    step.expect(6, Words(reach.size(), 0));
    step.expect(7, Words(reach.size(), std::numeric_limits<std::uint32_t>::max()));
}

template <typename Visit>
void around(const Step& step, const Floats& depth, std::size_t i, Visit visit) {
    const long x = static_cast<long>(i) % step.width;
    const long y = static_cast<long>(i) / step.width;
    for (long v = y - 1; v <= y + 1; ++v) {
        for (long u = x - 1; u <= x + 1; ++u) {
            if (step.inside(u, v) && step.at(u, v) != i &&
                std::abs(depth[step.at(u, v)] - depth[i]) <= static_cast<float>(finger_step) * depth[i]) {
                visit(step.at(u, v));
            }
        }
    }
}

void climb(Step& step) {
    const auto depth = step.read<float>(0);
    const auto reach = step.read<float>(1);
    Ints expected(reach.size(), -1);
    for (std::size_t i = 0; i < reach.size(); ++i) {
        if (reach[i] > 0) {
            std::size_t best = i;
            around(step, depth, i,
                   [&](std::size_t j) { best = std::pair(reach[j], j) > std::pair(reach[best], best) ? j : best; });
            expected[i] = static_cast<std::int32_t>(best);
        }
    }
    step.run();
    step.expect(2, expected, 0, few);
}

void settle(Step& step) {
    const Ints expected = roots_of(step.read<std::int32_t>(0));
    step.run();
    step.expect(0, expected);
}

std::uint32_t rank_of(float metres) {
    return static_cast<std::uint32_t>(
        std::min<double>(std::nearbyint(static_cast<double>(metres * 10000.0F)), rank_most));
}

void meet(Step& step) {
    const auto depth = step.read<float>(0);
    const auto reach = step.read<float>(1);
    const auto finger = step.read<std::int32_t>(2);
    auto pass = step.read<std::uint32_t>(3);
    for (std::size_t i = 0; i < reach.size(); ++i) {
        const long x = static_cast<long>(i) % step.width;
        const long y = static_cast<long>(i) / step.width;
        // Every pair once, from the pixel above or to the left of it.
        for (const auto& [u, v] : {std::pair{x + 1, y}, {x - 1, y + 1}, {x, y + 1}, {x + 1, y + 1}}) {
            if (finger[i] < 0 || !step.inside(u, v)) {
                continue;
            }
            const std::size_t j = step.at(u, v);
            if (finger[j] < 0 || finger[j] == finger[i] ||
                std::abs(depth[j] - depth[i]) > static_cast<float>(finger_step) * depth[i]) {
                continue;
            }
            auto low = static_cast<std::size_t>(finger[i]);
            auto high = static_cast<std::size_t>(finger[j]);
            if (std::pair(reach[low], low) > std::pair(reach[high], high)) {
                std::swap(low, high);
            }
            pass[low] = std::max(
                pass[low], rank_of(std::min(reach[i], reach[j])) << index_bits | static_cast<std::uint32_t>(high));
        }
    }
    step.run();
    step.expect(3, pass, 0, few);
}

void merge(Step& step) {
    const auto hand = step.read<gesture::Hand>(0).front();
    const auto reach = step.read<float>(1);
    const auto pass = step.read<std::uint32_t>(2);
    auto finger = step.read<std::int32_t>(3);
    for (std::size_t i = 0; i < reach.size(); ++i) {
        if (finger[i] == static_cast<std::int32_t>(i) && pass[i] != 0 &&
            static_cast<double>(reach[i]) - (pass[i] >> index_bits) / rank_per_m <
                0.20 * static_cast<double>(hand.radius)) {
            finger[i] = static_cast<std::int32_t>(pass[i] & index_mask);
        }
    }
    step.run();
    step.expect(3, finger, 0, few);
    step.expect(4, Words(reach.size(), 0));
}

void measure(Step& step) {
    const auto depth = step.read<float>(0);
    const auto reach = step.read<float>(1);
    const Ints roots = roots_of(step.read<std::int32_t>(2));
    auto area = step.read<std::uint32_t>(3);
    auto base = step.read<std::uint32_t>(4);
    for (std::size_t i = 0; i < reach.size(); ++i) {
        if (roots[i] >= 0) {
            const auto root = static_cast<std::size_t>(roots[i]);
            const double pitch = static_cast<double>(depth[i]) / step.focal;
            area[root] += static_cast<std::uint32_t>(std::lround(pitch * pitch * area_per_m2));
            base[root] = std::min(base[root], rank_of(reach[i]) << index_bits | static_cast<std::uint32_t>(i));
        }
    }
    step.run();
    step.expect(2, roots);
    step.expect(3, area, 0.02);
    step.expect(4, base, 0, few);
}

void conclude(Step& step) {
    const auto cloud = step.read<float>(0);
    const auto hand = step.read<gesture::Hand>(1).front();
    const auto reach = step.read<float>(2);
    const auto area = step.read<std::uint32_t>(3);
    const auto base = step.read<std::uint32_t>(4);
    const auto pass = step.read<std::uint32_t>(5);
    const double palm = static_cast<double>(hand.radius);
    struct Finger {
        double far = 0;
        double out = 0;
    };
    std::vector<Finger> straight;
    for (std::size_t i = 0; palm > 0 && i < area.size(); ++i) {
        if (area[i] < 0.030 * palm * palm * area_per_m2) {
            continue;
        }
        const std::size_t foot = base[i] & index_mask;
        const double far = static_cast<double>(reach[i]);
        const double start = static_cast<double>(reach[foot]);
        const double height = place_of(cloud, i, hand).height;
        const double rise = (height - place_of(cloud, foot, hand).height) / (far - start);
        const double out = far - std::max(start, (pass[i] >> index_bits) / rank_per_m);
        if (far >= 1.70 * palm && out >= 0.42 * palm && height <= 0.40 * far && height >= -0.70 * far &&
            std::abs(rise) <= 0.55) {
            straight.push_back({far, out});
        }
    }
    double longest = 0;
    for (const Finger& finger : straight) {
        longest = std::max(longest, finger.far);
    }
    const auto fingers = std::count_if(straight.begin(), straight.end(), [&](const Finger& finger) {
        return finger.far >= 0.64 * longest && finger.out >= 0.26 * longest;
    });
    step.run();
    const auto event = step.read<gesture::Event>(6).front();
    if (event.fingers != fingers || event.open != (fingers == 5 ? 1 : 0) || event.radius != hand.radius ||
        event.centre != hand.centre) {
        step.difference =
            "conclude: " + std::to_string(fingers) + " fingers expected, " + std::to_string(event.fingers);
    }
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

}  // namespace

std::string compare_step(GestureRunner& runner, const gesture::Step& step, const gesture::Camera& camera) {
    static const std::map<std::string, std::function<void(Step&)>> references{
        {"bilateral", smooth}, {"transform", transform}, {"gather", gather}, {"close", close}, {"outline", outline},
        {"across", across},    {"inscribe", inscribe},   {"begin", begin},   {"join", join},   {"survey", survey},
        {"tile", tiles},       {"palm", palm},           {"plane", plane},   {"core", core},   {"trim", trim},
        {"climb", climb},      {"settle", settle},       {"meet", meet},     {"merge", merge}, {"measure", measure},
        {"conclude", conclude}};
    const auto found = references.find(step.function);
    if (found == references.end()) {
        return step.function + ": there is no reference";
    }
    Step context(runner, step, camera);
    found->second(context);
    return !runner.error().empty() ? runner.error() : context.difference;
}

}  // namespace yoke::test
