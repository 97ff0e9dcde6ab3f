// Pipelines whose stages, worker or yoked are killed or stopped at random moments, joined as they may be.
//
// What must hold whatever happens: the output is the beginning of what it would have been, in whole records; a process
// that is stopped and continued, be it a stage, the worker or yoked, and a yoked that dies, cost nothing; and when a
// record is missing, somebody has said so by its exit status. YOKE_STAGE_ROUNDS sets the number of rounds (else 12;
// with YOKE_SOAK 100), YOKE_STAGE_SEED repeats what a failure names.
#include <fstream>
#include <random>
#include <sstream>
#include <thread>

#include "cli_program.hpp"
#include "support/instance.hpp"
#include "support/process_tree.hpp"

namespace yoke::test {
namespace {

using Words = std::vector<std::string>;

struct Process {
    pid_t pid = 0;
    int status = 0;  // as waitpid says
    bool ended = false;
};

// Programs one after the other, as a shell connects them; the last one writes a file, all of them one for errors.
class Pipeline {
   public:
    Pipeline(const std::vector<Words>& commands, const std::string& out, const std::string& err,
             const std::map<std::string, std::string>& environment) {
        int input = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
        for (std::size_t k = 0; k < commands.size(); ++k) {
            std::array<int, 2> ends{-1, -1};
            if (k + 1 < commands.size()) {
                EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
            } else {
                ends[1] = ::open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
            }
            start(commands[k], input, ends[1], err, environment);
            ::close(input);
            ::close(ends[1]);
            input = ends[0];
        }
    }
    ~Pipeline() {
        for (const Process& process : processes) {
            if (!process.ended) {
                ::kill(process.pid, SIGKILL);
                ::waitpid(process.pid, nullptr, 0);
            }
        }
    }
    Pipeline(const Pipeline&) = delete;
    Pipeline& operator=(const Pipeline&) = delete;

    // False: they do not end within a minute.
    bool wait() {
        return eventually([&] {
            bool all = true;
            for (Process& process : processes) {
                if (!process.ended) {
                    process.ended = ::waitpid(process.pid, &process.status, WNOHANG) == process.pid;
                }
                all = all && process.ended;
            }
            return all;
        });
    }
    [[nodiscard]] std::string statuses() const {
        std::string text;
        for (const Process& process : processes) {
            text += fmt::format(
                "{} ", WIFSIGNALED(process.status) ? 128 + WTERMSIG(process.status) : WEXITSTATUS(process.status));
        }
        return text;
    }
    [[nodiscard]] bool all_well() const {
        return std::ranges::all_of(processes, [](const Process& process) { return process.status == 0; });
    }

    std::vector<Process> processes;

   private:
    void start(const Words& command, int input, int output, const std::string& err,
               const std::map<std::string, std::string>& environment) {
        Invocation invocation;
        invocation.arguments = command;
        invocation.environment = environment;
        std::vector<std::string> variables = detail::environment_of(invocation);
        const auto arguments = detail::pointers_to(invocation.arguments);
        const auto pointers = detail::pointers_to(variables);
        const pid_t pid = ::fork();
        if (pid == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            ::signal(SIGPIPE, SIG_DFL);
            ::dup2(input, STDIN_FILENO);
            ::dup2(output, STDOUT_FILENO);
            ::dup2(::open(err.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600), STDERR_FILENO);
            ::execve(arguments[0], arguments.data(), pointers.data());
            ::_exit(127);
        }
        processes.push_back({pid});
    }
};

struct Plan {
    std::vector<Words> commands;
    std::string expected;
};

class StageDeath : public CliTest {
   protected:
    void SetUp() override {
        CliTest::SetUp();
        adopt_orphans();
        instance.emplace();
        ASSERT_TRUE(instance->ready()) << instance->error();
        environment["YOKE_SOCKET"] = instance->socket();
        kernel = write("add.cl",
                       "kernel void add(global const uchar *in, global uchar *out) {\n"
                       "    size_t i = get_global_id(0);\n"
                       "    out[i] = in[i] + 1;\n"
                       "}\n");
        // Under another name: children called yoke are reaped by the instance.
        tool = path("stage-tool");
        std::filesystem::create_symlink(std::string(YOKE_BIN_DIR) + "/yoke", tool);
        // By hand, kernels, and both; each lasts about a third of a second.
        plan({{probe, "source", "300", "900", "700"}, {probe, "copy"}, {probe, "sink"}});
        plan({{probe, "variable", "250", "3000", "700"}, {probe, "copy"}, {probe, "copy"}, {probe, "sink"}});
        plan({{probe, "source", "250", "9000", "800"},
              {tool, "stage", kernel},
              {tool, "stage", kernel},
              {probe, "sink"}});
        plan({{probe, "source", "60", "900000", "3000"}, {tool, "stage", kernel}, {probe, "copy"}, {probe, "sink"}});
    }
    void TearDown() override {
        instance.reset();
        CliTest::TearDown();
    }

    // yoked lets an account wait the longer the more of its workers have died.
    void renew() {
        instance.reset();
        instance.emplace();
        ASSERT_TRUE(instance->ready()) << instance->error();
        environment["YOKE_SOCKET"] = instance->socket();
    }

    void plan(std::vector<Words> commands) {
        auto plain = environment;
        plain["YOKE_STAGE"] = "pipe";
        Pipeline pipeline(commands, path("plain"), path("err"), plain);
        ASSERT_TRUE(pipeline.wait());
        ASSERT_TRUE(pipeline.all_well()) << pipeline.statuses() << read("err");
        plans.push_back({std::move(commands), read("plain")});
        ASSERT_FALSE(plans.back().expected.empty());
    }

    [[nodiscard]] static int rounds() {
        const char* text = ::getenv("YOKE_STAGE_ROUNDS");
        if (text != nullptr) {
            return std::stoi(text);
        }
        return ::getenv("YOKE_SOAK") != nullptr ? 100 : 8;
    }
    [[nodiscard]] static unsigned seed() {
        const char* text = ::getenv("YOKE_STAGE_SEED");
        return text != nullptr ? static_cast<unsigned>(std::stoul(text)) : std::random_device()();
    }

    // Whether each of so many pipes is joined, as yoked says.
    [[nodiscard]] bool joined(std::size_t pipes) const {
        const auto answer = instance->ask({{"op", "list"}, {"kind", "pipes"}});
        const control::Json listed = answer ? answer->body["pipes"] : control::Json::array();
        return listed.size() == pipes &&
               std::ranges::all_of(listed, [](const auto& pipe) { return pipe.at("state") == "joined"; });
    }
    // When a round strikes: at any moment; or when all pipes have joined, with half of the records still to come, and
    // these come after the strike or at the same time.
    enum class Moment : std::uint8_t { any, joined, flowing };
    void await(Moment moment, const Pipeline& pipeline, std::mt19937& random) {
        if (moment == Moment::any) {
            ASSERT_TRUE(eventually([&] { return std::filesystem::file_size(path("out")) != 0; }));
            std::this_thread::sleep_for(std::chrono::microseconds(random() % 250'000));
            return;
        }
        ASSERT_TRUE(eventually([&] { return joined(pipeline.processes.size() - 1); }));
        if (moment == Moment::flowing) {
            write("go", "");
            std::this_thread::sleep_for(std::chrono::microseconds(random() % 100'000));
        }
    }

    // Rounds of: start, wait for a moment of some kind, `strike`, judge. The first is surely joined when it is struck.
    template <typename Strike, typename Judge>
    void repeat(Strike&& strike, Judge&& judge) {
        const unsigned number = seed();
        std::mt19937 random(number);
        const int count = joins_nothing ? (rounds() + 1) / 2 : rounds();
        for (int round = 0; round < count; ++round) {
            const Plan& plan = plans[static_cast<std::size_t>(round) % plans.size()];
            std::filesystem::remove(path("err"));
            if (kills_workers && round != 0) {
                renew();
            }
            const auto moment = joins_nothing ? Moment::any
                                : round == 0  ? Moment::joined
                                              : static_cast<Moment>(random() % 3);
            environment.erase("YOKE_PROBE_HOLD");
            if (moment != Moment::any) {
                std::filesystem::remove(path("go"));
                environment["YOKE_PROBE_HOLD"] = path("go");
            }
            Pipeline pipeline(plan.commands, path("out"), path("err"), environment);
            await(moment, pipeline, random);
            ASSERT_FALSE(HasFatalFailure())
                << "seed " << number << ", round " << round << " does not come so far: " << read("err");
            strike(pipeline, random);
            write("go", "");
            ASSERT_TRUE(pipeline.wait()) << "seed " << number << ", round " << round << " hangs: " << read("err");
            const std::string out = read("out");
            const std::string where = fmt::format("seed {}, round {}, statuses {}, {} of {} bytes\n{}", number, round,
                                                  pipeline.statuses(), out.size(), plan.expected.size(), read("err"));
            ASSERT_TRUE(plan.expected.starts_with(out)) << where << out;
            judge(pipeline, out == plan.expected, where);
            if (HasFatalFailure()) {
                return;
            }
        }
    }

    const std::string probe = std::string(YOKE_BIN_DIR) + "/stage-probe";
    std::string tool;
    bool kills_workers = false;
    bool joins_nothing = false;
    std::string kernel;
    std::vector<Plan> plans;
    std::optional<Instance> instance;
};

// Stops and continues a process that `victim` names, three times.
template <typename Victim>
auto stopping(Victim&& victim) {
    return [victim](Pipeline& pipeline, std::mt19937& random) {
        for (int times = 0; times < 3; ++times) {
            const pid_t pid = victim(pipeline, random);
            ASSERT_GT(pid, 0);
            ::kill(pid, SIGSTOP);
            std::this_thread::sleep_for(std::chrono::microseconds(random() % 60'000));
            ::kill(pid, SIGCONT);
            std::this_thread::sleep_for(std::chrono::microseconds(random() % 20'000));
        }
    };
}

void all_is_there(const Pipeline& pipeline, bool whole, const std::string& where) {
    ASSERT_TRUE(whole && pipeline.all_well()) << where;
}

TEST_F(StageDeath, StoppedStagesLoseNothing) {
    repeat(stopping([](Pipeline& pipeline, std::mt19937& random) {
               return pipeline.processes[random() % pipeline.processes.size()].pid;
           }),
           all_is_there);
}

TEST_F(StageDeath, AStoppedWorkerLosesNothing) {
    repeat(stopping([&](Pipeline& /*pipeline*/, std::mt19937& /*random*/) {
               pid_t worker = 0;  // where nothing has joined yet, it may come only now
               EXPECT_TRUE(eventually([&] {
                   const auto workers = instance->worker_pids();
                   worker = workers.empty() ? 0 : workers.front();
                   return worker != 0;
               }));
               return worker;
           }),
           all_is_there);
}

TEST_F(StageDeath, AStoppedYokedLosesNothing) {
    repeat(stopping([&](Pipeline& /*pipeline*/, std::mt19937& /*random*/) { return instance->yoked_pid(); }),
           all_is_there);
}

TEST_F(StageDeath, AStageThatIsKilledEndsTheOthersAsInAPipe) {
    std::size_t victim = 0;
    repeat(
        [&](Pipeline& pipeline, std::mt19937& random) {
            victim = random() % pipeline.processes.size();
            ::kill(pipeline.processes[victim].pid, SIGKILL);
        },
        [&](const Pipeline& pipeline, bool whole, const std::string& where) {
            for (std::size_t k = 0; k < pipeline.processes.size(); ++k) {
                const int status = pipeline.processes[k].status;
                if (k == victim) {
                    ASSERT_TRUE(status == SIGKILL || (whole && status == 0)) << where;
                } else if (k < victim) {
                    ASSERT_TRUE(status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE)) << where;
                } else {
                    // It ends well after whole records, or says that one was cut off.
                    ASSERT_TRUE(status == 0 || (WIFEXITED(status) && WEXITSTATUS(status) == 1)) << where;
                }
            }
        });
}

TEST_F(StageDeath, TheDeathOfYokedDisturbsNobody) {
    repeat([&](Pipeline& /*pipeline*/,
               std::mt19937& /*random*/) { ASSERT_TRUE(instance->restart()) << instance->error(); },
           all_is_there);
}

TEST_F(StageDeath, NothingIsLostSilentlyWithTheWorker) {
    kills_workers = true;
    repeat(
        [&](Pipeline& /*pipeline*/, std::mt19937& /*random*/) {
            for (const pid_t worker : instance->worker_pids()) {
                instance->kill_worker(worker);
            }
        },
        [](const Pipeline& pipeline, bool whole, const std::string& where) {
            ASSERT_TRUE(whole || !pipeline.all_well()) << where;
        });
}

// Records that go through plain pipes are kept by their stage until they have come out.
TEST_F(StageDeath, PlainPipesLoseNothingWithTheWorker) {
    kills_workers = joins_nothing = true;
    environment["YOKE_STAGE"] = "pipe";
    plans.clear();
    plan({{probe, "source", "400", "9000", "900"}, {tool, "stage", kernel}, {probe, "sink"}});
    plan({{probe, "source", "400", "9000", "900"}, {tool, "stage", kernel}, {tool, "stage", kernel}, {probe, "sink"}});
    repeat(
        [&](Pipeline& /*pipeline*/, std::mt19937& /*random*/) {
            for (const pid_t worker : instance->worker_pids()) {
                instance->kill_worker(worker);
            }
        },
        all_is_there);
}

}  // namespace
}  // namespace yoke::test
