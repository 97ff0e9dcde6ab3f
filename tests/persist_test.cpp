// Graphs with endpoints and graphs that persist, with real programs: yoke starts them, FIFOs and files feed them, and
// workers and yoked die.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <poll.h>
#include <sys/stat.h>

#include <csignal>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "base/fd.hpp"
#include "cli_program.hpp"
#include "support/instance.hpp"
#include "support/process_tree.hpp"

namespace yoke::test {
namespace {

using testing::HasSubstr;

constexpr std::size_t count = 64;

// Adds 1 to 64 integers; `ends` are lines for the two channels.
std::string graph_text(const std::string& in, const std::string& out, const std::string& head = "") {
    return R"(name = "/sums"
)" + head +
           R"(
[ptask.add]
function = "add"
source = 'kernel void add(global const uint *a, global uint *b) { b[get_global_id(0)] = a[get_global_id(0)] + 1; }'
arguments = ["in", "out"]
[ptask.add.port.in]
direction = "in"
type = "u32"
extent = [64]
[ptask.add.port.out]
direction = "out"
type = "u32"
extent = [64]
[channel.numbers]
destination = "add:in"
)" + in + R"(
[channel.results]
source = "add:out"
)" + out;
}

std::string source(const std::string& kind, const std::string& path) {
    return "source = { " + kind + " = \"" + path + "\" }\n";
}
std::string destination(const std::string& kind, const std::string& path) {
    return "destination = { " + kind + " = \"" + path + "\" }\n";
}

std::string numbers(std::uint32_t datablocks, std::uint32_t first) {
    std::string text;
    for (std::uint32_t i = 0; i < datablocks * count; ++i) {
        const std::uint32_t value = first + i;
        text.append(reinterpret_cast<const char*>(&value), sizeof value);
    }
    return text;
}

class PersistTest : public CliTest {
   protected:
    void SetUp() override {
        CliTest::SetUp();
        ::signal(SIGPIPE, SIG_IGN);
        instance.emplace();
        ASSERT_TRUE(instance->ready()) << instance->error();
        environment["YOKE_SOCKET"] = instance->socket();
        for (const char* name : {"in", "out"}) {
            ASSERT_EQ(::mkfifo(path(name).c_str(), 0600), 0);
        }
    }
    void TearDown() override {
        instance.reset();
        CliTest::TearDown();
    }
    [[nodiscard]] std::string write_graph(const std::string& head = "") const {
        return write("sums.toml", graph_text(source("fifo", path("in")), destination("fifo", path("out")), head));
    }
    // What the graph makes of some numbers, with programs that do nothing but open FIFOs.
    [[nodiscard]] std::string through_fifos(const std::string& data) const {
        std::thread writer([&] {
            const Fd in(::open(path("in").c_str(), O_WRONLY | O_CLOEXEC));
            EXPECT_EQ(::write(in.get(), data.data(), data.size()), static_cast<ssize_t>(data.size()));
        });
        std::string got;
        const Fd out(::open(path("out").c_str(), O_RDONLY | O_CLOEXEC));
        while (got.size() < data.size()) {
            char buffer[4096];
            pollfd ready{out.get(), POLLIN, 0};
            if (::poll(&ready, 1, 60'000) != 1) {
                ADD_FAILURE() << "only " << got.size() << " bytes came";
                break;
            }
            const ssize_t bytes = ::read(out.get(), buffer, sizeof buffer);
            if (bytes <= 0) {
                break;
            }
            got.append(buffer, static_cast<std::size_t>(bytes));
        }
        writer.join();
        return got;
    }
    [[nodiscard]] std::string state_of(const std::string& graph) const {
        const auto answer = instance->ask({{"op", "list"}, {"kind", "graphs"}});
        if (!answer) {
            return "no answer";
        }
        for (const auto& record : answer->body["graphs"]) {
            if (record["name"] == graph) {
                return record.value("state", "");
            }
        }
        return "none";
    }
    void expect_state(const std::string& state) const {
        EXPECT_TRUE(eventually([&] { return state_of("/sums") == state; })) << state_of("/sums");
    }

    std::optional<Instance> instance;
};

TEST_F(PersistTest, RunsFromFifoToFifoWithNobodyElseAlive) {
    const Finished started = yoke({"graph", "start", write_graph(), "--persist"});
    ASSERT_EQ(started.exit, 0) << started.err;
    EXPECT_THAT(started.err, HasSubstr("/sums"));
    EXPECT_EQ(through_fifos(numbers(3, 0)), numbers(3, 1));
    EXPECT_EQ(through_fifos(numbers(2, 100)), numbers(2, 101));  // the next writer, the next reader
    EXPECT_EQ(state_of("/sums"), "running");
}

TEST_F(PersistTest, ComesBackAfterTheDeathOfItsWorker) {
    ASSERT_EQ(yoke({"graph", "start", write_graph("persist = true")}).exit, 0);
    EXPECT_EQ(through_fifos(numbers(1, 0)), numbers(1, 1));
    const auto pids = instance->worker_pids();
    ASSERT_EQ(pids.size(), 1U);
    instance->kill_worker(pids[0]);
    // Nobody asks for it.
    expect_state("running");
    EXPECT_NE(instance->worker_pids(), pids);
    EXPECT_EQ(through_fifos(numbers(2, 7)), numbers(2, 8));
}

TEST_F(PersistTest, ComesBackAfterTheEndOfYoked) {
    ASSERT_EQ(yoke({"graph", "start", write_graph(), "--persist"}).exit, 0);
    ASSERT_EQ(instance->stop(SIGTERM), 0);
    ASSERT_TRUE(instance->start()) << instance->error();
    expect_state("running");
    EXPECT_EQ(through_fifos(numbers(2, 7)), numbers(2, 8));
}

TEST_F(PersistTest, StopKeepsItsDefinitionAndRmForgets) {
    ASSERT_EQ(yoke({"graph", "start", write_graph(), "--persist"}).exit, 0);
    std::filesystem::remove(path("sums.toml"));
    ASSERT_EQ(yoke({"graph", "stop", "/sums"}).exit, 0);
    EXPECT_EQ(state_of("/sums"), "stopped");
    EXPECT_EQ(::open(path("in").c_str(), O_WRONLY | O_NONBLOCK), -1);  // nobody reads it any more
    EXPECT_THAT(yoke({"graph", "ls"}).out, HasSubstr("stopped"));
    ASSERT_EQ(instance->stop(SIGTERM), 0);
    ASSERT_TRUE(instance->start()) << instance->error();
    EXPECT_EQ(state_of("/sums"), "stopped");
    EXPECT_TRUE(instance->worker_pids().empty());

    const Finished again = yoke({"graph", "start", "sums"});
    ASSERT_EQ(again.exit, 0) << again.err;
    EXPECT_EQ(through_fifos(numbers(1, 5)), numbers(1, 6));
    ASSERT_EQ(yoke({"graph", "rm", "/sums"}).exit, 0);
    EXPECT_EQ(state_of("/sums"), "none");
    EXPECT_EQ(yoke({"graph", "rm", "/sums"}).exit, 5);
    EXPECT_EQ(yoke({"graph", "start", "sums"}).exit, 5);
}

TEST_F(PersistTest, EndpointThatIsNotThereYetIsWaitedFor) {
    ASSERT_EQ(yoke({"graph", "start", write_graph(), "--persist"}).exit, 0);
    ASSERT_EQ(instance->stop(SIGTERM), 0);
    std::filesystem::rename(path("in"), path("away"));
    ASSERT_TRUE(instance->start()) << instance->error();
    EXPECT_TRUE(eventually([&] { return state_of("/sums") == "waiting"; }));
    const Finished listed = yoke({"graph", "ls"});
    EXPECT_THAT(listed.out, HasSubstr(path("in"))) << "the error names the endpoint";
    std::filesystem::rename(path("away"), path("in"));
    expect_state("running");
    EXPECT_EQ(through_fifos(numbers(1, 5)), numbers(1, 6));
}

TEST_F(PersistTest, MissingEndpointIsAnErrorOfStart) {
    std::filesystem::remove(path("in"));
    const Finished started = yoke({"graph", "start", write_graph(), "--persist"});
    EXPECT_EQ(started.exit, 1) << started.err;
    EXPECT_THAT(started.err, HasSubstr(path("in")));
    EXPECT_THAT(started.err, HasSubstr("/sums/numbers"));
    EXPECT_EQ(state_of("/sums"), "none");
}

// The writer stays: what fails the graph is its reader.
TEST_F(PersistTest, ReaderThatGoesFailsAGraphThatDoesNotPersist) {
    Invocation start = command({"graph", "start", write_graph()});
    start.while_running = [&](pid_t pid) {
        expect_state("running");
        const Fd in(::open(path("in").c_str(), O_WRONLY | O_CLOEXEC));
        ::kill(pid, SIGSTOP);  // which would end with the graph
        EXPECT_EQ(through_fifos(numbers(1, 0)), numbers(1, 1));
        expect_state("failed");
        const std::string error = "endpoint " + path("out") + " of channel /sums/results has lost its reader";
        EXPECT_THAT(yoke({"graph", "show", "/sums"}).out, HasSubstr("/sums: failed\nerror: " + error));
        EXPECT_THAT(yoke({"graph", "why", "/sums"}).out, HasSubstr("graph /sums has failed: " + error));
        ::kill(pid, SIGCONT);
    };
    const Finished finished = run(start);
    EXPECT_EQ(finished.exit, 1);
    EXPECT_THAT(finished.err, HasSubstr("graph /sums has failed: endpoint " + path("out")));
    EXPECT_TRUE(eventually([&] { return state_of("/sums") == "none"; }));
    EXPECT_EQ(::open(path("in").c_str(), O_WRONLY | O_NONBLOCK), -1);
}

TEST_F(PersistTest, FileToFileEndsWithItsFile) {
    const std::string data = write("data", numbers(20, 0));
    const std::string file = write("sums.toml", graph_text(source("file", data), destination("file", path("results"))));
    ASSERT_EQ(yoke({"graph", "start", file, "--persist"}).exit, 0);
    EXPECT_TRUE(eventually([&] { return read("results") == numbers(20, 1); }));
    EXPECT_EQ(read("results"), numbers(20, 1));
    ASSERT_EQ(yoke({"graph", "rm", "sums"}).exit, 0);
}

TEST_F(PersistTest, MaliciousDefinitionIsRefusedAndNamed) {
    ASSERT_EQ(yoke({"graph", "start", write_graph(), "--persist"}).exit, 0);
    ASSERT_EQ(instance->stop(SIGTERM), 0);
    const std::string kept = instance->directory() + "/state/yoke/running/sums.json";
    ASSERT_TRUE(std::filesystem::exists(kept));
    std::ofstream(kept, std::ios::app) << R"({"op":"terminate_graph","name":"/other"})"
                                       << "\n";
    ASSERT_TRUE(instance->start()) << instance->error();
    EXPECT_TRUE(eventually([&] { return state_of("/sums") == "waiting"; }));
    EXPECT_THAT(yoke({"graph", "ls"}).out, HasSubstr("sums.json"));
    EXPECT_EQ(yoke({"graph", "rm", "sums"}).exit, 0);
    EXPECT_FALSE(std::filesystem::exists(kept));
}

}  // namespace
}  // namespace yoke::test
