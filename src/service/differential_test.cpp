// Random calls against libgcrypt: chunks in random order on random lanes, and many calls with many keys at the same
// time.
#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <thread>

#include "service/trial.hpp"
#include "vectors/random_case.hpp"

namespace yoke::service {
namespace {

using vectors::random_between;

constexpr std::size_t small_bytes = std::size_t{256} << 10;
constexpr std::size_t large_bytes = std::size_t{16} << 20;

class Differential : public testing::TestWithParam<std::uint16_t> {
   protected:
    static void hold(std::size_t least_bytes, std::size_t most_bytes, unsigned rounds) {
        vectors::Random random(vectors::test_seed() + GetParam());
        for (unsigned round = 0; round < rounds; ++round) {
            const auto call = vectors::random_case(random, GetParam(), least_bytes, most_bytes);
            ASSERT_TRUE(call.has_value()) << call.error();
            const unsigned lanes = static_cast<unsigned>(random_between(random, 1, 8));
            const Trial trial(*call, lanes, random_between(random, 0, 63));
            std::vector<std::uint32_t> order(trial.chunks());
            for (std::uint32_t i = 0; i < order.size(); ++i) {
                order[i] = i;
            }
            std::shuffle(order.begin(), order.end(), random);
            int status = 0;
            for (const std::uint32_t chunk : order) {
                const int ended = trial.run(chunk, static_cast<unsigned>(random_between(random, 0, lanes - 1)));
                status = status == 0 ? ended : status;
            }
            ASSERT_TRUE(trial.check(status))
                << "round " << round << "; repeat with YOKE_TEST_SEED=" << vectors::test_seed();
        }
    }
};

TEST_P(Differential, SmallCalls) {
    hold(0, small_bytes, vectors::test_rounds(300));
}
TEST_P(Differential, LargeCalls) {
    hold(large_bytes / 4, large_bytes, vectors::test_rounds(3));
}

INSTANTIATE_TEST_SUITE_P(Services, Differential,
                         testing::Values(YOKE_SERVICE_ECHO, YOKE_SERVICE_AES_ECB, YOKE_SERVICE_AES_CBC,
                                         YOKE_SERVICE_AES_CTR, YOKE_SERVICE_AES_XTS, YOKE_SERVICE_AES_GCM,
                                         YOKE_SERVICE_SHA256),
                         name_of_test);

// As an executive does it: threads with a lane each take the chunks of whatever call is there.
TEST(DifferentialTogether, ManyCallsAndKeysOnManyThreads) {
    constexpr unsigned threads_count = 4;
    vectors::Random random(vectors::test_seed());
    std::deque<vectors::Case> calls;
    std::deque<Trial> trials;
    std::vector<std::pair<std::size_t, std::uint32_t>> chunks;
    for (unsigned i = 0; i < vectors::test_rounds(60); ++i) {
        const auto service = all()[random_between(random, 0, all().size() - 1)]->id();
        auto call = vectors::random_case(random, service, 0, std::size_t{1} << 20);
        ASSERT_TRUE(call.has_value()) << call.error();
        calls.push_back(std::move(*call));
        trials.emplace_back(calls.back(), threads_count, random_between(random, 0, 63));
        for (std::uint32_t chunk = 0; chunk < trials.back().chunks(); ++chunk) {
            chunks.emplace_back(trials.size() - 1, chunk);
        }
    }
    std::shuffle(chunks.begin(), chunks.end(), random);
    std::atomic<std::size_t> next = 0;
    std::atomic<int> failed = 0;
    std::vector<std::thread> threads;
    for (unsigned lane = 0; lane < threads_count; ++lane) {
        threads.emplace_back([&, lane] {
            for (std::size_t i = next++; i < chunks.size(); i = next++) {
                failed += trials[chunks[i].first].run(chunks[i].second, lane) == 0 ? 0 : 1;
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    EXPECT_EQ(failed, 0);
    for (const Trial& trial : trials) {
        EXPECT_TRUE(trial.check(0)) << "repeat with YOKE_TEST_SEED=" << vectors::test_seed();
    }
}

}  // namespace
}  // namespace yoke::service
