// `yoke push`, `yoke pull` and `yoke graph start --push` where the input is what a stage has written, where the graph
// goes away, and where it does not move; with a real daemon.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli_instance.hpp"
#include "support/process_tree.hpp"

namespace yoke::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

// Adds 1 to numbers; `extra` are lines of both ports.
std::string graph_text(const std::string& extent = "[4, 4]", const std::string& extra = "") {
    std::string text = R"(name = "/sums"
[ptask.add]
function = "plus"
source = 'kernel void plus(global const uint *a, global uint *b) { size_t i = get_global_id(0) + get_global_id(1) * get_global_size(0); b[i] = a[i] + 1; }'
arguments = ["in", "out"]
[channel.numbers]
destination = "add:in"
capacity = 4
[channel.results]
source = "add:out"
capacity = 4
)";
    for (const char* const port : {"in", "out"}) {
        text += std::string("[ptask.add.port.") + port + "]\ndirection = \"" + port +
                "\"\ntype = \"u32\"\nextent = " + extent + "\n" + extra;
    }
    return text;
}

std::string numbers(std::uint32_t count, std::uint32_t first) {
    std::string text;
    for (std::uint32_t i = 0; i < count; ++i) {
        const std::uint32_t value = first + i;
        text.append(reinterpret_cast<const char*>(&value), sizeof value);
    }
    return text;
}

class CliPush : public CliInstanceTest {
   protected:
    // What comes out of the graph when `input` is pushed.
    [[nodiscard]] Finished through(const std::string& graph, const std::string& input,
                                   const std::vector<std::string>& more = {}) const {
        std::vector<std::string> arguments{"graph",  "start",    write("sums.toml", graph), "--push", "numbers=-",
                                           "--pull", "results=-"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return yoke(arguments, input);
    }
    // @before: what comes out of the graph nevertheless.
    void refuses(const std::string& input, const std::string& what, const std::string& before = "") const {
        const Finished finished = through(graph_text(), input);
        EXPECT_EQ(finished.exit, 1) << finished.err;
        EXPECT_THAT(finished.err, HasSubstr(what));
        EXPECT_EQ(finished.out, before);
    }
};

TEST_F(CliPush, TheHeaderOfAStreamIsNoData) {
    const Finished stream = through(graph_text(), "YOKESTREAM 1 u32 4x4 fixed unit=0.5\n" + numbers(32, 7));
    EXPECT_EQ(stream.exit, 0) << stream.err;
    EXPECT_TRUE(stream.out == numbers(32, 8));
    const Finished raw = through(graph_text(), numbers(32, 7));
    EXPECT_TRUE(raw.out == numbers(32, 8));
    const Finished empty = through(graph_text(), "YOKESTREAM 1 u32 4x4 fixed\n");
    EXPECT_EQ(empty.exit, 0) << empty.err;
    EXPECT_EQ(empty.out, "");
}

TEST_F(CliPush, AStreamMustFitThePort) {
    refuses("YOKESTREAM 1 u16 4x4 fixed\n" + numbers(16, 0),
            "is a stream of fixed u16 4x4 records, but port /sums/add:in takes u32 4x4; push what fits, or --raw");
    refuses("YOKESTREAM 1 u32 4x5 fixed\n" + numbers(20, 0), "takes u32 4x4");
    refuses("YOKESTREAM 1 u32 4x4 variable\n", "make the port variable");
    refuses("YOKESTREAM 1 u32 4x4 fixed\n" + numbers(17, 0), "4 bytes are left of 64", numbers(16, 1));
}

TEST_F(CliPush, ABrokenHeaderIsRefusedAsSuch) {
    refuses("YOKESTREAM 1 u32 4x4 fixed", "the line is cut off");
    refuses("YOKESTREAM 1 u32 4x4 fixed " + std::string(64, 'x'), "the line is cut off");
    refuses("YOKESTREAM 1 " + std::string(8192, 'x'), "longer than 4096 bytes");
    refuses("YOKESTREAM 1 u33 4x4 fixed\n", "'u33' in the stream's header is no element type");
    refuses("YOKESTREAM 2 u32 4x4 fixed\n", "means nothing");
}

TEST_F(CliPush, RawTakesBytesAsTheyAre) {
    std::string bytes = "YOKESTREAM 1 u16 4x4 fixed\n";
    bytes.resize(64, 'x');
    const Finished raw = through(graph_text(), bytes, {"--raw"});
    EXPECT_EQ(raw.exit, 0) << raw.err;
    EXPECT_EQ(raw.out.size(), 64U);
    // The beginning of the magic word alone is data, in datablocks that are shorter than it.
    const Finished alike = through(graph_text("[1]"), "YOKESTREYOKE");
    EXPECT_EQ(alike.exit, 0) << alike.err;
    std::string expected = "YOKESTREYOKE";
    for (std::size_t i = 0; i < expected.size(); i += 4) {
        ++expected[i];
    }
    EXPECT_EQ(alike.out, expected);
}

TEST_F(CliPush, RecordsOfVariableSizeAreDatablocksOfAVariablePort) {
    const auto record = [](std::uint32_t count) {
        std::string text(8, '\0');
        text[0] = static_cast<char>(4 * count);
        return text + numbers(count, 10);
    };
    const std::string header = "YOKESTREAM 1 u32 16 variable\n";
    const std::string graph = graph_text("[16]", "variable = true\n");
    const Finished stream = through(graph, header + record(3) + record(16) + record(1));
    EXPECT_EQ(stream.exit, 0) << stream.err;
    EXPECT_TRUE(stream.out == numbers(3, 11) + numbers(16, 11) + numbers(1, 11));
    EXPECT_THAT(stream.err, HasSubstr("3 datablocks pushed, 3 pulled"));
    const auto refused = [&](const std::string& records, const std::string& what) {
        const Finished finished = through(graph, header + records);
        EXPECT_EQ(finished.exit, 1);
        EXPECT_THAT(finished.err, HasSubstr(what));
    };
    refused(record(17), "has 68 bytes; port /sums/add:in takes 1 to 16 elements of 4 bytes");
    refused(record(0), "has 0 bytes");
    refused(record(2).substr(0, 14), "6 bytes are left of 8");
    refused(record(2).substr(0, 8), "0 bytes are left of 8");
    refused(record(2).substr(0, 5), "in the middle of a record's length");
}

TEST_F(CliPush, ThatTheGraphGoesIsSaidWithWhatItHasTaken) {
    for (const std::string verb : {"stop", "rm"}) {
        ASSERT_EQ(yoke({"graph", "start", write("sums.toml", graph_text()), "--persist"}).exit, 0);
        Invocation push = command({"push", "/sums/numbers"});
        push.input = numbers(16 * 32, 0);
        push.while_running = [&](pid_t) {
            ASSERT_TRUE(eventually([&] {
                const auto shown = nlohmann::json::parse(yoke({"graph", "show", "sums", "--json"}).out, nullptr, false);
                return shown["channels"][0]["pushed"] == 8;
            }));
            EXPECT_EQ(yoke({"graph", verb, "sums"}).exit, 0);
        };
        const Finished finished = run(push);
        EXPECT_EQ(finished.exit, 1);
        EXPECT_THAT(finished.err,
                    HasSubstr("the graph of /sums/numbers was terminated (stopped or removed) when it had taken 8 "
                              "datablocks"));
        EXPECT_THAT(finished.err, Not(HasSubstr("No such file")));
        static_cast<void>(yoke({"graph", "rm", "sums"}));
    }
}

TEST_F(CliPush, AStandstillIsSpokenOf) {
    // Nobody pulls; what is said names the full channel and what to do. It ends when somebody stops the graph.
    Invocation start = command({"graph", "start", write("sums.toml", graph_text()), "--push", "numbers=-"});
    start.input = numbers(16 * 32, 0);
    detail::Pipe err;
    std::string said;
    start.while_running = [&](pid_t) {
        while (said.find('\n') == std::string::npos && err.read >= 0) {
            detail::read_into(err.read, said);
        }
        EXPECT_EQ(yoke({"graph", "stop", "sums"}).exit, 0);
    };
    start.in_child = [&] { ::dup2(err.write, STDERR_FILENO); };
    EXPECT_EQ(run(start).exit, 1);
    EXPECT_THAT(said, AllOf(HasSubstr("/sums does not move"), HasSubstr("channel /sums/results is full (4 datablocks)"),
                            HasSubstr("yoke pull /sums/results"), HasSubstr("--pull results=FILE")));
}

TEST_F(CliPush, WhatNobodyPulledIsNotLostInSilence) {
    const Finished finished =
        yoke({"graph", "start", write("sums.toml", graph_text()), "--push", "numbers=-"}, numbers(16 * 2, 0));
    EXPECT_EQ(finished.exit, 0) << finished.err;
    EXPECT_THAT(finished.err, AllOf(HasSubstr("2 datablocks pushed, 0 pulled"),
                                    HasSubstr("nobody has pulled the 2 datablocks in /sums/results"),
                                    HasSubstr("--pull results=FILE")));
}

}  // namespace
}  // namespace yoke::test
