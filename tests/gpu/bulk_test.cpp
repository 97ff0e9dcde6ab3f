// Bulk calls by copy engines and launches: right answers for every mode and cut, many at a time.
#include "device_session.hpp"

namespace yoke::executive {
namespace {

class GpuBulk : public DeviceTest {};

TEST_F(GpuBulk, HoldsOfficialVectors) {
    const auto loaded = vectors::load(vectors::default_directory());
    ASSERT_TRUE(loaded.has_value()) << loaded.error();
    std::size_t n = 0;
    for (const vectors::Case& test : loaded->cases) {
        if (n % 3 == 0) {  // calls that are far too short for this lane cost 30 us each
            ASSERT_TRUE(holds(test, YOKE_RING_BULK, 64 + n % 64, 0));
        }
        ++n;
    }
    EXPECT_GT(executed_[YOKE_WHERE_CUDA], 3'000U);
    RecordProperty("on_device", static_cast<int>(executed_[YOKE_WHERE_CUDA]));
}

TEST_F(GpuBulk, RandomCallsHold) {
    vectors::Random random(vectors::test_seed());
    for (unsigned round = 0; round < vectors::test_rounds(140); ++round) {
        const std::uint16_t service = device_services[round % std::size(device_services)];
        const auto test = vectors::random_case(random, service, 0, round % 10 == 9 ? 24U << 20 : 3U << 20);
        ASSERT_TRUE(test.has_value()) << test.error();
        ASSERT_TRUE(holds(*test, YOKE_RING_BULK, 64 + vectors::random_between(random, 0, 63), 0))
            << "round " << round << "; repeat with YOKE_TEST_SEED=" << vectors::test_seed();
    }
    EXPECT_GT(executed_[YOKE_WHERE_CUDA], 60U);
    RecordProperty("on_device", static_cast<int>(executed_[YOKE_WHERE_CUDA]));
}

TEST_F(GpuBulk, ManyCallsAtATime) {
    constexpr std::uint32_t bytes = 1U << 20;
    constexpr unsigned depth = 12;
    for (unsigned round = 0; round < 20; ++round) {
        std::array<std::uint64_t, depth> positions{};
        for (unsigned i = 0; i < depth; ++i) {
            fill(client_->data(std::size_t{i} * bytes), bytes, round * 100 + i);
            std::memset(client_->data(std::size_t{depth + i} * bytes), 0xa5, bytes);
            const auto position = client_->bulk->submit(
                client_->echo(std::uint64_t{i} * bytes, std::uint64_t{depth + i} * bytes, bytes), nullptr);
            ASSERT_GE(position, 0);
            positions[i] = static_cast<std::uint64_t>(position);
        }
        for (unsigned i = 0; i < depth; ++i) {
            yoke_completion done{};
            ASSERT_TRUE(client_->wait(YOKE_RING_BULK, positions[i], done));
            ASSERT_EQ(done.status, 0);
            ASSERT_EQ(done.where, YOKE_WHERE_CUDA);
            ASSERT_EQ(std::memcmp(client_->data(std::size_t{i} * bytes), client_->data(std::size_t{depth + i} * bytes),
                                  bytes),
                      0);
        }
    }
}

}  // namespace
}  // namespace yoke::executive
