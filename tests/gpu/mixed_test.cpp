// Calls of all kinds with many keys in flight at once, on both lanes of the device.
#include "mixer.hpp"

namespace yoke::executive {
namespace {

class GpuMixed : public DeviceTest {};

TEST_F(GpuMixed, AllKindsWithManyKeysInFlightOnBothLanes) {
    // Under a tool one client for each lane, and short calls: a resident kernel's memory that was pinned after its
    // launch is out of bounds to memcheck, and racecheck makes it a thousand times slower.
    const bool shared = std::getenv("YOKE_TEST_SHARE") != nullptr;
    const unsigned express = shared ? 1 : 4;
    const unsigned bulk = shared ? 1 : 3;
    start_lasting();
    Mix small;
    small.depth = 12;
    const auto kinds = static_cast<unsigned>(device_kinds().size());
    small.calls = std::max(vectors::test_rounds(10'000), kinds * small.cases_per_kind);
    small.most_bytes = shared ? 2048 : small.most_bytes;
    Mix large;
    large.ring = YOKE_RING_BULK;
    large.depth = 8;
    large.calls = std::max(vectors::test_rounds(400), kinds);
    large.cases_per_kind = 1;
    large.least_bytes = 128U << 10;
    large.most_bytes = shared ? 512U << 10 : 6U << 20;
    large.calls_per_renewal = 16;
    std::map<unsigned, KindCounts> counts;
    run_mixers(*executive_, express, small, bulk, large, counts);
    EXPECT_TRUE(all_ran_on_device(counts[YOKE_RING_EXPRESS], 0.9));
    EXPECT_TRUE(all_ran_on_device(counts[YOKE_RING_BULK], 1.0));
    RecordProperty("express", text_of(counts[YOKE_RING_EXPRESS]));
    RecordProperty("bulk", text_of(counts[YOKE_RING_BULK]));
    const DeviceReport report = executive_->device();
    EXPECT_GT(report.express_calls, std::uint64_t{express} * small.calls / 10 * 9);
    EXPECT_GE(report.bulk_calls, std::uint64_t{bulk} * large.calls);
}

}  // namespace
}  // namespace yoke::executive
