// The commands that look at graphs, push and pull, with a real daemon: a program runs a graph, others look at it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <poll.h>

#include <csignal>
#include <nlohmann/json.hpp>

#include "cli_instance.hpp"
#include "support/process_tree.hpp"

namespace yoke::test {
namespace {

using testing::HasSubstr;
using testing::Not;

// Adds 1 to 16 integers.
const std::string graph = R"(name = "/sums"
[ptask.add]
function = "plus"
source = 'kernel void plus(global const uint *a, global uint *b) { b[get_global_id(0)] = a[get_global_id(0)] + 1; }'
arguments = ["in", "out"]
[ptask.add.port.in]
direction = "in"
type = "u32"
extent = [16]
[ptask.add.port.out]
direction = "out"
type = "u32"
extent = [16]
[channel.numbers]
destination = "add:in"
capacity = 4
[channel.results]
source = "add:out"
capacity = 4
)";

std::string numbers(std::uint32_t datablocks, std::uint32_t first) {
    std::string text;
    for (std::uint32_t i = 0; i < datablocks * 16; ++i) {
        const std::uint32_t value = first + i;
        text.append(reinterpret_cast<const char*>(&value), sizeof value);
    }
    return text;
}

TEST_F(CliTest, LookingAtGraphsNeedsADaemon) {
    for (const std::vector<std::string>& command : {std::vector<std::string>{"graph", "ls"},
                                                    {"graph", "show", "/g"},
                                                    {"graph", "dot", "/g"},
                                                    {"graph", "dot", "/g", "--live"},
                                                    {"graph", "why", "/g"},
                                                    {"push", "/g/c"},
                                                    {"pull", "/g/c"}}) {
        const Finished finished = yoke(command);
        EXPECT_EQ(finished.exit, 3) << command[0] << finished.err;
        EXPECT_THAT(finished.err, HasSubstr("yoked is not running"));
    }
}

TEST_F(CliTest, DotOfAFileNeedsNone) {
    const Finished finished = yoke({"graph", "dot", write("sums.toml", graph)});
    EXPECT_EQ(finished.exit, 0) << finished.err;
    EXPECT_THAT(finished.out, HasSubstr("digraph \"/sums\" {"));
    EXPECT_THAT(finished.out, HasSubstr("add\\nplus()"));
    EXPECT_THAT(finished.out, HasSubstr("label=\"numbers\\n4\""));
    const std::string bad = write("bad.toml", "name = 7\n");
    const Finished refused = yoke({"graph", "dot", bad});
    EXPECT_EQ(refused.exit, 1);
    EXPECT_THAT(refused.err, HasSubstr(bad + ":1:8"));
}

class CliGraphView : public CliInstanceTest {
   protected:
    void SetUp() override {
        CliInstanceTest::SetUp();
        const Finished started = yoke({"graph", "start", write("sums.toml", graph), "--persist"});
        ASSERT_EQ(started.exit, 0) << started.err;
    }
    [[nodiscard]] nlohmann::json json_of(std::vector<std::string> arguments) const {
        arguments.emplace_back("--json");
        const Finished finished = yoke(std::move(arguments));
        EXPECT_EQ(finished.exit, 0) << finished.err;
        return nlohmann::json::parse(finished.out, nullptr, false);
    }
};

TEST_F(CliGraphView, ListsGraphs) {
    EXPECT_THAT(yoke({"graph", "ls"}).out, testing::AllOf(HasSubstr("NAME"), HasSubstr("/sums"), HasSubstr("running")));
    EXPECT_THAT(yoke({"graph", "ls", "-H"}).out, testing::StartsWith("/sums\trunning\tyes\t"));
    const auto json = json_of({"graph", "ls"});
    ASSERT_EQ(json["graphs"].size(), 1U);
    EXPECT_EQ(json["graphs"][0]["name"], "/sums");
    EXPECT_EQ(json["graphs"][0]["persist"], true);
    ASSERT_EQ(yoke({"graph", "rm", "sums"}).exit, 0);
    const Finished none = yoke({"graph", "ls"});
    EXPECT_EQ(none.exit, 0);
    EXPECT_EQ(none.out, "");
    EXPECT_THAT(none.err, HasSubstr("no graphs"));
}

TEST_F(CliGraphView, PushesAndPulls) {
    const Finished pushed = yoke({"push", "/sums/numbers", "-", "--json"}, numbers(3, 10));
    EXPECT_EQ(pushed.exit, 0) << pushed.err;
    EXPECT_EQ(nlohmann::json::parse(pushed.err, nullptr, false)["pushed"], 3);
    const Finished pulled = yoke({"pull", "sums/results", "-n", "3"});
    EXPECT_EQ(pulled.exit, 0) << pulled.err;
    EXPECT_TRUE(pulled.out == numbers(3, 11));
    // The stream of a graph that persists goes on, until somebody ends it.
    ASSERT_EQ(yoke({"push", "/sums/numbers", write("data", numbers(2, 0)), "--end"}).exit, 0);
    const Finished rest = yoke({"pull", "/sums/results", path("rest")});
    EXPECT_EQ(rest.exit, 0) << rest.err;
    EXPECT_TRUE(read("rest") == numbers(2, 1));
    const Finished late = yoke({"push", "/sums/numbers", path("data")});
    EXPECT_EQ(late.exit, 1);
    EXPECT_THAT(late.err,
                testing::AllOf(HasSubstr("the stream of channel /sums/numbers has ended"),
                               HasSubstr("left 2 datablocks (128 bytes)"), HasSubstr("untaken, behind the first 0")));
}

TEST_F(CliGraphView, APushEndsTheStreamOfAGraphThatDoesNotPersist) {
    ASSERT_EQ(yoke({"graph", "rm", "sums"}).exit, 0);
    Invocation start = command({"graph", "start", path("sums.toml")});
    start.hold_input = true;
    start.while_running = [&](pid_t) {
        ASSERT_TRUE(eventually([&] { return yoke({"graph", "show", "sums"}).exit == 0; }));
        EXPECT_EQ(yoke({"push", "/sums/numbers", "-"}, numbers(2, 3)).exit, 0);
        const Finished pulled = yoke({"pull", "/sums/results"});
        EXPECT_EQ(pulled.exit, 0) << pulled.err;
        EXPECT_TRUE(pulled.out == numbers(2, 4));
        EXPECT_EQ(yoke({"graph", "stop", "sums"}).exit, 0);
    };
    EXPECT_EQ(run(start).exit, 1);
}

TEST_F(CliGraphView, BadTransfersAreExplained) {
    const auto refused = [&](const std::vector<std::string>& command, int exit, const std::string& what) {
        const Finished finished = yoke(command, numbers(1, 0));
        EXPECT_EQ(finished.exit, exit) << finished.err;
        EXPECT_THAT(finished.err, HasSubstr(what));
    };
    refused({"push", "/sums/results"}, 2, "use yoke pull");
    refused({"pull", "/sums/numbers"}, 2, "use yoke push");
    refused({"push", "/sums/none"}, 5, "the graph has /sums/numbers, /sums/results");
    refused({"push", "/none/numbers"}, 5, "there is no graph /none");
    refused({"push", "sums"}, 2, "write the channel's name, /GRAPH/CHANNEL: it has /sums/numbers");
    refused({"pull", "sums"}, 2, "write the channel's name, /GRAPH/CHANNEL: it has /sums/results");
    refused({"push", "depth"}, 5, "there is no graph /depth; `yoke graph ls` lists yours");
    refused({"push", "/sums/numbers", path("missing")}, 1, path("missing"));
    const Finished half = yoke({"push", "/sums/numbers"}, "half");
    EXPECT_EQ(half.exit, 1);
    EXPECT_THAT(half.err, HasSubstr("4 bytes are left of 64"));
}

TEST_F(CliGraphView, ShowsCounts) {
    ASSERT_EQ(yoke({"push", "/sums/numbers"}, numbers(2, 0)).exit, 0);
    ASSERT_EQ(yoke({"pull", "/sums/results", "-n", "2"}).exit, 0);
    const Finished shown = yoke({"graph", "show", "sums"});
    EXPECT_EQ(shown.exit, 0) << shown.err;
    EXPECT_THAT(shown.out,
                testing::AllOf(HasSubstr("/sums: running, persists"), HasSubstr("PTASKS"), HasSubstr("PORTS"),
                               HasSubstr("CHANNELS"), HasSubstr("u32 16"), HasSubstr("add:out")));
    const auto json = json_of({"graph", "show", "/sums"});
    EXPECT_EQ(json["graph"]["name"], "/sums");
    ASSERT_EQ(json["ptasks"].size(), 1U);
    EXPECT_EQ(json["ptasks"][0]["runs"], 2);
    EXPECT_EQ(json["ports"].size(), 2U);
    ASSERT_EQ(json["channels"].size(), 2U);
    EXPECT_EQ(json["channels"][0]["pushed"], 2);
    EXPECT_EQ(yoke({"graph", "show", "/none"}).exit, 5);
}

TEST_F(CliGraphView, SaysWhy) {
    // Nobody pulls: with every channel full the graph cannot move.
    const Finished idle = yoke({"graph", "why", "sums"});
    EXPECT_EQ(idle.exit, 0) << idle.err;
    ASSERT_EQ(yoke({"push", "/sums/numbers"}, numbers(8, 0)).exit, 0);
    const Finished full = yoke({"graph", "why", "/sums"});
    EXPECT_EQ(full.exit, 0) << full.err;
    EXPECT_THAT(full.out, HasSubstr("/sums/results"));
    const auto json = json_of({"graph", "why", "sums"});
    EXPECT_EQ(json["graph"], "/sums");
    ASSERT_TRUE(json["why"].is_array());
    EXPECT_FALSE(json["why"].empty());
    EXPECT_THAT(full.out, testing::StartsWith("ptask /sums/add waits: channel /sums/results is full (4 datablocks)"));
    EXPECT_EQ(yoke({"graph", "why", path("sums.toml")}).out, full.out) << "the file that it was started from is a name";
    EXPECT_EQ(json["why"][0]["follows"], false);
    ASSERT_EQ(yoke({"graph", "stop", "sums"}).exit, 0);
    EXPECT_EQ(yoke({"graph", "why", "sums"}).out, "graph /sums is stopped; yoke graph start /sums runs it\n");
}

TEST_F(CliGraphView, LeadsWithTheCause) {
    std::string text = "name = \"/row\"\n";
    for (const char* const name : {"c", "a", "b"}) {
        text += std::string("[ptask.") + name + R"(]
function = "copy"
source = 'kernel void copy(global const uint *a, global uint *b) { b[get_global_id(0)] = a[get_global_id(0)]; }'
arguments = ["in", "out"]
port.in = { direction = "in", type = "u32", extent = [16] }
port.out = { direction = "out", type = "u32", extent = [16] }
)";
    }
    text +=
        "[channel.in]\ndestination = \"c:in\"\n[channel.ca]\nsource = \"c:out\"\ndestination = \"a:in\"\n"
        "[channel.ab]\nsource = \"a:out\"\ndestination = \"b:in\"\n[channel.out]\nsource = \"b:out\"\n";
    ASSERT_EQ(yoke({"graph", "start", write("row.toml", text), "--persist"}).exit, 0);
    const std::string cause =
        "ptask /row/c waits: port /row/c:in has no datablock in channel /row/in; push into it (yoke push /row/in)\n";
    EXPECT_EQ(yoke({"graph", "why", "row"}).out, cause + "\n2 more wait for that (--all)\n");
    EXPECT_EQ(yoke({"graph", "why", "row", "--all"}).out,
              cause +
                  "\nptask /row/a waits for ptask /row/c: port /row/a:in has no datablock in channel /row/ca\n"
                  "ptask /row/b waits for ptask /row/a: port /row/b:in has no datablock in channel /row/ab\n");
}

TEST_F(CliGraphView, SpeaksOfCommandsWhereThereIsNoGraph) {
    const std::string file = write("other.toml", "name = \"/other\"\n" + graph.substr(graph.find('\n') + 1));
    for (const std::vector<std::string>& verb :
         {std::vector<std::string>{"stop"}, {"rm"}, {"why"}, {"show"}, {"dot", "--live"}}) {
        const auto refused = [&](const std::string& name, int exit, const std::string& what) {
            std::vector<std::string> arguments{"graph"};
            arguments.insert(arguments.end(), verb.begin(), verb.end());
            arguments.push_back(name);
            const Finished finished = yoke(arguments);
            EXPECT_EQ(finished.exit, exit) << verb[0] << name;
            EXPECT_THAT(finished.err, HasSubstr(what)) << verb[0];
            EXPECT_THAT(finished.err, Not(HasSubstr("open it first")));
        };
        refused("nope", 5, "there is no graph /nope; `yoke graph ls` lists yours");
        refused(file, 5, "graph /other of " + file + " is not there; `yoke graph start " + file + "` starts it");
        refused("none.toml", 5, "'none.toml' is neither a file nor the name of a graph");
        refused("a b", 5, "'a b' is neither a file nor the name of a graph");
        refused(write("bad.toml", "name = 7\n"), 1, path("bad.toml") + ":1:8");
    }
    const Finished start = yoke({"graph", "start", "nope"});
    EXPECT_EQ(start.exit, 5);
    EXPECT_THAT(start.err, HasSubstr("there is no file nope, and no graph /nope is kept"));
    for (const std::string name : {"", "a b"}) {
        const Finished odd = yoke({"graph", "start", name});
        EXPECT_EQ(odd.exit, 5);
        EXPECT_THAT(odd.err, HasSubstr("'" + name + "' is neither a file nor the name of a graph"));
    }
    const Finished folder = yoke({"graph", "start", directory.string()});
    EXPECT_EQ(folder.exit, 1);
    EXPECT_THAT(folder.err, HasSubstr("is a directory; name a graph file in it"));
}

TEST_F(CliGraphView, DrawsWhatRuns) {
    const Finished drawn = yoke({"graph", "dot", "sums"});
    EXPECT_EQ(drawn.exit, 0) << drawn.err;
    EXPECT_THAT(drawn.out, testing::AllOf(HasSubstr("digraph \"/sums\""), HasSubstr("\"/sums/add\":\"out.out\":s"),
                                          Not(HasSubstr("passed"))));
    EXPECT_EQ(yoke({"graph", "dot", "/none"}).exit, 5);
    EXPECT_EQ(yoke({"graph", "dot", "/none", "--live"}).exit, 5);
}

TEST_F(CliGraphView, LivePicturesHaveCountsAndEndWithTheGraph) {
    detail::Pipe out;
    Invocation live = command({"graph", "dot", "sums", "--live"});
    live.output_fd = out.write;
    std::string pictures;
    live.while_running = [&](pid_t) {
        while (pictures.find('\f') == std::string::npos) {
            pollfd ready{out.read, POLLIN, 0};
            ASSERT_EQ(::poll(&ready, 1, 60'000), 1);
            detail::read_into(out.read, pictures);
        }
        EXPECT_EQ(yoke({"graph", "stop", "sums"}).exit, 0);
        EXPECT_EQ(yoke({"graph", "rm", "sums"}).exit, 0);
    };
    live.hold_input = true;
    EXPECT_EQ(run(live).exit, 0);
    EXPECT_THAT(pictures, HasSubstr("/sums: running"));
    EXPECT_THAT(pictures, HasSubstr("0 of 4, 0 passed"));
}

}  // namespace
}  // namespace yoke::test
