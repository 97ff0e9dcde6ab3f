// Geometry that cannot be had is refused when the graph file is read, and where it stands is told.
#include "control/geometry.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/definition.hpp"

namespace yoke::control {
namespace {

using testing::StartsWith;

// A graph whose ptask has `lines` in line 3 and after; its in port has 8 x 6 elements, its out port 4.
std::string graph_with(const std::string& lines) {
    return R"(name = "/g"
[ptask.a]
)" + lines +
           R"(
source = "kernel void f(global int *i, global int *o) { *o = *i; }"
function = "f"
arguments = ["i", "o"]
port.i = { direction = "in", type = "i32", extent = [8, 6] }
port.o = { direction = "out", type = "i32", extent = [4] }
port.n = { direction = "in", type = "u32", extent = [1], meta = "iterations" }
[channel.x]
destination = "a:i"
[channel.n]
destination = "a:n"
[channel.y]
source = "a:o"
)";
}

std::string mistake_in(const std::string& lines) {
    const auto graph = parse_graph(graph_with(lines), "g.toml", "");
    return graph ? "" : graph.error().message;
}

TEST(Geometry, GroupsMustDivideWorkItems) {
    EXPECT_EQ(mistake_in("local = [4, 3]"), "");
    EXPECT_EQ(mistake_in("local = [8]"), "");
    EXPECT_EQ(mistake_in("geometry = [640, 480]\nlocal = [16, 16, 1]"), "");
    EXPECT_EQ(mistake_in("geometry_from = [\"o\", \"first-input\"]\nlocal = [2, 2]"), "");
    EXPECT_EQ(mistake_in("local = [3]"),
              "g.toml:3:9: local 3 does not divide the 8 work items that ptask \"/g/a\" has in dimension 1, as port "
              "\"/g/a:i\" says; give a number that does, or leave local out");
    EXPECT_THAT(mistake_in("local = [8, 4]"), StartsWith("g.toml:3:9: local 4 does not divide the 6 work items"));
    EXPECT_THAT(mistake_in("geometry = [4]\nlocal = [4, 2]"),
                StartsWith("g.toml:4:9: local 2 does not divide the 1 work items that ptask \"/g/a\" has in dimension "
                           "2, as geometry says"));
    EXPECT_THAT(mistake_in("geometry_from = \"first-output\"\nlocal = [8]"),
                StartsWith("g.toml:4:9: local 8 does not divide the 4 work items that ptask \"/g/a\" has in dimension "
                           "1, as port \"/g/a:o\""));
    EXPECT_THAT(mistake_in("local = [0]"), StartsWith("g.toml:3:10: local is 0; 1 to"));
    EXPECT_THAT(mistake_in("local = [1, 1, 1, 1]"), StartsWith("g.toml:3:9: local has 4 numbers"));
}

TEST(Geometry, ComesFromAPortAmongTheArguments) {
    EXPECT_EQ(mistake_in("geometry_from = \"o\""), "");
    EXPECT_EQ(mistake_in("geometry_from = \"largest-input\""), "");
    for (const char* const port : {"depth", "largest", "n"}) {
        EXPECT_THAT(mistake_in("geometry_from = \"" + std::string(port) + "\""),
                    StartsWith("g.toml:3:17: ptask \"/g/a\" has no port \"/g/a:" + std::string(port) +
                               "\" among its arguments to take its geometry from"));
    }
    EXPECT_THAT(mistake_in("geometry_from = [\"i\", \"depth\"]"), StartsWith("g.toml:3:17: "));
}

// Other forms of a ptask are launched over whole groups.
TEST(Geometry, OnlyOpenClInsists) {
    EXPECT_EQ(mistake_in("form = \"cuda\"\nlocal = [3]"), "");
    const std::string further =
        "form = [{ form = \"ptx\", source = \"x\", local = [3] }, { source = \"y\", local = [5] }]";
    EXPECT_THAT(mistake_in(further), testing::HasSubstr("local 5 does not divide the 8 work items"));
}

TEST(Geometry, GroupsOfNothingAreNone) {
    auto graph = parse_graph(graph_with(""), "g.toml", "");
    ASSERT_TRUE(graph);
    PtaskDefinition ptask = graph->ptasks[0];
    ptask.kernel.local = {0, 2, 1};
    const auto checked = check_ptask(ptask);
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().message,
              "ptask \"/g/a\" has groups of 0 work items in dimension 1; give a local for each dimension, or none");
}

}  // namespace
}  // namespace yoke::control
