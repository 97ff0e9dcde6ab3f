// What is a name and of which kind, and what is none: empty parts, foreign characters, too many separators, "..", one
// character too many.
#include "control/name.hpp"

#include <gtest/gtest.h>

namespace yoke::control {
namespace {

using namespace std::string_view_literals;

TEST(Name, Parts) {
    auto graph = parse_name("/depth");
    ASSERT_TRUE(graph);
    EXPECT_EQ(graph->kind, NameKind::graph);
    EXPECT_EQ(graph->graph, "depth");
    auto member = parse_name("/depth/filter-1.0");
    ASSERT_TRUE(member);
    EXPECT_EQ(member->kind, NameKind::member);
    EXPECT_EQ(member->member, "filter-1.0");
    auto port = parse_name("/depth/_f:9");
    ASSERT_TRUE(port);
    EXPECT_EQ(port->kind, NameKind::port);
    EXPECT_EQ(port->graph, "depth");
    EXPECT_EQ(port->member, "_f");
    EXPECT_EQ(port->port, "9");
}

TEST(Name, KindsAreChecked) {
    EXPECT_TRUE(parse_name("/g", NameKind::graph));
    EXPECT_TRUE(parse_name("/g/p", NameKind::member));
    EXPECT_TRUE(parse_name("/g/p:i", NameKind::port));
    EXPECT_EQ(parse_name("/g/p", NameKind::graph).error().code, EINVAL);
    EXPECT_EQ(parse_name("/g/p:i", NameKind::member).error().message,
              "\"/g/p:i\" is not the kind of name needed here; write /graph/ptask or /graph/channel");
}

TEST(Name, Owners) {
    EXPECT_EQ(graph_of("/g"), "/g");
    EXPECT_EQ(graph_of("/g/p"), "/g");
    EXPECT_EQ(graph_of("/g/p:i"), "/g");
    EXPECT_EQ(ptask_of("/g/p:i"), "/g/p");
}

TEST(MaliciousName, WhatIsNoName) {
    for (const std::string_view name : {""sv,
                                        "/"sv,
                                        "g"sv,
                                        "//"sv,
                                        "//g"sv,
                                        "/g/"sv,
                                        "/g:p"sv,
                                        "/g/p:"sv,
                                        "/g/:i"sv,
                                        "/g/p:i:j"sv,
                                        "/g/p/q"sv,
                                        "/g/p:i/q"sv,
                                        "/.."sv,
                                        "/."sv,
                                        "/-g"sv,
                                        "/g h"sv,
                                        "/g\n"sv,
                                        "/g\0"sv,
                                        "/gr\xc3\xb6\xc3\x9f"
                                        "e"sv,
                                        "/g/../h"sv}) {
        auto parts = parse_name(name);
        ASSERT_FALSE(parts) << name;
        EXPECT_EQ(parts.error().code, EINVAL);
    }
    EXPECT_TRUE(parse_name("/" + std::string(name_part_bytes_max, 'x')));
    EXPECT_FALSE(parse_name("/" + std::string(name_part_bytes_max + 1, 'x')));
}

}  // namespace
}  // namespace yoke::control
