// yoked with real workers, from outside: connections, deaths, and those who break the protocol.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <poll.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/program.hpp"

#include "support/instance.hpp"
#include "support/process_tree.hpp"
#include "support/raw_session.hpp"

namespace yoke::daemon {
namespace {

using control::Json;
using test::connect_to_worker;
using test::eventually;
using test::Instance;
using test::RawSession;
using testing::HasSubstr;

bool is_gone(const Fd& pidfd, int timeout_ms = 60'000) {
    pollfd wait{pidfd.get(), POLLIN, 0};
    return ::poll(&wait, 1, timeout_ms) == 1;
}

// A directory whose yoke-worker is `false`.
std::string false_directory() {
    const std::string path =
        (std::filesystem::temp_directory_path() / fmt::format("yoke-false-{}", ::getpid())).string();
    std::filesystem::create_directories(path);
    std::error_code ignored;
    std::filesystem::create_symlink("/bin/false", path + "/yoke-worker", ignored);
    return path;
}

TEST(Daemon, ServesACallThroughARealWorker) {
    Instance instance;
    ASSERT_TRUE(instance.ready()) << instance.error();
    auto session = RawSession::open(instance);
    ASSERT_TRUE(session) << session.error().message;
    EXPECT_TRUE((*session)->echo(1000));
    EXPECT_TRUE((*session)->echo(200'000, YOKE_RING_BULK));
    EXPECT_EQ(instance.worker_pids(), std::vector<pid_t>{(*session)->connected().worker});
}

TEST(Daemon, OneAccountHasOneWorker) {
    Instance instance;
    ASSERT_TRUE(instance.ready()) << instance.error();
    auto first = RawSession::open(instance);
    auto second = RawSession::open(instance);
    ASSERT_TRUE(first) << first.error().message;
    ASSERT_TRUE(second) << second.error().message;
    EXPECT_EQ((*first)->connected().worker, (*second)->connected().worker);
    EXPECT_NE((*first)->id(), (*second)->id());
    EXPECT_TRUE((*first)->echo(64) && (*second)->echo(64));
}

TEST(Daemon, NoticesTheDeathOfAWorkerAndStartsANewOne) {
    Instance instance;
    ASSERT_TRUE(instance.ready()) << instance.error();
    auto session = RawSession::open(instance);
    ASSERT_TRUE(session) << session.error().message;
    ASSERT_TRUE((*session)->echo(100));
    std::memset((*session)->data().data(), 0x5a, 4096);
    const pid_t dead = (*session)->connected().worker;
    instance.kill_worker(dead);
    EXPECT_TRUE(is_gone((*session)->connected().pidfd));

    auto again = RawSession::open(instance, (*session)->layout().arena_bytes, &(*session)->arena_fd());
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_NE((*again)->connected().worker, dead);
    EXPECT_EQ((*again)->connected().generation, (*session)->connected().generation + 1);
    EXPECT_EQ((*again)->data()[4095], std::byte{0x5a}) << "the arena was handed over with its data";
    EXPECT_TRUE((*again)->echo(100));
    const auto status = instance.ask({{"op", "status"}});
    ASSERT_TRUE(status);
    EXPECT_EQ(status->body["workers"][0]["deaths"], 1);
}

TEST(Daemon, AnIdleWorkerEndsAndThenAnIdlePrivateInstance) {
    Instance instance({.config = "[lifetime]\nidle_exit_s = 600\nworker_linger_s = 0\n", .environment = {}});
    ASSERT_TRUE(instance.ready()) << instance.error();
    {
        auto session = RawSession::open(instance);
        ASSERT_TRUE(session) << session.error().message;
        // From now on: before, it might have ended before anybody came.
        std::ofstream(instance.directory() + "/yoke.toml") << "[lifetime]\nidle_exit_s = 1\nworker_linger_s = 0\n";
        ::kill(instance.yoked_pid(), SIGHUP);
        EXPECT_TRUE(eventually([&] { return instance.log().find("configuration reloaded") != std::string::npos; }));
        EXPECT_TRUE((*session)->echo(100));
        EXPECT_EQ(instance.worker_pids().size(), 1U);
    }
    EXPECT_TRUE(eventually([&] { return instance.worker_pids().empty(); }));
    EXPECT_EQ(instance.wait_for_exit(60'000), 0);
    for (const char* name : {"yoke.sock", "secret", "workers", "lock"}) {
        EXPECT_NE(::access((instance.directory() + "/" + name).c_str(), F_OK), 0) << name;
    }
}

TEST(Daemon, ShutdownEndsWorkersAndYoked) {
    Instance instance;
    ASSERT_TRUE(instance.ready()) << instance.error();
    auto session = RawSession::open(instance);
    ASSERT_TRUE(session) << session.error().message;
    ASSERT_TRUE(instance.ask({{"op", "shutdown"}}));
    EXPECT_TRUE(is_gone((*session)->connected().pidfd));
    EXPECT_EQ(instance.wait_for_exit(60'000), 0);
}

TEST(Daemon, OfTwoStartedInOneDirectoryOneServesAndTheOtherSaysReady) {
    Instance instance;
    ASSERT_TRUE(instance.ready()) << instance.error();
    const std::string yoked = find_program("yoked").value();
    const std::string command = yoked + " --private --config /dev/null --socket " + instance.socket() +
                                " --ready-fd 9 9>" + instance.directory() + "/ready 2>/dev/null";
    EXPECT_EQ(std::system(command.c_str()), 0);
    std::ifstream ready(instance.directory() + "/ready");
    EXPECT_EQ(ready.get(), '1');
    std::filesystem::remove(instance.directory() + "/ready");
    EXPECT_TRUE(RawSession::open(instance));
}

TEST(Daemon, SuspectsBarTheAccountForATime) {
    Instance instance({.config = "[supervision]\nsuspects_max = 2\nbar_s = 2\n", .environment = {}});
    ASSERT_TRUE(instance.ready()) << instance.error();
    ASSERT_TRUE(connect_to_worker(instance, 2));
    const auto link = instance.connect();
    ASSERT_TRUE(link);
    const auto refused =
        control::exchange(*link, {{"op", "connect"}, {"version", YOKE_ABI_VERSION}, {"suspects", 1}}, {}, 60'000);
    ASSERT_TRUE(refused);
    EXPECT_EQ(refused->body["ok"], false);
    EXPECT_EQ(refused->body["errno"], EBUSY);
    EXPECT_GT(refused->body["retry_ms"], 0U);
    EXPECT_LE(refused->body["retry_ms"], 2001U);
    EXPECT_TRUE(eventually([&] { return connect_to_worker(instance).has_value(); }));
}

TEST(Daemon, LimitsOfSessionsAndArenasAreErrorsThatNameThem) {
    Instance instance(
        {.config = "[lifetime]\nidle_exit_s = 60\n[limits.account]\nsessions = 2\narena_bytes = 3145728\n",
         .environment = {}});
    ASSERT_TRUE(instance.ready()) << instance.error();
    auto first = RawSession::open(instance, 2U << 20U);
    ASSERT_TRUE(first) << first.error().message;
    const auto large = RawSession::open(instance, 2U << 20U);
    ASSERT_FALSE(large);
    EXPECT_EQ(large.error().code, ENOBUFS);
    EXPECT_THAT(large.error().message, HasSubstr("limits.account.arena_bytes"));
    Result<std::unique_ptr<RawSession>> second = fail(EIO, "none");
    ASSERT_TRUE(eventually([&] {
        second = RawSession::open(instance);
        return second.has_value();
    })) << second.error().message;
    const auto third = RawSession::open(instance);
    ASSERT_FALSE(third);
    EXPECT_EQ(third.error().code, ENOBUFS);
    EXPECT_THAT(third.error().message, HasSubstr("limits.account.sessions"));
    EXPECT_TRUE((*first)->echo(100) && (*second)->echo(100));
}

TEST(Daemon, AStoppedWorkerHoldsNobodyUp) {
    Instance instance({.config = "[supervision]\nreport_timeout_ms = 50\n", .environment = {}});
    ASSERT_TRUE(instance.ready()) << instance.error();
    auto session = RawSession::open(instance);
    ASSERT_TRUE(session) << session.error().message;
    ASSERT_TRUE(eventually([&] {
        const auto list = instance.ask({{"op", "list"}});
        return list && list->body["sessions"].size() == 1;
    }));
    ASSERT_TRUE(test::stop((*session)->connected().worker));
    const auto list = instance.ask({{"op", "list"}});
    ASSERT_TRUE(list) << list.error().message;
    EXPECT_EQ(list->body["stale"], Json::array({::getuid()}));
    EXPECT_EQ(list->body["sessions"].size(), 1U) << "the last report is shown";
    EXPECT_TRUE(instance.ask({{"op", "status"}}));
    ::kill((*session)->connected().worker, SIGCONT);
    EXPECT_TRUE((*session)->echo(100));
    EXPECT_TRUE(eventually([&] {
        const auto fresh = instance.ask({{"op", "list"}});
        return fresh && fresh->body["stale"].empty();
    }));
}

TEST(Daemon, ListShowsOneKindOrAllWithTheAccount) {
    Instance instance;
    ASSERT_TRUE(instance.ready()) << instance.error();
    auto session = RawSession::open(instance);
    ASSERT_TRUE(session) << session.error().message;
    const auto all = instance.ask({{"op", "list"}});
    ASSERT_TRUE(all) << all.error().message;
    for (const char* kind :
         {"workers", "sessions", "graphs", "ptasks", "ports", "channels", "services", "devices", "keys"}) {
        ASSERT_TRUE(all->body[kind].is_array()) << kind;
        for (const Json& object : all->body[kind]) {
            EXPECT_EQ(object["account"], ::getuid()) << object.dump();
        }
    }
    EXPECT_EQ(all->body["services"].size(), 7U);
    EXPECT_EQ(all->body["devices"].size(), 1U);
    EXPECT_EQ(all->body["sessions"][0]["client_pid"], ::getpid());
    EXPECT_EQ(all->body["workers"][0]["gate"]["state"], "open");
    const auto services = instance.ask({{"op", "list"}, {"kind", "services"}});
    ASSERT_TRUE(services);
    EXPECT_FALSE(services->body.contains("sessions"));
    const auto unknown = instance.ask({{"op", "list"}, {"kind", "spoons"}});
    ASSERT_FALSE(unknown);
    EXPECT_EQ(unknown.error().code, EBADMSG);
    EXPECT_THAT(unknown.error().message, HasSubstr("spoons"));
}

TEST(Daemon, AWorkerThatCannotStartIsAnErrorThatSaysSo) {
    Instance instance({.config = "", .environment = {"YOKE_LIBEXEC_DIR=" + false_directory()}});
    ASSERT_TRUE(instance.ready()) << instance.error();
    const auto refused = connect_to_worker(instance);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, EIO) << refused.error().message;
    EXPECT_THAT(refused.error().message, HasSubstr("exit status 1"));
    std::filesystem::remove_all(false_directory());
}

TEST(Daemon, ReloadsItsConfigurationAndKeepsTheOldWhenTheNewIsWrong) {
    Instance instance({.config = "[limits.account]\nsessions = 1\n", .environment = {}});
    ASSERT_TRUE(instance.ready()) << instance.error();
    auto first = RawSession::open(instance);
    ASSERT_TRUE(first) << first.error().message;
    EXPECT_FALSE(RawSession::open(instance));
    const auto reload = [&](const char* text, const char* says) {
        std::ofstream(instance.directory() + "/yoke.toml") << text;
        ::kill(instance.yoked_pid(), SIGHUP);
        return eventually([&] { return instance.log().find(says) != std::string::npos; });
    };
    EXPECT_TRUE(reload("[limits.account]\nsessions = many\n", "configuration is not applied"));
    EXPECT_FALSE(RawSession::open(instance));
    EXPECT_TRUE(reload("[limits.account]\nsessions = 2\n", "configuration reloaded"));
    EXPECT_TRUE(RawSession::open(instance));
}

}  // namespace
}  // namespace yoke::daemon
