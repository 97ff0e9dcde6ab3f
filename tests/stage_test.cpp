// Stages in pipelines of a shell, as a user types them. Each pipeline runs as it is and with YOKE_STAGE=pipe; output,
// order and exit statuses must be the same, and be what a plain program would have made.
//
// Where a test says how many pipes join, the source is held in the middle of its records until yoked lists so many as
// joined, and fails where that does not come: so the rest does go through channels.
#include <sys/socket.h>

#include <numeric>
#include <sstream>
#include <thread>

#include <nlohmann/json.hpp>

#include "cli_program.hpp"
#include "support/instance.hpp"
#include "support/process_tree.hpp"

namespace yoke::test {
namespace {

std::uint32_t checksum(const std::string& bytes) {
    std::uint32_t sum = 2166136261U;  // FNV-1a
    for (const char byte : bytes) {
        sum = (sum ^ static_cast<unsigned char>(byte)) * 16777619U;
    }
    return sum;
}

// Record `number` of `stage-probe source`.
std::string record_of(std::uint32_t number, std::size_t bytes) {
    std::string record(bytes, '\0');
    for (std::size_t i = 0; i < bytes; ++i) {
        record[i] = static_cast<char>(((number * 2654435761U) >> (i % 4 * 8)) + i);
    }
    return record;
}

// What `stage-probe sink` says of these records.
std::string lines_of(const std::vector<std::string>& records) {
    std::string text;
    for (std::size_t k = 0; k < records.size(); ++k) {
        text += fmt::format("{} {} {:08x}\n", k, records[k].size(), checksum(records[k]));
    }
    return text;
}

std::vector<std::string> source(std::uint32_t count, std::size_t bytes) {
    std::vector<std::string> records;
    for (std::uint32_t k = 0; k < count; ++k) {
        records.push_back(record_of(k, bytes));
    }
    return records;
}

// What `yoke stage add.cl` makes of a record.
std::string plus_one(std::string record) {
    for (char& c : record) {
        c = static_cast<char>(c + 1);
    }
    return record;
}

struct Ran {
    std::string out;
    std::string statuses;  // as in PIPESTATUS: "0 0 141"
    std::string err;
};

// Pipes that yoked lists while the source is held, and how many of them are joined.
struct Joins {
    std::size_t listed = 0;
    std::size_t joined = 0;
};

class StageProgram : public CliTest {
   protected:
    void SetUp() override {
        CliTest::SetUp();
        instance.emplace();
        ASSERT_TRUE(instance->ready()) << instance->error();
        environment["YOKE_SOCKET"] = instance->socket();
        environment["P"] = std::string(YOKE_BIN_DIR) + "/stage-probe";
        environment["Y"] = std::string(YOKE_BIN_DIR) + "/yoke";
        environment["D"] = directory.string();
        environment["ADD"] = write("add.cl",
                                   "kernel void add(global const uchar *in, global uchar *out) {\n"
                                   "    size_t i = get_global_id(0);\n"
                                   "    out[i] = in[i] + 1;\n"
                                   "}\n");
    }
    void TearDown() override {
        instance.reset();
        CliTest::TearDown();
    }

    [[nodiscard]] nlohmann::json pipes() const {
        const auto answer = instance->ask({{"op", "list"}, {"kind", "pipes"}});
        return answer ? answer->body["pipes"] : nlohmann::json::array();
    }

    // `before` runs in bash before the pipeline, whose exit statuses are told. With `joins` the source is held until
    // they are there and `held` has returned; then the file "go" appears.
    [[nodiscard]] Ran bash(const std::string& pipeline, bool pipe, const std::string& before = "",
                           std::optional<Joins> joins = std::nullopt, const std::function<void()>& held = nullptr) {
        const std::string told = path("statuses");
        Invocation made;
        made.arguments = {"/bin/bash", "-c", before + "\n" + pipeline + "\necho \"${PIPESTATUS[@]}\" >" + told};
        made.environment = environment;
        made.environment["YOKE_STAGE"] = pipe ? "pipe" : "";
        write("go", "");
        if (joins && !pipe) {
            std::filesystem::remove(path("go"));
            made.environment["YOKE_PROBE_HOLD"] = path("go");
            made.while_running = [&](pid_t) {
                nlohmann::json seen;
                EXPECT_TRUE(eventually([&] {
                    seen = pipes();
                    return seen.size() == joins->listed && joined(seen) == joins->joined;
                })) << pipeline
                    << "\n"
                    << seen.dump(1);
                if (held) {
                    held();
                }
                write("go", "");
            };
        }
        const Finished finished = run(made);
        EXPECT_EQ(finished.signal, 0) << pipeline;
        std::string statuses = read("statuses");
        std::erase(statuses, '\n');
        return {finished.out, statuses, finished.err};
    }

    static std::size_t joined(const nlohmann::json& pipes) {
        return static_cast<std::size_t>(
            std::ranges::count_if(pipes, [](const auto& pipe) { return pipe.at("state") == "joined"; }));
    }

    // Both ways, several times: `out` and `statuses` each time.
    void expect(const std::string& pipeline, const std::string& out, const std::string& statuses,
                const std::string& before = "", std::optional<Joins> joins = std::nullopt) {
        for (const bool pipe : {true, false}) {
            for (int round = 0; round < rounds; ++round) {
                const Ran ran = bash(pipeline, pipe, before, joins);
                const std::string which = pipeline + (pipe ? "  with YOKE_STAGE=pipe" : "");
                ASSERT_TRUE(ran.out == out) << which << "\nsaid\n" << ran.out.substr(0, 2000) << ran.err;
                ASSERT_EQ(ran.statuses, statuses) << which << "\n" << ran.err;
            }
        }
    }

    // The same where pipes join.
    void expect(const std::string& pipeline, const std::string& out, const std::string& statuses, Joins joins,
                const std::string& before = "") {
        expect(pipeline, out, statuses, before, joins);
    }

    int rounds = 2;
    std::optional<Instance> instance;
};

TEST_F(StageProgram, RecordsOfAllSizesComeThroughInOrder) {
    for (const std::size_t bytes : {1U, 100U, 4096U, 65'537U, 700'000U}) {
        const auto records = source(80, bytes);
        expect(fmt::format("$P source 80 {} | $P copy | $P sink", bytes), lines_of(records), "0 0 0", Joins{2, 2});
    }
    expect("$P source 0 16 | $P copy | $P sink", "", "0 0 0");
}

TEST_F(StageProgram, RecordsOfManyLengthsComeThrough) {
    std::vector<std::string> records;
    for (std::uint32_t k = 0; k < 500; ++k) {
        records.push_back(record_of(k, k % 301));
    }
    expect("$P variable 500 300 | $P copy | $P sink", lines_of(records), "0 0 0");
    expect("$P variable 500 300 | $P copy | $P sink", lines_of(records), "0 0 0", Joins{2, 2});
}

TEST_F(StageProgram, KernelsAreStages) {
    std::vector<std::string> records = source(80, 5000);
    for (std::string& record : records) {
        record = plus_one(plus_one(record));
    }
    expect("$P source 80 5000 | $Y stage $ADD | $Y stage $ADD | $P sink", lines_of(records), "0 0 0 0");
    expect("$P source 80 5000 1000 | $P copy | $Y stage $ADD | $P copy | $Y stage $ADD | $P sink", lines_of(records),
           "0 0 0 0 0 0", Joins{5, 5});
}

TEST_F(StageProgram, WhatOthersWriteStaysInItsPlace) {
    std::vector<std::string> records = source(20, 64);
    const std::string x(64, 'x');
    const std::string header = "YOKESTREAM 1 u8 64 fixed\\n";
    // Bytes before the stage's are no header.
    const Ran wrong = bash("{ printf x; $P source 20 64; echo y; } | $P sink", false);
    EXPECT_EQ(wrong.statuses.substr(wrong.statuses.find(' ') + 1), "1") << wrong.err;
    EXPECT_TRUE(wrong.out.empty());
    // Bytes after it are one more record.
    auto more = records;
    more.push_back(x);
    expect("{ $P source 20 64; printf %064d 0 | tr 0 x; } | $P sink", lines_of(more), "0 0");
    expect(
        fmt::format("{{ printf '{}'; printf %064d 0 | tr 0 x; $P source 20 64 | tail -c +26; }} | $P sink", header),
        [&] {
            auto first = records;
            first.insert(first.begin(), x);
            return lines_of(first);
        }(),
        "0 0");
    // Cut within a record: what came before is there, and the stage says so.
    records = source(100, 64);
    for (const bool pipe : {true, false}) {
        const Ran cut = bash("{ $P source 100 64; echo y; } | $P sink", pipe, "", Joins{1, 1});
        EXPECT_EQ(cut.out, lines_of(records));
        EXPECT_EQ(cut.statuses, "0 1");
        EXPECT_NE(cut.err.find("the input ends within record 100"), std::string::npos) << cut.err;
    }
    // Plain bytes have no header that must come first.
    write("framed", "x" + std::string(200'000, 'x') + "y\n");
    expect("{ printf x; $P bytes 200 1000; echo y; } | $Y call echo | cmp - $D/framed", "", "0 0 0", Joins{2, 1});
}

TEST_F(StageProgram, ASecondReaderGetsWhatTheFirstLeaves) {
    const auto records = source(30, 1000);
    std::string rest;
    for (std::size_t k = 4; k < records.size(); ++k) {
        rest += records[k];
    }
    expect(
        "$P source 30 1000 | ($P take 4 >/dev/null; cat | cksum)",
        [&] {
            const auto name = write("rest", rest);
            return run({{"/bin/bash", "-c", "cksum <" + name}, environment, "", -1, false, {}, {}}).out;
        }(),
        "0 0");
    expect("$P source 300 100000 1 | ($P take 4 >/dev/null; cat | wc -c)", "29600000\n", "0 0");
    expect("$P source 300 1000 | ($P take 200 >/dev/null; wc -c)", "100000\n", "0 0", Joins{1, 1});
    std::size_t bytes = 0;
    for (std::size_t k = 200; k < 300; ++k) {
        bytes += 8 + k;
    }
    expect("$P variable 300 1000 | ($P take 200 >/dev/null; wc -c)", fmt::format("{}\n", bytes), "0 0", Joins{1, 1});
    expect("$P source 1000 1000 | ($Y stage $ADD | $P take 600 | wc -c)", fmt::format("{}\n", 600 * 1000 + 27), "141 0",
           Joins{3, 2});
    // A stage in the place of another.
    auto left = source(300, 1000);
    left.erase(left.begin(), left.begin() + 200);
    expect("$P source 300 1000 | ($P take 200 >/dev/null; { printf 'YOKESTREAM 1 u8 1000 fixed\\n'; cat; } | $P sink)",
           lines_of(left), "0 0", Joins{1, 1});
}

TEST_F(StageProgram, StandardErrorInThePipeKeepsItsPlace) {
    for (const int after : {2, 150}) {  // while the source is slow, and after the stages have joined
        auto records = source(200, 300);
        records.insert(records.begin() + after, std::string(300, 'e'));
        expect(fmt::format("$P source 200 300 | $P complain {} |& $P sink", after), lines_of(records), "0 0 0",
               Joins{2, 2});
    }
}

TEST_F(StageProgram, TeeAndHeadAndProcessSubstitution) {
    const auto records = source(100, 3000);
    expect("$P source 100 3000 | tee $D/kept | $P sink", lines_of(records), "0 0 0", Joins{2, 0});
    EXPECT_EQ(read("kept").size(), 27U + 100 * 3000);
    expect("$P source 100 3000 | $P copy | (head -c 3027; cat >/dev/null) | $P sink", lines_of(source(1, 3000)),
           "0 0 0 0", Joins{3, 1});
    expect("$P source 1000 1000 | $P copy | head -c 600027 | wc -c", "600027\n", "141 141 0 0", Joins{2, 1});
    expect("$P sink < <($P source 100 3000)", lines_of(records), "0", Joins{1, 1});
    expect("cat $D/done && rm $D/done", lines_of(records), "0", Joins{2, 2},
           "$P source 100 3000 > >($P copy | $P sink >$D/part; mv $D/part $D/done); "
           "until [ -e $D/done ]; do sleep 0.01; done");
}

TEST_F(StageProgram, AReaderThatGoesEndsTheWriter) {
    expect("$P source 100000 1000 | $P copy | head -c 5 | tr O o", "YoKES", "141 141 0 0");
    expect("$P source 100000 1000 | $P copy | $P take 3 | $P sink", lines_of(source(3, 1000)), "141 141 0 0");
    expect(
        "$P source 100000 1000 | $Y stage $ADD | $P take 3 | $P sink",
        [] {
            auto records = source(3, 1000);
            for (std::string& record : records) {
                record = plus_one(record);
            }
            return lines_of(records);
        }(),
        "141 141 0 0");
    // Where SIGPIPE is ignored, a write fails.
    expect("$P source 100000 1000 | $P take 1 >/dev/null", "", "1 0", "trap '' PIPE");
}

TEST_F(StageProgram, WhatAReaderLeavesIsForTheNext) {
    // Slow, so that the reader leaves while results of pushes are still on their way, and the ends join meanwhile.
    environment["SLOW"] = write("slow.cl",
                                "kernel void slow(global const uchar *in, global uchar *out) {\n"
                                "    size_t i = get_global_id(0);\n"
                                "    volatile uint x = in[i];\n"
                                "    for (uint k = 0; k < 5000000u; ++k) { x = x * 3u + k; }\n"
                                "    out[i] = in[i];\n"
                                "}\n");
    expect("$P source 6 16 | $Y stage $SLOW | ($P take 1 >/dev/null; cat) | wc -c", "80\n", "0 0 0 0");
    rounds = 1;
    expect("$P bytes 5 30000 100000 | ($P sip 70000 10000; sleep 0.3; cat) | wc -c", "80000\n", "0 0 0");
}

TEST_F(StageProgram, NoBytesAreNoEnd) {
    rounds = 1;
    expect("$P bytes 10 1000 50000 | $Y call echo | wc -c", "10000\n", "0 0 0");
}

TEST_F(StageProgram, ByHandAndThenByAKernel) {
    auto records = source(10, 16);
    std::transform(records.begin() + 1, records.end(), records.begin() + 1, plus_one);
    for (const char* const pause : {"0", "50000"}) {
        expect(fmt::format("$P source 10 16 {} | $P halves | $P copy | $P sink", pause), lines_of(records), "0 0 0 0");
    }
}

TEST_F(StageProgram, AStageThatForks) {
    for (const int after : {3, 150}) {
        auto records = source(200, 500);
        records.insert(records.begin() + after, std::string(500, 'c'));
        expect(fmt::format("$P source 200 500 | $P fork {} | $P copy | $P sink", after), lines_of(records), "0 0 0 0",
               Joins{3, 3});
    }
}

TEST_F(StageProgram, WriterFirstReaderFirstAndLateJoiner) {
    const auto records = source(200, 2000);
    expect("$P source 200 2000 | (sleep 0.2; $P sink)", lines_of(records), "0 0", Joins{1, 1});
    expect("(sleep 0.2; $P source 200 2000) | $P sink", lines_of(records), "0 0", Joins{1, 1});
    expect("(sleep 0.1; $P source 200 2000) | (sleep 0.2; $P copy) | $P sink", lines_of(records), "0 0 0", Joins{2, 2});
    // A reader that is no stage has taken what came before.
    expect("$P bytes 200 1000 | { head -c 1500 >/dev/null; $Y call echo; } | wc -c", "198500\n", "0 0 0", Joins{2, 1});
    auto later = records;
    later.erase(later.begin());
    expect(
        "$P source 200 2000 | { head -c 2027 >/dev/null; { printf 'YOKESTREAM 1 u8 2000 fixed\\n'; cat; } | $P sink; }",
        lines_of(later), "0 0", Joins{2, 0});
}

TEST_F(StageProgram, FifoFileAndSocketAreInputs) {
    const auto records = source(100, 5000);
    expect("$P source 100 5000 >$D/fifo & $P copy <$D/fifo | $P sink", lines_of(records), "0 0", Joins{1, 1},
           "rm -f $D/fifo; mkfifo $D/fifo");
    expect("$P copy <$D/file | $P sink", lines_of(records), "0 0",
           "env -u YOKE_PROBE_HOLD $P source 100 5000 >$D/file");
    const std::string through_socket =
        "python3 -c 'import os, socket, subprocess, sys\n"
        "a, b = socket.socketpair()\n"
        "writer = subprocess.Popen([os.environ[\"P\"], \"source\", \"100\", \"5000\"], stdout=a)\n"
        "reader = subprocess.Popen([\"/bin/bash\", \"-c\", \"set -o pipefail; $P copy | $P sink\"], stdin=b)\n"
        "a.close(); b.close()\n"
        "sys.exit(writer.wait() or reader.wait())'";
    expect(through_socket, lines_of(records), "0", Joins{1, 1});
}

TEST_F(StageProgram, StoppedAndContinuedStagesLoseNothing) {
    rounds = 1;
    const auto records = source(400, 1500);
    const std::string start =
        "set -m -o pipefail; $P source 400 1500 1000 | $P copy | $P sink & job=$!; "
        "until [ -e $D/go ]; do sleep 0.01; done; ";
    // The whole job, as Ctrl-Z does, and fg; then single stages. A job that has ended by then can be waited for only.
    const std::string last = "fg %1 >$D/job 2>/dev/null || wait $job";
    expect(last, lines_of(records), "0", Joins{2, 2},
           start +
               "for i in 1 2 3; do kill -TSTP %1; sleep 0.04; bg %1; sleep 0.04; done >$D/job 2>&1; "
               "kill -TSTP %1 2>/dev/null; until [ -z \"$(jobs -r)\" ]; do sleep 0.01; done");
    for (const char* word : {"source", "copy", "sink"}) {
        expect(last, lines_of(records), "0", Joins{2, 2},
               start + fmt::format("for i in 1 2 3; do p=$(pgrep -g $(jobs -p %1) -f 'stage-probe {}'); "
                                   "kill -TSTP $p; sleep 0.04; kill -CONT $p; sleep 0.04; done 2>/dev/null",
                                   word));
    }
}

TEST_F(StageProgram, InterruptEndsAKernelStage) {
    const Ran ran = bash("wait $job", false,
                         "set -m; sleep 60 | $Y stage $ADD >$D/out & job=$!; sleep 0.3; kill -INT -- -$(jobs -p %1)");
    EXPECT_EQ(ran.statuses, "130") << ran.err;
}

TEST_F(StageProgram, CallsPassPlainBytes) {
    const std::string text = random_text(3'000'000, 7);
    write("text", text);
    expect("$Y call echo -i $D/text | $Y call echo | cmp - $D/text", "", "0 0 0");
    expect("$Y call echo -i $D/text | { head -c 10 | wc -c; $Y call echo | wc -c; }", "10\n2999990\n", "0 0");
    expect("$P bytes 200 500000 | $Y call echo | $Y call echo | wc -c", "100000000\n", "0 0 0 0", Joins{3, 2});
    write("framed", "x" + text + "y");
    expect("{ printf x; $Y call echo -i $D/text; printf y; } | $Y call echo | cmp - $D/framed", "", "0 0 0");
}

TEST_F(StageProgram, ListingsSayWhatIsJoinedAndWhyAPipeIsNot) {
    const auto said = [&](const std::string& pipeline, Joins joins) {
        std::string listing;
        const Ran ran = bash(pipeline, false, "", joins, [&] { listing = yoke({"ls", "pipes"}).out; });
        EXPECT_EQ(ran.out, lines_of(source(100, 100)));
        return listing;
    };
    const auto lines_with = [](const std::string& listing, const std::string& state, const std::string& why) {
        std::istringstream stream(listing);
        std::string line;
        int count = 0;
        while (std::getline(stream, line)) {
            count += line.find(state) != std::string::npos && line.find(why) != std::string::npos ? 1 : 0;
        }
        return count;
    };
    const std::string both = said("$P source 100 100 | $P copy | tee $D/kept | $P sink", Joins{3, 1});
    for (const char* column : {"ACCOUNT", "STATE", "PIPE", "READER PID", "RECORDS", "WHY", "WRITER PID"}) {
        EXPECT_EQ(lines_with(both, column, "STATE"), 1) << column << " is missing in\n" << both;
    }
    EXPECT_EQ(lines_with(both, " joined ", "u8 100x1x1 fixed"), 1) << both;
    EXPECT_EQ(lines_with(both, " pipe ", "its reader is no stage, has not begun, or has YOKE_STAGE=pipe"), 1) << both;
    EXPECT_EQ(lines_with(both, " pipe ", "its writer is no stage, has not begun, or has YOKE_STAGE=pipe"), 1) << both;
    const std::string writer = said("YOKE_STAGE=pipe $P source 100 100 | $P sink", Joins{1, 0});
    EXPECT_EQ(lines_with(writer, " pipe ", "its writer is no stage, has not begun, or has YOKE_STAGE=pipe"), 1)
        << writer;
    const std::string reader = said("$P source 100 100 | YOKE_STAGE=pipe $P sink", Joins{1, 0});
    EXPECT_EQ(lines_with(reader, " pipe ", "its reader is no stage, has not begun, or has YOKE_STAGE=pipe"), 1)
        << reader;
}

// What a process has read and written by system calls, in bytes.
std::uint64_t transferred(pid_t pid) {
    std::ifstream io(fmt::format("/proc/{}/io", pid));
    std::string name;
    std::uint64_t value = 0;
    std::uint64_t sum = 0;
    while (io >> name >> value) {
        sum += name == "rchar:" || name == "wchar:" ? value : 0;
    }
    return sum;
}

TEST_F(StageProgram, RecordsMadeInTheArenaAreNotCopied) {
    struct Way {
        const char* word;
        std::uint64_t copied;  // of each record in the channel
    };
    for (const auto& [word, copied] : {Way{"source", 5000}, Way{"place", 0}, Way{"lend", 0}}) {
        expect(fmt::format("YOKE_LOG=client=debug $P {} 80 5000 2>$D/said | $P sink", word), lines_of(source(80, 5000)),
               "0 0", Joins{1, 1});
        const std::string said = read("said");
        const auto count = [&](const std::string& name) -> std::uint64_t {
            const std::size_t at = said.find(name + "=");
            EXPECT_NE(at, std::string::npos) << said;
            return at == std::string::npos ? 0 : std::stoull(said.substr(at + name.size() + 1));
        };
        EXPECT_GE(count("to_channel"), 40U) << said;
        EXPECT_EQ(count("to_pipe") + count("to_channel"), 80U) << said;
        EXPECT_EQ(count("copied_bytes"), copied * count("to_channel")) << said;
    }
}

TEST_F(StageProgram, RecordsMadeInTheArenaSurviveTheirReader) {
    const auto records = source(300, 1000);
    auto left = records;
    left.erase(left.begin(), left.begin() + 200);
    for (const char* const word : {"place", "lend"}) {
        expect(fmt::format("$P {} 300 1000 | ($P take 200 >/dev/null; "
                           "{{ printf 'YOKESTREAM 1 u8 1000 fixed\\n'; cat; }} | $P sink)",
                           word),
               lines_of(left), "0 0", Joins{1, 1});
        auto more = records;
        more.insert(more.begin() + 150, std::string(1000, 'e'));
        expect(fmt::format("$P {} 300 1000 | $P complain 150 |& $P sink", word), lines_of(more), "0 0 0", Joins{2, 2});
    }
}

TEST_F(StageProgram, NoPayloadCrossesAJoinedPipe) {
    Invocation pipeline;
    pipeline.arguments = {"/bin/bash", "-c",
                          "$P source 1000000000 20000 500 | $P copy | $Y stage $ADD | $Y stage $ADD | $P sink"};
    pipeline.environment = environment;
    std::vector<pid_t> stages;
    pid_t first = 0;
    std::uint64_t bytes = 0;
    std::uint64_t records_max = 0;
    const auto joined = [&] {
        const nlohmann::json pipes = this->pipes();
        stages.clear();
        for (const auto& pipe : pipes) {
            const auto reader = pipe.at("reader_pid").get<std::string>();
            if (reader.empty()) {
                return false;
            }
            stages.push_back(std::stoi(reader));
        }
        for (const auto& pipe : pipes) {
            const auto writer = pipe.at("writer_pid").get<std::string>();
            if (!writer.empty() && std::ranges::find(stages, std::stoi(writer)) == stages.end()) {
                first = std::stoi(writer);
            }
        }
        return pipes.size() == 4 && StageProgram::joined(pipes) == 4;
    };
    pipeline.while_running = [&](pid_t) {
        ASSERT_TRUE(eventually(joined));
        const auto sum = [&] {
            return std::accumulate(stages.begin(), stages.end(), std::uint64_t{0},
                                   [](std::uint64_t all, pid_t pid) { return all + transferred(pid); });
        };
        const auto begun = std::chrono::steady_clock::now();
        const std::uint64_t before = sum();
        std::this_thread::sleep_for(std::chrono::milliseconds(300));
        bytes = sum() - before;
        EXPECT_TRUE(joined());
        // The source rests so long after each record; what waits in channels may come out at any time.
        records_max = (std::chrono::steady_clock::now() - begun) / std::chrono::microseconds(500) + 100;
        ::kill(first, SIGTERM);
    };
    const Finished finished = run(pipeline);
    auto records = source(static_cast<std::uint32_t>(std::ranges::count(finished.out, '\n')), 20000);
    ASSERT_FALSE(records.empty()) << finished.err;
    for (std::string& record : records) {
        record = plus_one(plus_one(record));
    }
    EXPECT_TRUE(finished.out == lines_of(records)) << finished.err;
    // The sink has written a line for each, and bells were rung.
    EXPECT_LT(bytes, records_max * 100);
}

}  // namespace
}  // namespace yoke::test
