// Shares by a logical clock: weights hold whatever work costs, idle flows save up nothing, nobody starves, and the
// heap agrees with a plain search where virtual time wraps.
#include "sched/fair_queue.hpp"

#include <algorithm>
#include <cstdint>
#include <map>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace yoke::sched {
namespace {

// Serves for `total` units of a logical clock; all given flows always have work of cost `cost(flow)`.
template <typename Cost>
std::map<FairQueue::FlowId, std::uint64_t> serve(FairQueue& queue, std::uint64_t total, Cost cost) {
    std::map<FairQueue::FlowId, std::uint64_t> got;
    for (std::uint64_t clock = 0; clock < total;) {
        const FairQueue::FlowId flow = queue.next();
        const std::uint64_t units = cost(flow);
        queue.serve(flow, units);
        got[flow] += units;
        clock += units;
    }
    return got;
}

TEST(FairQueue, empty_has_nothing_to_serve) {
    FairQueue queue(4);
    EXPECT_EQ(queue.next(), FairQueue::none);
    const auto flow = queue.add(1);
    EXPECT_EQ(queue.next(), FairQueue::none);
    queue.activate(flow);
    EXPECT_EQ(queue.next(), flow);
    queue.deactivate(flow);
    EXPECT_EQ(queue.next(), FairQueue::none);
}

TEST(FairQueue, shares_follow_weights_whatever_the_costs) {
    FairQueue queue(8);
    const auto a = queue.add(1);
    const auto b = queue.add(2);
    const auto c = queue.add(5);
    for (const auto flow : {a, b, c}) {
        queue.activate(flow);
    }
    // Costs differ by three orders of magnitude; shares must not.
    const std::map<FairQueue::FlowId, std::uint64_t> costs = {{a, 1000}, {b, 7}, {c, 64}};
    auto got = serve(queue, 800'000, [&](auto flow) { return costs.at(flow); });
    // Bound of the paper: normalised service differs by at most one largest cost of each.
    for (const auto& [x, weight_x] : std::map<FairQueue::FlowId, double>{{a, 1}, {b, 2}, {c, 5}}) {
        for (const auto& [y, weight_y] : std::map<FairQueue::FlowId, double>{{a, 1}, {b, 2}, {c, 5}}) {
            const double difference = static_cast<double>(got[x]) / weight_x - static_cast<double>(got[y]) / weight_y;
            const double bound =
                static_cast<double>(costs.at(x)) / weight_x + static_cast<double>(costs.at(y)) / weight_y;
            EXPECT_LE(difference, bound + 1) << x << " " << y;
        }
    }
}

TEST(FairQueue, the_bound_holds_at_every_moment_with_random_costs) {
    std::mt19937_64 random(7);
    FairQueue queue(16);
    constexpr std::uint64_t cost_max = 5000;
    std::vector<std::uint32_t> weights;
    std::vector<std::uint64_t> got;
    for (unsigned i = 0; i < 16; ++i) {
        weights.push_back(1 + static_cast<std::uint32_t>(random() % 100));
        got.push_back(0);
        queue.activate(queue.add(weights.back()));
    }
    for (unsigned step = 0; step < 20'000; ++step) {
        const auto flow = queue.next();
        const std::uint64_t cost = 1 + random() % cost_max;
        queue.serve(flow, cost);
        got[flow] += cost;
        if (step % 97 != 0) {
            continue;
        }
        for (unsigned i = 0; i < 16; ++i) {
            const double i_share = static_cast<double>(got[i]) / weights[i];
            const double f_share = static_cast<double>(got[flow]) / weights[flow];
            const double bound =
                static_cast<double>(cost_max) / weights[i] + static_cast<double>(cost_max) / weights[flow];
            ASSERT_LE(std::max(i_share - f_share, f_share - i_share), bound + 1) << "step " << step;
        }
    }
}

TEST(FairQueue, idle_flows_get_no_credit) {
    FairQueue queue(2);
    const auto busy = queue.add(1);
    const auto idle = queue.add(1);
    queue.activate(busy);
    serve(queue, 100'000, [](auto) { return 100U; });
    queue.activate(idle);
    // From now on both get the same; the past of `idle` counts for nothing.
    auto got = serve(queue, 10'000, [](auto) { return 100U; });
    EXPECT_LE(got[idle], got[busy] + 200);
    EXPECT_LE(got[busy], got[idle] + 200);
}

TEST(FairQueue, a_flow_that_comes_and_goes_does_not_gain_by_it) {
    FairQueue queue(2);
    const auto steady = queue.add(1);
    const auto nervous = queue.add(1);
    queue.activate(steady);
    std::map<FairQueue::FlowId, std::uint64_t> got;
    for (unsigned i = 0; i < 10'000; ++i) {
        queue.activate(nervous);
        const auto flow = queue.next();
        queue.serve(flow, 100);
        got[flow] += 100;
        queue.deactivate(nervous);
    }
    EXPECT_LE(got[nervous], got[steady] + 200);
}

TEST(FairQueue, nobody_starves_beside_heavy_weights) {
    FairQueue queue(65);
    const auto small = queue.add(1);
    queue.activate(small);
    for (unsigned i = 0; i < 64; ++i) {
        queue.activate(queue.add(FairQueue::weight_max));
    }
    const std::uint64_t share = 64ULL * FairQueue::weight_max + 1;
    auto got = serve(queue, 3 * share, [](auto) { return 1U; });
    EXPECT_GE(got[small], 2U);
    EXPECT_LE(got[small], 5U);
}

TEST(FairQueue, correcting_the_cost_moves_the_flow_back) {
    FairQueue queue(2);
    const auto a = queue.add(1);
    const auto b = queue.add(1);
    queue.activate(a);
    queue.activate(b);
    EXPECT_EQ(queue.next(), a);
    queue.serve(a, 1);
    queue.charge(a, 999);  // it took a thousand times as long as expected
    std::uint64_t b_got = 0;
    while (queue.next() == b) {
        queue.serve(b, 10);
        b_got += 10;
    }
    EXPECT_GE(b_got, 1000U);
    EXPECT_LE(b_got, 1010U);
}

TEST(FairQueue, places_are_limited_and_reused) {
    FairQueue queue(2);
    const auto a = queue.add(1);
    const auto b = queue.add(1);
    EXPECT_EQ(queue.add(1), FairQueue::none);
    queue.activate(a);
    queue.activate(b);
    queue.remove(a);
    EXPECT_EQ(queue.next(), b);
    const auto c = queue.add(3);
    EXPECT_EQ(c, a);
    EXPECT_FALSE(queue.active(c));
}

TEST(FairQueue, weights_can_change_on_the_way) {
    FairQueue queue(2);
    const auto a = queue.add(1);
    const auto b = queue.add(1);
    queue.activate(a);
    queue.activate(b);
    serve(queue, 10'000, [](auto) { return 10U; });
    queue.set_weight(a, 3);
    auto got = serve(queue, 40'000, [](auto) { return 10U; });
    EXPECT_NEAR(static_cast<double>(got[a]) / static_cast<double>(got[b]), 3.0, 0.05);
}

// The heap against the definition: the least (tag, place) of all active flows, under random operations and with tags
// that wrap around.
TEST(FairQueue, agrees_with_a_plain_search_across_the_wrap_of_virtual_time) {
    std::mt19937_64 random(11);
    constexpr std::uint32_t flows = 24;
    FairQueue queue(flows);
    std::vector<std::uint64_t> tag(flows, 0);
    std::vector<bool> active(flows, false);
    std::uint64_t virtual_time = 0;
    for (std::uint32_t i = 0; i < flows; ++i) {
        ASSERT_EQ(queue.add(1), i);
    }
    const auto earlier = [](std::uint64_t a, std::uint64_t b) { return static_cast<std::int64_t>(a - b) < 0; };
    bool wrapped = false;
    for (unsigned step = 0; step < 50'000; ++step) {
        const auto flow = static_cast<std::uint32_t>(random() % flows);
        if (random() % 4 == 0) {
            if (active[flow]) {
                queue.deactivate(flow);
            } else {
                queue.activate(flow);
                tag[flow] = earlier(tag[flow], virtual_time) ? virtual_time : tag[flow];
            }
            active[flow] = !active[flow];
            continue;
        }
        std::uint32_t expected = FairQueue::none;
        for (std::uint32_t i = 0; i < flows; ++i) {
            if (active[i] && (expected == FairQueue::none || earlier(tag[i], tag[expected]))) {
                expected = i;
            }
        }
        ASSERT_EQ(queue.next(), expected) << "step " << step;
        if (expected == FairQueue::none) {
            continue;
        }
        const std::uint64_t cost = random() % FairQueue::cost_max;
        virtual_time = earlier(virtual_time, tag[expected]) ? tag[expected] : virtual_time;
        const std::uint64_t before = tag[expected];
        tag[expected] += cost << 16U;
        wrapped = wrapped || tag[expected] < before;
        queue.serve(expected, cost);
    }
    EXPECT_TRUE(wrapped);
}

}  // namespace
}  // namespace yoke::sched
