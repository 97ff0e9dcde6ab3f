// For tests: what datablocks must do on every device.
#pragma once

#include "graph/test_graph.hpp"

namespace yoke::graph {

#if defined(YOKE_TEST_CUDA)
constexpr int where_tested = YOKE_WHERE_CUDA;
#else
constexpr int where_tested = YOKE_WHERE_CPU;
#endif

inline Values iota(std::size_t items, std::int32_t from) {
    Values values(items);
    std::iota(values.begin(), values.end(), from);
    return values;
}

inline void expect_chain_works(TestRuntime& runtime, int length, std::uint32_t capacity) {
    constexpr std::size_t items = 257;
    constexpr std::int32_t rounds = 40;
    const auto [in, out] = runtime.open_chain("/chain", length, items, capacity, 3);
    std::vector<std::shared_ptr<Flight>> pushes;
    std::vector<std::shared_ptr<Flight>> pulls;
    for (std::int32_t r = 0; r < rounds; ++r) {
        pushes.push_back(runtime.push(in, iota(items, r), r == rounds - 1 ? YOKE_FLAG_END : 0));
    }
    for (std::int32_t r = 0; r <= rounds; ++r) {
        pulls.push_back(runtime.pull(out, items));
    }
    for (const auto& push : pushes) {
        EXPECT_EQ(push->wait().status, 0);
    }
    for (std::int32_t r = 0; r < rounds; ++r) {
        const auto& pull = pulls[static_cast<std::size_t>(r)];
        const yoke_completion& completion = pull->wait();
        ASSERT_EQ(completion.status, 0);
        EXPECT_EQ(completion.out_length, items * sizeof(std::int32_t));
        EXPECT_EQ(completion.sequence, static_cast<std::uint64_t>(r));
        EXPECT_EQ(completion.where, where_tested);
        EXPECT_EQ(completion.signal, (r == 0 ? YOKE_SIGNAL_BEGIN : 0U) | (r == rounds - 1 ? YOKE_SIGNAL_END : 0U));
        ASSERT_EQ(pull->values, iota(items, r + 3 * length)) << "round " << r;
    }
    EXPECT_EQ(pulls.back()->wait().status, -YOKE_ENODATA);
    EXPECT_EQ(runtime.find("graphs", "/chain")["state"], "ended");
    EXPECT_TRUE(runtime->terminate_graph(1, "/chain"));
    EXPECT_EQ(runtime->datablocks(), 0U);
}

// in -> split -> (add, nothing) -> sum -> out
inline void expect_diamond_works(TestRuntime& runtime, std::uint32_t capacity) {
    constexpr std::size_t items = 64;
    constexpr std::int32_t rounds = 30;
    ASSERT_TRUE(runtime->open_graph(1, "/d"));
    runtime.must(runtime.open_ptask("/d/split", "split", items, {"in", "=a", "=b"}));
    runtime.must(runtime.open_ptask("/d/left", "add", items, {"in", "=out"}, {7}));
    runtime.must(runtime.open_ptask("/d/join", "sum", items, {"a", "b", "=out"}));
    const auto in = runtime.open_channel("/d/in", std::nullopt, "/d/split:in", capacity);
    ASSERT_TRUE(runtime.open_channel("/d/1", "/d/split:a", "/d/left:in", capacity));
    ASSERT_TRUE(runtime.open_channel("/d/2", "/d/left:out", "/d/join:a", capacity));
    ASSERT_TRUE(runtime.open_channel("/d/3", "/d/split:b", "/d/join:b", capacity));
    const auto out = runtime.open_channel("/d/out", "/d/join:out", std::nullopt, capacity);
    ASSERT_TRUE(in && out);
    runtime.must(runtime->run_graph(1, "/d"));
    std::vector<std::shared_ptr<Flight>> flights;
    for (std::int32_t r = 0; r < rounds; ++r) {
        flights.push_back(runtime.push(*in, iota(items, r)));
    }
    for (std::int32_t r = 0; r < rounds; ++r) {
        const auto pull = runtime.pull(*out, items);
        ASSERT_EQ(pull->wait().status, 0);
        Values expected = iota(items, r);
        for (std::int32_t& value : expected) {
            value = (value * 3 + 7) + (value - 5);
        }
        ASSERT_EQ(pull->values, expected);
    }
    for (const auto& push : flights) {
        EXPECT_EQ(push->wait().status, 0);
    }
    EXPECT_TRUE(runtime->terminate_graph(1, "/d"));
    EXPECT_EQ(runtime->datablocks(), 0U);
}

}  // namespace yoke::graph
