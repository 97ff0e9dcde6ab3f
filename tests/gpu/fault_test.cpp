// Clients that break the rules or go away, beside one that must not notice.
#include <atomic>

#include <unistd.h>

#include "device_session.hpp"
#include "service/device/call.hpp"

namespace yoke::executive {
namespace {

class GpuFault : public DeviceTest {
   protected:
    // Has the resident kernel execute a call that never ends or that writes where nothing is, in a process that is to
    // end of it. Ends it otherwise when the watchdog should have done so long ago.
    [[noreturn]] void provoke(std::uint32_t fault) {
        Limits limits = device_limits();
        limits.device_faults = true;
        start(limits);
        for (int i = 0; i < 100'000; ++i) {
            if (client_->call(YOKE_RING_EXPRESS, client_->echo(0, 8192, 64)).where == YOKE_WHERE_NSK) {
                break;
            }
        }
        yoke_submission s = client_->echo(0, 8192, fault);
        s.service = service::device::fault_service;
        static_cast<void>(client_->producer(YOKE_RING_EXPRESS).submit(s, nullptr));
        std::this_thread::sleep_for(std::chrono::seconds(20));
        ::_exit(0);
    }
};

using GpuFaultDeathTest = GpuFault;

TEST_F(GpuFaultDeathTest, ACallThatNeverEndsEndsTheWorker) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_EXIT(provoke(service::device::fault_endless), testing::ExitedWithCode(EXIT_FAILURE),
                "stands still|does not answer");
}

TEST_F(GpuFaultDeathTest, ACallThatWritesWhereNothingIsEndsTheWorker) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_EXIT(provoke(service::device::fault_stray), testing::ExitedWithCode(EXIT_FAILURE),
                "stands still|does not answer|illegal|invalid");
}

TEST_F(GpuFault, GarbageInOneRingHarmsNoOther) {
    TestClient hostile;
    ASSERT_TRUE(executive_->add_session(2, hostile.take_worker_side()));
    std::atomic<bool> stop{false};
    std::thread writer([&] {
        vectors::Random random(vectors::test_seed());
        const yoke_ring_layout& place = hostile.layout().ring[YOKE_RING_EXPRESS];
        auto* lines = reinterpret_cast<yoke_line*>(hostile.view().arena + place.submission);
        auto* params = reinterpret_cast<yoke_line*>(hostile.view().arena + place.params);
        const std::uint64_t one = 1;
        for (std::uint64_t n = 0; !stop; ++n) {
            yoke_submission s = hostile.echo(0, 8192, 4096);
            if (n % 3 != 0) {
                for (unsigned i = 0; i < 6; ++i) {
                    const std::uint64_t noise = random();
                    std::memcpy(reinterpret_cast<char*>(&s) + 8 * i, &noise, 8);
                }
                s.opcode = n % 2 == 0 ? std::uint8_t{YOKE_OP_CALL} : s.opcode;
                s.service = n % 4 == 0 ? static_cast<std::uint16_t>(n % 8) : s.service;
            }
            const std::uint32_t tag = 1 + static_cast<std::uint32_t>(n / 64 % 5);
            yoke_line_write(&params[n % place.slots], &s, tag);
            yoke_line_write(&lines[n % place.slots], &s, tag);
            if (n % 256 == 0) {
                static_cast<void>(!::write(hostile.view().bell, &one, sizeof(one)));
            }
        }
    });
    std::uint64_t on_nsk = 0;
    for (unsigned round = 0; round < 30'000; ++round) {
        fill(client_->data(), 512, round);
        std::memset(client_->data(8192), 0xa5, 512);
        const yoke_completion done = client_->call(YOKE_RING_EXPRESS, client_->echo(0, 8192, 512));
        ASSERT_EQ(done.status, 0);
        ASSERT_EQ(std::memcmp(client_->data(), client_->data(8192), 512), 0);
        on_nsk += done.where == YOKE_WHERE_NSK ? 1 : 0;
    }
    stop = true;
    writer.join();
    EXPECT_GT(on_nsk, 20'000U);
    executive_->remove_session(2);
}

TEST_F(GpuFault, SessionsComeAndGoWhileTheKernelIsResident) {
    for (SessionId id = 10; id < 50; ++id) {
        TestClient other;
        ASSERT_TRUE(executive_->add_session(id, other.take_worker_side()));
        for (int i = 0; i < 50; ++i) {
            fill(other.data(), 256, id);
            ASSERT_EQ(other.call(YOKE_RING_EXPRESS, other.echo(0, 4096, 256)).status, 0);
            ASSERT_EQ(client_->call(YOKE_RING_EXPRESS, client_->echo(0, 8192, 64)).status, 0);
        }
        ASSERT_EQ(std::memcmp(other.data(), other.data(4096), 256), 0);
        executive_->remove_session(id);
    }
}

TEST_F(GpuFault, AnEntryIsServedAfterItsSessionWasLeftAlone) {
    for (int round = 0; round < 200; ++round) {
        ASSERT_EQ(client_->call(YOKE_RING_EXPRESS, client_->echo(0, 8192, 64)).status, 0);
        // Around the moment at which the ring goes cold.
        std::this_thread::sleep_for(std::chrono::microseconds(300 + 5 * round));
    }
}

}  // namespace
}  // namespace yoke::executive
