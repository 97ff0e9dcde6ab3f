// Headers of streams: what is formatted parses to the same, and what strangers write is refused by name.
#include "control/stage_header.hpp"

#include <gtest/gtest.h>

#include <string>

namespace yoke::control {
namespace {

TEST(StageHeader, WhatIsFormattedParsesToTheSame) {
    StageHeader header;
    header.stream.form.type = "f32x4";
    header.stream.form.extent = {640, 480, 1};
    header.stream.variable = true;
    header.parameters = {{"unit", "0.001"}, {"frame", "user"}};
    const auto text = format_stage_header(header);
    ASSERT_TRUE(text) << text.error().message;
    EXPECT_EQ(*text, "YOKESTREAM 1 f32x4 640x480 variable unit=0.001 frame=user\n");
    const auto parsed = parse_stage_header(text->substr(0, text->size() - 1));
    ASSERT_TRUE(parsed) << parsed.error().message;
    EXPECT_EQ(parsed->stream, header.stream);
    EXPECT_EQ(parsed->parameters, header.parameters);
}

TEST(StageHeader, TrailingExtentsAreLeftOutAndOthersAreNot) {
    for (const auto& [text, extent] : std::vector<std::pair<std::string, std::array<std::uint64_t, 3>>>{
             {"7", {7, 1, 1}}, {"1x9", {1, 9, 1}}, {"2x1x3", {2, 1, 3}}}) {
        const std::string line = "YOKESTREAM 1 u8 " + text + " fixed";
        const auto parsed = parse_stage_header(line);
        ASSERT_TRUE(parsed) << parsed.error().message;
        EXPECT_EQ(parsed->stream.form.extent, extent);
        EXPECT_EQ(format_stage_header(*parsed).value_or(""), line + "\n");
    }
}

TEST(MaliciousStageHeader, WordsThatMeanNothingAreNamed) {
    for (const char* rest : {"",
                             "u8",
                             "u8 7",
                             "u9 7 fixed",
                             "u8 0 fixed",
                             "u8 -1 fixed",
                             "u8 7x fixed",
                             "u8 7x7x7x7 fixed",
                             "u8 7 Fixed",
                             "u8 7 fixed ",
                             "u8  7 fixed",
                             "u8 99999999999999999999 fixed",
                             "u8 1073741824x1073741824 fixed",
                             "u8 7 fixed unit",
                             "u8 7 fixed =1",
                             "u8 7 fixed 1a=1",
                             "u8 7 fixed a=",
                             "u8 7 fixed a=\t",
                             "u8 7 fixed a=1 a=2",
                             "u8 7 fixed a-b=1",
                             "u8 7 fixed a=\xff"}) {
        const auto parsed = parse_stage_header(std::string(stage_magic) + rest);
        ASSERT_FALSE(parsed) << rest;
        EXPECT_EQ(parsed.error().code, EPROTO) << rest;
    }
    EXPECT_FALSE(parse_stage_header("YOKESTREAM 2 u8 7 fixed"));
    EXPECT_FALSE(parse_stage_header(std::string(stage_magic) + "u8 7 fixed a=" + std::string(256, 'x')));
}

TEST(StageHeader, RowsAreWithoutGaps) {
    StageHeader header;
    header.stream.form = {"u16", {4, 2, 1}, 16};
    EXPECT_EQ(format_stage_header(header).error().code, EINVAL);
    header.stream.form.stride = 8;  // says what packing gives
    EXPECT_TRUE(format_stage_header(header));
}

TEST(StageHeader, OneThatIsTooLongIsRefused) {
    StageHeader header;
    header.stream.form.type = "u8";
    for (int k = 0; k < 20; ++k) {
        header.parameters.emplace_back("p" + std::to_string(k), std::string(250, 'x'));
    }
    EXPECT_EQ(format_stage_header(header).error().code, E2BIG);
}

TEST(MaliciousStageHeader, OnlyPlainDecimalNumbersReachACompiler) {
    for (const char* number : {"1", "-1", "0.5", "1e3", "585.6"}) {
        EXPECT_TRUE(is_number(number)) << number;
    }
    for (const char* text : {"", "-", "1;", "0x10", "inf", "nan", "1 2", "1,2", "-Dx", "1e", "e", "+1"}) {
        EXPECT_FALSE(is_number(text)) << text;
    }
}

}  // namespace
}  // namespace yoke::control
