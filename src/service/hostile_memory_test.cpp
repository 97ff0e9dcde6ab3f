// A client may change its input, its second input and its output while a call runs. It may spoil its own result by that
// and nothing else: no access leaves the three ranges, and the call ends.
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <thread>

#include "service/trial.hpp"
#include "vectors/random_case.hpp"

namespace yoke::service {
namespace {

// Writes noise over all of the ranges until told to stop.
void scribble(const std::atomic<bool>& stop, const std::vector<std::pair<std::byte*, std::size_t>>& ranges) {
    vectors::Random random(1);
    while (!stop.load(std::memory_order_relaxed)) {
        for (const auto& [begin, length] : ranges) {
            for (std::size_t i = 0; i < length; i += 64) {
                std::memset(begin + i, static_cast<int>(random() & 0xff), std::min<std::size_t>(64, length - i));
            }
        }
    }
}

TEST(MaliciousMemory, ChangesWhileACallRunsHarmOnlyItsResult) {
#ifdef __SANITIZE_THREAD__
    GTEST_SKIP() << "a data race is what this test is made of";
#endif
    vectors::Random random(vectors::test_seed());
    for (const Service* service : all()) {
        for (unsigned round = 0; round < vectors::test_rounds(12); ++round) {
            const auto call = vectors::random_case(random, service->id(), 0, 300000);
            ASSERT_TRUE(call.has_value()) << call.error();
            Trial trial(*call, 1, round);
            ASSERT_TRUE(trial.is_planned()) << call->name;
            std::atomic<bool> stop = false;
            std::thread hostile([&] { scribble(stop, trial.memory()); });
            for (std::uint32_t chunk = 0; chunk < trial.chunks(); ++chunk) {
                const int status = trial.run(chunk, 0);
                EXPECT_TRUE(status == 0 || status == -EBADMSG) << call->name << " ended with " << status;
            }
            stop = true;
            hostile.join();
            EXPECT_TRUE(trial.guards_are_whole()) << call->name;
        }
    }
}

}  // namespace
}  // namespace yoke::service
