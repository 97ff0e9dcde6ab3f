// A connection against a peer that is a plain blocking socket: order, back-pressure, and peers that misbehave.
#include "control/loop/connection.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "base/clock.hpp"

namespace yoke::control {
namespace {

class ConnectionTest : public testing::Test {
   protected:
    void SetUp() override {
        int ends[2] = {-1, -1};
        ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
        peer_.reset(ends[1]);
        auto opened = Connection::open(
            loop_, Fd(ends[0]), 0,
            {[this](Result<Message> message) { on_message(std::move(message)); }, [this] { ++drained_; },
             [this] {
                 connection_.reset();
                 loop_.exit(9);
             }});
        ASSERT_TRUE(opened) << opened.error().message;
        connection_ = std::move(*opened);
    }
    virtual void on_message(Result<Message> message) {
        connection_->send(message ? answer(message->body) : answer_error(Json::object(), message.error()));
    }
    Source at_ms(std::uint64_t ms, std::function<void()> call) {
        auto timer = loop_.on_timer(std::move(call));
        EXPECT_TRUE(timer);
        timer->arm(now_ns() + ms * 1'000'000);
        return std::move(*timer);
    }

    Loop loop_ = Loop::create().value();
    Fd peer_;
    std::unique_ptr<Connection> connection_;
    int drained_ = 0;
};

TEST_F(ConnectionTest, AnswersUntilThePeerCloses) {
    std::thread peer([this] {
        for (std::uint64_t i = 0; i < 100; ++i) {
            const auto answered = request(peer_, {{"op", "any"}}, {}, 20'000);
            EXPECT_TRUE(answered);
        }
        peer_.reset();
    });
    EXPECT_EQ(loop_.run().value(), 9);
    peer.join();
    EXPECT_FALSE(connection_);
}

TEST_F(ConnectionTest, KeepsWhatThePeerHasNoRoomForAndSaysWhenItIsOut) {
    constexpr unsigned messages = 200;
    const std::string filler(4000, 'x');
    for (unsigned i = 0; i < messages; ++i) {
        connection_->send({{"number", i}, {"filler", filler}});
    }
    ASSERT_GT(connection_->backlog(), 0U);
    std::thread peer([this] {
        for (unsigned i = 0; i < messages; ++i) {
            const auto got = receive_for(peer_, 20'000);
            ASSERT_TRUE(got && *got);
            EXPECT_EQ((*got)->body["number"], i);
        }
        peer_.reset();
    });
    EXPECT_EQ(loop_.run().value(), 9);
    peer.join();
    EXPECT_EQ(drained_, 1);
}

TEST_F(ConnectionTest, MaliciousPeerThatNeverReadsIsDropped) {
    const std::string filler(4000, 'x');
    for (unsigned i = 0; i < 10 * Connection::queue_messages_max; ++i) {
        connection_->send({{"filler", filler}});
    }
    EXPECT_EQ(loop_.run().value(), 9);
}

TEST_F(ConnectionTest, MaliciousPacketsAreAnsweredAndTheConnectionGoesOn) {
    std::thread peer([this] {
        ASSERT_EQ(::send(peer_.get(), "{", 1, 0), 1);
        const auto refused = receive_for(peer_, 20'000);
        ASSERT_TRUE(refused && *refused);
        EXPECT_EQ((*refused)->body["errno"], EBADMSG);
        const int own = peer_.get();
        EXPECT_FALSE(request(peer_, {{"op", "any"}}, {&own, 1}, 20'000)) << "no descriptors are accepted";
        EXPECT_TRUE(request(peer_, {{"op", "any"}}, {}, 20'000));
        peer_.reset();
    });
    EXPECT_EQ(loop_.run().value(), 9);
    peer.join();
}

TEST_F(ConnectionTest, APausedConnectionReadsNothingButNoticesTheHangUp) {
    connection_->pause(true);
    ASSERT_TRUE(send(peer_, {{"op", "any"}}));
    Source resume = at_ms(30, [this] {
        EXPECT_EQ(receive_for(peer_, 0).error().code, ETIME);
        connection_->pause(false);
    });
    Source hang_up = at_ms(60, [this] {
        const auto answered = receive_for(peer_, 0);
        EXPECT_TRUE(answered && *answered);
        connection_->pause(true);
        peer_.reset();
    });
    EXPECT_EQ(loop_.run().value(), 9);
}

TEST_F(ConnectionTest, AMessageTooLongForAnyPacketBecomesAnError) {
    connection_->send({{"id", 5}, {"filler", std::string(message_bytes_max, 'x')}});
    const auto got = receive_for(peer_, 20'000);
    ASSERT_TRUE(got && *got);
    EXPECT_EQ((*got)->body["errno"], EMSGSIZE);
    EXPECT_EQ((*got)->body["id"], 5U);
}

class Suicidal : public ConnectionTest {
   protected:
    void on_message(Result<Message> /*message*/) override {
        connection_.reset();
        loop_.exit(5);
    }
};

TEST_F(Suicidal, AHandlerMayDestroyTheConnection) {
    ASSERT_TRUE(send(peer_, {{"op", "any"}}));
    ASSERT_TRUE(send(peer_, {{"op", "any"}}));
    EXPECT_EQ(loop_.run().value(), 5);
}

}  // namespace
}  // namespace yoke::control
