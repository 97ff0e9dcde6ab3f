// From the palm to fingers and the event, in plain C++: see step.hpp.
#include "gesture/step.hpp"

#include <array>
#include <limits>

namespace yoke::test::reference {

namespace {

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

std::uint32_t rank_of(float metres) {
    return static_cast<std::uint32_t>(
        std::min<double>(std::nearbyint(static_cast<double>(metres * 10000.0F)), rank_most));
}

}  // namespace

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
    const auto fingers = static_cast<float>(std::count_if(straight.begin(), straight.end(), [&](const Finger& finger) {
        return finger.far >= 0.64 * longest && finger.out >= 0.26 * longest;
    }));
    step.run();
    const auto event = step.read<gesture::Event>(6).front();
    if (event.fingers != fingers || event.open != (fingers == 5 ? 1 : 0) || event.radius != hand.radius ||
        event.centre != hand.centre) {
        step.difference =
            "conclude: " + std::to_string(fingers) + " fingers expected, " + std::to_string(event.fingers);
    }
}

}  // namespace yoke::test::reference
