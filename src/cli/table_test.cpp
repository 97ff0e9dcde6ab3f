// Tables: order of columns, alignment, plain form, and names that try to speak to the terminal.
#include "cli/table.hpp"

#include <gtest/gtest.h>

namespace yoke::cli {
namespace {

using nlohmann::json;

TEST(Table, AlignsNumbersRightAndTextLeft) {
    const json objects = json::parse(R"([{"name": "/depth", "id": 1, "data_bytes": 2048},
                                         {"name": "/a", "id": 12, "data_bytes": null}])");
    EXPECT_EQ(table_of(objects, {"id", "name"}, false),
              "ID  NAME       DATA\n"
              " 1  /depth  2.0 KiB\n"
              "12  /a            -\n");
}

TEST(Table, PlainHasTabsAndBaseUnits) {
    const json objects =
        json::parse(R"([{"name": "/depth", "data_bytes": 2048, "extent": [640, 480, 1], "open": true}])");
    EXPECT_EQ(table_of(objects, {"name"}, true), "/depth\t2048\t640x480x1\tyes\n");
}

TEST(Table, MembersThatSomeObjectsLackAreDashes) {
    const json objects = json::parse(R"([{"a": 1}, {"b": "x"}])");
    EXPECT_EQ(table_of(objects, {}, true), "1\t-\n-\tx\n");
}

TEST(Table, MaliciousNamesDoNotReachTheTerminal) {
    const json objects = json::parse(R"([{"name": "\u001b[2Jx\ty\n"}])");
    EXPECT_EQ(table_of(objects, {}, true), "\\x1b[2Jx\\x09y\\x0a\n");
}

TEST(Table, ObjectsInObjectsAreMembersWithValues) {
    const json objects = json::parse(R"([{"template": {"type": "u16", "extent": [640, 480, 1]}}])");
    EXPECT_EQ(table_of(objects, {}, true), "extent=640x480x1 type=u16\n");
}

TEST(Table, TheAccountOfTheKernelHasItsName) {
    const json objects = json::parse(R"([{"account": 4294967294, "pid": 4294967294}, {"account": 0, "pid": 7}])");
    EXPECT_EQ(table_of(objects, {"account"}, true), "kernel\t4294967294\n0\t7\n");
}

TEST(Table, NoObjectsNoLines) {
    EXPECT_EQ(table_of(json::array(), {"name"}, true), "");
}

}  // namespace
}  // namespace yoke::cli
