#include "executive/executive.hpp"

#include <array>
#include <atomic>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "executive/session_fixture.hpp"

namespace yoke::executive {
namespace {

std::unique_ptr<Executive> make_executive(const Limits& limits = {.bulk_threads = 3}, StreamSink* sink = nullptr) {
    auto executive = Executive::create(limits, sink);
    EXPECT_TRUE(executive) << executive.error().message;
    return std::move(*executive);
}

void fill(std::byte* to, std::size_t bytes, unsigned seed) {
    for (std::size_t i = 0; i < bytes; ++i) {
        to[i] = static_cast<std::byte>((i * 131 + seed) >> 2);
    }
}

class ExecutiveRings : public testing::TestWithParam<unsigned> {};

TEST_P(ExecutiveRings, echoes_and_says_where) {
    auto executive = make_executive();
    TestClient client;
    ASSERT_TRUE(executive->add_session(1, client.take_worker_side()));
    for (const std::uint32_t length : {0U, 1U, 4096U, 65536U}) {
        fill(client.data(), length, length);
        std::memset(client.data(1 << 20), 0, 65536);
        const auto completion = client.call(GetParam(), client.echo(0, 1 << 20, length));
        EXPECT_EQ(completion.status, 0);
        EXPECT_EQ(completion.out_length, length);
        EXPECT_EQ(completion.where, YOKE_WHERE_CPU);
        EXPECT_EQ(completion.why, YOKE_WHY_ONLY);
        EXPECT_EQ(std::memcmp(client.data(), client.data(1 << 20), length), 0);
    }
    const SessionReport report = executive->report(1);
    EXPECT_EQ(report.taken, 4U);
    EXPECT_EQ(report.completed, 4U);
    EXPECT_EQ(report.in_flight, 0U);
    EXPECT_EQ(report.bytes_in, 1U + 4096U + 65536U);
    EXPECT_EQ(report.bytes_out, report.bytes_in);
    executive->remove_session(1);
    EXPECT_EQ(executive->report(1).session, 0U);
}

INSTANTIATE_TEST_SUITE_P(both, ExecutiveRings, testing::Values(YOKE_RING_EXPRESS, YOKE_RING_BULK));

}  // namespace
}  // namespace yoke::executive
