// What stages say to each other, and what they make of messages that are none.
#include "client/stage_pact.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <vector>

namespace yoke::client {
namespace {

class Pact : public ::testing::Test {
   protected:
    void SetUp() override {
        std::array<int, 2> ends{};
        ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()), 0);
        far = Fd(ends[1]);
        pact.emplace(7, Fd(ends[0]), pidfd_of(::getpid()));
    }
    static Fd pidfd_of(pid_t pid) { return Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))); }
    void say(const void* bytes, std::size_t length) const {
        ASSERT_EQ(::send(far.get(), bytes, length, 0), static_cast<ssize_t>(length));
    }

    Fd far;
    std::optional<StagePact> pact;
};

TEST_F(Pact, MessagesComeInOrderAndStillAfterTheEnd) {
    EXPECT_FALSE(pact->receive());
    EXPECT_FALSE(pact->gone());
    for (std::uint64_t k = 0; k < 3; ++k) {
        const PactMessage message{PactWord::left, 4, k};
        say(&message, sizeof(message));
    }
    pact->send({PactWord::paused, 1, 0});  // never read: the end is then said as an error first
    far.reset();
    EXPECT_TRUE(pact->gone());
    for (std::uint64_t k = 0; k < 3; ++k) {
        const auto message = pact->receive();
        ASSERT_TRUE(message) << k;
        EXPECT_EQ(message->count, k);
    }
    EXPECT_FALSE(pact->receive());
    pact->send({PactWord::paused, 2, 0});  // no signal, no harm
}

TEST_F(Pact, AfterItIsClosedWhatWasSaidIsHeardAndNothingCanBeSaid) {
    const PactMessage message{PactWord::leaving, 1, 3};
    say(&message, sizeof(message));
    pact->close();
    const auto heard = pact->receive();
    ASSERT_TRUE(heard);
    EXPECT_EQ(heard->count, 3U);
    EXPECT_FALSE(pact->send({PactWord::left, 1, 3}));
    EXPECT_EQ(::send(far.get(), &message, sizeof(message), MSG_NOSIGNAL), -1);
    EXPECT_EQ(errno, EPIPE);
}

TEST_F(Pact, MaliciousFloodsEndIt) {
    const PactMessage message{PactWord::paused, 1, 0};
    int heard = 0;
    // As fast as it is heard, so that there is always one more.
    do {
        say(&message, sizeof(message));
        say(&message, sizeof(message));
    } while (pact->receive() && pact->receive() && ++heard < 100'000);
    EXPECT_LT(heard, 100'000);
    EXPECT_TRUE(pact->gone());
}

TEST_F(Pact, AnEndedProcessIsGoneThoughItsSocketIsOpen) {
    const pid_t child = ::fork();
    if (child == 0) {
        ::_exit(0);
    }
    std::array<int, 2> ends{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()), 0);
    const Fd open(ends[1]);
    const StagePact other(8, Fd(ends[0]), pidfd_of(child));
    other.wait(60'000);
    EXPECT_TRUE(other.gone());
    ::waitpid(child, nullptr, 0);
}

TEST_F(Pact, MaliciousMessagesEndThePact) {
    const PactMessage good{PactWord::drained, 1, 0};
    std::vector<std::vector<std::byte>> messages;
    for (const std::size_t length : {1U, 15U, 17U, 200U}) {
        std::vector<std::byte> bytes(length);
        std::memcpy(bytes.data(), &good, std::min(length, sizeof(good)));
        messages.push_back(bytes);
    }
    for (const std::uint32_t word : {0U, 10U, UINT32_MAX}) {
        std::vector<std::byte> bytes(sizeof(good));
        std::memcpy(bytes.data(), &word, sizeof(word));
        messages.push_back(bytes);
    }
    for (const auto& message : messages) {
        SetUp();
        say(message.data(), message.size());
        say(&good, sizeof(good));
        EXPECT_FALSE(pact->receive());
        EXPECT_TRUE(pact->gone());
        EXPECT_FALSE(pact->receive());  // what comes after nonsense is not listened to
    }
}

TEST_F(Pact, EveryAttemptHasAChannelOfItsOwn) {
    EXPECT_EQ(pact->channel_name(1), "/pipe-7-1");
    EXPECT_NE(pact->channel_name(1), pact->channel_name(2));
}

}  // namespace
}  // namespace yoke::client
