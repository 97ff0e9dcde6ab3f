// The executive with its CUDA device, the resident kernel's keeper, the table of keys and the bulk lane, on a driver
// that needs no device (driver.cpp): the flows of tests/gpu, few times each.
#include "device/cuda/quiet.hpp"
#include "gpu/mixer.hpp"
#include "gpu/piece_trace.hpp"
#include "service/device/key.hpp"

// Of the emulated driver.
extern "C" bool yoke_emulated_memory_holds(const std::uint32_t* words, std::size_t count);

extern "C" std::size_t yoke_emulated_pinned(std::size_t least);

namespace yoke::executive {
namespace {

constexpr std::uint32_t express_bytes_max{YOKE_EXPRESS_BYTES_MAX};

class EmulatedDevice : public DeviceTest {
   protected:
    void SetUp() override {
        DeviceTest::SetUp();
        ASSERT_FALSE(IsSkipped());
        ASSERT_EQ(executive_->device().description, "emulated");
    }
    testing::AssertionResult parks() {
        for (int i = 0; i < 3000 && executive_->device().resident; ++i) {
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        return executive_->device().resident ? testing::AssertionFailure() << "it stays" : testing::AssertionSuccess();
    }
};

TEST_F(EmulatedDevice, RandomCallsHoldOnBothRings) {
    vectors::Random random(vectors::test_seed());
    for (const unsigned ring : {YOKE_RING_EXPRESS, YOKE_RING_BULK}) {
        for (unsigned round = 0; round < vectors::test_rounds(28); ++round) {
            const auto test =
                vectors::random_case(random, device_services[round % std::size(device_services)], 0, 3000);
            ASSERT_TRUE(test.has_value()) << test.error();
            if (test->expected.size() <= express_bytes_max) {
                const bool bulk = ring == YOKE_RING_BULK;
                const bool serves = bulk ? is_for_lane(*test) : is_for_nsk(*test);
                ASSERT_TRUE(holds(*test, ring, 64 + round % 64,
                                  !serves ? YOKE_WHERE_CPU
                                  : bulk  ? YOKE_WHERE_CUDA
                                          : 0))
                    << "round " << round;
            }
        }
    }
    EXPECT_GT(executed_[YOKE_WHERE_NSK], 5U);
    EXPECT_GT(executed_[YOKE_WHERE_CUDA], 5U);
}

TEST_F(EmulatedDevice, AllKindsWithManyKeysInFlightOnBothLanes) {
    start_lasting();
    Mix small;
    small.calls = vectors::test_rounds(40);
    small.cases_per_kind = 1;
    small.most_bytes = 2000;
    small.calls_per_renewal = 8;
    Mix large = small;
    large.ring = YOKE_RING_BULK;
    large.most_bytes = 8000;
    std::map<unsigned, KindCounts> counts;
    run_mixers(*executive_, 2, small, 1, large, counts);
    // Of a few calls of a kind the host may do all while the keeper waits for a processor, but not of all kinds.
    EXPECT_GT(share_on_device(counts[YOKE_RING_EXPRESS]), 0.5) << text_of(counts[YOKE_RING_EXPRESS]);
    EXPECT_TRUE(all_ran_on_device(counts[YOKE_RING_BULK], 1.0));
}

// Stage after stage, piece after piece.
TEST_F(EmulatedDevice, TellsTheTimesOfPieces) {
    PieceTrace trace;
    Limits limits = device_limits();
    limits.device_trace = &trace;
    start(limits);
    constexpr std::uint32_t bytes = (4U << 20) + 4096;  // two pieces
    EXPECT_EQ(client_->call(YOKE_RING_BULK, client_->echo(0, bytes, bytes)).where, YOKE_WHERE_CUDA);
    executive_->remove_session(session);
    client_.reset();
    executive_.reset();
    ASSERT_EQ(trace.size(), 2U);
    const PieceTrace::Stages stages = trace.stages();
    std::uint64_t in = 0;
    for (std::size_t i = 0; i < 2; ++i) {
        EXPECT_EQ(stages[PieceTrace::run][i].piece, i);
        EXPECT_LE(stages[PieceTrace::copy_in][i].end_us, stages[PieceTrace::run][i].end_us);
        EXPECT_LE(stages[PieceTrace::run][i].end_us, stages[PieceTrace::copy_out][i].end_us);
        in += stages[PieceTrace::copy_in][i].bytes;
    }
    EXPECT_EQ(in, bytes);
}

// Three calls whose stages follow one another at an interval of half a stage.
TEST(PieceTrace, FindsWhatOverlaps) {
    PieceTrace trace;
    for (unsigned call = 1; call <= 3; ++call) {
        const double at = 10.0 * call;
        trace.piece({.call = call, .queued_us = 0, .copied_in_us = at, .run_us = at + 10, .copied_out_us = at + 20});
    }
    const PieceTrace::Stages stages = trace.stages();
    EXPECT_EQ(stages[PieceTrace::copy_in][2].begin_us, 20.0) << "the engine was busy until then";
    EXPECT_EQ(PieceTrace::overlap_us(stages), 10.0)
        << "from 20 to 30: in of the third, run of the second, out of the first";
    EXPECT_EQ(PieceTrace::events(stages).size(), 1 + 3 * (1 + 3));
}

TEST_F(EmulatedDevice, ParksWhenIdleAndComesBack) {
    for (int round = 0; round < 3; ++round) {
        ASSERT_TRUE(reaches_nsk());
        ASSERT_TRUE(parks());
    }
    EXPECT_EQ(executive_->device().launches, 3U);
}

// The ring stays with the kernel, so that nobody but its keeper rings. A client looks by itself now and then: what
// counts is that the bell was rung.
TEST_F(EmulatedDevice, WakesAClientThatSleeps) {
    Limits limits = device_limits();
    limits.device_idle_ns = 60'000'000'000;
    start(limits);
    ASSERT_TRUE(reaches_nsk());
    unsigned rung = 0;
    for (unsigned round = 0; round < 40; ++round) {
        fill(client_->data(), 1024, round);
        std::memset(client_->data(8192), 0xa5, 1024);
        const std::uint32_t before = yoke_load_acquire32(&client_->view().status_page().bell);
        const std::int64_t position = client_->express->submit(client_->echo(0, 8192, 1024), nullptr);
        ASSERT_GE(position, 0);
        yoke_completion done{};
        ASSERT_TRUE(client_->wait(YOKE_RING_EXPRESS, static_cast<std::uint64_t>(position), done, 0)) << round;
        ASSERT_EQ(done.status, 0);
        ASSERT_EQ(done.where, YOKE_WHERE_NSK);
        ASSERT_EQ(std::memcmp(client_->data(), client_->data(8192), 1024), 0);
        rung += yoke_load_acquire32(&client_->view().status_page().bell) != before ? 1 : 0;
    }
    EXPECT_GT(rung, 0U);
}

TEST_F(EmulatedDevice, TheHostAnswersWhatIsGivenBack) {
    ASSERT_TRUE(reaches_nsk());
    yoke_submission s = client_->echo(0, 8192, 64);
    s.opcode = 77;
    EXPECT_EQ(client_->call(YOKE_RING_EXPRESS, s).status, -YOKE_ENOSYS);
    ASSERT_TRUE(reaches_nsk());
    s = client_->echo(0, 8192, 64);
    s.out_offset = client_->layout().arena_bytes;
    EXPECT_EQ(client_->call(YOKE_RING_EXPRESS, s).status, -YOKE_EFAULT);
    ASSERT_TRUE(reaches_nsk());
    s = client_->echo(0, 8192, 64);
    s.deadline_ns = 1;
    EXPECT_EQ(client_->call(YOKE_RING_EXPRESS, s).status, -YOKE_ETIME);
    ASSERT_TRUE(reaches_nsk());
}

TEST_F(EmulatedDevice, AKeyIsWipedWhenItGoes) {
    vectors::Bytes bytes(16);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        bytes[i] = static_cast<std::byte>(i * 37 + 11);
    }
    const service::device::Key schedule = service::device::make_key(YOKE_SERVICE_AES_ECB, bytes);
    const auto key = executive_->add_key(session, *service::find(std::uint16_t{YOKE_SERVICE_AES_ECB}), bytes);
    ASSERT_TRUE(key);
    ASSERT_TRUE(reaches_nsk());
    yoke_submission s = client_->echo(0, 8192, 4096);
    s.service = YOKE_SERVICE_AES_ECB;
    s.object = *key;
    EXPECT_EQ(client_->call(YOKE_RING_EXPRESS, s).status, 0);
    EXPECT_TRUE(yoke_emulated_memory_holds(schedule.encrypt[1].w, 4));
    // While the kernel is there, and looks for names of keys.
    ASSERT_TRUE(executive_->remove_key(session, *key));
    EXPECT_FALSE(yoke_emulated_memory_holds(schedule.encrypt[1].w, 4));
    EXPECT_FALSE(yoke_emulated_memory_holds(schedule.decrypt[1].w, 4));
    EXPECT_EQ(client_->call(YOKE_RING_EXPRESS, s).status, -YOKE_ENOKEY);
}

TEST_F(EmulatedDevice, SessionsComeAndGoWhileTheKernelIsResident) {
    ASSERT_TRUE(reaches_nsk());
    for (SessionId id = 10; id < 16; ++id) {
        TestClient other;
        ASSERT_TRUE(executive_->add_session(id, other.take_worker_side()));
        for (unsigned i = 0; i < 10; ++i) {
            fill(other.data(), 256, id);
            ASSERT_EQ(other.call(YOKE_RING_EXPRESS, other.echo(0, 4096, 256)).status, 0);
            ASSERT_EQ(client_->call(YOKE_RING_EXPRESS, client_->echo(0, 8192, 64)).status, 0);
        }
        ASSERT_EQ(std::memcmp(other.data(), other.data(4096), 256), 0);
        executive_->remove_session(id);
    }
}

// An arena is pinned, its status page is not to be had: the host serves the session, and nothing stays pinned behind
// it.
TEST_F(EmulatedDevice, LeavesNothingPinnedOfASessionThatItRefused) {
    ASSERT_TRUE(reaches_nsk());
    const std::size_t before = yoke_emulated_pinned(1U << 20);
    TestClient other;
    ASSERT_TRUE(executive_->add_session(2, other.take_worker_side()));
    for (int i = 0; i < 2000 && yoke_emulated_pinned(1U << 20) == before; ++i) {
        const yoke_completion done = other.call(YOKE_RING_EXPRESS, other.echo(0, 8192, 64));
        ASSERT_EQ(done.status, 0);
        ASSERT_EQ(done.where, YOKE_WHERE_CPU);
    }
    ASSERT_EQ(yoke_emulated_pinned(0), before + 1);
    executive_->remove_session(2);
    for (int i = 0; i < 5000 && yoke_emulated_pinned(0) != before; ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    EXPECT_EQ(yoke_emulated_pinned(0), before);
}

// Who frees memory or loads code has the kernel leave first; it comes back by itself.
TEST_F(EmulatedDevice, LeavesForWhoMustBeAlone) {
    for (int round = 0; round < 5; ++round) {
        ASSERT_TRUE(reaches_nsk());
        {
            const device::cuda::Quiet quiet;
            EXPECT_FALSE(executive_->device().resident);
            EXPECT_EQ(client_->call(YOKE_RING_EXPRESS, client_->echo(0, 8192, 64)).status, 0);
            EXPECT_FALSE(executive_->device().resident);
        }
    }
}

using EmulatedDeviceDeathTest = EmulatedDevice;

TEST_F(EmulatedDeviceDeathTest, ACallThatNeverEndsEndsTheWorker) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_EXIT(
        {
            Limits limits = device_limits();
            limits.device_faults = true;
            start(limits);
            EXPECT_TRUE(reaches_nsk());
            yoke_submission s = client_->echo(0, 8192, service::device::fault_endless);
            s.service = service::device::fault_service;
            static_cast<void>(client_->producer(YOKE_RING_EXPRESS).submit(s, nullptr));
            std::this_thread::sleep_for(std::chrono::seconds(60));
            ::_exit(0);
        },
        testing::ExitedWithCode(EXIT_FAILURE), "stands still|does not answer");
}

}  // namespace
}  // namespace yoke::executive
