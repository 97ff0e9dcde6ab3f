// Rules of the modes that vectors don't show: what is refused and how, keys, and tampered messages.
#include "service/aes/aes.hpp"

#include <gtest/gtest.h>

#include <bit>

#include "service/aes/counter.hpp"
#include "service/trial.hpp"
#include "vectors/random_case.hpp"

namespace yoke::service {
namespace {

constexpr std::uint32_t gib = 1U << 30;

std::unique_ptr<Key> key_for(const Service& service, std::size_t length = 32, unsigned lanes = 1) {
    std::vector<std::byte> bytes(length);
    for (std::size_t i = 0; i < length; ++i) {
        bytes[i] = static_cast<std::byte>(i * 37 + 11);
    }
    auto key = service.make_key(bytes, lanes);
    EXPECT_TRUE(key.has_value());
    return key ? std::move(*key) : nullptr;
}

template <typename T>
Shape shape_of(const Key& key, const T& params, std::uint32_t in_length, std::uint32_t out_length) {
    Shape shape;
    shape.flags = YOKE_FLAG_PARAMS;
    shape.in_length = in_length;
    shape.out_length = out_length;
    shape.key = &key;
    shape.params = std::bit_cast<Params>(params);
    return shape;
}

void expect_refused(const Service& service, const Shape& shape, int status, yoke_member member) {
    const Plan plan = service.plan(shape);
    EXPECT_EQ(plan.status, -status) << service.name();
    EXPECT_EQ(plan.detail, static_cast<std::uint32_t>(member)) << service.name();
    EXPECT_EQ(plan.chunks, 0U) << service.name();
}

yoke_params_aes_xts xts_params(std::uint32_t unit) {
    yoke_params_aes_xts params{};
    params.unit = unit;
    return params;
}

yoke_params_aes_gcm gcm_params(std::uint32_t iv, std::uint32_t aad, std::uint32_t tag) {
    yoke_params_aes_gcm params{};
    params.iv_length = iv;
    params.aad_length = aad;
    params.tag_length = tag;
    return params;
}

const std::vector<const Service*>& modes() {
    static const std::vector<const Service*> list = {&aes_ecb(), &aes_cbc(), &aes_ctr(), &aes_xts(), &aes_gcm()};
    return list;
}

// A call of each mode that is in order.
Shape good_shape(const Service& mode, const Key& key) {
    switch (mode.id()) {
        case YOKE_SERVICE_AES_XTS:
            return shape_of(key, xts_params(512), 1024, 1024);
        case YOKE_SERVICE_AES_GCM:
            return shape_of(key, gcm_params(12, 0, 16), 1024, 1040);
        default:
            return shape_of(key, yoke_params_aes_iv{}, 1024, 1024);
    }
}

TEST(AesKeys, OnlyTwoLengthsFit) {
    for (const Service* mode : modes()) {
        EXPECT_TRUE(mode->needs_key());
        const std::size_t keys = mode->id() == YOKE_SERVICE_AES_XTS ? 2 : 1;
        for (std::size_t length = 0; length <= 130; ++length) {
            vectors::Random random(length);
            const auto key = mode->make_key(vectors::random_bytes(random, length), 1);
            EXPECT_EQ(key.has_value(), length == 16 * keys || length == 32 * keys) << mode->name() << " " << length;
            if (!key) {
                EXPECT_EQ(key.error().code, EKEYREJECTED);
                EXPECT_NE(key.error().message.find(std::to_string(length)), std::string::npos);
            } else {
                EXPECT_EQ((*key)->service(), mode->id());
            }
        }
    }
}

TEST(AesKeys, EqualHalvesAreRefused) {
    for (const std::size_t length : {32U, 64U}) {
        const auto key = aes_xts().make_key(std::vector<std::byte>(length, std::byte{7}), 1);
        ASSERT_FALSE(key.has_value());
        EXPECT_EQ(key.error().code, EKEYREJECTED);
    }
}

TEST(AesKeys, LanesAreBounded) {
    const std::array<std::byte, 32> bytes{};
    EXPECT_EQ(aes_ctr().make_key(bytes, 0).error().code, EINVAL);
    EXPECT_EQ(aes_ctr().make_key(bytes, lanes_max + 1).error().code, EINVAL);
    EXPECT_TRUE(aes_ctr().make_key(bytes, lanes_max).has_value());
}

TEST(MaliciousAes, AKeyServesOnlyItsService) {
    for (const Service* mode : modes()) {
        for (const Service* other : modes()) {
            const auto key = key_for(*other);
            const Shape shape = good_shape(*mode, *key);
            if (mode == other) {
                EXPECT_EQ(mode->plan(shape).status, 0) << mode->name();
            } else {
                expect_refused(*mode, shape, ENOKEY, YOKE_MEMBER_OBJECT);
            }
        }
        Shape keyless = good_shape(*mode, *key_for(*mode));
        keyless.key = nullptr;
        expect_refused(*mode, keyless, ENOKEY, YOKE_MEMBER_OBJECT);
    }
}

TEST(MaliciousAes, FlagsAndParametersAreChecked) {
    for (const Service* mode : modes()) {
        const auto key = key_for(*mode);
        Shape shape = good_shape(*mode, *key);
        for (unsigned bit = 0; bit < 8; ++bit) {
            shape.flags = static_cast<std::uint8_t>(YOKE_FLAG_PARAMS | 1U << bit);
            if ((shape.flags & ~(YOKE_FLAG_PARAMS | YOKE_FLAG_DECRYPT)) != 0) {
                expect_refused(*mode, shape, EINVAL, YOKE_MEMBER_FLAGS);
            }
        }
        shape = good_shape(*mode, *key);
        shape.params.back() = std::byte{1};
        expect_refused(*mode, shape, EINVAL, YOKE_MEMBER_PARAMS);
        if (mode != &aes_ecb()) {
            shape = good_shape(*mode, *key);
            shape.flags = 0;  // an IV of zeros that nobody sent
            expect_refused(*mode, shape, EINVAL, YOKE_MEMBER_PARAMS);
        }
    }
}

TEST(MaliciousAes, OutputThatIsShortLearnsWhatIsNeeded) {
    for (const Service* mode : modes()) {
        const auto key = key_for(*mode);
        Shape shape = good_shape(*mode, *key);
        const std::uint32_t needed = shape.out_length;
        EXPECT_EQ(mode->plan(shape).out_length, needed);
        for (const std::uint32_t room : {0U, 1U, needed - 1}) {
            shape.out_length = room;
            expect_refused(*mode, shape, EMSGSIZE, YOKE_MEMBER_OUTPUT);
            EXPECT_EQ(mode->plan(shape).out_length, needed) << mode->name();
        }
        shape.out_length = 0xffffffffU;
        EXPECT_EQ(mode->plan(shape).out_length, needed);
    }
}

TEST(MaliciousAes, LengthsAtTheLimitsNeitherPassNorOverflow) {
    const auto ecb = key_for(aes_ecb());
    const auto cbc = key_for(aes_cbc());
    for (const std::uint32_t length : {1U, 15U, 17U, 1023U, gib - 1}) {
        expect_refused(aes_ecb(), shape_of(*ecb, yoke_params_aes_iv{}, length, gib), EINVAL, YOKE_MEMBER_INPUT);
        expect_refused(aes_cbc(), shape_of(*cbc, yoke_params_aes_iv{}, length, gib), EINVAL, YOKE_MEMBER_INPUT);
    }
    for (const Service* mode : modes()) {
        const auto key = key_for(*mode);
        Shape shape = good_shape(*mode, *key);
        shape.out_length = 0xffffffffU;
        for (const std::uint32_t length : {gib + 512, 0xfffffe00U}) {
            shape.in_length = length;
            expect_refused(*mode, shape, EMSGSIZE, YOKE_MEMBER_INPUT);
        }
    }
    EXPECT_EQ(aes_cbc().plan(shape_of(*cbc, yoke_params_aes_iv{}, gib, gib)).chunks, 1U);
    EXPECT_EQ(aes_ecb().plan(shape_of(*ecb, yoke_params_aes_iv{}, gib, gib)).chunks, gib / chunk_bytes);
}

TEST(MaliciousAes, XtsUnitsAreChecked) {
    const auto key = key_for(aes_xts());
    for (const std::uint32_t unit : {0U, 1U, 15U, (1U << 24) + 1, 0xffffffffU}) {
        expect_refused(aes_xts(), shape_of(*key, xts_params(unit), 1024, 1024), EINVAL, YOKE_MEMBER_PARAMS);
    }
    for (const std::uint32_t length : {1U, 15U, 513U, 1024U + 15U}) {
        expect_refused(aes_xts(), shape_of(*key, xts_params(512), length, gib), EINVAL, YOKE_MEMBER_INPUT);
    }
    EXPECT_EQ(aes_xts().plan(shape_of(*key, xts_params(512), 512 + 16, 528)).status, 0);
    EXPECT_EQ(aes_xts().plan(shape_of(*key, xts_params(1U << 24), gib, gib)).chunks, gib >> 24);
    // The last chunk of a unit that does not divide chunk_bytes begins where the units before it end.
    EXPECT_EQ(aes_xts().plan(shape_of(*key, xts_params(65536 - 16), 2 * 65536, 2 * 65536)).chunks, 3U);
}

TEST(MaliciousAes, GcmLengthsAreChecked) {
    const auto key = key_for(aes_gcm());
    for (const std::uint32_t iv : {0U, 129U, 0xffffffffU}) {
        expect_refused(aes_gcm(), shape_of(*key, gcm_params(iv, 0, 16), 16, 32), EINVAL, YOKE_MEMBER_PARAMS);
    }
    for (std::uint32_t tag = 0; tag < 40; ++tag) {
        const bool valid = tag == 4 || tag == 8 || (tag >= 12 && tag <= 16);
        EXPECT_EQ(aes_gcm().plan(shape_of(*key, gcm_params(12, 0, tag), 16, 64)).status, valid ? 0 : -EINVAL) << tag;
    }
    expect_refused(aes_gcm(), shape_of(*key, gcm_params(12, gib + 1, 16), 16, 32), EINVAL, YOKE_MEMBER_PARAMS);
    EXPECT_EQ(aes_gcm().plan(shape_of(*key, gcm_params(128, gib, 16), 16, 32)).aux_length, gib + 128);
    expect_refused(aes_gcm(), shape_of(*key, gcm_params(12, 0, 16), gib, 0xffffffffU), EMSGSIZE, YOKE_MEMBER_INPUT);

    Shape decrypt = shape_of(*key, gcm_params(12, 0, 16), 15, 64);
    decrypt.flags |= YOKE_FLAG_DECRYPT;
    expect_refused(aes_gcm(), decrypt, EINVAL, YOKE_MEMBER_INPUT);
    decrypt.in_length = 16;
    EXPECT_EQ(aes_gcm().plan(decrypt).status, 0);
    EXPECT_EQ(aes_gcm().plan(decrypt).out_length, 0U);
}

TEST(MaliciousAes, ALaneOrChunkThatIsNotThereIsRefused) {
    for (const Service* mode : modes()) {
        const auto key = key_for(*mode, 32, 2);
        std::vector<std::byte> in(1024);
        std::vector<std::byte> out(2048);
        std::vector<std::byte> aux(12);
        Work work{good_shape(*mode, *key), {}, in.data(), aux.data(), out.data()};
        work.plan = mode->plan(work.shape);
        EXPECT_EQ(mode->run(work, 0, 2), -EINVAL);
        EXPECT_EQ(mode->run(work, work.plan.chunks, 0), -EINVAL);
        EXPECT_EQ(mode->run(work, 0, 1), 0);
    }
}

TEST(AesGcm, EveryTamperedBitIsNoticedAndTheOutputZeroed) {
    vectors::Random random(vectors::test_seed());
    vectors::Case call;
    do {
        call = vectors::random_case(random, YOKE_SERVICE_AES_GCM, 64, 64).value();
    } while ((call.flags & YOKE_FLAG_DECRYPT) == 0 || call.aux.size() > 300);
    const vectors::Bytes aux = call.aux;
    const vectors::Bytes in = call.in;
    call.status = -EBADMSG;
    call.expected.assign(call.expected.size(), std::byte{0});
    const auto flip = [](std::byte& byte, std::size_t bit) { byte ^= static_cast<std::byte>(1U << bit % 8); };
    for (std::size_t bit = 0; bit < in.size() * 8; ++bit) {
        call.in = in;
        flip(call.in[bit / 8], bit);
        const Trial trial(call, 1, bit);
        ASSERT_TRUE(trial.check(trial.run(0, 0))) << bit;
    }
    call.in = in;
    for (std::size_t bit = 0; bit < aux.size() * 8; ++bit) {
        call.aux = aux;
        flip(call.aux[bit / 8], bit);
        const Trial trial(call, 1, bit);
        ASSERT_TRUE(trial.check(trial.run(0, 0))) << bit;
    }
}

// A context remembers nothing of the call before: lengths of IV and tag and failures change from call to call.
TEST(AesGcm, CallsOnOneLaneDoNotDisturbEachOther) {
    const auto key = key_for(aes_gcm());
    vectors::Random random(vectors::test_seed());
    for (unsigned round = 0; round < 200; ++round) {
        constexpr std::uint32_t tags[] = {4, 8, 12, 13, 14, 15, 16};
        const auto iv = static_cast<std::uint32_t>(vectors::random_between(random, 1, 128));
        const auto aad = static_cast<std::uint32_t>(vectors::random_between(random, 0, 40));
        const std::uint32_t tag = tags[round % std::size(tags)];
        const auto text = static_cast<std::uint32_t>(vectors::random_between(random, 0, 100));
        const vectors::Bytes plain = vectors::random_bytes(random, text);
        const vectors::Bytes aux = vectors::random_bytes(random, std::size_t{iv} + aad);
        vectors::Bytes cipher(text + tag);
        Work work{
            shape_of(*key, gcm_params(iv, aad, tag), text, text + tag), {}, plain.data(), aux.data(), cipher.data()};
        work.plan = aes_gcm().plan(work.shape);
        ASSERT_EQ(aes_gcm().run(work, 0, 0), 0);

        vectors::Bytes back(text);
        work.shape = shape_of(*key, gcm_params(iv, aad, tag), text + tag, text);
        work.shape.flags |= YOKE_FLAG_DECRYPT;
        work.plan = aes_gcm().plan(work.shape);
        work.in = cipher.data();
        work.out = back.data();
        const bool tamper = vectors::random_between(random, 0, 2) == 0;
        cipher.back() ^= std::byte{static_cast<unsigned char>(tamper ? 1 : 0)};
        ASSERT_EQ(aes_gcm().run(work, 0, 0), tamper ? -EBADMSG : 0) << round;
        ASSERT_EQ(back, tamper ? vectors::Bytes(text) : plain) << round;
    }
}

TEST(Counter, CarriesAndWraps) {
    Block full;
    full.fill(0xff);
    Counter little = Counter::from_little_endian(full);
    EXPECT_EQ(little.little_endian(), full);
    little.add(1);
    EXPECT_EQ(little.little_endian(), Block{});
    Block half{};
    std::fill(half.begin(), half.begin() + 8, std::uint8_t{0xff});
    Counter low = Counter::from_little_endian(half);
    low.add(2);
    EXPECT_EQ(low.little_endian(), (Block{1, 0, 0, 0, 0, 0, 0, 0, 1}));
    Counter big = Counter::from_big_endian((Block{0, 0, 0, 0, 0, 0, 0, 7, 255, 255, 255, 255, 255, 255, 255, 254}));
    big.add(3);
    EXPECT_EQ(big.big_endian(), (Block{0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 1}));
}

}  // namespace
}  // namespace yoke::service
