// Datablocks of raw inputs and of what stages write, and what strangers write that is neither.
#include "control/datablock_cutter.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

namespace yoke::control {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct Cutting {
    std::vector<std::string> datablocks;
    std::string error;
};

DatablockCutter::Setup setup(const TemplateDefinition& form, bool variable = false, bool raw = false) {
    return {"the input", "/g/p:in", form, variable, raw, "--raw"};
}

// Cuts `input`, of which at most `most` bytes come at a time.
Cutting cut(DatablockCutter& cutter, std::string_view input, std::size_t most) {
    Cutting result;
    std::vector<std::byte> room(cutter.datablock_bytes());
    for (;;) {
        const auto next = cutter.next(room);
        if (!next) {
            result.error = next.error().message;
            EXPECT_EQ(next.error().code, EPROTO);
            return result;
        }
        if (next->cut == DatablockCutter::Cut::read) {
            EXPECT_FALSE(next->to.empty());
            const std::size_t count = std::min({next->to.size(), input.size(), most});
            std::memcpy(next->to.data(), input.data(), count);
            input.remove_prefix(count);
            cutter.took(count);
            continue;
        }
        if (cutter.length() != 0) {
            result.datablocks.emplace_back(reinterpret_cast<const char*>(room.data()), cutter.length());
        }
        if (next->cut == DatablockCutter::Cut::over) {
            return result;
        }
    }
}

Cutting cut(const DatablockCutter::Setup& how, const std::string& input) {
    auto cutter = DatablockCutter::create(how);
    EXPECT_TRUE(cutter);
    Cutting whole = cut(*cutter, input, SIZE_MAX);
    cutter->begin_again();
    const Cutting slow = cut(*cutter, input, 1);
    EXPECT_EQ(whole.datablocks, slow.datablocks);
    EXPECT_EQ(whole.error, slow.error);
    return whole;
}

std::string record(std::uint64_t bytes, char fill) {
    std::string text(reinterpret_cast<const char*>(&bytes), sizeof bytes);
    return text + std::string(bytes, fill);
}

TEST(DatablockCutter, RawInputIsDatablockAfterDatablock) {
    EXPECT_THAT(cut(setup({"u8", {4, 1, 1}}), "abcdefgh").datablocks, ElementsAre("abcd", "efgh"));
    EXPECT_TRUE(cut(setup({"u8", {4, 1, 1}}), "").datablocks.empty());
    EXPECT_THAT(cut(setup({"u16", {2, 1, 1}}, true), "abcdef").datablocks, ElementsAre("abcd", "ef"));
    // The beginning of the magic word alone is data, in datablocks that are shorter than it.
    EXPECT_THAT(cut(setup({"u8", {4, 1, 1}}), "YOKESTREYOKE").datablocks, ElementsAre("YOKE", "STRE", "YOKE"));
    EXPECT_THAT(cut(setup({"u8", {4, 1, 1}}), "YOKE").datablocks, ElementsAre("YOKE"));
}

TEST(DatablockCutter, WhatAStageWritesIsItsRecords) {
    const TemplateDefinition form{"u16", {2, 2, 1}};
    EXPECT_THAT(cut(setup(form), "YOKESTREAM 1 u16 2x2 fixed unit=0.5\nabcdefghijklmnop").datablocks,
                ElementsAre("abcdefgh", "ijklmnop"));
    EXPECT_TRUE(cut(setup(form), "YOKESTREAM 1 u16 2x2 fixed\n").datablocks.empty());
    EXPECT_THAT(cut(setup(form, true), "YOKESTREAM 1 u16 2x2 variable\n" + record(2, 'a') + record(8, 'b')).datablocks,
                ElementsAre("aa", "bbbbbbbb"));
    const std::string begin = "YOKESTREAM 1 u16 2x2 fixed\n";
    EXPECT_EQ(cut(setup({"u8", {27, 1, 1}}, false, true), begin).datablocks, std::vector<std::string>{begin});
}

TEST(DatablockCutter, AnotherInputBeginsAnew) {
    auto cutter = DatablockCutter::create(setup({"u8", {4, 1, 1}}));
    ASSERT_TRUE(cutter);
    EXPECT_THAT(cut(*cutter, "YOKESTREAM 1 u8 4 fixed\nabcd", SIZE_MAX).datablocks, ElementsAre("abcd"));
    EXPECT_EQ(cutter->begin_again(), 0U);
    EXPECT_THAT(cut(*cutter, "efgh", SIZE_MAX).datablocks, ElementsAre("efgh"));
    cutter->begin_again();
    EXPECT_THAT(cut(*cutter, "ef", SIZE_MAX).error, HasSubstr("ends at byte 2"));
    EXPECT_EQ(cutter->begin_again(), 2U);
}

TEST(DatablockCutter, AnEndWithinADatablockIsNamed) {
    EXPECT_THAT(cut(setup({"u8", {4, 1, 1}}), "abcdef").error,
                HasSubstr("the input ends at byte 6, in the middle of a datablock: 2 bytes are left of 4 that /g/p:in "
                          "takes"));
    EXPECT_THAT(cut(setup({"u8", {4, 1, 1}}), "abcdef").datablocks, ElementsAre("abcd"));
    EXPECT_THAT(cut(setup({"u16", {2, 1, 1}}, true), "abcde").error, HasSubstr("elements have 2 bytes"));
    EXPECT_THAT(cut(setup({"u8", {4, 1, 1}}), "YOKESTREAM 1 u8 4 fixed\nab").error, HasSubstr("2 bytes are left of 4"));
}

TEST(MaliciousDatablockCutter, HeadersThatDoNotFitAreRefused) {
    const auto refused = [](const DatablockCutter::Setup& how, const std::string& input, const std::string& what) {
        const Cutting result = cut(how, input);
        EXPECT_THAT(result.error, HasSubstr(what)) << input.substr(0, 80);
        EXPECT_TRUE(result.datablocks.empty());
    };
    const auto port = setup({"u32", {4, 4, 1}});
    refused(port, "YOKESTREAM 1 u16 4x4 fixed\n",
            "the input is a stream of fixed u16 4x4 records, but port /g/p:in takes u32 4x4; push what fits, or --raw");
    refused(port, "YOKESTREAM 1 u32 4x5 fixed\n", "takes u32 4x4");
    refused(port, "YOKESTREAM 1 u32 4x4 variable\n", "make the port variable");
    refused(setup({"u32", {4, 4, 1}, 32}), "YOKESTREAM 1 u32 4x4 fixed\n", "with rows of 32 bytes");
    refused(port, "YOKESTREAM 1 u32 4x4 fixed", "the line is cut off");
    refused(port, "YOKESTREAM ", "the line is cut off");
    refused(port, "YOKESTREAM " + std::string(100'000, 'x'), "longer than 4096 bytes");
    refused(port, "YOKESTREAM " + std::string(100'000, '\0'), "longer than 4096 bytes");
    refused(port, "YOKESTREAM 1 u33 4x4 fixed\n", "'u33' in the stream's header is no element type");
    refused(port, "YOKESTREAM 2 u32 4x4 fixed\n", "means nothing");
    refused(port, "YOKESTREAM 1 u32 99999999999x4 fixed\n", "means nothing");
}

TEST(MaliciousDatablockCutter, LengthsThatDoNotFitAreRefused) {
    const auto port = setup({"u32", {4, 1, 1}}, true);
    const std::string header = "YOKESTREAM 1 u32 4 variable\n";
    for (const std::uint64_t bytes :
         {std::uint64_t{UINT64_MAX}, std::uint64_t{20}, std::uint64_t{3}, std::uint64_t{0}, std::uint64_t{1} << 63U}) {
        const std::string length(reinterpret_cast<const char*>(&bytes), sizeof bytes);
        const Cutting result = cut(port, header + record(8, 'a') + length + std::string(64, 'b'));
        EXPECT_THAT(result.error, HasSubstr(fmt::format("a record of the input has {} bytes; port /g/p:in takes 1 to 4 "
                                                        "elements of 4 bytes",
                                                        bytes)));
        EXPECT_THAT(result.datablocks, ElementsAre("aaaaaaaa"));
    }
    EXPECT_THAT(cut(port, header + record(8, 'a').substr(0, 5)).error, HasSubstr("in the middle of a record's length"));
    EXPECT_THAT(cut(port, header + record(8, 'a').substr(0, 8)).error, HasSubstr("0 bytes are left of 8"));
    EXPECT_THAT(cut(port, header + record(8, 'a').substr(0, 14)).error, HasSubstr("6 bytes are left of 8"));
}

TEST(DatablockCutter, ARoomThatIsTooSmallIsRefused) {
    auto cutter = DatablockCutter::create(setup({"u8", {4, 1, 1}}));
    ASSERT_TRUE(cutter);
    std::array<std::byte, 3> small{};
    EXPECT_EQ(cutter->next(small).error().code, EINVAL);
}

TEST(DatablockCutter, ATemplateThatIsNoneIsRefused) {
    EXPECT_FALSE(DatablockCutter::create(setup({"u9", {4, 1, 1}})));
    EXPECT_FALSE(DatablockCutter::create(setup({"u8", {0, 1, 1}})));
}

}  // namespace
}  // namespace yoke::control
