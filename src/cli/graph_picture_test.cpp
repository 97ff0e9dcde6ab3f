// Pictures as text: what stands in them, and that foreign text stays within its quotes.
#include "cli/graph_picture.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace yoke::cli {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

json port(const std::string& name, const std::string& direction, const json& flags = json::array()) {
    return {{"name", name},
            {"direction", direction},
            {"flags", flags},
            {"template", {{"type", "f32x4"}, {"extent", {640, 480, 1}}, {"stride", 0}}}};
}

json channel(const std::string& name, const json& source, const json& destination) {
    return {{"name", name},
            {"source", source},
            {"destination", destination},
            {"capacity", 8},
            {"back", false},
            {"endpoint", nullptr},
            {"endpoint_kind", nullptr},
            {"source_when", "always"},
            {"datablocks", 3U},
            {"pulled", 12U},
            {"discarded", 0U},
            {"ended", false}};
}

GraphPicture chain() {
    GraphPicture picture;
    picture.name = "/g";
    picture.graph = {{"name", "/g"}, {"state", "running"}, {"error", nullptr}};
    picture.ptasks = {{{"name", "/g/first"}, {"function", "kernel_one"}, {"runs", 15U}},
                      {{"name", "/g/second"}, {"function", "second"}, {"runs", 14U}}};
    picture.ports = {port("/g/first:in", "in", {"sticky"}), port("/g/first:out", "out"),
                     port("/g/second:state", "in-out")};
    picture.channels = {channel("/g/frames", nullptr, "/g/first:in"),
                        channel("/g/between", "/g/first:out", "/g/second:state"),
                        channel("/g/again", "/g/second:state", "/g/second:state")};
    picture.channels[2]["back"] = true;
    return picture;
}

TEST(GraphPicture, DrawsPtasksAsRecordsOfTheirPorts) {
    const std::string dot = dot_of(chain(), false);
    EXPECT_THAT(dot, HasSubstr("digraph \"/g\" {"));
    EXPECT_THAT(dot, HasSubstr("\"/g/first\" [shape=Mrecord, label=\"{{<in.in> in\\nf32x4\\ 640x480\\nsticky}|"
                               "first\\nkernel_one()|{<out.out> out\\nf32x4\\ 640x480}}\"];"));
    // In both rows; the function has the ptask's name.
    EXPECT_THAT(dot, HasSubstr("<in.state> state"));
    EXPECT_THAT(dot, HasSubstr("<out.state> state"));
    EXPECT_THAT(dot, HasSubstr("|second|"));
    EXPECT_THAT(dot, Not(HasSubstr("runs")));
}

TEST(GraphPicture, DrawsChannelsFromPortToPort) {
    const std::string dot = dot_of(chain(), false);
    EXPECT_THAT(dot, HasSubstr("\"/g/first\":\"out.out\":s -> \"/g/second\":\"in.state\":n [label=\"between\\n8\"];"));
    EXPECT_THAT(dot, HasSubstr("\"outside /g/frames\" -> \"/g/first\":\"in.in\":n"));
    EXPECT_THAT(dot, HasSubstr("[label=\"again\\n8\", style=dashed, constraint=false];"));
}

TEST(GraphPicture, DrawsEndpointsAndPredicates) {
    GraphPicture picture = chain();
    picture.channels[0]["endpoint"] = "/tmp/a \"b\"\\c";
    picture.channels[0]["endpoint_kind"] = "fifo";
    picture.channels[1]["source_when"] = "unless drop";
    const std::string dot = dot_of(picture, false);
    EXPECT_THAT(dot, HasSubstr("[shape=note, label=\"fifo\\n/tmp/a \\\"b\\\"\\\\c\"];"));
    EXPECT_THAT(dot, HasSubstr("label=\"between\\n8\\nunless drop\""));
}

TEST(GraphPicture, TellsCounts) {
    GraphPicture picture = chain();
    picture.channels[1]["datablocks"] = 8U;
    picture.channels[1]["discarded"] = 2U;
    const std::string dot = dot_of(picture, true);
    EXPECT_THAT(dot, HasSubstr("label=\"/g: running\""));
    EXPECT_THAT(dot, HasSubstr("\\n15 runs"));
    EXPECT_THAT(dot, HasSubstr("label=\"frames\\n3 of 8, 12 passed\"];"));
    EXPECT_THAT(dot, HasSubstr("label=\"between\\n8 of 8, 12 passed, 2 dropped\", color=red];"));
}

TEST(GraphPicture, MaliciousTextStaysText) {
    GraphPicture picture = chain();
    picture.ptasks[0]["function"] = "f\"];\nevil [label=\"<x>{y}|z";
    picture.graph["error"] = "\"quoted\"\x01";
    const std::string dot = dot_of(picture, true);
    EXPECT_THAT(dot, Not(HasSubstr("\nevil")));
    EXPECT_THAT(dot, HasSubstr("f\\\"];"));
    EXPECT_THAT(dot, HasSubstr("\\<x\\>\\{y\\}\\|z"));
    EXPECT_THAT(dot, HasSubstr("\\\"quoted\\\"?"));
}

TEST(GraphPicture, SaysTemplates) {
    EXPECT_EQ(template_text({{"type", "u8"}, {"extent", {4, 1, 1}}}), "u8 4");
    EXPECT_EQ(template_text({{"type", "u8"}, {"extent", {4, 3, 2}}}), "u8 4x3x2");
    EXPECT_EQ(template_text({{"type", "u8"}, {"extent", {1, 1, 1}}}), "u8 1");
}

}  // namespace
}  // namespace yoke::cli
