// Numbers of the command line: values beyond 64 bits, carries, and what is refused.
#include "cli/number.hpp"

#include <gtest/gtest.h>

namespace yoke::cli {
namespace {

std::string little_endian_hex(std::string_view text) {
    const auto number = parse_number128(text);
    return number ? hex_of(*number) : "refused";
}

TEST(Number, ParsesDecimalAndHexadecimalOf128Bits) {
    EXPECT_EQ(little_endian_hex("0"), std::string(32, '0'));
    EXPECT_EQ(little_endian_hex("258"), "0201" + std::string(28, '0'));
    EXPECT_EQ(little_endian_hex("0x102"), "0201" + std::string(28, '0'));
    EXPECT_EQ(little_endian_hex("340282366920938463463374607431768211455"), std::string(32, 'f'));
    EXPECT_EQ(little_endian_hex("0x0F0E0D0C0B0A09080706050403020100"), "000102030405060708090a0b0c0d0e0f");
}

TEST(Number, RefusesWhatIsNoNumberOf128Bits) {
    EXPECT_EQ(little_endian_hex("340282366920938463463374607431768211456"), "refused");
    EXPECT_EQ(little_endian_hex("0x100000000000000000000000000000000"), "refused");
    for (const char* text : {"", "0x", "-1", "1a", "12 ", "0xg", "1.5"}) {
        const auto number = parse_number128(text);
        ASSERT_FALSE(number) << text;
        EXPECT_EQ(number.error().exit, exit_usage);
    }
}

TEST(Number, CarriesThroughAllBytes) {
    Number128 little = *parse_number128("0xffffffffffffffff");
    add_little_endian(little, 2);
    EXPECT_EQ(little, *parse_number128("0x10000000000000001"));
    Number128 all = *parse_number128("0xffffffffffffffffffffffffffffffff");
    add_little_endian(all, 1);
    EXPECT_EQ(all, Number128{});

    auto bytes = *parse_hex("00000000000000ffffffffffffffffff");
    add_big_endian(std::span<std::byte, 16>(bytes), 0x102);
    EXPECT_EQ(hex_of(bytes), "00000000000001000000000000000101");
}

TEST(Number, ReadsHexadecimalBytes) {
    EXPECT_EQ(hex_of(*parse_hex("00aBfF")), "00abff");
    EXPECT_TRUE(parse_hex("")->empty());
    EXPECT_FALSE(parse_hex("abc"));
    EXPECT_FALSE(parse_hex("zz"));
}

TEST(Number, OneThingIsNoPlural) {
    EXPECT_EQ(counted(0, "datablock"), "0 datablocks");
    EXPECT_EQ(counted(1, "datablock"), "1 datablock");
    EXPECT_EQ(counted(2, "byte"), "2 bytes");
}

TEST(Number, WritesSizesAndDurationsForPeople) {
    EXPECT_EQ(human_bytes(1023), "1023 B");
    EXPECT_EQ(human_bytes(1536), "1.5 KiB");
    EXPECT_EQ(human_bytes(64ULL << 20U), "64 MiB");
    EXPECT_EQ(human_duration(999), "999 ns");
    EXPECT_EQ(human_duration(1'500'000), "1.5 ms");
    EXPECT_EQ(human_duration(2'500'000'000), "2.5 s");
    EXPECT_EQ(human_duration(3 * 3600ULL * 1'000'000'000 + 60'000'000'000), "3 h 1 min");
}

}  // namespace
}  // namespace yoke::cli
