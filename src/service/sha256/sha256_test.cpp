// Rules of the service that official vectors don't show: many messages per call, chunks in any order, refusals.
#include "service/sha256/sha256.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <vector>

namespace yoke::service {
namespace {

using Bytes = std::vector<std::byte>;

Shape shape_of(std::uint32_t in_length, std::uint32_t message, std::uint32_t out_length) {
    Shape shape;
    shape.flags = YOKE_FLAG_PARAMS;
    shape.in_length = in_length;
    shape.out_length = out_length;
    yoke_params_sha256 params{};
    params.message = message;
    shape.params = std::bit_cast<Params>(params);
    return shape;
}

Bytes numbered(std::size_t length) {
    Bytes bytes(length);
    for (std::size_t i = 0; i < length; ++i) {
        bytes[i] = static_cast<std::byte>(i * 167 + (i >> 9));
    }
    return bytes;
}

Bytes digest_of_one(std::span<const std::byte> message) {
    const Shape shape = shape_of(static_cast<std::uint32_t>(message.size()), 0, 32);
    const Plan plan = sha256().plan(shape);
    EXPECT_EQ(plan.status, 0);
    EXPECT_EQ(plan.chunks, 1U);
    EXPECT_EQ(plan.out_length, 32U);
    Bytes digest(32);
    EXPECT_EQ(sha256().run({shape, plan, message.data(), nullptr, digest.data()}, 0, 0), 0);
    return digest;
}

TEST(Sha256, EmptyMessageHasADigest) {
    const Bytes digest = digest_of_one({});
    EXPECT_EQ(digest[0], std::byte{0xe3});  // e3b0c442 98fc1c14 ... 7852b855
    EXPECT_EQ(digest[1], std::byte{0xb0});
    EXPECT_EQ(digest[31], std::byte{0x55});
}

TEST(Sha256, ManyMessagesEqualOneByOne) {
    for (const std::uint32_t message : {1U, 55U, 56U, 64U, 1000U, 4096U, 65536U, 100000U}) {
        const std::uint32_t count = message < 1000 ? 777 : 61;
        const Bytes in = numbered(std::size_t{message} * count);
        const Shape shape = shape_of(message * count, message, 32 * count + 5);
        const Plan plan = sha256().plan(shape);
        ASSERT_EQ(plan.status, 0) << message;
        ASSERT_EQ(plan.out_length, 32 * count);
        ASSERT_GT(plan.chunks, 1U);
        Bytes out(std::size_t{32} * count + 5, std::byte{0xa5});
        for (std::uint32_t chunk = plan.chunks; chunk-- > 0;) {
            ASSERT_EQ(sha256().run({shape, plan, in.data(), nullptr, out.data()}, chunk, 0), 0);
        }
        for (std::size_t i = 0; i < count; ++i) {
            const auto digest = std::span(out).subspan(i * 32, 32);
            const Bytes expected = digest_of_one(std::span(in).subspan(i * message, message));
            ASSERT_TRUE(std::equal(digest.begin(), digest.end(), expected.begin())) << message << " " << i;
        }
        EXPECT_EQ(Bytes(out.end() - 5, out.end()), Bytes(5, std::byte{0xa5}));
    }
}

TEST(Sha256, NoMessagesAreNothingToDo) {
    const Plan plan = sha256().plan(shape_of(0, 64, 0));
    EXPECT_EQ(plan.status, 0);
    EXPECT_EQ(plan.chunks, 0U);
    EXPECT_EQ(plan.out_length, 0U);
}

TEST(MaliciousSha256, RefusesWhatDoesNotFit) {
    const auto member = [](yoke_member m) { return static_cast<std::uint32_t>(m); };
    Plan plan = sha256().plan(shape_of(100, 64, 1000));
    EXPECT_EQ(plan.status, -EINVAL);
    EXPECT_EQ(plan.detail, member(YOKE_MEMBER_INPUT));

    plan = sha256().plan(shape_of(64, 0xffffffffU, 1000));
    EXPECT_EQ(plan.status, -EINVAL);

    plan = sha256().plan(shape_of(128, 64, 63));
    EXPECT_EQ(plan.status, -EMSGSIZE);
    EXPECT_EQ(plan.detail, member(YOKE_MEMBER_OUTPUT));
    EXPECT_EQ(plan.out_length, 64U);

    // 2^30 messages of one byte would need 2^35 bytes of output: no overflow may make this look small.
    plan = sha256().plan(shape_of(YOKE_CALL_BYTES_MAX, 1, 0xffffffffU));
    EXPECT_EQ(plan.status, -EMSGSIZE);
    EXPECT_EQ(plan.detail, member(YOKE_MEMBER_INPUT));

    plan = sha256().plan(shape_of(0xffffffffU, 0, 32));
    EXPECT_EQ(plan.status, -EMSGSIZE);

    Shape padded = shape_of(64, 64, 32);
    padded.params[47] = std::byte{1};
    plan = sha256().plan(padded);
    EXPECT_EQ(plan.status, -EINVAL);
    EXPECT_EQ(plan.detail, member(YOKE_MEMBER_PARAMS));

    Shape decrypt = shape_of(64, 64, 32);
    decrypt.flags = YOKE_FLAG_DECRYPT;
    EXPECT_EQ(sha256().plan(decrypt).detail, member(YOKE_MEMBER_FLAGS));

    EXPECT_EQ(sha256().make_key({}, 1).error().code, ENOSYS);
}

}  // namespace
}  // namespace yoke::service
