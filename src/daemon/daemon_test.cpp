// yoked with real workers, from outside: connections, deaths, and those who break the protocol.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <poll.h>

#include <csignal>

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

bool is_gone(const Fd& pidfd, int timeout_ms = 20'000) {
    pollfd wait{pidfd.get(), POLLIN, 0};
    return ::poll(&wait, 1, timeout_ms) == 1;
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

TEST(Daemon, ANewYokedKnowsTheWorkersAndSessionsOfTheOld) {
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

}  // namespace
}  // namespace yoke::daemon
