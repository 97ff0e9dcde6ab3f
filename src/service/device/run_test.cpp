// The device code of the services, run by the CPU: official vectors and random calls, cut into shares and ranges as the
// device cuts them.
#include "service/device/run.hpp"

#include <gtest/gtest.h>

#include "service/device/key.hpp"
#include "service/trial.hpp"
#include "vectors/random_case.hpp"

namespace yoke::service::device {
namespace {

constexpr AesTables tables = make_aes_tables();

bool has_device_form(const vectors::Case& call) {
    return call.key_error == 0 && (call.service != YOKE_SERVICE_AES_CBC || (call.flags & YOKE_FLAG_DECRYPT) != 0);
}

// The whole call by `count` shares, in `pieces` ranges of grains. Returns the status.
int run_all(const vectors::Case& test, std::byte* out, std::uint32_t count, std::uint32_t pieces) {
    Call call{};
    call.service = test.service;
    call.flags = test.flags;
    call.in_length = static_cast<std::uint32_t>(test.in.size());
    call.in = reinterpret_cast<const std::uint8_t*>(test.in.data());
    call.aux = reinterpret_cast<const std::uint8_t*>(test.aux.data());
    call.out = reinterpret_cast<std::uint8_t*>(out);
    std::memcpy(call.params, test.params.data(), sizeof(call.params));
    const Key key = test.key.empty() ? Key{} : make_key(test.service, test.key);
    const PlainTables plain{&tables};
    const bool gcm = test.service == YOKE_SERVICE_AES_GCM;
    const Block start = gcm ? gcm_start(key, call) : Block{};
    const std::uint32_t grains = grains_of(call);
    Element hash{0, 0};
    for (std::uint32_t piece = 0; piece < pieces; ++piece) {
        const auto from = static_cast<std::uint32_t>(std::uint64_t{grains} * piece / pieces);
        const auto to = static_cast<std::uint32_t>(std::uint64_t{grains} * (piece + 1) / pieces);
        for (std::uint32_t index = 0; index < count; ++index) {
            hash = hash ^ run_share(plain, key, call, {from, to, index, count}, start);
        }
    }
    if (!gcm) {
        return 0;
    }
    for (std::uint32_t index = 0; index < count; ++index) {
        hash = hash ^ hash_aad(key, call, index, count);
    }
    if (!gcm_finish(call, gcm_tag(plain, key, start, hash))) {
        std::memset(out, 0, gcm_shape(call).length);
        return -EBADMSG;
    }
    return 0;
}

// A blockwise call as the resident kernel executes it: two blocks at a time for each of `threads`; `by_unit`: XTS of
// one unit by its tweak.
void run_blockwise(const vectors::Case& test, std::byte* out, std::uint32_t threads, bool by_unit) {
    Call call{};
    call.service = test.service;
    call.flags = test.flags;
    call.in_length = static_cast<std::uint32_t>(test.in.size());
    std::memcpy(call.params, test.params.data(), sizeof(call.params));
    const Key key = make_key(test.service, test.key);
    const std::uint32_t count = call.in_length / 16;
    for (std::uint32_t base = 0; base < count; base += 2 * threads) {
        for (std::uint32_t thread = 0; thread < threads; ++thread) {
            const std::uint32_t at[2] = {base + thread, base + thread + threads};
            Block v[2] = {};
            for (unsigned k = 0; k < 2; ++k) {
                std::memcpy(&v[k], test.in.data() + std::size_t{16} * at[k], at[k] < count ? sizeof(Block) : 0);
            }
            Block mask[2] = {};
            if (is_one_unit(call) && by_unit) {
                tweaks_of_unit(element_of(unit_tweak(PlainTables{&tables}, key, call, 0)), at, mask);
            } else {
                make_masks(PlainTables{&tables}, key, call, at, mask);
            }
            transform(PlainTables{&tables}, key, call, mask, v);
            for (unsigned k = 0; k < 2; ++k) {
                std::memcpy(out + std::size_t{16} * at[k], &v[k], at[k] < count ? sizeof(Block) : 0);
            }
        }
    }
}

bool is_blockwise_case(const vectors::Case& test) {
    Call call{};
    call.service = test.service;
    call.in_length = static_cast<std::uint32_t>(test.in.size());
    std::memcpy(call.params, test.params.data(), sizeof(call.params));
    return test.key_error == 0 && test.status == 0 && is_blockwise(call);
}

testing::AssertionResult holds_blockwise(const vectors::Case& test, std::uint32_t threads) {
    for (const bool by_unit : {false, true}) {
        Guarded out(test.expected.size(), 0);
        run_blockwise(test, out.data(), threads, by_unit);
        if (!out.holds(test.expected) || !out.guards_are_whole()) {
            return testing::AssertionFailure() << test.name << " with " << threads << " threads: wrong output";
        }
    }
    return testing::AssertionSuccess();
}

testing::AssertionResult holds(const vectors::Case& test, std::uint32_t count, std::uint32_t pieces,
                               std::size_t offset) {
    Guarded out(test.expected.size(), offset);
    const int status = run_all(test, out.data(), count, pieces);
    if (status != test.status || !out.holds(test.expected) || !out.guards_are_whole()) {
        return testing::AssertionFailure() << test.name << " with " << count << " shares and " << pieces
                                           << " pieces ended with " << status << " or wrong output";
    }
    return testing::AssertionSuccess();
}

TEST(DeviceCode, HoldsOfficialVectors) {
    const auto loaded = vectors::load(vectors::default_directory());
    ASSERT_TRUE(loaded.has_value()) << loaded.error();
    std::size_t held = 0;
    for (const vectors::Case& test : loaded->cases) {
        if (has_device_form(test)) {
            ASSERT_TRUE(holds(test, 1U << (held % 8), static_cast<std::uint32_t>(1 + held % 3), held));
            ++held;
        }
    }
    EXPECT_GT(held, 10'000U);
}

TEST(DeviceCode, BlockwiseHoldsOfficialVectors) {
    const auto loaded = vectors::load(vectors::default_directory());
    ASSERT_TRUE(loaded.has_value()) << loaded.error();
    std::size_t held = 0;
    for (const vectors::Case& test : loaded->cases) {
        if (is_blockwise_case(test)) {
            ASSERT_TRUE(holds_blockwise(test, held % 2 == 0 ? 32 : 128));
            ++held;
        }
    }
    EXPECT_GT(held, 1'000U);
}

TEST(DeviceCode, BlockwiseHoldsRandomCalls) {
    vectors::Random random(vectors::test_seed() + 99);
    unsigned held = 0;
    for (const std::uint16_t service : {YOKE_SERVICE_AES_ECB, YOKE_SERVICE_AES_CTR, YOKE_SERVICE_AES_XTS}) {
        for (unsigned round = 0; round < vectors::test_rounds(200); ++round) {
            const auto test = vectors::random_case(random, service, 0, 20'000);
            ASSERT_TRUE(test.has_value()) << test.error();
            if (is_blockwise_case(*test)) {
                ASSERT_TRUE(holds_blockwise(*test, 1U << vectors::random_between(random, 0, 7)))
                    << "round " << round << "; repeat with YOKE_TEST_SEED=" << vectors::test_seed();
                ++held;
            }
        }
    }
    EXPECT_GT(held, 50U);
}

class DeviceDifferential : public testing::TestWithParam<std::uint16_t> {};

TEST_P(DeviceDifferential, RandomCallsHold) {
    vectors::Random random(vectors::test_seed() + GetParam());
    for (unsigned round = 0; round < vectors::test_rounds(200); ++round) {
        const auto test = vectors::random_case(random, GetParam(), 0, 40'000);
        ASSERT_TRUE(test.has_value()) << test.error();
        if (has_device_form(*test)) {
            const auto count = 1U << vectors::random_between(random, 0, 8);
            const auto pieces = static_cast<std::uint32_t>(vectors::random_between(random, 1, 3));
            ASSERT_TRUE(holds(*test, count, pieces, vectors::random_between(random, 0, 63)))
                << "round " << round << "; repeat with YOKE_TEST_SEED=" << vectors::test_seed();
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Services, DeviceDifferential,
                         testing::Values(YOKE_SERVICE_ECHO, YOKE_SERVICE_AES_ECB, YOKE_SERVICE_AES_CBC,
                                         YOKE_SERVICE_AES_CTR, YOKE_SERVICE_AES_XTS, YOKE_SERVICE_AES_GCM,
                                         YOKE_SERVICE_SHA256),
                         name_of_test);

TEST(DeviceCode, PowersOfTheTweakAgree) {
    Element step{0x0123456789abcdefULL, 0xfedcba9876543210ULL};
    const Element start = step;
    std::uint32_t n = 0;
    for (const std::uint32_t power : {1U, 55U, 56U, 57U, 128U, 3583U, 3584U, 5000U}) {
        for (; n < power; ++n) {
            step = times_small_power(step, 1);
        }
        const Element jump = times_power(start, power);
        EXPECT_EQ(jump.low, step.low) << power;
        EXPECT_EQ(jump.high, step.high) << power;
    }
}

}  // namespace
}  // namespace yoke::service::device
