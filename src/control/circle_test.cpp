// Components against a plain reference that asks of each pair of nodes whether they reach each other.
#include "control/circle.hpp"

#include <gtest/gtest.h>

#include <random>

namespace yoke::control {
namespace {

TEST(Circle, AgreesWithReachability) {
    std::mt19937 random(7);
    for (int round = 0; round < 500; ++round) {
        const std::size_t nodes = 1 + random() % 8;
        std::vector<Arrow> arrows(random() % 16);
        std::vector<std::vector<bool>> reaches(nodes, std::vector<bool>(nodes));
        for (std::size_t node = 0; node < nodes; ++node) {
            reaches[node][node] = true;
        }
        for (Arrow& arrow : arrows) {
            arrow = {random() % nodes, random() % nodes};
            reaches[arrow.from][arrow.to] = true;
        }
        for (std::size_t via = 0; via < nodes; ++via) {
            for (std::size_t a = 0; a < nodes; ++a) {
                for (std::size_t b = 0; b < nodes; ++b) {
                    reaches[a][b] = reaches[a][b] || (reaches[a][via] && reaches[via][b]);
                }
            }
        }
        const std::vector<std::size_t> component = find_circles(nodes, arrows);
        for (std::size_t a = 0; a < nodes; ++a) {
            for (std::size_t b = 0; b < nodes; ++b) {
                ASSERT_EQ(component[a] == component[b], reaches[a][b] && reaches[b][a]) << "round " << round;
            }
        }
    }
}

TEST(Circle, LongChainsNeedNoStack) {
    constexpr std::size_t nodes = 200'000;
    std::vector<Arrow> arrows;
    for (std::size_t node = 0; node + 1 < nodes; ++node) {
        arrows.push_back({node, node + 1});
    }
    EXPECT_NE(find_circles(nodes, arrows)[0], find_circles(nodes, arrows)[nodes - 1]);
    arrows.push_back({nodes - 1, 0});
    EXPECT_EQ(find_circles(nodes, arrows)[0], find_circles(nodes, arrows)[nodes - 1]);
}

}  // namespace
}  // namespace yoke::control
