// Claims of pipes over real connections to a real yoked, by clients that may say anything.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <array>

#include "support/instance.hpp"
#include "support/process_tree.hpp"

namespace yoke::daemon {
namespace {

using control::Json;

constexpr int answer_ms = 60'000;

class Claims : public testing::Test {
   protected:
    void SetUp() override {
        ASSERT_TRUE(instance.ready()) << instance.error();
        std::array<int, 2> ends{};
        ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
        read_end = Fd(ends[0]);
        write_end = Fd(ends[1]);
    }
    static Json claim_of(const Fd& fd, const char* direction, const char* type = "u8") {
        return {{"op", "claim_pipe"}, {"direction", direction},
                {"fd", fd.get()},     {"template", {{"type", type}, {"extent", {4, 1, 1}}, {"stride", 0}}},
                {"variable", false},  {"raw", false}};
    }
    Fd connect() {
        auto link = instance.connect();
        EXPECT_TRUE(link);
        return link ? std::move(*link) : Fd();
    }
    // 0 or errno.
    static int claim(const Fd& link, const Json& request) {
        const auto answer = control::request(link, request, {}, answer_ms);
        return answer ? 0 : answer.error().code;
    }
    // What yoked says next without being asked.
    static control::Message told(const Fd& link) {
        auto message = control::receive_for(link, answer_ms);
        EXPECT_TRUE(message && *message);
        return message && *message ? std::move(**message) : control::Message();
    }
    Json pipes() {
        const auto answer = instance.ask({{"op", "list"}, {"kind", "pipes"}});
        return answer ? answer->body["pipes"] : Json();
    }

    test::Instance instance;
    Fd read_end;
    Fd write_end;
};

TEST_F(Claims, TwoStagesAreIntroducedAndAThirdPartsThem) {
    const Fd writer = connect();
    const Fd reader = connect();
    ASSERT_EQ(claim(writer, claim_of(write_end, "out")), 0);
    EXPECT_EQ(pipes().at(0).at("why"), "its reader is no stage, has not begun, or has YOKE_STAGE=pipe");
    ASSERT_EQ(claim(reader, claim_of(read_end, "in")), 0);
    const control::Message to_writer = told(writer);
    const control::Message to_reader = told(reader);
    EXPECT_EQ(to_writer.body.at("op"), "pair");
    EXPECT_EQ(to_writer.body, to_reader.body);
    ASSERT_EQ(to_writer.fds.size(), 2U);
    ASSERT_EQ(to_reader.fds.size(), 2U);
    ASSERT_EQ(::send(to_writer.fds[0].get(), "hello", 5, 0), 5);
    std::array<char, 8> text{};
    EXPECT_EQ(::recv(to_reader.fds[0].get(), text.data(), text.size(), 0), 5);
    // The other's pidfd: that process, which is this one, lives.
    pollfd look{to_reader.fds[1].get(), POLLIN, 0};
    EXPECT_EQ(::poll(&look, 1, 0), 0);

    ASSERT_TRUE(control::send(
        writer, {{"op", "pipe_state"}, {"pair", to_writer.body.at("pair")}, {"state", "joined"}, {"why", ""}}));
    EXPECT_TRUE(test::eventually([&] { return pipes().at(0).at("state") == "joined"; }));

    {
        const Fd third = connect();
        ASSERT_EQ(claim(third, claim_of(write_end, "out")), 0);
        EXPECT_EQ(told(writer).body.at("op"), "part");
        EXPECT_EQ(told(reader).body.at("op"), "part");
        EXPECT_EQ(pipes().at(0).at("why"), "2 stages write it");
    }
    const control::Message again = told(writer);
    EXPECT_EQ(again.body.at("op"), "pair");
    EXPECT_NE(again.body.at("pair"), to_writer.body.at("pair"));
}

TEST_F(Claims, AClaimEndsWithItsConnection) {
    const Fd writer = connect();
    ASSERT_EQ(claim(writer, claim_of(write_end, "out")), 0);
    {
        const Fd reader = connect();
        ASSERT_EQ(claim(reader, claim_of(read_end, "in", "f32")), 0);
        EXPECT_EQ(pipes().at(0).at("why"), "one writes u8 4x1x1 fixed, the other reads f32 4x1x1 fixed");
    }
    EXPECT_TRUE(test::eventually(
        [&] { return pipes().at(0).at("why") == "its reader is no stage, has not begun, or has YOKE_STAGE=pipe"; }));
}

TEST_F(Claims, MaliciousWhatIsNoPipeIsNotClaimed) {
    const Fd link = connect();
    EXPECT_EQ(claim(link, claim_of(read_end, "out")), EBADF);
    EXPECT_EQ(claim(link, claim_of(write_end, "in")), EBADF);
    const Fd file(::open("/dev/null", O_RDWR | O_CLOEXEC));
    EXPECT_EQ(claim(link, claim_of(file, "out")), ENOTSUP);
    EXPECT_EQ(claim(link, claim_of(link, "out")), ENOTSUP);
    const std::string path = instance.directory() + "/fifo";
    ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
    const Fd fifo(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    EXPECT_EQ(claim(link, claim_of(fifo, "out")), ENOTSUP);
    ::unlink(path.c_str());
    Json closed = claim_of(write_end, "out");
    closed["fd"] = 1'000'000;
    EXPECT_EQ(claim(link, closed), ENOTSUP);
    EXPECT_TRUE(pipes().empty());
    // Nothing of that has spoilt the connection; it takes one claim.
    EXPECT_EQ(claim(link, claim_of(write_end, "out")), 0);
    EXPECT_EQ(claim(link, claim_of(read_end, "in")), EALREADY);
    EXPECT_EQ(pipes().size(), 1U);
}

TEST_F(Claims, MaliciousReportsOfStrangersAreNotShown) {
    const Fd writer = connect();
    const Fd stranger = connect();
    ASSERT_EQ(claim(writer, claim_of(write_end, "out")), 0);
    for (const Fd* link : {&writer, &stranger}) {
        ASSERT_TRUE(control::send(
            *link, {{"op", "pipe_state"}, {"pair", 1}, {"state", "joined"}, {"why", "because I say so"}}));
        // Answered in order: when this is, that has been read.
        EXPECT_TRUE(control::request(*link, {{"op", "status"}}, {}, answer_ms));
    }
    EXPECT_EQ(pipes().at(0).at("state"), "pipe");
    EXPECT_EQ(pipes().at(0).at("why"), "its reader is no stage, has not begun, or has YOKE_STAGE=pipe");
}

}  // namespace
}  // namespace yoke::daemon
