// The parser takes every form that the files use and names the line of what it does not understand.
#include "vectors/rsp.hpp"

#include <gtest/gtest.h>

namespace yoke::vectors {
namespace {

TEST(Rsp, ReadsRecordsOfAllKinds) {
    const auto records = parse_rsp(
        "# CAVS 11.1\r\n\r\n[ENCRYPT]\r\n\r\nCOUNT = 0\r\nKey = 00ff\r\nPT = \r\n\r\n\r\n"
        "[DECRYPT]\n[Keylen = 128]\n\nCount = 0\nTag = ab\nFAIL\n\nCount = 1\n# in between\nTag = cd");
    ASSERT_TRUE(records.has_value()) << records.error();
    ASSERT_EQ(records->size(), 3U);
    const Record& first = records->at(0);
    EXPECT_EQ(first.section, "ENCRYPT");
    EXPECT_EQ(first.fields.at("key"), "00ff");
    EXPECT_EQ(first.fields.at("pt"), "");
    EXPECT_FALSE(first.fail);
    EXPECT_EQ(first.line, 5U);
    EXPECT_EQ(records->at(1).section, "DECRYPT");
    EXPECT_TRUE(records->at(1).fail);
    EXPECT_FALSE(records->at(2).fail);
    EXPECT_EQ(records->at(2).fields.at("tag"), "cd");
}

TEST(Rsp, NamesTheLineThatItDoesNotUnderstand) {
    for (const char* text : {"A = 1\nwhat\n", "A = 1\nA = 2\n", "\n[ENCRYPT\n", "\n = 3\n", "\nFAIL\n"}) {
        const auto records = parse_rsp(text);
        ASSERT_FALSE(records.has_value()) << text;
        EXPECT_EQ(records.error(), "line 2 is not understood") << text;
    }
}

TEST(Rsp, NamesTheRemedyForAMissingFile) {
    const auto records = read_rsp("/nonexistent/file.rsp");
    ASSERT_FALSE(records.has_value());
    EXPECT_NE(records.error().find("apt install python3-cryptography-vectors"), std::string::npos);
}

TEST(Hex, TakesBothCasesAndNothingElse) {
    EXPECT_EQ(parse_hex("00fFA5").value(), (Bytes{std::byte{0}, std::byte{0xff}, std::byte{0xa5}}));
    EXPECT_EQ(parse_hex("").value(), Bytes{});
    EXPECT_FALSE(parse_hex("abc").has_value());
    EXPECT_FALSE(parse_hex("0g").has_value());
    EXPECT_FALSE(parse_hex(" 0").has_value());
}

}  // namespace
}  // namespace yoke::vectors
