// Which nodes of a directed graph reach each other: its strongly connected components.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace yoke::control {

struct Arrow {
    std::size_t from = 0;
    std::size_t to = 0;
};

// For each of `nodes` nodes the number of its component; an arrow between two nodes of one component is part of a
// circle.
std::vector<std::size_t> find_circles(std::size_t nodes, std::span<const Arrow> arrows);

}  // namespace yoke::control
