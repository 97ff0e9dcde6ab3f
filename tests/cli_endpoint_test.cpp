// `yoke graph start` of graphs between endpoints: the command ends when the streams are through and everything is
// written, and what came before an error is written, too. With a real daemon.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "cli_instance.hpp"
#include "support/process_tree.hpp"

namespace yoke::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr std::size_t items = 1024;
constexpr std::size_t datablock_bytes = items * sizeof(std::uint32_t);

// Adds 1 to numbers, from one end to the other; "": a program pushes or pulls. `extra` are lines of both ports.
std::string graph_text(const std::string& source, const std::string& destination, const std::string& extra = "") {
    std::string text = R"(name = "/sums"
[ptask.add]
function = "plus"
source = 'kernel void plus(global const uint *a, global uint *b) { b[get_global_id(0)] = a[get_global_id(0)] + 1; }'
arguments = ["in", "out"]
)";
    for (const char* const port : {"in", "out"}) {
        text += std::string("[ptask.add.port.") + port + "]\ndirection = \"" + port +
                "\"\ntype = \"u32\"\nextent = [1024]\n" + extra;
    }
    text += "[channel.numbers]\ndestination = \"add:in\"\n" + (source.empty() ? "" : "source = " + source + "\n");
    return text + "[channel.results]\nsource = \"add:out\"\n" +
           (destination.empty() ? "" : "destination = " + destination + "\n");
}

std::string numbers(std::size_t datablocks, std::uint32_t first) {
    std::string text;
    for (std::uint32_t i = 0; i < datablocks * items; ++i) {
        const std::uint32_t value = first + i;
        text.append(reinterpret_cast<const char*>(&value), sizeof value);
    }
    return text;
}

std::string read_all(const std::string& file) {
    std::ifstream stream(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

// The same numbers twice: into `kept`, and into a channel of 8 datablocks that a program may pull from.
std::string twice_text(const std::string& source, const std::string& kept, std::size_t extent = items) {
    std::string text = R"(name = "/sums"
[ptask.add]
function = "plus"
source = """kernel void plus(global const uint *a, global uint *b, global uint *c) {
    b[get_global_id(0)] = c[get_global_id(0)] = a[get_global_id(0)] + 1;
}"""
arguments = ["in", "kept", "seen"]
)";
    for (const char* const port : {"in", "kept", "seen"}) {
        text += std::string("[ptask.add.port.") + port + "]\ndirection = \"" + (port[0] == 'i' ? "in" : "out") +
                "\"\ntype = \"u32\"\nextent = [" + std::to_string(extent) + "]\n";
    }
    text += "[channel.numbers]\ndestination = \"add:in\"\n" + (source.empty() ? "" : "source = " + source + "\n");
    text += "[channel.results]\nsource = \"add:kept\"\ndestination = " + kept + "\n";
    return text + "[channel.seen]\nsource = \"add:seen\"\ncapacity = 8\n";
}

// a + b, datablocks of 4 MiB.
std::string large_sum_text(const std::string& destination) {
    std::string text = R"(name = "/sums"
[ptask.add]
function = "plus"
source = """kernel void plus(global const uint *a, global const uint *b, global uint *c) {
    c[get_global_id(0)] = a[get_global_id(0)] + b[get_global_id(0)];
}"""
arguments = ["a", "b", "c"]
)";
    for (const char* const port : {"a", "b", "c"}) {
        text += std::string("[ptask.add.port.") + port + "]\ndirection = \"" + (port[0] == 'c' ? "out" : "in") +
                "\"\ntype = \"u32\"\nextent = [1048576]\n";
    }
    return text +
           "[channel.a]\ndestination = \"add:a\"\n[channel.b]\ndestination = \"add:b\"\n[channel.c]\nsource = "
           "\"add:c\"\ndestination = " +
           destination + "\n";
}

// From when there is something to when the last writer has gone.
std::string read_to_end(int fd) {
    pollfd look{fd, POLLIN, 0};
    EXPECT_EQ(::poll(&look, 1, 60'000), 1);
    ::fcntl(fd, F_SETFL, 0);
    std::string out;
    std::string bytes(65536, '\0');
    for (ssize_t count = 0; (count = ::read(fd, bytes.data(), bytes.size())) > 0;) {
        out.append(bytes, 0, static_cast<std::size_t>(count));
    }
    return out;
}

class CliEndpoint : public CliInstanceTest {
   protected:
    [[nodiscard]] std::string file(const std::string& name) const { return "{ file = \"" + path(name) + "\" }"; }
    [[nodiscard]] std::string fifo(const std::string& name) const {
        EXPECT_EQ(::mkfifo(path(name).c_str(), 0600), 0);
        return "{ fifo = \"" + path(name) + "\" }";
    }
    // Of a FIFO, before it has a writer.
    [[nodiscard]] int idle_reader(const std::string& name) const {
        const int fd = ::open(path(name).c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        EXPECT_GE(fd, 0);
        return fd;
    }
    [[nodiscard]] std::vector<std::string> start(const std::string& text,
                                                 const std::vector<std::string>& more = {}) const {
        std::vector<std::string> arguments{"graph", "start", write("sums.toml", text)};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return arguments;
    }
    [[nodiscard]] nlohmann::json record() const {
        const auto answer = nlohmann::json::parse(yoke({"ls", "graphs", "--json"}).out, nullptr, false);
        for (const auto& graph : answer["graphs"]) {
            if (graph["name"] == "/sums") {
                return graph;
            }
        }
        return {};
    }
};

TEST_F(CliEndpoint, AGraphFromFileToFileEndsByItself) {
    write("in", numbers(40, 0));
    const Finished finished = yoke(start(graph_text(file("in"), file("out"))));
    EXPECT_EQ(finished.exit, 0) << finished.err;
    EXPECT_THAT(finished.err, HasSubstr("yoke: /sums has ended"));
    EXPECT_TRUE(read("out") == numbers(40, 1));
    EXPECT_TRUE(record().is_null());

    const Finished json = yoke(start(graph_text(file("in"), file("out")), {"--json"}));
    EXPECT_EQ(json.exit, 0) << json.err;
    EXPECT_EQ(nlohmann::json::parse(json.err, nullptr, false)["graph"], "/sums") << json.err;
}

TEST_F(CliEndpoint, AnEmptyFileIsAnEmptyStream) {
    write("in", "");
    const Finished finished = yoke(start(graph_text(file("in"), file("out"))));
    EXPECT_EQ(finished.exit, 0) << finished.err;
    EXPECT_EQ(read("out"), "");
    EXPECT_EQ(files().count("out"), 1U);
}

// Its reader comes late: until then the graph runs and says whom it waits for.
TEST_F(CliEndpoint, AGraphFromFifoToFifoEndsWhenItsReaderHasAll) {
    Invocation starting = command(start(graph_text(fifo("in"), fifo("out"))));
    starting.hold_input = true;
    std::string out;
    starting.while_running = [&](pid_t) {
        std::ofstream(path("in"), std::ios::binary) << numbers(3, 0);
        EXPECT_TRUE(eventually([&] {
            return yoke({"graph", "why", "sums"}).out.find("channel /sums/results has ended") != std::string::npos;
        }));
        EXPECT_THAT(yoke({"graph", "why", "sums"}).out, HasSubstr(path("out") + ", waits until somebody reads it"));
        EXPECT_EQ(record()["state"], "running");
        out = read_all(path("out"));
    };
    const Finished finished = run(starting);
    EXPECT_EQ(finished.exit, 0) << finished.err;
    EXPECT_TRUE(out == numbers(3, 1));
}

TEST_F(CliEndpoint, AGraphThatPersistsStays) {
    write("in", numbers(5, 0));
    const Finished finished = yoke(start(graph_text(file("in"), file("out")), {"--persist"}));
    EXPECT_EQ(finished.exit, 0) << finished.err;
    EXPECT_THAT(finished.err, HasSubstr("/sums runs and persists"));
    EXPECT_TRUE(eventually([&] { return record()["state"] == "ended"; }));
    EXPECT_TRUE(read("out") == numbers(5, 1));
    EXPECT_EQ(yoke({"graph", "rm", "sums"}).exit, 0);
}

TEST_F(CliEndpoint, AGraphThatOthersPullFromRunsOn) {
    write("in", numbers(2, 0));
    Invocation starting = command(start(graph_text(file("in"), "")));
    starting.hold_input = true;
    starting.while_running = [&](pid_t pid) {
        EXPECT_TRUE(eventually([&] { return record()["state"] == "ended"; }));
        EXPECT_EQ(yoke({"pull", "/sums/results", path("out")}).exit, 0);
        ::kill(pid, SIGINT);
    };
    EXPECT_EQ(run(starting).exit, 130);
    EXPECT_TRUE(read("out") == numbers(2, 1));
}

// What was pushed is on its way when the last push has ended.
TEST_F(CliEndpoint, WhatIsPushedIsWrittenBeforeTheCommandEnds) {
    const std::string input = write("in", numbers(60, 0));
    const Finished finished = yoke(start(graph_text("", file("out")), {"--push", "numbers=" + input}));
    EXPECT_EQ(finished.exit, 0) << finished.err;
    EXPECT_TRUE(read("out") == numbers(60, 1));
}

// Also where nobody pulls what else comes out: the command stays until the reader of a FIFO has all.
TEST_F(CliEndpoint, WhatIsPushedIsWrittenWhereNobodyPullsTheRest) {
    constexpr std::size_t large = 1024;  // times as long as elsewhere
    const std::string input = write("in", numbers(3 * large, 0));
    const std::string sink = fifo("out");
    const int reader = idle_reader("out");
    Invocation starting = command(start(twice_text("", sink, large * items), {"--push", "numbers=" + input}));
    starting.hold_input = true;
    std::string out;
    starting.while_running = [&](pid_t pid) {
        EXPECT_TRUE(eventually([&] {
            return has_ended(pid) || yoke({"graph", "why", "sums"}).out.find("is written") != std::string::npos;
        }));
        for (int look = 0; look < 50; ++look) {
            ASSERT_FALSE(has_ended(pid)) << "a datablock of 4 MiB does not fit into the FIFO";
            EXPECT_EQ(yoke({"graph", "why", "sums"}).exit, 0);
        }
        out = read_to_end(reader);
    };
    const Finished finished = run(starting);
    ::close(reader);
    EXPECT_EQ(finished.exit, 0) << finished.err;
    EXPECT_THAT(finished.err, AllOf(HasSubstr("3 datablocks pushed"),
                                    HasSubstr("nobody has pulled the 3 datablocks in /sums/seen, which are gone")));
    EXPECT_TRUE(out == numbers(3 * large, 1)) << out.size();
}

// One that cannot come to its end does not keep the command for ever, and is no success.
TEST_F(CliEndpoint, AGraphThatStandsStillBehindThePushIsTold) {
    write("in", numbers(20, 0));
    std::string text = twice_text(file("in"), file("out"));
    text += R"([ptask.other]
function = "same"
source = "kernel void same(global const uint *a, global uint *b) { b[get_global_id(0)] = a[get_global_id(0)]; }"
arguments = ["in", "out"]
port.in = { direction = "in", type = "u32", extent = [4] }
port.out = { direction = "out", type = "u32", extent = [4] }
[channel.others]
destination = "other:in"
[channel.copies]
source = "other:out"
)";
    const Finished finished = yoke(start(
        text, {"--push", "others=" + write("others", std::string(64, 'x')), "--pull", "copies=" + path("copies")}));
    EXPECT_EQ(finished.exit, 1) << finished.err;
    EXPECT_THAT(finished.err, AllOf(HasSubstr("graph /sums does not come to its end: ptask /sums/add waits: channel "
                                              "/sums/seen is full (8 datablocks); pull from it"),
                                    HasSubstr("start the graph with --pull seen=FILE")));
    EXPECT_TRUE(read("out") == numbers(8, 1)) << "what could be made is written";
    EXPECT_EQ(read("copies").size(), 64U);
}

TEST_F(CliEndpoint, WhatCameBeforeASurplusIsWritten) {
    constexpr std::size_t large_bytes = std::size_t{4} << 20U;
    const std::string ones(8 * large_bytes, '\1');
    const std::string sink = fifo("out");
    const int reader = idle_reader("out");
    Invocation starting = command(start(large_sum_text(sink), {"--push", "a=" + write("as", ones), "--push",
                                                               "b=" + write("bs", ones.substr(0, 5 * large_bytes))}));
    starting.hold_input = true;
    std::string out;
    starting.while_running = [&](pid_t) { out = read_to_end(reader); };
    const Finished finished = run(starting);
    ::close(reader);
    EXPECT_EQ(finished.exit, 1) << finished.err;
    EXPECT_THAT(finished.err, HasSubstr("channel /sums/a left 3 datablocks"));
    EXPECT_TRUE(out == std::string(5 * large_bytes, '\2')) << out.size();
}

TEST_F(CliEndpoint, APushedFileThatIsCutOffIsWorkedOffUpToTheCut) {
    const std::string input = write("in", numbers(30, 0) + "tail");
    const Finished finished = yoke(start(graph_text("", file("out")), {"--push", "numbers=" + input}));
    EXPECT_EQ(finished.exit, 1) << finished.err;
    EXPECT_THAT(finished.err, HasSubstr("4 bytes are left of 4096"));
    EXPECT_TRUE(read("out") == numbers(30, 1)) << read("out").size();

    const Finished pulled = yoke(start(graph_text("", ""), {"--push", "numbers=" + input, "--pull", "results=-"}));
    EXPECT_EQ(pulled.exit, 1) << pulled.err;
    EXPECT_TRUE(pulled.out == numbers(30, 1)) << pulled.out.size();
    const Finished kept =
        yoke(start(graph_text("", ""), {"--push", "numbers=" + input, "--pull", "results=" + path("results")}));
    EXPECT_EQ(kept.exit, 1) << kept.err;
    EXPECT_EQ(files().count("results"), 0U) << "only what is whole is put in its place";
}

TEST_F(CliEndpoint, AFileThatIsCutOffIsWorkedOffUpToTheCut) {
    write("in", numbers(30, 0) + "tail");
    const Finished finished = yoke(start(graph_text(file("in"), file("out"))));
    EXPECT_EQ(finished.exit, 1) << finished.err;
    EXPECT_THAT(finished.err, AllOf(HasSubstr("graph /sums has failed: endpoint " + path("in")),
                                    HasSubstr("ends at byte 122884, in the middle of a datablock"),
                                    HasSubstr("4 bytes are left of 4096")));
    EXPECT_TRUE(read("out") == numbers(30, 1));
}

// A file of --pull is put in its place only when it is whole.
TEST_F(CliEndpoint, WhoPullsHearsOfTheCutBehindTheLastDatablock) {
    write("in", numbers(30, 0) + "tail");
    const std::string text = graph_text(file("in"), "");
    const Finished named = yoke(start(text, {"--pull", "results=" + path("out")}));
    EXPECT_EQ(named.exit, 1) << named.err;
    EXPECT_THAT(named.err,
                AllOf(HasSubstr("graph /sums has failed: endpoint " + path("in")), HasSubstr("ends at byte 122884")));
    EXPECT_EQ(files().count("out"), 0U);
    const Finished piped = yoke(start(text, {"--pull", "results=-"}));
    EXPECT_EQ(piped.exit, 1) << piped.err;
    EXPECT_TRUE(piped.out == numbers(30, 1));
}

TEST_F(CliEndpoint, ASinkThatFailsFailsTheCommand) {
    write("in", numbers(30, 0));
    const Finished full = yoke(start(graph_text(file("in"), "{ file = \"/dev/full\" }")));
    EXPECT_EQ(full.exit, 1) << full.err;
    EXPECT_THAT(full.err, AllOf(HasSubstr("graph /sums has failed: endpoint /dev/full"), HasSubstr("No space left")));

    write("in", numbers(3000, 0));
    Invocation starting = command(start(graph_text(file("in"), fifo("fifo"))));
    starting.hold_input = true;
    starting.while_running = [&](pid_t) {
        std::ifstream reader(path("fifo"), std::ios::binary);
        reader.get();
    };
    const Finished left = run(starting);
    EXPECT_EQ(left.exit, 1) << left.err;
    EXPECT_THAT(left.err, HasSubstr(path("fifo") + " of channel /sums/results has lost its reader"));
}

// A stage's output brings a header, which must fit the port, as with yoke push.
TEST_F(CliEndpoint, WhatAStageWritesIsItsRecords) {
    write("in", "YOKESTREAM 1 u32 1024 fixed unit=0.5\n" + numbers(7, 0));
    const Finished finished = yoke(start(graph_text(file("in"), file("out"))));
    EXPECT_EQ(finished.exit, 0) << finished.err;
    EXPECT_TRUE(read("out") == numbers(7, 1));

    write("in", "YOKESTREAM 1 u16 1024 fixed\n" + numbers(7, 0));
    const Finished other = yoke(start(graph_text(file("in"), file("out"))));
    EXPECT_EQ(other.exit, 1) << other.err;
    EXPECT_THAT(other.err, AllOf(HasSubstr(path("in") + " of channel /sums/numbers is a stream of fixed u16 1024"),
                                 HasSubstr("port /sums/add:in takes u32 1024; push what fits, or raw = true")));
    EXPECT_EQ(read("out"), "");

    write("in", ("YOKESTREAM 1 u16 1024 fixed\n" + numbers(2, 0)).substr(0, datablock_bytes));
    std::string raw = file("in");
    raw.insert(raw.size() - 1, ", raw = true");
    const Finished taken = yoke(start(graph_text(raw, file("out"))));
    EXPECT_EQ(taken.exit, 0) << taken.err;
    EXPECT_EQ(read("out").size(), datablock_bytes);
    EXPECT_EQ(yoke({"graph", "check", write("bad.toml", graph_text(file("in"), raw))}).exit, 1);
}

TEST_F(CliEndpoint, RecordsOfAStageComeThroughAFifo) {
    write("twice.cl",
          "kernel void twice(global const uint *a, global uint *b) { b[get_global_id(0)] = 2 * a[get_global_id(0)]; }");
    Invocation starting = command(start(graph_text(fifo("in"), file("out"))));
    starting.hold_input = true;
    starting.while_running = [&](pid_t) {
        const int writer = ::open(path("in").c_str(), O_WRONLY | O_CLOEXEC);
        Invocation stage = command({"stage", path("twice.cl")});
        stage.input = "YOKESTREAM 1 u32 1024 fixed\n" + numbers(3, 0);
        stage.output_fd = writer;
        EXPECT_EQ(run(stage).exit, 0);
        ::close(writer);
    };
    const Finished finished = run(starting);
    EXPECT_EQ(finished.exit, 0) << finished.err;
    std::string expected;
    for (std::uint32_t i = 0; i < 3 * items; ++i) {
        const std::uint32_t value = 2 * i + 1;
        expected.append(reinterpret_cast<const char*>(&value), sizeof value);
    }
    EXPECT_TRUE(read("out") == expected);
}

// Before anything is emptied.
TEST_F(CliEndpoint, AFileIsNotReadAndWrittenAtOnce) {
    write("in", numbers(5, 0));
    std::filesystem::create_symlink(path("in"), path("link"));
    const auto refused = [&](const std::vector<std::string>& arguments, const std::string& what) {
        const Finished finished = yoke(arguments);
        EXPECT_EQ(finished.exit, 1) << finished.err;
        EXPECT_THAT(finished.err, HasSubstr(what));
        EXPECT_TRUE(read("in") == numbers(5, 0));
    };
    refused(start(graph_text(file("in"), file("link"))), "must not write what it reads");
    refused(start(graph_text("", file("link")), {"--push", "numbers=" + path("in")}),
            path("in") + " is to be pushed, and channel /sums/results writes into it");

    Invocation append = command(start(graph_text(file("in"), ""), {"--pull", "results=-"}));
    append.output_fd = ::open(path("in").c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
    const Finished appended = run(append);
    EXPECT_EQ(appended.exit, 1) << appended.err;
    EXPECT_THAT(appended.err, HasSubstr("the output, standard output, is the same file as the input, " + path("in")));
    Invocation call = command({"call", "echo", "-i", path("in")});
    call.output_fd = append.output_fd;
    EXPECT_EQ(run(call).exit, 1);
    ::close(append.output_fd);
    EXPECT_TRUE(read("in") == numbers(5, 0));
}

}  // namespace
}  // namespace yoke::test
