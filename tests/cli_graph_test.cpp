// The command line with a daemon: services through a worker, graphs from files, the tour. A real yoked runs in the
// test's directory, with real workers and compilers.
#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "cli_instance.hpp"

namespace yoke::test {
namespace {

bool says(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

// Two ptasks that add 1 and double; a kernel text may be given that does not compile, and a template that does not
// match.
std::string graph_text(const std::string& kernel, const std::string& middle_type = "u32") {
    return R"(name = "/sums"
[ptask.add]
function = "add"
source = ''')" +
           kernel + R"('''
arguments = ["in", "out"]
[ptask.add.port.in]
direction = "in"
type = "u32"
extent = [1024]
[ptask.add.port.out]
direction = "out"
type = "u32"
extent = [1024]
[ptask.twice]
function = "twice"
source = 'kernel void twice(global const uint *a, global uint *b) { b[get_global_id(0)] = 2 * a[get_global_id(0)]; }'
arguments = ["in", "out"]
[ptask.twice.port.in]
direction = "in"
type = ")" +
           middle_type + R"("
extent = [1024]
[ptask.twice.port.out]
direction = "out"
type = "u32"
extent = [1024]
[channel.numbers]
destination = "add:in"
[channel.between]
source = "add:out"
destination = "twice:in"
[channel.results]
source = "twice:out"
)";
}

const std::string good_kernel =
    "kernel void add(global const uint *a, global uint *b) { b[get_global_id(0)] = a[get_global_id(0)] + 1; }";

std::string numbers(std::size_t count, std::uint32_t factor, std::uint32_t addend) {
    std::string text;
    for (std::uint32_t i = 0; i < count; ++i) {
        const std::uint32_t value = (i + addend) * factor;
        text.append(reinterpret_cast<const char*>(&value), sizeof value);
    }
    return text;
}

class CliGraphFile : public CliTest {};

TEST_F(CliGraphFile, CheckNamesFileLineAndColumn) {
    EXPECT_EQ(yoke({"graph", "check", write("good.toml", graph_text(good_kernel))}).exit, 0);
    const auto expect = [&](const std::string& text, const std::string& place, const std::string& what) {
        const std::string file = write("bad.toml", text);
        for (const char* verb : {"check", "start"}) {
            const Finished finished = yoke({"graph", verb, file});
            EXPECT_EQ(finished.exit, 1) << finished.err;
            EXPECT_TRUE(says(finished.err, file + ":" + place)) << finished.err;
            EXPECT_TRUE(says(finished.err, what)) << finished.err;
        }
    };
    expect("name = \"/x\"\nthis is no TOML\n", "2:", "");
    expect("name = \"/x\"\n\n[ptask.a]\nkernel = 7\n", "4:", "kernel");
    expect(graph_text(good_kernel, "f32"), "", "f32");  // templates of both ends of a channel
    const Finished missing = yoke({"graph", "check", path("none.toml")});
    EXPECT_EQ(missing.exit, 1);
    EXPECT_TRUE(says(missing.err, path("none.toml"))) << missing.err;
}

TEST_F(CliGraphFile, CheckPrintsJson) {
    const std::string good = write("good.toml", graph_text(good_kernel));
    const Finished right = yoke({"graph", "check", "--json", good});
    EXPECT_EQ(right.exit, 0);
    auto json = nlohmann::json::parse(right.out, nullptr, false);
    EXPECT_EQ(json["ok"], true);
    EXPECT_EQ(json["graph"], "/sums");
    EXPECT_TRUE(json["error"].is_null());
    const std::string bad = write("bad.toml", "name = 7\n");
    const Finished wrong = yoke({"graph", "check", "--json", bad});
    EXPECT_EQ(wrong.exit, 1);
    json = nlohmann::json::parse(wrong.out, nullptr, false);
    EXPECT_EQ(json["ok"], false);
    EXPECT_TRUE(json["graph"].is_null());
    EXPECT_TRUE(says(json["error"].get<std::string>(), bad + ":1:8")) << wrong.out;
}

class CliDaemon : public CliInstanceTest {
   protected:
    [[nodiscard]] nlohmann::json list(const std::string& kind) const {
        const Finished finished = yoke({"ls", kind, "--json"});
        EXPECT_EQ(finished.exit, 0) << finished.err;
        return nlohmann::json::parse(finished.out, nullptr, false);
    }
    [[nodiscard]] bool runs(const std::string& graph) const {
        const auto answer = list("graphs");
        for (const auto& object : answer["graphs"]) {
            if (object["name"] == graph && object["state"] == "running") {
                return true;
            }
        }
        return false;
    }
    void wait_until_running(const std::string& graph) const {
        ASSERT_TRUE(eventually([&] { return runs(graph); }));
    }
};

TEST_F(CliDaemon, StatusAndListsAreTablesAndJson) {
    const Finished status = yoke({"status"});
    EXPECT_EQ(status.exit, 0) << status.err;
    EXPECT_TRUE(says(status.out, "yoked 0.1.0, pid " + std::to_string(instance->yoked_pid()))) << status.out;
    EXPECT_TRUE(says(status.out, "no worker runs"));

    ASSERT_EQ(yoke({"call", "echo", "--place", "worker"}, "x").out, "x");
    const auto json = nlohmann::json::parse(yoke({"status", "--json"}).out, nullptr, false);
    ASSERT_EQ(json["workers"].size(), 1U);
    EXPECT_EQ(json["workers"][0]["account"], ::getuid());
    const Finished plain = yoke({"ls", "services", "-H"});
    EXPECT_TRUE(says(plain.out, "aes-xts\t5\t")) << plain.out;
    EXPECT_EQ(list("services")["services"].size(), 7U);
    const Finished all = yoke({"ls"});
    EXPECT_TRUE(says(all.out, "sessions (") && says(all.out, "services (7)")) << all.out;
    EXPECT_EQ(yoke({"doctor"}).exit, 0);
}

TEST_F(CliDaemon, AGraphOfEndpointsThatFailsEndsItsCommand) {
    const std::string bytes = write("source", std::string(4096 + 100, 'x'));
    std::string text = graph_text(good_kernel);
    text.replace(text.find("destination = \"add:in\""), 0, "source = { file = \"" + bytes + "\" }\n");
    const std::string results = "source = \"twice:out\"";
    text.insert(text.find(results) + results.size(), "\ndestination = { file = \"" + bytes + ".out\" }");
    const Finished started = yoke({"graph", "start", write("files.toml", text)});
    EXPECT_EQ(started.exit, 1) << started.err;
    EXPECT_TRUE(says(started.err, "graph /sums has failed: ") && says(started.err, "in the middle of a datablock"))
        << started.err;
}

TEST_F(CliDaemon, TheWorkerComputesWhatTheCallerComputes) {
    const std::string key = write("key", random_text(64, 1));
    const std::string key32 = write("key32", random_text(32, 2));
    const std::string data = random_text(6'000'016, 3);
    const std::string iv = "000102030405060708090a0b0c0d0e0f";
    for (const std::vector<std::string>& service :
         {std::vector<std::string>{"aes-xts", "--key-file", key, "--unit", "4096", "--start", "7"},
          {"aes-cbc", "--key-file", key32, "--iv", iv},
          {"aes-ctr", "--key-file", key32, "--iv", iv},
          {"aes-ecb", "--key-file", key32},
          {"aes-gcm", "--key-file", key32, "--iv", iv},
          {"sha256"},
          {"sha256", "--message", "16"},
          {"echo"}}) {
        std::vector<std::string> arguments{"call"};
        arguments.insert(arguments.end(), service.begin(), service.end());
        arguments.insert(arguments.end(), {"--place", "caller"});
        const Finished caller = yoke(arguments, data);
        ASSERT_EQ(caller.exit, 0) << caller.err;
        arguments.back() = "worker";
        arguments.emplace_back("--json");
        const Finished worker = yoke(arguments, data);
        ASSERT_EQ(worker.exit, 0) << worker.err;
        EXPECT_TRUE(worker.out == caller.out) << service[0];
        EXPECT_EQ(nlohmann::json::parse(worker.err, nullptr, false)["places"][0]["where"], "cpu") << worker.err;
    }
}

TEST_F(CliDaemon, AGraphRunsFromFileToFile) {
    const std::string file = write("sums.toml", graph_text(good_kernel));
    const std::size_t count = std::size_t{1024} * 20;
    const std::string input = write("in", numbers(count, 1, 0));
    const Finished finished =
        yoke({"graph", "start", file, "--push", "numbers=" + input, "--pull", "/sums/results=" + path("out")});
    EXPECT_EQ(finished.exit, 0) << finished.err;
    EXPECT_TRUE(says(finished.err, "20 datablocks pushed, 20 pulled")) << finished.err;
    EXPECT_TRUE(read("out") == numbers(count, 2, 1));
    EXPECT_TRUE(list("graphs")["graphs"].empty());

    const Finished piped = yoke({"graph", "start", file, "--push", "numbers=-", "--pull", "results=-"}, read("in"));
    EXPECT_EQ(piped.exit, 0) << piped.err;
    EXPECT_TRUE(piped.out == read("out"));
}

TEST_F(CliDaemon, BadUseOfChannelsIsExplained) {
    const std::string file = write("sums.toml", graph_text(good_kernel));
    const auto start = [&](std::vector<std::string> more, const std::string& input = "") {
        more.insert(more.begin(), {"graph", "start", file});
        return yoke(more, input);
    };
    const Finished none = start({"--push", "between=-"});
    EXPECT_EQ(none.exit, 5);
    EXPECT_TRUE(
        says(none.err,
             "there is no channel /sums/between to push to or pull from; the graph has /sums/numbers, /sums/results"))
        << none.err;
    const Finished wrong_way = start({"--pull", "numbers=" + path("out")});
    EXPECT_EQ(wrong_way.exit, 2);
    EXPECT_TRUE(says(wrong_way.err, "/sums/numbers is pushed into; use --push")) << wrong_way.err;
    const Finished half = start({"--push", "numbers=-", "--pull", "results=" + path("out")}, std::string(5000, 'x'));
    EXPECT_EQ(half.exit, 1);
    EXPECT_TRUE(says(half.err, "904 bytes are left of 4096")) << half.err;
    const Finished twice = start({"--push", "numbers=-", "--push", "/sums/numbers=" + file});
    EXPECT_EQ(twice.exit, 2);
    EXPECT_TRUE(says(twice.err, "channel /sums/numbers is given twice")) << twice.err;
    EXPECT_EQ(start({"--push", "numbers"}).exit, 2);
    EXPECT_EQ(start({"--push", "numbers=" + path("missing")}).exit, 1);
    EXPECT_EQ(files(), (std::set<std::string>{"sums.toml"}));
}

TEST_F(CliDaemon, AKernelThatDoesNotCompileIsShownWithItsLine) {
    const std::string file =
        write("sums.toml", graph_text("\n\nkernel void add(global const uint *a) { b[0] = a[0]; }"));
    const Finished finished = yoke({"graph", "start", file});
    EXPECT_EQ(finished.exit, 1);
    EXPECT_TRUE(says(finished.err, "/sums/add")) << finished.err;
    EXPECT_TRUE(says(finished.err, ":2:") && says(finished.err, "undeclared identifier 'b'")) << finished.err;
}

TEST_F(CliDaemon, CheckBuildsKernelsWhereItIsToldTo) {
    const std::string bad = write("bad.toml", graph_text("\n\nkernel void add(global const uint *a) { b[0] = a[0]; }"));
    EXPECT_EQ(yoke({"graph", "check", bad}).exit, 0) << "nobody has compiled it";
    const Finished refused = yoke({"graph", "check", "--build", bad});
    EXPECT_EQ(refused.exit, 1);
    const std::string in_bad = bad + ":ptask \"add\"";
    EXPECT_EQ(refused.err, "yoke: ptask /sums/add: " + in_bad + " does not compile: " + in_bad +
                               ":2:41: error: use of undeclared identifier 'b'\n");
    EXPECT_FALSE(says(refused.err, "/check-")) << "nobody has given it that name: " << refused.err;
    const std::string few = write("few.toml", graph_text("kernel void add(global const uint *a) { }"));
    const Finished arguments = yoke({"graph", "check", "--build", "--json", few});
    EXPECT_EQ(arguments.exit, 1);
    EXPECT_TRUE(says(arguments.out, "kernel add takes 1 argument, but ptask /sums/add gives 2")) << arguments.out;
    const std::string two =
        write("two.toml", graph_text("kernel void add(global const uint *a) { b[0] = 1;\nc = 2; }"));
    const Finished lines = yoke({"graph", "check", "--build", two});
    EXPECT_TRUE(says(lines.err, "does not compile:\n  " + two + ":ptask \"add\":1:")) << lines.err;
    EXPECT_TRUE(says(lines.err, "\n  " + two + ":ptask \"add\":2:1: error: use of undeclared identifier 'c'\n"))
        << lines.err;
    EXPECT_TRUE(list("graphs")["graphs"].empty()) << "nothing is left";

    // A graph of that name that runs is nobody's business.
    const std::string good = write("good.toml", graph_text(good_kernel));
    ASSERT_EQ(yoke({"graph", "start", good, "--persist"}).exit, 0);
    const Finished built = yoke({"graph", "check", "--build", good});
    EXPECT_EQ(built.exit, 0) << built.err;
    EXPECT_TRUE(says(built.err, good + " is a good graph, and its kernels build")) << built.err;
    EXPECT_EQ(yoke({"graph", "check", "--build", bad}).exit, 1);
    EXPECT_TRUE(runs("/sums"));
    EXPECT_EQ(list("graphs")["graphs"].size(), 1U);
}

// One that is told to end at once cannot tidy up; what it had made ends with its session, also of a graph that
// persists.
TEST_F(CliDaemon, ACheckThatIsKilledLeavesNothing) {
    std::string kernel;
    for (int i = 0; i < 60; ++i) {  // seconds of compiling
        kernel += fmt::format(
            "uint f{}(uint a) {{ uint b = {}; for (uint i = 0; i < a % 64; ++i) {{ b = b * (a ^ i) + "
            "(b >> (i % 7)); }} return b; }}\n",
            i, i);
    }
    kernel += "kernel void add(global const uint *a, global uint *b) { uint c = a[get_global_id(0)];\n";
    for (int i = 0; i < 60; ++i) {
        kernel += fmt::format("c += f{}(c);\n", i);
    }
    std::string text = graph_text(kernel + "b[get_global_id(0)] = c; }");
    text.insert(0, "persist = true\n");
    Invocation check = command({"graph", "check", "--build", write("slow.toml", text)});
    check.while_running = [&](pid_t pid) {
        EXPECT_TRUE(eventually([&] { return !list("graphs")["graphs"].empty() || has_ended(pid); }));
        ::kill(pid, SIGKILL);
    };
    EXPECT_EQ(run(check).signal, SIGKILL) << "it was over before it was killed, so nothing was tested";
    EXPECT_TRUE(eventually([&] { return list("graphs")["graphs"].empty(); })) << list("graphs").dump();
}

TEST_F(CliDaemon, StopEndsAGraphAndSaysWhenThereIsNone) {
    const std::string file = write("sums.toml", graph_text(good_kernel));
    Invocation pulling = command({"graph", "start", file, "--pull", "results=" + path("out")});
    pulling.hold_input = true;
    Finished second;
    pulling.while_running = [&](pid_t) {
        wait_until_running("/sums");
        second = yoke({"graph", "start", file});
        EXPECT_TRUE(runs("/sums")) << "a second start took the graph away";
        EXPECT_EQ(yoke({"graph", "stop", "sums"}).exit, 0);
    };
    const Finished finished = run(pulling);
    EXPECT_EQ(finished.exit, 1);
    EXPECT_TRUE(says(finished.err, "the graph of /sums/results was terminated")) << finished.err;
    EXPECT_EQ(second.exit, 1);
    EXPECT_TRUE(says(second.err, "graph /sums exists already; stop it first")) << second.err;
    EXPECT_TRUE(files().count("out") == 0);
    const Finished none = yoke({"graph", "rm", "/sums"});
    EXPECT_EQ(none.exit, 5);
    EXPECT_TRUE(says(none.err, "/sums")) << none.err;
}

TEST_F(CliDaemon, AGraphWithoutFilesEndsWithItsTermination) {
    const std::string file = write("sums.toml", graph_text(good_kernel));
    Invocation start = command({"graph", "start", file});
    start.hold_input = true;
    start.while_running = [&](pid_t) {
        wait_until_running("/sums");
        const Finished broken = yoke({"graph", "rm", write("broken.toml", "name =")});
        EXPECT_EQ(broken.exit, 1);
        EXPECT_TRUE(says(broken.err, path("broken.toml") + ":1:")) << broken.err;
        const Finished stopped = yoke({"graph", "stop", file, "--json"});
        EXPECT_EQ(stopped.exit, 0) << stopped.err;
        EXPECT_EQ(nlohmann::json::parse(stopped.out, nullptr, false)["graph"], "/sums");
    };
    const Finished finished = run(start);
    EXPECT_EQ(finished.exit, 1);
    EXPECT_TRUE(says(finished.err, "graph /sums was terminated")) << finished.err;
}

TEST_F(CliDaemon, AnInterruptTerminatesTheGraph) {
    const std::string file = write("sums.toml", graph_text(good_kernel));
    Invocation start = command({"graph", "start", file});
    start.hold_input = true;
    start.while_running = [&](pid_t pid) {
        wait_until_running("/sums");
        ::kill(pid, SIGINT);
    };
    EXPECT_EQ(run(start).exit, 130);
    EXPECT_TRUE(list("graphs")["graphs"].empty());
}

TEST_F(CliDaemon, AMachineWithoutOpenClIsTold) {
    Instance::Options options;
    std::filesystem::create_directory(directory / "no-vendors");
    options.environment = {"OCL_ICD_VENDORS=" + path("no-vendors")};
    Instance bare(options);
    ASSERT_TRUE(bare.ready()) << bare.error();
    environment["YOKE_SOCKET"] = bare.socket();
    const Finished finished = yoke({"graph", "start", write("sums.toml", graph_text(good_kernel))});
    EXPECT_EQ(finished.exit, 1);
    EXPECT_TRUE(says(finished.err, "OpenCL") && says(finished.err, "pocl-opencl-icd")) << finished.err;
    EXPECT_EQ(yoke({"call", "echo", "--place", "worker"}, "still serves calls").out, "still serves calls");
}

TEST_F(CliDaemon, ShutdownEndsTheDaemon) {
    EXPECT_EQ(yoke({"shutdown"}).exit, 0);
    EXPECT_EQ(instance->wait_for_exit(20'000), 0);
    EXPECT_EQ(yoke({"status"}).exit, 3);
}

TEST_F(CliDaemon, TheTourFindsEverythingRight) {
    // Three frames of 64 x 48 pixels, so that the graph is built by API calls; Python writes PNG without a library.
    const std::string script = R"(
import struct, sys, zlib
def chunk(kind, data):
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
for number in range(3):
    rows = b''
    for y in range(48):
        rows += b'\0' + b''.join(struct.pack('>H', 0 if (x * y + number) % 17 == 0 else 5000 + (x * 7919 + y * 104729) % 97) for x in range(64))
    png = b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', 64, 48, 16, 0, 0, 0, 0))
    open(f'{sys.argv[1]}/{number}.png', 'wb').write(png + chunk(b'IDAT', zlib.compress(rows)) + chunk(b'IEND', b''))
)";
    std::filesystem::create_directory(directory / "frames");
    Invocation python;
    python.arguments = {"/usr/bin/env", "python3", "-c", script, path("frames")};
    ASSERT_EQ(run(python).exit, 0);

    Invocation tour = command({});
    tour.arguments = {std::string(YOKE_BIN_DIR) + "/yoke-tour",
                      write("file", random_text(40'000'007, 4)),
                      "--frames",
                      path("frames"),
                      "--out",
                      path("pictures"),
                      "--json",
                      path("results.json")};
    const Finished finished = run(tour);
    EXPECT_EQ(finished.exit, 0) << finished.out << finished.err;
    EXPECT_TRUE(says(finished.out, "Everything compared was equal."));
    const auto json = nlohmann::json::parse(read("results.json"), nullptr, false);
    ASSERT_TRUE(json.is_object());
    EXPECT_TRUE(json["right"]);
    EXPECT_EQ(json["pictures"].size(), 9U);
    for (const auto& picture : json["pictures"]) {
        EXPECT_TRUE(std::filesystem::exists(picture.get<std::string>()));
    }
    std::size_t compared = 0;
    for (const auto& row : json["rows"]) {
        compared += row["compared"].is_null() ? 0U : 1U;
    }
    EXPECT_GE(compared, 9U);
}

}  // namespace
}  // namespace yoke::test
