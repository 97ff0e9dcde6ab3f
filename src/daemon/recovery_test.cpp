// Death of yoked: the next one knows everything, and no account gets a second worker.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "support/instance.hpp"
#include "support/process_tree.hpp"
#include "support/raw_session.hpp"

namespace yoke::daemon {
namespace {

using test::eventually;
using test::Instance;
using test::RawSession;

TEST(Recovery, ANewYokedKnowsTheWorkersAndSessionsOfTheOld) {
    Instance instance;
    ASSERT_TRUE(instance.ready()) << instance.error();
    auto session = RawSession::open(instance);
    ASSERT_TRUE(session) << session.error().message;
    const pid_t worker = (*session)->connected().worker;
    ASSERT_TRUE(instance.restart()) << instance.error();
    // Neither connect nor list answers before the worker has registered, so there is nothing to wait for here.
    const auto list = instance.ask({{"op", "list"}, {"kind", "sessions"}});
    ASSERT_TRUE(list) << list.error().message;
    ASSERT_EQ(list->body["sessions"].size(), 1U) << list->body.dump();
    EXPECT_EQ(list->body["sessions"][0]["session"], (*session)->id());
    auto second = RawSession::open(instance);
    ASSERT_TRUE(second) << second.error().message;
    EXPECT_EQ((*second)->connected().worker, worker) << "the account has got a second worker";
    EXPECT_TRUE((*session)->echo(100)) << "the old session is served on";
    EXPECT_TRUE((*second)->echo(100));
}

TEST(Recovery, SessionsAreServedWhileNoYokedIsThere) {
    Instance instance;
    ASSERT_TRUE(instance.ready()) << instance.error();
    auto session = RawSession::open(instance);
    ASSERT_TRUE(session) << session.error().message;
    instance.kill_yoked();
    for (int i = 0; i < 100; ++i) {
        ASSERT_TRUE((*session)->echo(100)) << i;
    }
    ASSERT_TRUE(instance.start()) << instance.error();
}

TEST(Recovery, AWorkerThatDiedWithoutYokedIsReplacedUnderANewGeneration) {
    Instance instance;
    ASSERT_TRUE(instance.ready()) << instance.error();
    auto session = RawSession::open(instance);
    ASSERT_TRUE(session) << session.error().message;
    instance.kill_yoked();
    instance.kill_worker((*session)->connected().worker);
    ASSERT_TRUE(instance.start()) << instance.error();
    auto again = RawSession::open(instance);
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ((*again)->connected().generation, (*session)->connected().generation + 1);
    EXPECT_TRUE((*again)->echo(100));
}

TEST(Recovery, AWorkerThatDoesNotComeBackIsKilledBeforeAnotherIsStarted) {
    Instance instance({.config = "[supervision]\nrecover_timeout_ms = 100\n", .environment = {}});
    ASSERT_TRUE(instance.ready()) << instance.error();
    auto session = RawSession::open(instance);
    ASSERT_TRUE(session) << session.error().message;
    const pid_t stopped = (*session)->connected().worker;
    ASSERT_TRUE(test::stop(stopped));
    ASSERT_TRUE(instance.restart()) << instance.error();
    auto again = RawSession::open(instance);
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_NE((*again)->connected().worker, stopped);
    const auto left = test::yoke_descendants();
    EXPECT_TRUE(std::none_of(left.begin(), left.end(), [&](const auto& process) { return process.pid == stopped; }));
}

TEST(Recovery, AWorkerWhoseNameWasLostIsTakenBackByItsToken) {
    Instance instance;
    ASSERT_TRUE(instance.ready()) << instance.error();
    auto session = RawSession::open(instance);
    ASSERT_TRUE(session) << session.error().message;
    instance.kill_yoked();
    std::filesystem::remove(instance.directory() + "/workers");
    ASSERT_TRUE(instance.start()) << instance.error();
    EXPECT_TRUE(
        eventually([&] { return instance.worker_pids() == std::vector<pid_t>{(*session)->connected().worker}; }));
    EXPECT_TRUE((*session)->echo(100));
}

TEST(Recovery, WorkersOfALostSecretEnd) {
    Instance instance;
    ASSERT_TRUE(instance.ready()) << instance.error();
    auto session = RawSession::open(instance);
    ASSERT_TRUE(session) << session.error().message;
    instance.kill_yoked();
    std::filesystem::remove(instance.directory() + "/workers");
    std::filesystem::remove(instance.directory() + "/secret");
    ASSERT_TRUE(instance.start()) << instance.error();
    EXPECT_TRUE(eventually([] {
        const auto left = test::yoke_descendants();
        return std::none_of(left.begin(), left.end(),
                            [](const auto& process) { return process.name == "yoke-worker"; });
    }));
    auto again = RawSession::open(instance);
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_TRUE((*again)->echo(100));
}

TEST(Recovery, WorkersWithoutAnyYokedEndWhenTheirTimeIsUp) {
    Instance instance({.config = "[lifetime]\nworker_alone_s = 1\n", .environment = {}});
    ASSERT_TRUE(instance.ready()) << instance.error();
    auto session = RawSession::open(instance);
    ASSERT_TRUE(session) << session.error().message;
    instance.kill_yoked();
    EXPECT_TRUE(eventually([] {
        test::reap_orphans(-1);
        return test::yoke_descendants().empty();
    })) << "worker, spawner or compiler are left";
    EXPECT_THAT(instance.log(), testing::HasSubstr("no yoked has come for 1 s"));
}

TEST(Recovery, YokedSurvivesBeingKilledAgainAndAgain) {
    Instance instance;
    ASSERT_TRUE(instance.ready()) << instance.error();
    auto session = RawSession::open(instance);
    ASSERT_TRUE(session) << session.error().message;
    for (int round = 0; round < 5; ++round) {
        ASSERT_TRUE(instance.restart()) << instance.error();
        ASSERT_TRUE((*session)->echo(100)) << round;
    }
    EXPECT_TRUE(
        eventually([&] { return instance.worker_pids() == std::vector<pid_t>{(*session)->connected().worker}; }));
}

}  // namespace
}  // namespace yoke::daemon
