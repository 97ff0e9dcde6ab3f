// Kernels that take their worker along, and what everybody is told: whose it was and what it did, at most twice; and
// that those who have nothing to do with it wait no longer than they must.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>
#include <optional>

#include <gmock/gmock.h>

#include "base/fd.hpp"
#include "cli_program.hpp"
#include "support/instance.hpp"

namespace yoke::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// No memory is there, in whatever build.
constexpr const char* wild =
    "kernel void wild(global const uchar *in, global uchar *out) { out[((size_t)1 << 45) + get_global_id(0)] = in[0]; "
    "}";
constexpr const char* endless =
    "kernel void endless(global const uchar *in, global volatile uchar *out) { while (out[0] != 7 || out[1] != 8) { "
    "out[0] = in[0] & 1; } }";
constexpr const char* fine =
    "kernel void fine(global const uchar *in, global uchar *out) { out[get_global_id(0)] = in[get_global_id(0)]; }";

std::string graph_of(const std::string& name, const std::string& function, const std::string& source,
                     const std::string& more = "") {
    const std::string port = "type = \"u8\", extent = [64] }\n";
    return "name = \"/" + name + "\"\n[ptask.p]\nfunction = \"" + function + "\"\nsource = '''" + source +
           "'''\narguments = [\"in\", \"out\"]\n" + more + "port.in = { direction = \"in\", " + port +
           "port.out = { direction = \"out\", " + port +
           "[channel.given]\ndestination = \"p:in\"\n[channel.made]\nsource = \"p:out\"\n";
}

class Fault : public CliTest {
   protected:
    void begin(const std::string& config = "") {
        Instance::Options options;
        options.config = config;
        options.check_log = false;  // the faults are meant
        instance.emplace(options);
        ASSERT_TRUE(instance->ready()) << instance->error();
        environment["YOKE_SOCKET"] = instance->socket();
        environment["P"] = std::string(YOKE_BIN_DIR) + "/stage-probe";
        environment["Y"] = std::string(YOKE_BIN_DIR) + "/yoke";
        environment["D"] = directory.string();
    }
    void TearDown() override {
        instance.reset();
        CliTest::TearDown();
    }
    [[nodiscard]] Finished start(const std::string& graph, std::size_t datablocks = 3) {
        return yoke({"graph", "start", write("graph.toml", graph), "--push",
                     "given=" + write("in", std::string(datablocks * 64, 'x')), "--pull", "made=" + path("out")});
    }
    [[nodiscard]] std::uint64_t count(const char* what) const {
        const auto status = instance->ask({{"op", "status"}});
        return status && !status->body["workers"].empty() ? status->body["workers"][0][what].get<std::uint64_t>() : 0;
    }
    [[nodiscard]] std::uint64_t deaths() const { return count("deaths"); }
    [[nodiscard]] Finished bash(const std::string& line, bool pipe = false) {
        Invocation made;
        made.arguments = {"/bin/bash", "-c", line};
        made.environment = environment;
        made.environment["YOKE_STAGE"] = pipe ? "pipe" : "";
        return run(made);
    }

    std::optional<Instance> instance;
};

TEST_F(Fault, AGraphThatKillsItsWorkerIsNamedWithItsPtaskKernelAndSignal) {
    begin();
    const Finished finished = start(graph_of("bad", "wild", wild));
    EXPECT_EQ(finished.exit, 1);
    EXPECT_THAT(finished.err, AllOf(HasSubstr("/bad/p"), HasSubstr("kernel wild"), HasSubstr("signal 11"),
                                    HasSubstr("outside its buffers"), HasSubstr(instance->directory())));
    EXPECT_LE(deaths(), 2U);
    EXPECT_THAT(instance->log(), HasSubstr("/bad/p"));
    const Finished other = start(graph_of("good", "fine", fine));
    EXPECT_EQ(other.exit, 0) << other.err;
    EXPECT_EQ(read("out"), std::string(192, 'x'));
}

TEST_F(Fault, AStageThatKillsItsWorkerEndsAfterTheSecondDeath) {
    begin();
    write("wild.cl", wild);
    for (const bool pipe : {true, false}) {
        const std::uint64_t before = deaths();
        const Finished finished = bash("$P source 20 64 | $Y stage $D/wild.cl | $P sink; echo ${PIPESTATUS[1]}", pipe);
        EXPECT_EQ(finished.out, "1\n");
        EXPECT_THAT(finished.err, AllOf(HasSubstr("/kernel"), HasSubstr("kernel wild"), HasSubstr("signal 11")));
        EXPECT_LE(deaths() - before, 2U);
    }
    EXPECT_LE(count("suspects"), 3 * deaths()) << "of a death, each of the three stages tells once";
}

TEST_F(Fault, AStageWhoseOutputIsSmallerThanItsInputIsToldTheExtent) {
    begin();
    write("wild.cl", wild);
    const Finished finished = bash("$P source 3 64 | $Y stage $D/wild.cl --extent 8; echo ${PIPESTATUS[1]}");
    EXPECT_THAT(finished.err, AllOf(HasSubstr("/kernel"),
                                    HasSubstr("the kernel runs for each element of the input's 64, "
                                              "and a record of its output has 8"),
                                    HasSubstr("give --extent 64")));
}

TEST_F(Fault, ADeadlineThatIsOverrunIsNamed) {
    begin();
    const Finished finished = start(graph_of("slow", "endless", endless, "deadline = 100\n"));
    EXPECT_EQ(finished.exit, 1);
    EXPECT_THAT(finished.err, AllOf(HasSubstr("/slow/p"), HasSubstr("longer than its deadline of 100 ms")));
    EXPECT_LE(deaths(), 2U);
}

TEST_F(Fault, WhoHasNothingToDoWithItWaitsAndIsToldWhy) {
    begin("[supervision]\nbackoff_first_ms = 5000\nbackoff_max_ms = 5000\n");
    for (int death = 0; death < 2; ++death) {
        EXPECT_EQ(start(graph_of("bad", "wild", wild)).exit, 1);
    }
    const Finished finished = start(graph_of("good", "fine", fine));
    EXPECT_EQ(finished.exit, 0) << finished.err;
    EXPECT_THAT(finished.err, AllOf(HasSubstr("waiting for"), HasSubstr("/bad/p"), HasSubstr("signal 11")));
}

TEST_F(Fault, WhoIsBarredLongerThanThatIsToldTheWayOut) {
    begin("[supervision]\nbackoff_first_ms = 600000\nbackoff_max_ms = 600000\n");
    for (int death = 0; death < 2; ++death) {
        EXPECT_EQ(start(graph_of("bad", "wild", wild)).exit, 1);
    }
    const Finished finished = start(graph_of("good", "fine", fine));
    EXPECT_EQ(finished.exit, 1);
    EXPECT_THAT(finished.err, AllOf(HasSubstr("/bad/p"), HasSubstr("yoke shutdown")));
}

TEST_F(Fault, AGraphThatPersistsIsNotBroughtBackToKillEachWorker) {
    begin("[supervision]\nbackoff_first_ms = 1\nbackoff_max_ms = 10\n");
    std::string graph = graph_of("bad", "wild", wild);
    const std::string fifo = path("fifo");
    ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
    const Fd writer(::open(fifo.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
    ASSERT_TRUE(writer);
    graph.replace(graph.find("destination"), 0, "source = { fifo = \"" + fifo + "\" }\n");
    graph.replace(graph.rfind("source"), 0, "destination = { file = \"" + path("out") + "\" }\n");
    const Finished started = yoke({"graph", "start", write("graph.toml", graph), "--persist"});
    EXPECT_EQ(started.exit, 0) << started.err;
    EXPECT_TRUE(eventually([&] {
        const std::string datablock(64, 'x');
        EXPECT_TRUE(::write(writer.get(), datablock.data(), datablock.size()) == 64 || errno == EAGAIN);
        return deaths() == 2;
    }));
    const auto error_of_graph = [&]() -> std::string {
        const auto list = instance->ask({{"op", "list"}, {"kind", "graphs"}});
        for (const auto& one : list ? list->body["graphs"] : nlohmann::json::array()) {
            // One that no worker has reported yet has no error.
            if (one.at("name") == "/bad" && one.contains("error") && one.at("error").is_string()) {
                return one.at("error").get<std::string>();
            }
        }
        return {};
    };
    EXPECT_TRUE(eventually([&] { return error_of_graph().find("the death of two workers") != std::string::npos; }));
    EXPECT_EQ(deaths(), 2U);
    const Finished other = start(graph_of("good", "fine", fine));
    EXPECT_EQ(other.exit, 0) << other.err;
    EXPECT_EQ(deaths(), 2U);
}

TEST_F(Fault, AStageWhoseKernelIsRefusedHasNoStream) {
    begin();
    write("bad.cl", "kernel void bad(global const uchar *in, global uchar *out) { out[0] = nothing; }");
    write("wide.cl", "kernel void wide(global const uchar *in, global uint *out) { out[get_global_id(0)] = in[0]; }");
    for (const bool pipe : {true, false}) {
        const Finished finished =
            bash("$P source 20 64 | $Y stage $D/bad.cl | $P sink; echo ${PIPESTATUS[1]} ${PIPESTATUS[2]}", pipe);
        EXPECT_EQ(finished.out, "1 1\n") << finished.err;
        EXPECT_THAT(finished.err, AllOf(HasSubstr("bad.cl:1"), HasSubstr("before")));
        const Finished typed = bash("$P source 20 64 | $Y stage $D/wide.cl --type f32 | wc -c", pipe);
        EXPECT_EQ(typed.out, "0\n");
        EXPECT_THAT(typed.err, AllOf(HasSubstr("--type f32"), HasSubstr("u32"), HasSubstr("argument out")));
        EXPECT_EQ(bash("$P source 20 64 | $Y stage $D/wide.cl --type u32 | tail -n +2 | wc -c", pipe).out, "5120\n");
    }
}

}  // namespace
}  // namespace yoke::test
