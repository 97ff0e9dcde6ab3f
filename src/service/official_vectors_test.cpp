// All of NIST's vectors through the host code of the services.
#include <gtest/gtest.h>

#include "service/trial.hpp"
#include "vectors/cases.hpp"

namespace yoke::service {
namespace {

class OfficialVectors : public testing::TestWithParam<std::uint16_t> {
   protected:
    static const vectors::Result<vectors::Vectors>& all() {
        static const auto loaded = vectors::load(vectors::default_directory());
        return loaded;
    }
};

TEST_P(OfficialVectors, AllHold) {
    ASSERT_TRUE(all().has_value()) << all().error();
    std::size_t held = 0;
    for (const vectors::Case& call : all()->cases) {
        if (call.service != GetParam()) {
            continue;
        }
        const Trial trial(call, 2, held);
        int status = 0;
        for (std::uint32_t chunk = 0; chunk < trial.chunks() && status == 0; ++chunk) {
            status = trial.run(chunk, chunk % 2);
        }
        ASSERT_TRUE(trial.check(status));
        ++held;
    }
    EXPECT_EQ(held, all()->counts.at(GetParam()));
    RecordProperty("cases", static_cast<int>(held));
}

INSTANTIATE_TEST_SUITE_P(Services, OfficialVectors,
                         testing::Values(YOKE_SERVICE_AES_ECB, YOKE_SERVICE_AES_CBC, YOKE_SERVICE_AES_CTR,
                                         YOKE_SERVICE_AES_XTS, YOKE_SERVICE_AES_GCM, YOKE_SERVICE_SHA256),
                         name_of_test);

TEST_F(OfficialVectors, MonteCarloHolds) {
    ASSERT_TRUE(all().has_value()) << all().error();
    ASSERT_FALSE(all()->monte_carlo.empty());
    for (const vectors::MonteCarlo& test : all()->monte_carlo) {
        const Service* service = find(test.service);
        ASSERT_NE(service, nullptr);
        const auto held = vectors::run(test, test.expected.size(), [&](const vectors::Bytes& message) {
            Shape shape;
            shape.in_length = static_cast<std::uint32_t>(message.size());
            vectors::Bytes digest(32);
            shape.out_length = 32;
            const Plan plan = service->plan(shape);
            const bool done = plan.status == 0 && plan.chunks == 1 &&
                              service->run({shape, plan, message.data(), nullptr, digest.data()}, 0, 0) == 0;
            return done ? std::optional(digest) : std::nullopt;
        });
        EXPECT_TRUE(held.has_value()) << held.error();
    }
}

}  // namespace
}  // namespace yoke::service
