// echo copies in any order of chunks and refuses whatever else it is given.
#include "service/echo/echo.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace yoke::service {
namespace {

Shape shape_of(std::uint32_t in_length, std::uint32_t out_length) {
    Shape shape;
    shape.in_length = in_length;
    shape.out_length = out_length;
    return shape;
}

TEST(Echo, CopiesWhateverTheOrderOfChunks) {
    for (const std::uint32_t length : {1U, chunk_bytes - 1, chunk_bytes, chunk_bytes + 1, 5 * chunk_bytes + 17}) {
        std::vector<std::byte> in(length);
        for (std::size_t i = 0; i < in.size(); ++i) {
            in[i] = static_cast<std::byte>(i * 131 + (i >> 8));
        }
        std::vector<std::byte> out(length + 1, std::byte{0xa5});
        const Shape shape = shape_of(length, length);
        const Plan plan = echo().plan(shape);
        ASSERT_EQ(plan.status, 0);
        ASSERT_EQ(plan.out_length, length);
        ASSERT_EQ(plan.chunks, (length + chunk_bytes - 1) / chunk_bytes);
        const Work work{shape, plan, in.data(), nullptr, out.data()};
        for (std::uint32_t chunk = plan.chunks; chunk-- > 0;) {
            EXPECT_EQ(echo().run(work, chunk, chunk % lanes_max), 0);
        }
        EXPECT_EQ(out.back(), std::byte{0xa5});
        out.pop_back();
        EXPECT_EQ(out, in);
    }
}

TEST(Echo, NothingIsNothingToDo) {
    const Plan plan = echo().plan(shape_of(0, 0));
    EXPECT_EQ(plan.status, 0);
    EXPECT_EQ(plan.chunks, 0U);
    EXPECT_EQ(plan.out_length, 0U);
}

TEST(Echo, SaysHowMuchRoomItNeeds) {
    const Plan plan = echo().plan(shape_of(1000, 999));
    EXPECT_EQ(plan.status, -EMSGSIZE);
    EXPECT_EQ(plan.detail, static_cast<std::uint32_t>(YOKE_MEMBER_OUTPUT));
    EXPECT_EQ(plan.out_length, 1000U);
}

TEST(MaliciousEcho, RefusesWhatItDoesNotTake) {
    Shape flags = shape_of(16, 16);
    flags.flags = YOKE_FLAG_DECRYPT;
    EXPECT_EQ(echo().plan(flags).status, -EINVAL);
    EXPECT_EQ(echo().plan(flags).detail, static_cast<std::uint32_t>(YOKE_MEMBER_FLAGS));
    flags.flags = 0x80;
    EXPECT_EQ(echo().plan(flags).status, -EINVAL);
    flags.flags = YOKE_FLAG_PARAMS;  // a parameter line of zeros says nothing
    EXPECT_EQ(echo().plan(flags).status, 0);

    Shape params = shape_of(16, 16);
    params.params[47] = std::byte{1};
    EXPECT_EQ(echo().plan(params).status, -EINVAL);
    EXPECT_EQ(echo().plan(params).detail, static_cast<std::uint32_t>(YOKE_MEMBER_PARAMS));

    class AnyKey final : public Key {
       public:
        AnyKey() : Key(YOKE_SERVICE_AES_ECB) {}
    };
    const AnyKey key;
    Shape keyed = shape_of(16, 16);
    keyed.key = &key;
    EXPECT_EQ(echo().plan(keyed).status, -EINVAL);
    EXPECT_EQ(echo().plan(keyed).detail, static_cast<std::uint32_t>(YOKE_MEMBER_OBJECT));

    EXPECT_EQ(echo().plan(shape_of(YOKE_CALL_BYTES_MAX + 1, 0xffffffffU)).status, -EMSGSIZE);
    EXPECT_EQ(echo().plan(shape_of(0xffffffffU, 0xffffffffU)).detail, static_cast<std::uint32_t>(YOKE_MEMBER_INPUT));
    EXPECT_EQ(echo().plan(shape_of(YOKE_CALL_BYTES_MAX, YOKE_CALL_BYTES_MAX)).status, 0);
}

TEST(Echo, MakesNoKey) {
    const std::array<std::byte, 16> bytes{};
    const auto key = echo().make_key(bytes, 1);
    ASSERT_FALSE(key.has_value());
    EXPECT_EQ(key.error().code, ENOSYS);
}

}  // namespace
}  // namespace yoke::service
