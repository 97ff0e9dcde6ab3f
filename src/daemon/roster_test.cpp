// Round trip, other boots, damaged files, replacement.
#include "daemon/roster.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace yoke::daemon {
namespace {

TEST(Roster, ReadsWhatItWrites) {
    const std::vector<RosterEntry> entries{{1000, 3, {4711, 123456789}}, {0, 1, {17, 1}}};
    const auto read = parse_roster(roster_text(entries, "boot"), "boot");
    ASSERT_TRUE(read) << read.error().message;
    ASSERT_EQ(read->size(), 2U);
    EXPECT_EQ((*read)[0].account, 1000U);
    EXPECT_EQ((*read)[0].generation, 3U);
    EXPECT_EQ((*read)[0].process.pid, 4711);
    EXPECT_EQ((*read)[0].process.start, 123456789U);
}

TEST(Roster, ProcessesOfAnotherBootMeanNothing) {
    const auto read = parse_roster(roster_text({{1000, 3, {4711, 1}}}, "yesterday"), "today");
    ASSERT_TRUE(read);
    EXPECT_TRUE(read->empty());
}

TEST(Roster, RefusesWhatItIsNot) {
    const std::array<const char*, 7> texts{
        "",
        "[]",
        "{}",
        R"({"boot":"b","workers":[{"account":1}]})",
        R"({"boot":"b","workers":[{"account":-1,"generation":1,"pid":1,"start":1}]})",
        R"({"boot":"b","workers":[{"account":1,"generation":1,"pid":0,"start":1}]})",
        R"({"boot":"b","workers":[],"more":1})"};
    for (const char* text : texts) {
        EXPECT_FALSE(parse_roster(text, "b")) << text;
    }
}

TEST(Roster, IsReplacedAsAWholeAndEmptyWhenThereIsNone) {
    std::string directory = (std::filesystem::temp_directory_path() / "yoke-roster-XXXXXX").string();
    ASSERT_NE(::mkdtemp(directory.data()), nullptr);
    const std::string path = directory + "/workers";
    const auto none = load_roster(path);
    ASSERT_TRUE(none);
    EXPECT_TRUE(none->empty());
    ASSERT_TRUE(save_roster(path, {{1, 1, {10, 1}}}));
    ASSERT_TRUE(save_roster(path, {{2, 5, {20, 1}}}));
    const auto read = load_roster(path);
    ASSERT_TRUE(read);
    ASSERT_EQ(read->size(), 1U);
    EXPECT_EQ((*read)[0].account, 2U);
    EXPECT_FALSE(std::filesystem::exists(path + ".new"));
    std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace yoke::daemon
