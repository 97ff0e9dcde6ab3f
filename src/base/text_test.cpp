// Foreign text in messages: control characters, broken UTF-8, and texts that are too long.
#include "base/text.hpp"

#include <gtest/gtest.h>

namespace yoke {
namespace {

using namespace std::string_view_literals;

TEST(Text, PlainTextStays) {
    EXPECT_EQ(printable("Tiefe 640×480 \"x\""), "Tiefe 640×480 \"x\"");
    EXPECT_EQ(in_quotes("a \"b\" \\"), R"("a \"b\" \\")");
    EXPECT_EQ(printable(""), "");
}

TEST(Text, ControlCharactersAreEscaped) {
    EXPECT_EQ(printable("a\nb\tc\033[31m\177\0d"sv), "a\\nb\\tc\\x1b[31m\\x7f\\x00d");
    EXPECT_EQ(printable("\xc2\x9b"
                        "31m"),
              "\\xc2\\x9b31m")
        << "C1 control";
}

TEST(Text, BytesThatAreNotUtf8AreEscaped) {
    EXPECT_EQ(printable("\xff\xc3"), "\\xff\\xc3");
    EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80") << "surrogate";
}

TEST(Text, LongTextIsCutBetweenCharacters) {
    EXPECT_EQ(printable("abcdef", 6), "abcdef");
    EXPECT_EQ(printable("abcdef", 5), "abcde...");
    EXPECT_EQ(printable("abc×", 4), "abc...");
    EXPECT_EQ(in_quotes(std::string(1000, 'x')).size(), shown_bytes_max + 5);
}

TEST(Text, OneThingIsNoPlural) {
    EXPECT_EQ(counted(0, "datablock"), "0 datablocks");
    EXPECT_EQ(counted(1, "datablock"), "1 datablock");
    EXPECT_EQ(counted(UINT64_MAX, "byte"), "18446744073709551615 bytes");
}

TEST(Text, Utf8) {
    EXPECT_TRUE(is_utf8(""));
    EXPECT_TRUE(is_utf8("a\xc3\x97\xe2\x82\xac\xf0\x9f\x99\x82"));
    EXPECT_TRUE(is_utf8("\xf4\x8f\xbf\xbf"));
    for (const auto wrong : {"\x80"sv, "\xc0\xaf"sv, "\xc3"sv, "\xe0\x80\xaf"sv, "\xed\xa0\x80"sv, "\xe2\x82"sv,
                             "\xf4\x90\x80\x80"sv, "\xf8\x88\x80\x80\x80"sv, "a\xf0\x9f\x99"sv}) {
        EXPECT_FALSE(is_utf8(wrong)) << in_quotes(wrong);
    }
}

}  // namespace
}  // namespace yoke
