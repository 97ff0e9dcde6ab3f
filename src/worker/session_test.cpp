// Sessions of a real worker over their control socket: order of requests, keys, and clients that hold things up. What
// entries in the rings can do is tested elsewhere.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "base/memory.hpp"
#include "support/process_tree.hpp"
#include "support/raw_session.hpp"

namespace yoke::worker {
namespace {

using control::Json;
using test::eventually;
using test::RawSession;
using testing::HasSubstr;

constexpr int answer_ms = 60'000;

class SessionTest : public testing::Test {
   protected:
    void SetUp() override {
        ASSERT_TRUE(instance_.ready()) << instance_.error();
        auto session = RawSession::open(instance_);
        ASSERT_TRUE(session) << session.error().message;
        session_ = std::move(*session);
    }
    static Error refusal(const Fd& socket, const Json& request, std::span<const int> fds = {}) {
        const auto answer = control::request(socket, request, fds, answer_ms);
        return answer ? Error{0, "accepted"} : answer.error();
    }
    static Fd key_memfd(std::size_t bytes) {
        std::vector<std::byte> key(bytes);
        for (std::size_t i = 0; i < bytes; ++i) {
            key[i] = static_cast<std::byte>(i);
        }
        return create_content_memfd("key", key).value();
    }
    std::size_t sessions() {
        const auto list = instance_.ask({{"op", "list"}, {"kind", "sessions"}});
        return list ? list->body["sessions"].size() : 0;
    }

    test::Instance instance_;
    std::unique_ptr<RawSession> session_;
};

Json ptask_request(const char* name, const std::string& source) {
    const Json zeros = {0, 0, 0};
    return {{"op", "open_ptask"},
            {"name", name},
            {"kernel",
             {{"source", source},
              {"source_name", "test.cl"},
              {"function", "f"},
              {"options", ""},
              {"geometry", zeros},
              {"local", zeros}}},
            {"arguments", {{{"port", std::string(name) + ":in"}}, {{"port", std::string(name) + ":out"}}}}};
}

void open_graph_with_ports(const Fd& socket, const std::string& graph) {
    ASSERT_TRUE(control::request(socket, {{"op", "open_graph"}, {"name", graph}}, {}, answer_ms));
    for (const char* direction : {"in", "out"}) {
        ASSERT_TRUE(control::request(socket,
                                     {{"op", "open_port"},
                                      {"name", graph + "/p:" + direction},
                                      {"direction", direction},
                                      {"template", {{"type", "f32"}, {"extent", {4, 1, 1}}, {"stride", 0}}}},
                                     {}, answer_ms));
    }
}

constexpr const char* good_kernel = "kernel void f(global const float *a, global float *b) { b[0] = a[0]; }";

TEST_F(SessionTest, RequestsComeAfterOpenSessionAndThatOnce) {
    auto connected = test::connect_to_worker(instance_);
    ASSERT_TRUE(connected);
    EXPECT_EQ(refusal(connected->session, {{"op", "open_graph"}, {"name", "/g"}}).code, EINVAL);
    EXPECT_EQ(refusal(connected->session, {{"op", "connect"}, {"version", 1}}).code, ENOSYS);
    EXPECT_EQ(refusal(connected->session, test::open_session_request()).code, 0);
    EXPECT_EQ(refusal(connected->session, test::open_session_request()).code, EALREADY);
    EXPECT_EQ(refusal(connected->session, test::open_session_request(1)).code, EBADMSG);
}

TEST_F(SessionTest, KeysAreMadeAndDestroyedAndTheirDescriptorsChecked) {
    const Json create{{"op", "create_key"}, {"service", "aes-xts"}};
    const Fd good = key_memfd(64);
    const int good_fd = good.get();
    const auto key = control::request(session_->socket(), create, {&good_fd, 1}, answer_ms);
    ASSERT_TRUE(key) << key.error().message;
    const std::uint32_t id = key->body["key"];
    EXPECT_NE(id, 0U);
    EXPECT_TRUE(eventually([&] {
        const auto list = instance_.ask({{"op", "list"}, {"kind", "keys"}});
        return list && list->body["keys"][0]["count"] == 1;
    }));
    EXPECT_EQ(refusal(session_->socket(), {{"op", "destroy_key"}, {"key", id}}).code, 0);
    EXPECT_EQ(refusal(session_->socket(), {{"op", "destroy_key"}, {"key", id}}).code, ENOKEY);

    const Fd short_key = key_memfd(5);
    const int short_fd = short_key.get();
    EXPECT_EQ(refusal(session_->socket(), create, {&short_fd, 1}).code, EKEYREJECTED);
    EXPECT_EQ(refusal(session_->socket(), create).code, EBADMSG) << "no descriptor";
    EXPECT_EQ(refusal(session_->socket(), {{"op", "create_key"}, {"service", "rot13"}}, {&good_fd, 1}).code, ENOSYS);
    EXPECT_EQ(refusal(session_->socket(), {{"op", "open_graph"}, {"name", "/g"}}, {&good_fd, 1}).code, EBADMSG);
    EXPECT_TRUE(session_->echo(100));
}

TEST_F(SessionTest, AHugeDescriptorIsRefusedWithoutBeingRead) {
    const Fd huge = create_sealed_memfd("huge", 100U << 20U).value();
    ASSERT_EQ(::fcntl(huge.get(), F_GET_SEALS) & F_SEAL_SHRINK, F_SEAL_SHRINK);
    const int fd = huge.get();
    EXPECT_NE(refusal(session_->socket(), {{"op", "create_key"}, {"service", "aes-xts"}}, {&fd, 1}).code, 0);
    EXPECT_NE(refusal(session_->socket(), {{"memfd", 100U << 20U}}, {&fd, 1}).code, 0);
    EXPECT_TRUE(session_->echo(100));
}

TEST_F(SessionTest, AHangUpEndsTheSessionAndItsGraphs) {
    auto second = RawSession::open(instance_);
    ASSERT_TRUE(second) << second.error().message;
    ASSERT_EQ(refusal((*second)->socket(), {{"op", "open_graph"}, {"name", "/mine"}}).code, 0);
    EXPECT_TRUE(eventually([&] { return sessions() == 2; }));
    second->reset();
    EXPECT_TRUE(eventually([&] { return sessions() == 1; }));
    const auto graphs = instance_.ask({{"op", "list"}, {"kind", "graphs"}});
    ASSERT_TRUE(graphs);
    EXPECT_TRUE(graphs->body["graphs"].empty()) << graphs->body.dump();
    EXPECT_TRUE(session_->echo(100));
}

TEST_F(SessionTest, CompilerMessagesComeBackWithTheLine) {
    open_graph_with_ports(session_->socket(), "/g");
    const Error error =
        refusal(session_->socket(), ptask_request("/g/p", "kernel void f(\n  global float *a) { b = 1; }"));
    EXPECT_EQ(error.code, ENOEXEC);
    EXPECT_THAT(error.message, HasSubstr("test.cl:2"));
}

// The compiler stands still, so the test knows that the request is not answered yet.
class StoppedCompiler : public SessionTest {
   protected:
    void SetUp() override {
        SessionTest::SetUp();
        open_graph_with_ports(session_->socket(), "/slow");  // the device is open now
        for (const auto& process : test::yoke_descendants()) {
            if (process.pid != instance_.yoked_pid() && process.pid != session_->connected().worker) {
                spawner_ = process.pid;
            }
        }
        ASSERT_NE(spawner_, 0);
        ::kill(spawner_, SIGSTOP);
        ASSERT_TRUE(control::send(session_->socket(), ptask_request("/slow/p", good_kernel)));
    }
    void TearDown() override {
        if (spawner_ != 0) {
            ::kill(spawner_, SIGCONT);
        }
    }
    pid_t spawner_ = 0;
};

TEST_F(StoppedCompiler, OtherSessionsGoOn) {
    auto second = RawSession::open(instance_);
    ASSERT_TRUE(second) << second.error().message;
    EXPECT_TRUE((*second)->echo(100));
    EXPECT_TRUE(session_->echo(100)) << "the rings of the session that compiles, too";
    EXPECT_EQ(refusal((*second)->socket(), {{"op", "open_graph"}, {"name", "/other"}}).code, 0);
    EXPECT_TRUE(instance_.ask({{"op", "list"}}));
    EXPECT_EQ(control::receive_for(session_->socket(), 0).error().code, ETIME) << "not answered yet";
    ::kill(spawner_, SIGCONT);
    const auto answer = control::receive_for(session_->socket(), answer_ms);
    ASSERT_TRUE(answer && *answer);
    EXPECT_EQ((*answer)->body["ok"], true) << (*answer)->body.dump();
}

TEST_F(StoppedCompiler, ASessionThatHangsUpMeanwhileEndsBehindItsRequest) {
    auto second = RawSession::open(instance_);
    ASSERT_TRUE(second) << second.error().message;
    session_.reset();
    EXPECT_TRUE(eventually([&] {
        const auto list = instance_.ask({{"op", "list"}, {"kind", "sessions"}});
        return list && list->body["sessions"][0]["state"] == "closing";
    }));
    EXPECT_TRUE((*second)->echo(100));
    const auto same = control::request((*second)->socket(), {{"op", "open_graph"}, {"name", "/slow"}}, {}, answer_ms);
    ASSERT_TRUE(same) << same.error().message;
    EXPECT_EQ(same->body["created"], true) << "a graph that is about to vanish with its session was given out";
    EXPECT_EQ(refusal((*second)->socket(), {{"op", "run_graph"}, {"name", "/slow"}}).code, EINVAL) << "it is empty";
    ::kill(spawner_, SIGCONT);
    EXPECT_TRUE(eventually([&] { return sessions() == 1; }));
    EXPECT_EQ(refusal((*second)->socket(), {{"op", "open_graph"}, {"name", "/slow"}}).code, 0);
    EXPECT_EQ(refusal((*second)->socket(), {{"op", "terminate_graph"}, {"name", "/slow"}}).code, 0) << "it is its own";
    EXPECT_TRUE((*second)->echo(100));
}

TEST_F(StoppedCompiler, AWorkerThatIsToldToEndMeanwhileEnds) {
    const auto ended = instance_.stop(SIGTERM);
    EXPECT_EQ(ended, 0) << "yoked kills a worker that does not end in time";
}

}  // namespace
}  // namespace yoke::worker
