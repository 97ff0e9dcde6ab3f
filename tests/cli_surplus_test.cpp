// What commands say of pushed input that a graph did not take, of a graph whose worker has died, and of transfers that
// take too long; with a real daemon.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <yoke/yoke.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli_instance.hpp"
#include "support/process_tree.hpp"

namespace yoke::test {
namespace {

using testing::AllOf;
using testing::AnyOf;
using testing::HasSubstr;
using testing::Not;

constexpr const char* plus =
    "kernel void plus(global const uint *a, global const uint *b, global uint *c) { size_t i = get_global_id(0); c[i] "
    "= "
    "a[i] + b[i]; }";
constexpr const char* copy =
    "kernel void copy(global const uint *a, global uint *c) { size_t i = get_global_id(0); c[i] = a[i]; }";

std::string port(const std::string& name, const std::string& direction) {
    return "port." + name + " = { direction = \"" + direction + "\", type = \"u32\", extent = [4] }\n";
}

std::string ptask(const std::string& name, const std::string& function, const std::string& source) {
    const bool two = function == "plus";
    return "[ptask." + name + "]\nfunction = \"" + function + "\"\nsource = '" + source + "'\narguments = [\"a\", " +
           (two ? "\"b\", " : "") + "\"c\"]\n" + port("a", "in") + (two ? port("b", "in") : "") + port("c", "out");
}

std::string channel(const std::string& name, const std::string& from, const std::string& to) {
    return "[channel." + name + "]\n" + (from.empty() ? "" : "source = \"" + from + "\"\n") +
           (to.empty() ? "" : "destination = \"" + to + "\"\n");
}

// sum = a + b; with `behind`, a goes through a ptask of its own first.
std::string sum_graph(bool behind = false) {
    std::string text =
        "name = \"/sum\"\n" + ptask("add", "plus", plus) + channel("b", "", "add:b") + channel("sum", "add:c", "");
    return text + (behind
                       ? ptask("pass", "copy", copy) + channel("a", "", "pass:a") + channel("inner", "pass:c", "add:a")
                       : channel("a", "", "add:a"));
}

std::string datablocks(std::size_t count) {
    return std::string(count * 16, '\1');
}

class CliSurplus : public CliInstanceTest {
   protected:
    [[nodiscard]] Finished start(const std::string& graph, std::size_t a, std::size_t b, bool pull = true) const {
        std::vector<std::string> arguments{"graph",
                                           "start",
                                           write("sum.toml", graph),
                                           "--push",
                                           "a=" + write("as", datablocks(a)),
                                           "--push",
                                           "b=" + write("bs", datablocks(b))};
        if (pull) {
            arguments.insert(arguments.end(), {"--pull", "sum=" + path("out")});
        }
        return yoke(arguments);
    }
};

TEST_F(CliSurplus, EqualInputsLeaveNothing) {
    const Finished finished = start(sum_graph(), 7, 7);
    EXPECT_EQ(finished.exit, 0) << finished.err;
    EXPECT_EQ(read("out").size(), 7 * 16U);
    EXPECT_EQ(start(sum_graph(true), 7, 7).exit, 0);
    EXPECT_EQ(start(sum_graph(), 0, 0).exit, 0);
}

TEST_F(CliSurplus, WhatAChannelHadAcceptedIsNamedToo) {
    for (const bool first : {true, false}) {
        const Finished finished = first ? start(sum_graph(), 8, 5) : start(sum_graph(), 5, 8);
        EXPECT_EQ(finished.exit, 1) << finished.err;
        EXPECT_THAT(finished.err, HasSubstr(fmt::format(
                                      "channel /sum/{} left 3 datablocks (48 bytes) of {} untaken, behind the first "
                                      "5: ptask /sum/add ended with the stream of channel /sum/{}, which had 5 "
                                      "datablocks",
                                      first ? "a" : "b", path(first ? "as" : "bs"), first ? "b" : "a")));
        EXPECT_EQ(read("out").size(), 5 * 16U) << "what came out is complete";
    }
}

TEST_F(CliSurplus, WhatIsLeftInTheFileIsCounted) {
    const Finished finished = start(sum_graph(), 1000, 1);
    EXPECT_EQ(finished.exit, 1);
    EXPECT_THAT(finished.err, AllOf(HasSubstr("channel /sum/a left 999 datablocks (15984 bytes)"),
                                    HasSubstr("behind the first 1:"), HasSubstr("/sum/b, which had 1 datablock\n")));
    const Finished one = start(sum_graph(), 2, 1);
    EXPECT_THAT(one.err, HasSubstr("channel /sum/a left 1 datablock (16 bytes)"));
    // Of a pipe nobody knows what is behind.
    const Finished piped = yoke({"graph", "start", path("sum.toml"), "--push", "a=-", "--push", "b=" + path("bs"),
                                 "--pull", "sum=" + path("out")},
                                datablocks(20'000));
    EXPECT_EQ(piped.exit, 1);
    EXPECT_THAT(piped.err, HasSubstr("channel /sum/a left at least "));
}

TEST_F(CliSurplus, WhatIsLostBehindAnotherPtaskIsNamed) {
    const Finished finished = start(sum_graph(true), 8, 5);
    EXPECT_EQ(finished.exit, 1);
    EXPECT_THAT(finished.err, HasSubstr("channel /sum/inner left 3 datablocks untaken, made of what channel /sum/a "
                                        "took: ptask /sum/add ended with the stream of channel /sum/b"));
}

TEST_F(CliSurplus, WhatAGraphThatCannotMoveHoldsIsNoSuccess) {
    // All of it fits into the channels.
    const Finished unpulled = start(sum_graph(), 12, 12, false);
    EXPECT_EQ(unpulled.exit, 1);
    EXPECT_THAT(unpulled.err, AllOf(HasSubstr("channel /sum/a left 4 datablocks (64 bytes)"),
                                    HasSubstr("channel /sum/b left 4 datablocks (64 bytes)"),
                                    HasSubstr("channel /sum/sum is full (8 datablocks); pull from it")));
    const Finished unpushed =
        yoke({"graph", "start", write("sum.toml", sum_graph()), "--push", "a=" + write("as", datablocks(2))});
    EXPECT_EQ(unpushed.exit, 1);
    EXPECT_THAT(unpushed.err, AllOf(HasSubstr("channel /sum/a left 2 datablocks (32 bytes)"),
                                    HasSubstr("push into it (yoke push /sum/b)")));
}

TEST_F(CliSurplus, APushIntoARunningGraphSaysTheSame) {
    ASSERT_EQ(yoke({"graph", "start", write("sum.toml", sum_graph()), "--persist"}).exit, 0);
    EXPECT_EQ(yoke({"push", "/sum/b", "--end"}, datablocks(2)).exit, 0);
    const Finished pushed = yoke({"push", "/sum/a", write("as", datablocks(5))});
    EXPECT_EQ(pushed.exit, 1);
    EXPECT_THAT(pushed.err, AllOf(HasSubstr("channel /sum/a left 3 datablocks (48 bytes)"),
                                  HasSubstr("ptask /sum/add ended with the stream of channel /sum/b, which had 2")));
}

TEST_F(CliSurplus, AnEndedGraphSaysHowItRunsAgain) {
    const std::string file = write("sum.toml", sum_graph());
    ASSERT_EQ(yoke({"graph", "start", file, "--persist"}).exit, 0);
    const auto once = [&] {
        EXPECT_EQ(yoke({"push", "/sum/a", "--end"}, datablocks(2)).exit, 0);
        EXPECT_EQ(yoke({"push", "/sum/b", "--end"}, datablocks(2)).exit, 0);
        const Finished pulled = yoke({"pull", "/sum/sum", "--timeout", "60"});
        EXPECT_EQ(pulled.out.size(), 32U) << pulled.err;
    };
    once();
    const Finished again = yoke({"graph", "start", "sum"});
    EXPECT_EQ(again.exit, 1);
    const std::string remedy = "yoke graph stop /sum; yoke graph start /sum";
    EXPECT_THAT(again.err, HasSubstr("graph /sum has ended; to run it again: " + remedy));
    Invocation shell;
    shell.arguments = {"/bin/sh", "-ec", remedy};
    shell.environment = environment;
    shell.environment["PATH"] = std::string(YOKE_BIN_DIR) + ":/usr/bin:/bin";
    const Finished remedied = run(shell);
    EXPECT_EQ(remedied.exit, 0) << remedied.err;
    once();
}

TEST_F(CliSurplus, ATransferGivesUpInTime) {
    ASSERT_EQ(yoke({"graph", "start", write("sum.toml", sum_graph()), "--persist"}).exit, 0);
    const Finished pulled = yoke({"pull", "/sum/sum", "--timeout", "0.1"});
    EXPECT_EQ(pulled.exit, 1);
    EXPECT_THAT(pulled.err, HasSubstr("channel /sum/sum has given nothing for 0.1 s, behind 0 datablocks"));
    const Finished pushed = yoke({"push", "/sum/a", "--timeout", "3"}, datablocks(9));
    EXPECT_EQ(pushed.exit, 1);
    EXPECT_THAT(pushed.err, HasSubstr("channel /sum/a has taken nothing for 3 s, behind 8 datablocks"));
    // An input that has nothing is no fault of the graph's.
    ASSERT_EQ(yoke({"push", "/sum/b"}, datablocks(8)).exit, 0);
    EXPECT_EQ(yoke({"pull", "/sum/sum", "--timeout", "60", "-n", "8"}).out.size(), 8 * 16U);
    EXPECT_EQ(yoke({"push", "/sum/a", "--timeout", "soon"}).exit, 2);
}

TEST_F(CliSurplus, ADatablockTooShortIsToldWithTheExtentThatItWouldHave) {
    const Finished finished =
        yoke({"graph", "start", write("sum.toml", sum_graph()), "--push", "a=-"}, std::string(8, '\1'));
    EXPECT_EQ(finished.exit, 1);
    EXPECT_THAT(finished.err, HasSubstr("8 bytes are left of 16 that /sum/add:a takes (u32 4); give it as many, or the "
                                        "ports of its ptask an extent of 2"));
    const Finished odd = yoke({"graph", "start", path("sum.toml"), "--push", "a=-"}, "x");
    EXPECT_THAT(odd.err, AllOf(HasSubstr("1 byte is left of 16"), Not(HasSubstr("extent"))));
}

// What yoked says while a worker is late with its report is old.
TEST_F(CliSurplus, WhatAWorkerIsYetToReportIsAwaited) {
    instance.reset();
    Instance::Options options;
    options.config = "[supervision]\nreport_timeout_ms = 50\n";
    instance.emplace(options);
    ASSERT_TRUE(instance->ready()) << instance->error();
    environment["YOKE_SOCKET"] = instance->socket();
    ASSERT_EQ(yoke({"graph", "start", write("sum.toml", sum_graph()), "--persist"}).exit, 0);
    ASSERT_EQ(yoke({"push", "/sum/a"}, datablocks(2)).exit, 0);
    ASSERT_EQ(yoke({"push", "/sum/b"}, datablocks(2)).exit, 0);
    ASSERT_TRUE(eventually([&] {
        const auto list = instance->ask({{"op", "list"}});
        return list && list->body["stale"].empty();
    }));
    ASSERT_EQ(yoke({"pull", "/sum/sum", "-n", "2", "--timeout", "60"}).out.size(), 32U);
    const auto workers = instance->worker_pids();
    ASSERT_EQ(workers.size(), 1U);
    ASSERT_TRUE(stop(workers.front()));
    Invocation show = command({"graph", "show", "sum", "--json"});
    show.while_running = [&](pid_t) {
        for (int look = 0; look < 8; ++look) {
            const auto list = instance->ask({{"op", "list"}});
            EXPECT_TRUE(list && list->body["stale"] == nlohmann::json::array({::getuid()}));
        }
        ::kill(workers.front(), SIGCONT);
    };
    const auto shown = nlohmann::json::parse(run(show).out, nullptr, false);
    const auto channels = shown.value("channels", nlohmann::json::array());
    EXPECT_TRUE(std::ranges::any_of(channels, [](const auto& channel) {
        return channel["name"] == "/sum/sum" && channel["pulled"] == 2;
    })) << shown.dump();
}

// With a pause behind the second death of a worker, in which nothing runs.
class CliHold : public CliTest {
   protected:
    void begin(int pause_ms) {
        Instance::Options options;
        options.config = fmt::format("[supervision]\nbackoff_first_ms = {}\nbackoff_max_ms = {}\n", pause_ms, pause_ms);
        instance.emplace(options);
        ASSERT_TRUE(instance->ready()) << instance->error();
        environment["YOKE_SOCKET"] = instance->socket();
    }
    void TearDown() override {
        instance.reset();
        CliTest::TearDown();
    }
    // Twice: the first is followed at once.
    void kill_worker() {
        pid_t killed = 0;
        for (int death = 0; death < 2; ++death) {
            std::vector<pid_t> workers;
            ASSERT_TRUE(eventually([&] {
                workers = instance->worker_pids();
                return !workers.empty() && workers.front() != killed;
            }));
            killed = workers.front();
            instance->kill_worker(killed);
        }
    }

    std::optional<Instance> instance;
};

TEST_F(CliHold, PushAndPullWaitForAGraphThatComesBack) {
    begin(3000);
    ASSERT_EQ(yoke({"graph", "start", write("sum.toml", sum_graph()), "--persist"}).exit, 0);
    kill_worker();
    const Finished pushed = yoke({"push", "/sum/a"}, datablocks(2));
    EXPECT_EQ(pushed.exit, 0) << pushed.err;
    EXPECT_EQ(yoke({"push", "/sum/b"}, datablocks(2)).exit, 0);
    EXPECT_EQ(yoke({"pull", "/sum/sum", "-n", "2", "--timeout", "60"}).out.size(), 32U);
    const Finished none = yoke({"push", "/none/a"});
    EXPECT_EQ(none.exit, 5) << none.err;
    EXPECT_THAT(none.err, HasSubstr("there is no graph /none"));
}

// Its program is there again and has opened the graph, but never runs it.
TEST_F(CliHold, AGraphThatNobodyRunsIsNotAwaitedForEver) {
    begin(100);
    const std::string file = write("sum.toml", sum_graph());
    yoke_options options{};
    options.socket = instance->socket().c_str();
    yoke_session* session = nullptr;
    ASSERT_EQ(yoke_open(&session, &options), 0);
    const std::unique_ptr<yoke_session, decltype(&yoke_close)> owner(session, yoke_close);
    ASSERT_EQ(yoke_load_graph(session, file.c_str(), nullptr, 0), 0) << yoke_error(session);
    const auto first = instance->worker_pids();
    ASSERT_EQ(first.size(), 1U);
    instance->kill_worker(first.front());
    Invocation push = command({"push", "/sum/a", write("as", datablocks(9)), "--timeout", "0.1"});
    push.while_running = [&](pid_t pid) {
        // The program comes back when the push has a session with the next worker.
        EXPECT_TRUE(eventually([&] {
            const auto list = instance->ask({{"op", "list"}});
            return has_ended(pid) || (list && !list->body["sessions"].empty());
        }));
        EXPECT_TRUE(eventually([&] {
            char* why = nullptr;
            yoke_graph_why(session, "/sum", &why);  // opens it again
            ::free(why);
            return has_ended(pid);
        })) << "it waits for ever";
        ::kill(pid, SIGKILL);
    };
    const Finished pushed = run(push);
    // The program had 3 s to come back.
    EXPECT_THAT(pushed.err,
                AnyOf(HasSubstr("channel /sum/a has taken nothing for 0.1 s"), HasSubstr("there is no graph /sum")));
    EXPECT_EQ(pushed.exit, pushed.err.find("there is no graph") == std::string::npos ? 1 : 5) << pushed.err;
}

}  // namespace
}  // namespace yoke::test
