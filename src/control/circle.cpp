// Strongly connected components by two walks, along the arrows and against them (Kosaraju and Sharir, "A strong-
// connectivity algorithm and its applications in data flow analysis", 1981). The walks keep their own stack: a chain of
// thousands of ptasks must not use up the thread's.
#include "control/circle.hpp"

#include <utility>

namespace yoke::control {

namespace {

constexpr std::size_t unseen = static_cast<std::size_t>(-1);

using Neighbours = std::vector<std::vector<std::size_t>>;

// Visits everything that is reached from `start` and not yet seen; `left` hears of each node when it is left.
template <typename Left>
void walk(const Neighbours& neighbours, std::size_t start, std::vector<std::size_t>& seen, std::size_t mark,
          Left&& left) {
    std::vector<std::pair<std::size_t, std::size_t>> path{{start, 0}};  // node, neighbours visited
    seen[start] = mark;
    while (!path.empty()) {
        const std::size_t node = path.back().first;
        if (path.back().second == neighbours[node].size()) {
            left(node);
            path.pop_back();
            continue;
        }
        const std::size_t next = neighbours[node][path.back().second++];
        if (seen[next] == unseen) {
            seen[next] = mark;
            path.emplace_back(next, 0);
        }
    }
}

}  // namespace

std::vector<std::size_t> find_circles(std::size_t nodes, std::span<const Arrow> arrows) {
    Neighbours along(nodes);
    Neighbours against(nodes);
    for (const Arrow& arrow : arrows) {
        along[arrow.from].push_back(arrow.to);
        against[arrow.to].push_back(arrow.from);
    }
    std::vector<std::size_t> order;
    std::vector<std::size_t> seen(nodes, unseen);
    for (std::size_t node = 0; node < nodes; ++node) {
        if (seen[node] == unseen) {
            walk(along, node, seen, 0, [&](std::size_t last) { order.push_back(last); });
        }
    }
    std::vector<std::size_t> component(nodes, unseen);
    std::size_t count = 0;
    for (std::size_t i = nodes; i-- != 0;) {
        if (component[order[i]] == unseen) {
            walk(against, order[i], component, count++, [](std::size_t) {});
        }
    }
    return component;
}

}  // namespace yoke::control
