// Hex text both ways: every byte, both cases, and wrong text named by its first wrong character.
#include "base/hex.hpp"

#include <gtest/gtest.h>

#include <numeric>

namespace yoke {
namespace {

TEST(Hex, RoundTripOfEveryByte) {
    std::vector<std::uint8_t> bytes(256);
    std::iota(bytes.begin(), bytes.end(), std::uint8_t{0});
    const std::string text = encode_hex(bytes);
    EXPECT_EQ(text.substr(0, 8), "00010203");
    EXPECT_EQ(text.substr(508), "feff");
    auto back = decode_hex(text);
    ASSERT_TRUE(back);
    EXPECT_EQ(*back, bytes);
}

TEST(Hex, UpperCaseAndEmpty) {
    EXPECT_EQ(*decode_hex("AbcDEF"), (std::vector<std::uint8_t>{0xab, 0xcd, 0xef}));
    EXPECT_TRUE(decode_hex("")->empty());
    EXPECT_EQ(encode_hex({}), "");
}

TEST(Hex, WrongText) {
    EXPECT_EQ(decode_hex("abc").error().code, EINVAL);
    auto wrong = decode_hex("abx0");
    ASSERT_FALSE(wrong);
    EXPECT_EQ(wrong.error().message, "character 3 of the hexadecimal text is no digit; use 0-9 and a-f");
    EXPECT_FALSE(decode_hex("0x"));
    EXPECT_FALSE(decode_hex("0 1 "));
}

}  // namespace
}  // namespace yoke
