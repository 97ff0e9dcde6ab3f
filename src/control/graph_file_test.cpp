// Graph files: the example of the documentation, then a table of mistakes, each with its place and sentence; each case
// is one change to a smallest complete graph.
#include "control/graph_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "control/schema.hpp"

namespace yoke::control {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;
using testing::StartsWith;

class Folder {
   public:
    Folder() : path_(testing::TempDir() + "/graph-XXXXXX") {
        if (::mkdtemp(path_.data()) == nullptr) {
            ADD_FAILURE() << "no temporary folder";
        }
    }
    ~Folder() { std::filesystem::remove_all(path_); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    std::string write(const std::string& name, std::string_view text) const {
        std::ofstream(path_ + "/" + name, std::ios::binary) << text;
        return path_ + "/" + name;
    }
    [[nodiscard]] const std::string& path() const { return path_; }

   private:
    std::string path_;
};

// The smallest complete graph, as lines that a test may change.
constexpr std::string_view small = R"(name = "/g"
[ptask.a]
source = "kernel void f(global int *i, global int *o) { *o = *i; }"
function = "f"
arguments = ["i", "o"]
[ptask.a.port.i]
direction = "in"
type = "i32"
extent = [4]
[ptask.a.port.o]
direction = "out"
type = "i32"
extent = [4]
[channel.x]
destination = "a:i"
[channel.y]
source = "a:o"
)";

std::string changed(std::string_view from, std::string_view to) {
    std::string text(small);
    const std::size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return text.replace(at, from.size(), to);
}

Error error_of(std::string_view text) {
    auto graph = parse_graph(text, "g.toml", "");
    EXPECT_FALSE(graph);
    return graph ? Error{0, ""} : graph.error();
}

template <typename T>
T value_of(const ArgumentDefinition& argument) {
    T value{};
    EXPECT_EQ(argument.constant.size(), sizeof(value));
    std::memcpy(&value, argument.constant.data(), std::min(sizeof(value), argument.constant.size()));
    return value;
}

TEST(GraphFile, ExampleOfTheDocumentation) {
    std::stringstream page;
    page << std::ifstream(YOKE_DOCS "/graph.md").rdbuf();
    std::string text = page.str();
    const std::size_t begin = text.find("```toml\n");
    ASSERT_NE(begin, std::string::npos);
    text = text.substr(begin + 8, text.find("\n```\n", begin) - begin - 7);
    const Folder folder;
    std::filesystem::create_directory(folder.path() + "/kernels");
    folder.write("kernels/bilateral.cl", "kernel void bilateral() {}\n");
    auto graph = load_graph(folder.write("depth.toml", text));
    ASSERT_TRUE(graph) << graph.error().message;
    EXPECT_EQ(graph->name, "/depth");
    ASSERT_THAT(graph->ptasks, SizeIs(2));
    const PtaskDefinition& filter = graph->ptasks[0];
    EXPECT_EQ(filter.name, "/depth/filter");
    EXPECT_EQ(filter.kernel.source, "kernel void bilateral() {}\n");
    EXPECT_THAT(filter.kernel.source_name, testing::EndsWith("bilateral.cl"));
    EXPECT_THAT(filter.kernel.geometry, ElementsAre(640, 480, 1));
    EXPECT_THAT(filter.kernel.local, ElementsAre(16, 16, 1));
    ASSERT_THAT(filter.arguments, SizeIs(7));
    EXPECT_EQ(filter.arguments[0].port, "/depth/filter:in");
    EXPECT_THAT((value_of<std::array<std::int32_t, 2>>(filter.arguments[2])), ElementsAre(640, 480));
    EXPECT_EQ(value_of<std::int32_t>(filter.arguments[4]), 4);
    EXPECT_EQ(value_of<float>(filter.arguments[5]), 2.5F);
    EXPECT_THAT(graph->ptasks[1].kernel.geometry, ElementsAre(0, 0, 0));
    EXPECT_THAT(graph->ptasks[1].kernel.source, HasSubstr("get_global_id"));
    ASSERT_THAT(graph->ports, SizeIs(4));
    EXPECT_EQ(graph->ports[3].name, "/depth/project:points");
    EXPECT_EQ(graph->ports[3].form, (TemplateDefinition{"f32x4", {640, 480, 1}, 0}));
    ASSERT_THAT(graph->channels, SizeIs(3));
    EXPECT_EQ(graph->channels[0].name, "/depth/frames");
    EXPECT_EQ(graph->channels[0].source, std::nullopt);
    EXPECT_EQ(graph->channels[0].destination, "/depth/filter:in");
    EXPECT_EQ(graph->channels[0].capacity, 4);
    EXPECT_EQ(graph->channels[1].source, "/depth/filter:out");
    EXPECT_EQ(graph->channels[1].destination, "/depth/project:depth");
    EXPECT_EQ(graph->channels[1].capacity, 8);
}

TEST(GraphFile, ObjectsKeepTheOrderOfTheFile) {
    auto graph = parse_graph(std::string(small) + R"([ptask.0]
source = "x"
function = "f"
arguments = ["z"]
port.z = { direction = "in-out", type = "u8", extent = [1], init = true }
[channel.0c]
source = "0:z"
)",
                             "g.toml", "");
    ASSERT_TRUE(graph) << graph.error().message;
    EXPECT_EQ(graph->ptasks[1].name, "/g/0");
    EXPECT_EQ(graph->channels[2].name, "/g/0c");
}

TEST(GraphFile, DefinitionsSurviveMessages) {
    auto graph = parse_graph(changed(R"(["i", "o"])", R"(["i", "o", { u8 = 7 }, { f32 = [1, 2, 3] }])"), "g.toml", "");
    ASSERT_TRUE(graph) << graph.error().message;
    for (const PortDefinition& port : graph->ports) {
        const Json message = message_of(port);
        EXPECT_EQ(*check_request(Peer::client_to_worker, message), "open_port");
        EXPECT_EQ(port_from(message), port);
    }
    for (const PtaskDefinition& ptask : graph->ptasks) {
        const Json message = message_of(ptask);
        auto checked = check_request(Peer::client_to_worker, message);
        ASSERT_TRUE(checked) << checked.error().message;
        EXPECT_EQ(ptask_from(message), ptask);
    }
    for (const ChannelDefinition& channel : graph->channels) {
        const Json message = message_of(channel);
        EXPECT_EQ(*check_request(Peer::client_to_worker, message), "open_channel");
        EXPECT_EQ(channel_from(message), channel);
    }
}

TEST(GraphFile, Constants) {
    const auto argument = [](const std::string& constant) {
        auto graph = parse_graph(changed(R"(["i", "o"])", R"(["i", "o", )" + constant + "]"), "g.toml", "");
        EXPECT_TRUE(graph) << graph.error().message;
        return graph ? graph->ptasks[0].arguments[2] : ArgumentDefinition{};
    };
    EXPECT_EQ(value_of<std::int8_t>(argument("{ i8 = -128 }")), -128);
    EXPECT_EQ(value_of<std::uint8_t>(argument("{ u8 = 255 }")), 255);
    EXPECT_EQ(value_of<std::int16_t>(argument("{ i16 = -2 }")), -2);
    EXPECT_EQ(value_of<std::uint16_t>(argument("{ u16 = 65535 }")), 65535);
    EXPECT_EQ(value_of<std::uint32_t>(argument("{ u32 = 4294967295 }")), 4294967295U);
    EXPECT_EQ(value_of<std::int64_t>(argument("{ i64 = -9223372036854775808 }")), INT64_MIN);
    EXPECT_EQ(value_of<std::uint64_t>(argument("{ u64 = 9223372036854775807 }")), 9223372036854775807U);
    EXPECT_EQ(value_of<float>(argument("{ f32 = 0.1 }")), 0.1F);
    EXPECT_EQ(value_of<double>(argument("{ f64 = 3 }")), 3.0);
    EXPECT_TRUE(std::isinf(value_of<float>(argument("{ f32 = -inf }"))));
    EXPECT_THAT((value_of<std::array<float, 4>>(argument("{ f32 = [1, 2.5, 3] }"))), ElementsAre(1, 2.5F, 3, 0));
    EXPECT_THAT((value_of<std::array<std::uint8_t, 8>>(argument("{ u8 = [1, 2, 3, 4, 5, 6, 7, 8] }"))),
                ElementsAre(1, 2, 3, 4, 5, 6, 7, 8));
    EXPECT_THAT(argument(R"({ hex = "00ff7F" })").constant, ElementsAre(0, 255, 127));
}

TEST(GraphFile, EachMistakeHasItsPlace) {
    struct Case {
        std::string_view from;
        std::string_view to;
        std::string message;
    };
    const std::vector<Case> cases{
        {"name = \"/g\"", "name = /g", "g.toml:1:8: "},
        {"name = \"/g\"", "", "g.toml:1:1: the file has no name; add it"},
        {"\"/g\"", "\"g\"", "g.toml:1:8: \"g\" is no name of an object"},
        {"\"/g\"", "\"/g/a\"", "g.toml:1:8: \"/g/a\" is not the kind of name needed here; write /graph"},
        {"\"/g\"", "7", "g.toml:1:8: name must be a string, not integer"},
        {"name = \"/g\"", "name = \"/g\"\nnames = 1",
         "g.toml:2:1: \"names\" is unknown in a graph file; known are name"},
        {"function = \"f\"", "function = \"f\"\nfunction = \"g\"", "g.toml:5:"},
        {"function = \"f\"", "", "g.toml:2:1: ptask \"a\" has no function; add it"},
        {"function = \"f\"", "function = \"\"", "g.toml:4:12: function must not be empty"},
        {"function = \"f\"", "funktion = \"f\"", "g.toml:4:1: \"funktion\" is unknown in ptask \"a\""},
        {"function = \"f\"", "function = \"f\"\nkernel = \"a.cl\"", "g.toml:2:1: ptask \"a\" must have either kernel"},
        {"source = \"kernel void", "sauce = \"kernel void", "g.toml:3:1: \"sauce\" is unknown"},
        {"function = \"f\"", "function = \"f\"\ngeometry = 4", "g.toml:5:12: geometry must be an array, not integer"},
        {"function = \"f\"", "function = \"f\"\ngeometry = []", "g.toml:5:12: geometry has 0 numbers"},
        {"function = \"f\"", "function = \"f\"\ngeometry = [1, 2, 3, 4]", "g.toml:5:12: geometry has 4 numbers"},
        {"function = \"f\"", "function = \"f\"\ngeometry = [4, -1]", "g.toml:5:16: geometry is -1; 1 to 4294967295"},
        {"function = \"f\"", "function = \"f\"\ngeometry = [5]\nlocal = [4]", "g.toml:6:9: local 4 does not divide"},
        {"function = \"f\"", "function = \"f\"\noptions = true", "g.toml:5:11: options must be a string, not boolean"},
        {"[\"i\", \"o\"]", "\"i\"", "g.toml:5:13: arguments must be an array, not string"},
        {"[\"i\", \"o\"]", "[\"i\"]", "g.toml:5:13: port \"/g/a:o\" is not among the arguments"},
        {"[\"i\", \"o\"]", "[\"i\", \"p\"]", "g.toml:5:19: argument \"p\" is no port of this ptask"},
        {"[\"i\", \"o\"]", "[\"i\", 7]", "g.toml:5:19: an argument that is no constant must be a string"},
        {"[\"i\", \"o\"]", "[\"i\", \"o\", {}]", "g.toml:5:24: a constant has one type"},
        {"[\"i\", \"o\"]", "[\"i\", \"o\", { i32 = 1, u8 = 1 }]", "g.toml:5:24: a constant has one type"},
        {"[\"i\", \"o\"]", "[\"i\", \"o\", { int = 1 }]", "g.toml:5:26: \"int\" is no type of a constant"},
        {"[\"i\", \"o\"]", "[\"i\", \"o\", { u8 = 256 }]", "g.toml:5:31: constant 256 does not fit u8"},
        {"[\"i\", \"o\"]", "[\"i\", \"o\", { u64 = -1 }]", "g.toml:5:32: constant -1 does not fit u64"},
        {"[\"i\", \"o\"]", "[\"i\", \"o\", { u8 = 1.0 }]", "g.toml:5:31: a constant of type u8 must be an integer"},
        {"[\"i\", \"o\"]", "[\"i\", \"o\", { f32 = 1e39 }]", "g.toml:5:32: constant 1e+39 does not fit f32"},
        {"[\"i\", \"o\"]", "[\"i\", \"o\", { f32 = true }]", "g.toml:5:32: a constant of type f32 must be a number"},
        {"[\"i\", \"o\"]", "[\"i\", \"o\", { f32 = [1] }]", "g.toml:5:32: a constant has 1 numbers"},
        {"[\"i\", \"o\"]", "[\"i\", \"o\", { f64 = [1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6] }]",
         "g.toml:5:32: a constant has 128 bytes; at most 64 are allowed"},
        {"[\"i\", \"o\"]", "[\"i\", \"o\", { hex = \"abc\" }]", "g.toml:5:32: hexadecimal text has an odd number"},
        {"[\"i\", \"o\"]", "[\"i\", \"o\", { hex = \"\" }]", "g.toml:5:32: a constant must have at least one byte"},
        {"direction = \"in\"", "direction = \"up\"",
         "g.toml:7:13: direction \"up\" must be \"in\", \"out\" or \"in-out\""},
        {"direction = \"in\"\n", "", "g.toml:6:1: port \"i\" has no direction; add it"},
        {"type = \"i32\"", "type = \"i33\"", "g.toml:8:8: \"i33\" is no element type; use i8"},
        {"extent = [4]", "extent = [0]", "g.toml:9:11: extent is 0; 1 to"},
        {"extent = [4]", "extent = [1073741824, 2]", "g.toml:9:10: template i32 1073741824x2 is too large"},
        {"extent = [4]", "extent = [4]\nstride = 15", "g.toml:10:10: template i32 4 stride 15 has a stride"},
        {"extent = [4]", "extent = [4]\nstep = 15", "g.toml:10:1: \"step\" is unknown in port \"i\""},
        {"[ptask.a.port.i]", "[ptask.a.port.\"i j\"]", "g.toml:6:15: \"/g/a:i j\" is no name of an object"},
        {"[channel.x]", "[channel.a]", "g.toml:14:10: \"/g/a\" names a ptask and a channel"},
        {"destination = \"a:i\"", "", "g.toml:14:10: channel \"/g/x\" has neither source nor destination"},
        {"destination = \"a:i\"", "destination = \"a:j\"",
         "g.toml:14:10: destination \"/g/a:j\" of channel \"/g/x\" is no"},
        {"destination = \"a:i\"", "destination = \"a\"",
         "g.toml:15:15: destination \"a\" is no port; write ptask:port"},
        {"destination = \"a:i\"", "destination = \"/g/a:i\"", "g.toml:15:15: destination \"/g/a:i\" is no port"},
        {"destination = \"a:i\"", "destination = \"a:o\"",
         "g.toml:14:10: destination \"/g/a:o\" of channel \"/g/x\" is an out port; name an in port"},
        {"destination = \"a:i\"", "source = \"a:i\"",
         "g.toml:14:10: source \"/g/a:i\" of channel \"/g/x\" is an in port; name an out port"},
        {"[channel.y]\nsource = \"a:o\"", "",
         "g.toml:10:15: port \"/g/a:o\" has no channel; add a channel that begins"},
        {"destination = \"a:i\"", "destination = \"a:i\"\n[channel.z]\ndestination = \"a:i\"",
         "g.toml:16:10: port \"/g/a:i\" has channel \"/g/x\" already; give channel \"/g/z\" another port"},
        {"destination = \"a:i\"", "destination = \"a:i\"\ncapacity = 0", "g.toml:16:12: capacity is 0; 1 to 4096"},
        {"destination = \"a:i\"\n[channel.y]\nsource = \"a:o\"", "destination = \"a:i\"\nsource = \"a:o\"",
         "g.toml:14:10: channel \"/g/x\" closes a circle of ptasks"},
    };
    for (const Case& wrong : cases) {
        const Error error = error_of(changed(wrong.from, wrong.to));
        EXPECT_EQ(error.code, EINVAL) << wrong.to;
        EXPECT_THAT(error.message, StartsWith(wrong.message)) << wrong.to;
        EXPECT_THAT(error.message, testing::Not(HasSubstr("\n")));
    }
}

TEST(GraphFile, MistakesOfTheWholeFile) {
    EXPECT_THAT(error_of("").message, StartsWith("g.toml:1:1: the file has no name"));
    EXPECT_THAT(error_of("name = \"/g\"").message, HasSubstr("graph \"/g\" has no ptask"));
    EXPECT_THAT(error_of("name = \"/g\"\nptask = 3").message,
                StartsWith("g.toml:2:9: ptask must be a table of tables"));
    EXPECT_THAT(error_of("name = \"/g\"\n[ptask]\na = 3").message,
                StartsWith("g.toml:3:5: ptask \"a\" must be a table"));
    EXPECT_THAT(error_of("name = \"/g\"\n[[ptask]]\n").message, HasSubstr("must be a table of tables, not array"));
    EXPECT_EQ(error_of(std::string(graph_file_bytes_max + 1, ' ')).code, EMSGSIZE);
}

// A mistake in what the second half of the format says; each case is one change to the smallest graph.
TEST(GraphFile, EachMistakeOfAnUnusualGraphHasItsPlace) {
    struct Case {
        std::string_view from;
        std::string_view to;
        std::string message;
    };
    const std::string_view in = "direction = \"in\"";
    const std::string_view out = "direction = \"out\"";
    const std::string_view function = "function = \"f\"";
    const std::string_view x = "destination = \"a:i\"";
    const std::string_view y = "source = \"a:o\"";
    const std::vector<Case> cases{
        {"name = \"/g\"", "name = \"/g\"\npersist = 1", "g.toml:2:11: persist must be true or false, not integer"},
        {"name = \"/g\"", "name = \"/g\"\nmode = \"0800\"", "g.toml:2:8: mode \"0800\" is none; write octal digits"},
        {"name = \"/g\"", "name = \"/g\"\nmode = \"1777\"", "g.toml:2:8: mode \"1777\" is none"},
        {"name = \"/g\"", "name = \"/g\"\nmode = \"\"", "g.toml:2:8: mode \"\" is none"},
        {in, "direction = \"in\"\nsticky = \"yes\"", "g.toml:8:10: sticky must be true or false, not string"},
        {out, "direction = \"out\"\nsticky = true", "g.toml:10:15: port \"/g/a:o\" is sticky but no in port"},
        {out, "direction = \"out\"\nhold = true", "g.toml:10:15: port \"/g/a:o\" has hold but is no in port"},
        {out, "direction = \"out\"\ninit = true", "g.toml:10:15: port \"/g/a:o\" has init but takes no datablocks"},
        {in, "direction = \"in\"\nsticky = true\nhold = true", "g.toml:6:15: port \"/g/a:i\" is more than one of"},
        {in, "direction = \"in\"\ninit = true",
         "g.toml:6:15: port \"/g/a:i\" has init, so it makes its datablocks itself, and the channel \"/g/x\" brings"},
        {in, "direction = \"in\"\ninitial = { i32 = 1 }", "g.toml:6:15: port \"/g/a:i\" has an initial value but no"},
        {in, "direction = \"in\"\ninit = true\ninitial = 1", "g.toml:9:11: initial must be a constant"},
        {in, "direction = \"in\"\ninit = true\ninitial = { i64 = 1 }",
         "g.toml:6:15: port \"/g/a:i\" has an initial value of another size than its element"},
        {in, "direction = \"in\"\nmeta = \"shape\"", "g.toml:8:8: meta \"shape\" must be \"size\" or \"iterations\""},
        {in, "direction = \"in\"\nmeta = \"size\"", "g.toml:8:8: meta size needs of, the out port"},
        {in, "direction = \"in\"\nof = \"o\"", "g.toml:8:6: of is for meta ports only"},
        {in, "direction = \"in\"\nmeta = \"iterations\"", "g.toml:5:14: argument \"i\" is a meta or descriptor port"},
        {out, "direction = \"out\"\nmeta = \"iterations\"", "g.toml:10:15: port \"/g/a:o\" is a meta port but no in"},
        {out, "direction = \"out\"\ndescriptor = \"i\"",
         "g.toml:10:15: port \"/g/a:o\" is a descriptor port of another template"},
        {in, "direction = \"in\"\ndescriptor = \"o\"", "g.toml:6:15: port \"/g/a:i\" is a descriptor port but no out"},
        {out, "direction = \"out\"\ndescriptor = \"o o\"", "g.toml:12:14: \"/g/a:o o\" is no name of an object"},
        {"[\"i\", \"o\"]", "[\"i\", \"o\", { count = \"p\" }]", "g.toml:5:34: argument \"p\" is no port of this ptask"},
        {"[\"i\", \"o\"]", "[\"i\", { extent = \"o\" }]", "g.toml:5:13: port \"/g/a:o\" is not among the arguments"},
        {function, "function = \"f\"\nform = \"spirv\"", "g.toml:5:8: form \"spirv\" must be \"opencl\""},
        {function, "function = \"f\"\nform = \"service\"", "g.toml:5:8: form \"service\" must be"},
        {function, "function = \"f\"\nform = \"client\"", "g.toml:3:10: ptask \"a\" is a service or a function of the"},
        {function, "function = \"f\"\nservice = \"sha256\"", "g.toml:3:10: ptask \"a\" is a service or a function"},
        {function, "function = \"f\"\nparams = [{ u32 = 1 }]", "g.toml:5:10: params is for services only"},
        {function, "function = \"f\"\ndecrypt = true", "g.toml:5:11: decrypt is for services only"},
        {function, "function = \"f\"\ngeometry_from = \"p p\"", "g.toml:5:17: \"/g/a:p p\" is no name of an object"},
        {function, "function = \"f\"\ngeometry_from = []", "g.toml:5:17: geometry_from has 0 elements"},
        {function, "function = \"f\"\ngeometry = [4]\ngeometry_from = \"i\"", "g.toml:6:17: geometry is given too"},
        {function, "function = \"f\"\npriority = 11", "g.toml:5:12: priority is 11; 0 to 10 are allowed"},
        {function, "function = \"f\"\ndeadline = 0", "g.toml:5:12: deadline is 0; 1 to 86400000 are allowed"},
        {function, "function = \"f\"\nform = [1]", "g.toml:5:9: form must be tables; write [[ptask.NAME.form]]"},
        {function, "function = \"f\"\nform = [{ sauce = \"x\" }]", "g.toml:5:11: \"sauce\" is unknown in a form of"},
        {function, "function = \"f\"\nform = [{ options = \"x\" }]", "g.toml:5:9: ptask \"a\" must have either kernel"},
        {x, "destination = \"a:i\"\nback = true", "g.toml:14:10: channel \"/g/x\" is marked back but has an outer end"},
        {x, "destination = \"a:i\"\nwhen = \"on start\"", "g.toml:16:8: \"start\" is no control signal; known are"},
        {x, "destination = \"a:i\"\nwhen = \"never\"\nsource_when = \"never\"", "g.toml:16:8: when is the same as"},
        {x, "destination = \"a:i\"\nsource = { fifo = 1 }", "g.toml:16:19: fifo must be a string, not integer"},
        {x, "destination = \"a:i\"\nsource = { pipe = \"p\" }",
         "g.toml:16:12: \"pipe\" is unknown in source; known are"},
        {x, "destination = \"a:i\"\nsource = { }", "g.toml:16:10: source names no endpoint; write for example"},
        {x, "destination = \"a:i\"\nsource = { fifo = \"a\", file = \"b\" }", "g.toml:16:"},
        {x, "destination = \"a:i\"\nsource = { fifo = \"a\", repeat = true }",
         "g.toml:14:10: channel \"/g/x\" repeats what is no file to be read"},
        {y, "source = \"a:o\"\ndestination = { file = \"a\", raw = true }", "g.toml:16:10: channel \"/g/y\" is raw"},
        {x, "destination = \"a:i\"\nsource = { uinput = \"a\" }", "g.toml:14:10: channel \"/g/x\" begins at uinput"},
        {x, "destination = { file = \"a\" }\nsource = { file = \"b\" }",
         "g.toml:15:15: channel \"/g/x\" has an endpoint at either end"},
        {y, "source = \"a:o\"\ndestination = { v4l2 = \"a\" }", "g.toml:16:10: channel \"/g/y\" ends at a V4L2 device"},
    };
    for (const Case& wrong : cases) {
        const Error error = error_of(changed(wrong.from, wrong.to));
        EXPECT_EQ(error.code, EINVAL) << wrong.to;
        EXPECT_THAT(error.message, StartsWith(wrong.message)) << wrong.to;
    }
}

// Two ptasks in a loop, with a circle that tests change.
constexpr std::string_view loop = R"(name = "/g"
[ptask.a]
source = "x"
function = "f"
arguments = ["i", "o"]
port.i = { direction = "in", type = "i32", extent = [4] }
port.o = { direction = "out", type = "i32", extent = [4] }
[ptask.b]
source = "x"
function = "f"
arguments = ["i", "o", { count = "i" }, { extent = "o" }]
port.i = { direction = "in", type = "i32", extent = [4] }
port.o = { direction = "out", type = "i32", extent = [4] }
[channel.in]
destination = "a:i"
[channel.forward]
source = "a:o"
destination = "b:i"
[channel.again]
source = "b:o"
destination = "a:i"
back = true
when = "unless iteration-end"
[channel.out]
source = "b:o"
source_when = "on iteration-end"
destination_when = "close-on end|user-1"
)";

TEST(GraphFile, LoopsAndSeveralChannelsFromOnePort) {
    auto graph = parse_graph(loop, "g.toml", "");
    ASSERT_TRUE(graph) << graph.error().message;
    EXPECT_TRUE(graph->channels[2].back);
    EXPECT_EQ(predicate_text(graph->channels[2].source_when), "unless iteration-end");
    EXPECT_EQ(predicate_text(graph->channels[3].source_when), "on iteration-end");
    EXPECT_EQ(predicate_text(graph->channels[3].destination_when), "close-on end|user-1");
    EXPECT_EQ(graph->ptasks[1].arguments[2].tells, ArgumentDefinition::Tells::count);
    EXPECT_EQ(graph->ptasks[1].arguments[3].tells, ArgumentDefinition::Tells::extent);
    EXPECT_EQ(graph->ptasks[1].arguments[3].port, "/g/b:o");
}

std::string changed_loop(std::string_view from, std::string_view to) {
    std::string text(loop);
    const std::size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return text.replace(at, from.size(), to);
}

TEST(GraphFile, LoopsThatAreNone) {
    EXPECT_THAT(error_of(changed_loop("back = true\n", "")).message,
                HasSubstr("19:10: port \"/g/a:i\" has channel \"/g/in\" already"));
    EXPECT_THAT(error_of(changed_loop("destination = \"b:i\"\n", "destination = \"b:i\"\nback = true\n")).message,
                HasSubstr("port \"/g/b:i\" has only the channel \"/g/forward\", which is marked back"));
    EXPECT_THAT(error_of(changed_loop("[channel.in]\ndestination = \"a:i\"\n", "")).message,
                StartsWith("g.toml:6:6: port \"/g/a:i\" has only the channel \"/g/again\", which is marked back"));
    EXPECT_THAT(
        error_of(changed_loop("source = \"b:o\"\ndestination = \"a:i\"\nback", "source = \"b:o\"\nback")).message,
        HasSubstr("channel \"/g/again\" is marked back but has an outer end"));
    // A loop that makes its first datablock itself.
    std::string own = changed_loop("[channel.in]\ndestination = \"a:i\"\n", "");
    own.replace(own.find("\"in\", type"), 4, "\"in\", init = true, initial = { i32 = -1 }");
    auto graph = parse_graph(own, "g.toml", "");
    ASSERT_TRUE(graph) << graph.error().message;
    EXPECT_THAT(graph->ports[0].initial, ElementsAre(255, 255, 255, 255));
}

TEST(GraphFile, AChannelMarkedBackMustCloseACircle) {
    std::string text = changed_loop("source = \"a:o\"\ndestination = \"b:i\"\n", "source = \"a:o\"\n") +
                       "[channel.feed]\ndestination = \"b:i\"\n";
    EXPECT_THAT(error_of(text).message, HasSubstr("channel \"/g/again\" is marked back but closes no circle"));
}

TEST(GraphFile, FormsOfAPtask) {
    const Folder folder;
    folder.write("f.cl", "kernel void f() {}");
    folder.write("f.cu", "__global__ void f() {}");
    folder.write("f.cubin", std::string_view("\x7f"
                                             "ELF\0\xff",
                                             6));
    auto graph = load_graph(folder.write("g.toml", R"(name = "/g"
persist = true
mode = "0640"
[ptask.a]
kernel = "f.cl"
function = "f"
geometry_from = ["o", "largest-input"]
arguments = ["i", "o", "x"]
priority = 8
deadline = 250
port.i = { direction = "in", type = "u8", extent = [64], sticky = true, variable = true }
port.x = { direction = "in-out", type = "f32x3", extent = [4], init = true, initial = { f32 = [1, 2, 3] } }
port.o = { direction = "out", type = "u8", extent = [64], variable = true }
port.n = { direction = "in", type = "u32", extent = [1], meta = "size", of = "o" }
port.k = { direction = "in", type = "u32", extent = [1], meta = "iterations" }
port.d = { direction = "out", type = "u64", extent = [4], descriptor = "i" }
[[ptask.a.form]]
kernel = "f.cu"
[[ptask.a.form]]
kernel = "f.cubin"
function = "_Z1f"
geometry = [1]
[ptask.h]
service = "sha256"
params = [{ u32 = 64 }]
port.in = { direction = "in", type = "u8", extent = [64], variable = true }
port.out = { direction = "out", type = "u8", extent = [32] }
[channel.i]
source = { file = "/dev/zero", repeat = true, raw = true }
destination = "a:i"
[channel.n]
destination = "a:n"
[channel.k]
destination = "a:k"
[channel.x]
source = "a:x"
[channel.d]
source = "a:d"
[channel.o]
source = "a:o"
destination = "h:in"
[channel.hash]
source = "h:out"
destination = { fifo = "/run/hash" }
)"));
    ASSERT_TRUE(graph) << graph.error().message;
    EXPECT_TRUE(graph->persist);
    EXPECT_EQ(graph->mode, 0640U);
    const PtaskDefinition& a = graph->ptasks[0];
    EXPECT_EQ(a.kernel.form, "opencl");
    EXPECT_THAT(a.kernel.geometry_from, ElementsAre("/g/a:o", "largest-input", ""));
    EXPECT_EQ(a.priority, 8);
    EXPECT_EQ(a.deadline_ns, 250'000'000U);
    ASSERT_THAT(a.others, SizeIs(2));
    EXPECT_EQ(a.others[0].form, "cuda");
    EXPECT_EQ(a.others[0].function, "f");
    EXPECT_EQ(a.others[0].geometry_from, a.kernel.geometry_from);
    EXPECT_EQ(a.others[1].form, "cubin");
    EXPECT_EQ(a.others[1].source, std::string("\x7f"
                                              "ELF\0\xff",
                                              6));
    EXPECT_EQ(a.others[1].function, "_Z1f");
    EXPECT_THAT(a.others[1].geometry, ElementsAre(1, 1, 1));
    EXPECT_EQ(a.others[1].geometry_from[0], "");
    EXPECT_THAT(graph->ports[1].initial, SizeIs(12)) << "an element is packed";
    EXPECT_EQ(graph->ports[3].of, "/g/a:o");
    EXPECT_EQ(graph->ports[5].of, "/g/a:i");
    const PtaskDefinition& h = graph->ptasks[1];
    EXPECT_EQ(h.kernel.form, "service");
    EXPECT_EQ(h.kernel.function, "sha256");
    EXPECT_EQ(h.kernel.parameters.size(), 48U);
    EXPECT_EQ(h.kernel.parameters[0], 64);
    EXPECT_THAT(h.arguments, SizeIs(2)) << "without arguments: its ports in their order";
    EXPECT_EQ(graph->channels[0].endpoint,
              (EndpointDefinition{EndpointDefinition::Kind::file, "/dev/zero", true, true}));
    EXPECT_EQ(graph->channels[6].endpoint, (EndpointDefinition{EndpointDefinition::Kind::fifo, "/run/hash", false}));
    for (const PtaskDefinition& ptask : graph->ptasks) {
        auto passes = check_request(Peer::client_to_worker, message_of(ptask));
        EXPECT_TRUE(passes) << passes.error().message;
        EXPECT_EQ(ptask_from(message_of(ptask)), ptask);
    }
    for (const PortDefinition& port : graph->ports) {
        auto passes = check_request(Peer::client_to_worker, message_of(port));
        EXPECT_TRUE(passes) << passes.error().message;
        EXPECT_EQ(port_from(message_of(port)), port);
    }
    for (const ChannelDefinition& channel : graph->channels) {
        auto passes = check_request(Peer::client_to_worker, message_of(channel));
        EXPECT_TRUE(passes) << passes.error().message;
        EXPECT_EQ(channel_from(message_of(channel)), channel);
    }
    EXPECT_TRUE(check_request(Peer::client_to_worker, graph_message_of(*graph)));
}

TEST(GraphFile, WhatCannotPersist) {
    const auto persistent = [](const std::string& text) { return "persist = true\n" + text; };
    std::string function(small);
    const std::size_t at = function.find("source = ");
    function.replace(at, function.find("arguments") - at, "form = \"client\"\n");
    ASSERT_TRUE(parse_graph(function, "g.toml", ""));
    EXPECT_THAT(error_of(persistent(function)).message,
                StartsWith("g.toml:3:8: ptask \"/g/a\" is a function of its client's process, which a graph that"));
    const std::string endpoint = changed("destination = \"a:i\"", "destination = \"a:i\"\nsource = { fifo = \"f\" }");
    EXPECT_THAT(error_of(persistent(endpoint)).message,
                StartsWith("g.toml:17:19: the path \"f\" of a persistent graph's endpoint must begin with /"));
    const Folder folder;
    auto graph = load_graph(folder.write("g.toml", endpoint));
    ASSERT_TRUE(graph) << graph.error().message;
    EXPECT_EQ(graph->channels[0].endpoint->path, std::filesystem::absolute(folder.path() + "/f").lexically_normal());
}

TEST(GraphFile, TemplatesOfAnInnerChannelMustBeEqual) {
    const auto joined = [](std::string_view port) {
        return std::string(small.substr(0, small.find("[channel.y]"))) + R"([ptask.b]
source = "x"
function = "f"
arguments = ["i"]
[ptask.b.port.i]
direction = "in-out"
)" + std::string(port) +
               "\n[channel.y]\nsource = \"a:o\"\ndestination = \"b:i\"\n[channel.z]\nsource = \"b:i\"\n";
    };
    EXPECT_TRUE(parse_graph(joined("type = \"i32\"\nextent = [4]"), "g.toml", ""));
    EXPECT_TRUE(parse_graph(joined("type = \"i32\"\nextent = [4]\nstride = 16"), "g.toml", ""));
    std::string variable = joined("type = \"i32\"\nextent = [4]");
    variable.replace(variable.find("\"out\""), 5, "\"out\"\nvariable = true");
    EXPECT_THAT(error_of(variable).message, HasSubstr("/g/a:o is variable, /g/b:i is not; make it variable too"));
    EXPECT_THAT(
        error_of(joined("type = \"u32\"\nextent = [4]")).message,
        testing::EndsWith("channel \"/g/y\" joins ports with different templates: /g/a:o is i32 4, /g/b:i is u32 4"));
    EXPECT_THAT(error_of(joined("type = \"i32\"\nextent = [2, 2]")).message, HasSubstr("/g/b:i is i32 2x2"));
    EXPECT_THAT(error_of(joined("type = \"i32\"\nextent = [4]\nstride = 32")).message, HasSubstr("stride 32"));
}

TEST(GraphFile, KernelFiles) {
    const Folder folder;
    const auto with_kernel = [](std::string_view name) {
        std::string text(small);
        const std::size_t begin = text.find("source = \"kernel");
        return text.replace(begin, text.find('\n', begin) - begin, "kernel = \"" + std::string(name) + "\"");
    };
    const auto load = [&](std::string_view name) { return load_graph(folder.write("g.toml", with_kernel(name))); };
    folder.write("good.cl", "kernel void f() {}");
    EXPECT_TRUE(load("good.cl"));
    EXPECT_TRUE(load(folder.path() + "/good.cl")) << "absolute";
    folder.write("empty.cl", "");
    folder.write("latin.cl", "// \xfc");
    folder.write("zero.cl", std::string_view("a\0b", 3));
    folder.write("huge.cl", std::string(kernel_bytes_max + 1, ' '));
    EXPECT_EQ(load("none.cl").error().code, ENOENT);
    EXPECT_EQ(load("none.cl").error().message,
              folder.path() + "/g.toml:3:10: cannot read " + folder.path() + "/none.cl: No such file or directory");
    EXPECT_THAT(load("empty.cl").error().message, HasSubstr("the program of ptask \"a\" is empty"));
    EXPECT_THAT(load("latin.cl").error().message, HasSubstr("is no UTF-8 text"));
    EXPECT_THAT(load("zero.cl").error().message, HasSubstr("is no UTF-8 text"));
    EXPECT_EQ(load("huge.cl").error().code, EMSGSIZE);
    EXPECT_THAT(load(".").error().message, HasSubstr("it is no regular file"));
    EXPECT_THAT(load("/dev/zero").error().message, HasSubstr("it is no regular file"));
    EXPECT_THAT(parse_graph(with_kernel("good.cl"), "g.toml", "").error().message,
                HasSubstr("kernel files are not read here"));
    EXPECT_EQ(load_graph(folder.path() + "/none.toml").error().code, ENOENT);
}

TEST(MaliciousGraphFile, ForeignTextInMessagesIsEscaped) {
    const Error error = error_of("name = \"/g\"\n\"\\u001b[31m\\n\" = 1\n");
    EXPECT_THAT(error.message, HasSubstr("\"\\x1b[31m\\n\" is unknown"));
}

}  // namespace
}  // namespace yoke::control
