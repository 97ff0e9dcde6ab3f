// What a kernel function takes, as graph files say it: what cannot be is told where it stands.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/graph_file.hpp"

namespace yoke::control {
namespace {

using testing::StartsWith;

std::string told_of(const std::string& arguments, const std::string& head = "function = \"f\"\nsource = \"x\"") {
    const auto graph = parse_graph("name = \"/g\"\n[ptask.a]\n" + head + "\narguments = " + arguments + R"(
port.i = { direction = "in", type = "i32", extent = [4] }
port.o = { direction = "out", type = "i32", extent = [4] }
port.b = { direction = "in-out", type = "i32", extent = [4] }
[channel.i]
destination = "a:i"
[channel.b]
destination = "a:b"
[channel.o]
source = "a:o"
[channel.c]
source = "a:b"
)",
                                   "g.toml", "");
    return graph ? "" : graph.error().message;
}

TEST(PtaskReader, EachPortIsAnArgumentOnce) {
    EXPECT_EQ(told_of("[\"i\", \"o\", \"b\", { count = \"i\" }, { extent = \"i\" }]"), "");
    EXPECT_THAT(told_of("[\"i\", \"o\", \"b\", \"i\"]"),
                StartsWith("g.toml:5:29: port \"/g/a:i\" is among the arguments twice; give it once"));
}

TEST(PtaskReader, SomethingComesInAndSomethingGoesOut) {
    const auto alone = [](const std::string& direction, const std::string& end) {
        const auto graph = parse_graph(
            "name = \"/g\"\n[ptask.a]\nfunction = \"f\"\nsource = \"x\"\ngeometry = [4]\n"
            "arguments = [\"p\"]\nport.p = { direction = \"" +
                direction + "\", type = \"i32\", extent = [4] }\n[channel.c]\n" + end + " = \"a:p\"\n",
            "g.toml", "");
        return graph ? "" : graph.error().message;
    };
    EXPECT_EQ(alone("out", "source"),
              "g.toml:2:8: ptask \"/g/a\" has no in port among its arguments; it needs at least one");
    EXPECT_EQ(alone("in", "destination"),
              "g.toml:2:8: ptask \"/g/a\" has no out port among its arguments; it needs at least one");
}

}  // namespace
}  // namespace yoke::control
