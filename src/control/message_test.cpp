// Messages over real sockets, from honest and hostile senders: long ones, malformed ones, wrong memfds, too many
// descriptors. A packet that is refused must leave no descriptor open and the connection usable.
#include "control/message.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <string>
#include <thread>

#include "base/memory.hpp"
#include "control/json_reader.hpp"

namespace yoke::control {
namespace {

using testing::HasSubstr;

std::size_t open_fds() {
    const std::filesystem::directory_iterator all("/proc/self/fd");
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

struct Pair {
    Fd ours;
    Fd theirs;
};

Pair make_pair(int flags = 0) {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0, ends.data()), 0);
    return {Fd(ends[0]), Fd(ends[1])};
}

std::span<const std::byte> bytes_of(std::string_view text) {
    return std::as_bytes(std::span(text));
}

// Sends what a hostile peer might: any bytes with any descriptors.
void send_raw(const Fd& socket, std::string_view text, std::span<const int> fds = {}) {
    iovec data{const_cast<char*>(text.data()), text.size()};
    std::vector<std::byte> control(CMSG_SPACE(fds.size_bytes()));
    msghdr header{};
    header.msg_iov = &data;
    header.msg_iovlen = 1;
    if (!fds.empty()) {
        header.msg_control = control.data();
        header.msg_controllen = control.size();
        cmsghdr* const part = CMSG_FIRSTHDR(&header);
        part->cmsg_level = SOL_SOCKET;
        part->cmsg_type = SCM_RIGHTS;
        part->cmsg_len = CMSG_LEN(fds.size_bytes());
        std::memcpy(CMSG_DATA(part), fds.data(), fds.size_bytes());
    }
    ASSERT_EQ(::sendmsg(socket.get(), &header, MSG_NOSIGNAL), static_cast<ssize_t>(text.size()))
        << std::strerror(errno);
}

// What receive() says of such a packet. The connection must still work, and no descriptor may stay.
Error refusal_of(std::string_view text, std::span<const int> fds = {}, unsigned fds_accepted = fds_max) {
    auto pair = make_pair();
    const std::size_t before = open_fds();
    send_raw(pair.theirs, text, fds);
    Error error{0, "accepted"};
    if (auto message = receive(pair.ours, fds_accepted); !message) {
        error = message.error();
    }
    EXPECT_EQ(open_fds(), before) << "descriptors leaked";
    EXPECT_TRUE(send(pair.theirs, {{"op", "status"}}));
    auto next = receive(pair.ours);
    EXPECT_TRUE(next && *next && (*next)->body.at("op") == "status") << "the connection is lost";
    return error;
}

Fd memfd_with(std::string_view text, int seals) {
    Fd fd(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    EXPECT_EQ(::pwrite(fd.get(), text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
    EXPECT_EQ(::fcntl(fd.get(), F_ADD_SEALS, seals), 0);
    return fd;
}

constexpr int immutable = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

TEST(Message, RoundTrip) {
    auto pair = make_pair();
    const Json body{{"op", "open_graph"}, {"name", "/Größe"}, {"id", 7}};
    ASSERT_TRUE(send(pair.ours, body));
    auto message = receive(pair.theirs);
    ASSERT_TRUE(message && *message) << message.error().message;
    EXPECT_EQ((*message)->body, body);
    EXPECT_TRUE((*message)->fds.empty());
}

TEST(Message, DescriptorsTravelCloseOnExec) {
    auto pair = make_pair();
    const std::size_t before = open_fds();
    {
        std::vector<int> fds(fds_max);
        for (int& fd : fds) {
            fd = pair.ours.get();
        }
        ASSERT_TRUE(send(pair.ours, Json::object(), fds));
        auto message = receive(pair.theirs);
        ASSERT_TRUE(message && *message) << message.error().message;
        ASSERT_EQ((*message)->fds.size(), fds_max);
        struct stat sent {};
        struct stat received {};
        ASSERT_EQ(::fstat(pair.ours.get(), &sent), 0);
        ASSERT_EQ(::fstat((*message)->fds.back().get(), &received), 0);
        EXPECT_EQ(sent.st_ino, received.st_ino);
        EXPECT_EQ(::fcntl((*message)->fds[0].get(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    }
    EXPECT_EQ(open_fds(), before);
}

TEST(Message, LongMessageTravelsAsMemfdWithItsDescriptors) {
    auto pair = make_pair();
    const std::size_t before = open_fds();
    {
        const Json body{{"source", std::string(1U << 20U, '\n')}};
        std::vector<int> fds(fds_max, pair.ours.get());
        ASSERT_TRUE(send(pair.ours, body, fds));
        auto message = receive(pair.theirs);
        ASSERT_TRUE(message && *message) << message.error().message;
        EXPECT_EQ((*message)->body, body);
        EXPECT_EQ((*message)->fds.size(), fds_max);
    }
    EXPECT_EQ(open_fds(), before);
}

TEST(Message, LimitsOfTheSender) {
    auto pair = make_pair();
    EXPECT_EQ(send(pair.ours, {{"source", std::string(message_bytes_max, 'x')}}).error().code, EMSGSIZE);
    EXPECT_EQ(send(pair.ours, Json::array()).error().code, EINVAL);
    const std::vector<int> fds(fds_max + 1, pair.ours.get());
    EXPECT_EQ(send(pair.ours, Json::object(), fds).error().code, EINVAL);
    // Exactly as long as a packet, and one byte more.
    for (const std::size_t bytes : {packet_bytes_max, packet_bytes_max + 1, message_bytes_max}) {
        const Json body{{"s", std::string(bytes - 8, 'x')}};
        ASSERT_EQ(body.dump().size(), bytes);
        ASSERT_TRUE(send(pair.ours, body));
        auto message = receive(pair.theirs);
        ASSERT_TRUE(message && *message) << message.error().message;
        EXPECT_EQ((*message)->body, body);
    }
}

TEST(Message, BytesThatAreNotUtf8AreReplaced) {
    auto pair = make_pair();
    ASSERT_TRUE(send(pair.ours, {{"log", "a\xff"}}));
    auto message = receive(pair.theirs);
    ASSERT_TRUE(message && *message);
    EXPECT_EQ((*message)->body.at("log"), "a\xef\xbf\xbd");
}

TEST(Message, NonBlockingSocketNeverWaits) {
    auto pair = make_pair(SOCK_NONBLOCK);
    EXPECT_EQ(receive(pair.ours).error().code, EAGAIN);
    Status status;
    std::size_t sent = 0;
    for (; status && sent < 100'000; ++sent) {
        status = send(pair.ours, {{"text", std::string(10'000, 'x')}});
    }
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, EAGAIN);
    for (std::size_t i = 0; i + 1 < sent; ++i) {
        ASSERT_TRUE(receive(pair.theirs));
    }
    EXPECT_EQ(receive(pair.theirs).error().code, EAGAIN);
}

TEST(Message, ClosedPeer) {
    auto pair = make_pair();
    ASSERT_TRUE(send(pair.theirs, {{"last", true}}));
    pair.theirs.reset();
    auto last = receive(pair.ours);
    ASSERT_TRUE(last && *last) << "what was sent before the end still comes";
    auto end = receive(pair.ours);
    ASSERT_TRUE(end);
    EXPECT_FALSE(*end);
    EXPECT_EQ(send(pair.ours, Json::object()).error().code, EPIPE);
}

TEST(Message, PeerThatClosesWithMessagesUnread) {
    auto pair = make_pair();
    ASSERT_TRUE(send(pair.ours, Json::object()));
    pair.theirs.reset();
    auto end = receive(pair.ours);
    ASSERT_TRUE(end) << end.error().message;
    EXPECT_FALSE(*end);
}

TEST(Message, WaitEndsInTime) {
    auto pair = make_pair();
    EXPECT_EQ(receive_for(pair.ours, 0).error().code, ETIME);
    EXPECT_EQ(receive_for(pair.ours, 20).error().code, ETIME);
    std::thread sender([&] { EXPECT_TRUE(send(pair.theirs, {{"late", true}})); });
    auto message = receive_for(pair.ours, 60'000);
    sender.join();
    EXPECT_TRUE(message && *message);
}

TEST(Message, RequestAndAnswers) {
    auto pair = make_pair();
    std::thread server([&] {
        auto first = receive_for(pair.theirs, -1);
        ASSERT_TRUE(first && *first);
        EXPECT_EQ((*first)->body.at("op"), "status");
        Json good = answer((*first)->body);
        good["pid"] = 1;
        EXPECT_TRUE(send(pair.theirs, answer(Json{{"id", 0}}))) << "of an earlier request";
        EXPECT_TRUE(send(pair.theirs, good));
        auto second = receive_for(pair.theirs, -1);
        ASSERT_TRUE(second && *second);
        EXPECT_TRUE(send(pair.theirs, answer_error((*second)->body, {ENOENT, "no graph \"/g\""})));
        auto third = receive_for(pair.theirs, -1);
        ASSERT_TRUE(third && *third);
        EXPECT_TRUE(send(pair.theirs, {{"ok", false}, {"errno", -5}, {"error", "x"}}));
        EXPECT_TRUE(receive_for(pair.theirs, -1));
        pair.theirs.reset();
    });
    auto good = request(pair.ours, {{"op", "status"}});
    ASSERT_TRUE(good) << good.error().message;
    EXPECT_EQ(good->body.at("pid"), 1);
    auto refused = request(pair.ours, {{"op", "run_graph"}});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ENOENT);
    EXPECT_EQ(refused.error().message, "no graph \"/g\"");
    EXPECT_EQ(request(pair.ours, {{"op", "x"}}).error().code, EBADMSG) << "an errno out of range";
    auto lost = request(pair.ours, {{"op", "end"}});
    server.join();
    ASSERT_FALSE(lost);
    EXPECT_EQ(lost.error().code, ECONNRESET);
    EXPECT_THAT(lost.error().message, HasSubstr("\"end\""));
}

TEST(Message, RequestThatNobodyAnswers) {
    auto pair = make_pair();
    EXPECT_EQ(request(pair.ours, {{"op", "status"}}, {}, 10).error().code, ETIME);
}

TEST(MaliciousMessage, TextsThatAreNoMessage) {
    for (const std::string_view text : {"x",
                                        "{",
                                        "{\"op\":",
                                        "{\"op\":\"a\"",
                                        "{\"op\":\"a\"}}",
                                        "{\"op\":\"a\"} x",
                                        "{'op':1}",
                                        "{\"op\":01}",
                                        "{\"a\":nan}",
                                        "{\"a\":1e999}",
                                        "{\"a\":\"\n\"}",
                                        "{\"a\":\"\\ud800\"}",
                                        "{\"a\":\"\xff\"}",
                                        "{\"a\":1,}",
                                        "/**/{}",
                                        "null",
                                        "[]",
                                        "7",
                                        "\"text\"",
                                        "[{}]",
                                        " "}) {
        EXPECT_EQ(refusal_of(text).code, EBADMSG) << text;
    }
    EXPECT_EQ(refusal_of(std::string_view("{}\0", 3)).code, EBADMSG);
}

TEST(MaliciousMessage, EmptyPacketIsNotTheEnd) {
    EXPECT_EQ(refusal_of("").code, EBADMSG);
    const int fd = 0;
    EXPECT_EQ(refusal_of("", std::span(&fd, 1)).code, EBADMSG);
}

TEST(MaliciousMessage, MembersOfOneName) {
    EXPECT_THAT(refusal_of(R"({"op":"a","op":"b"})").message, HasSubstr("two members \"op\""));
    EXPECT_THAT(refusal_of(R"({"a":[{"x":1,"y":{},"\u0078":2}]})").message, HasSubstr("two members \"x\""));
}

TEST(MaliciousMessage, Depth) {
    const auto nested = [](unsigned levels) {
        return "{\"a\":" + std::string(levels - 1, '[') + std::string(levels - 1, ']') + "}";
    };
    EXPECT_EQ(refusal_of(nested(depth_max)).code, 0) << "accepted";
    EXPECT_EQ(refusal_of(nested(depth_max + 1)).code, EMSGSIZE);
    EXPECT_EQ(refusal_of("{\"a\":" + std::string(60'000, '[')).code, EMSGSIZE);
    std::string objects;
    for (int i = 0; i < 10'000; ++i) {
        objects += "{\"a\":";
    }
    EXPECT_EQ(refusal_of(objects).code, EMSGSIZE);
}

TEST(MaliciousMessage, ManyValues) {
    std::string text = "{\"a\":[0";
    for (std::size_t i = 3; i < values_max; ++i) {
        text += ",0";
    }
    EXPECT_TRUE(parse(bytes_of(text + "]}")));
    auto refused = parse(bytes_of(text + ",0]}"));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, EMSGSIZE);
}

TEST(MaliciousMessage, OversizePacket) {
    EXPECT_EQ(refusal_of("{\"a\":\"" + std::string(packet_bytes_max, 'x') + "\"}").code, EMSGSIZE);
}

TEST(MaliciousMessage, TooManyDescriptors) {
    for (const std::size_t count : {9U, 10U, 11U, 100U, 253U}) {
        const std::vector<int> fds(count, 0);
        EXPECT_EQ(refusal_of("{}", fds).code, EMSGSIZE) << count;
    }
    const std::vector<int> two(2, 0);
    EXPECT_EQ(refusal_of("{}", two, 1).code, EMSGSIZE);
    EXPECT_EQ(refusal_of("{}", two, 0).code, EMSGSIZE);
    EXPECT_EQ(refusal_of("{}", two, 2).code, 0);
}

TEST(MaliciousMessage, MemfdsThatAreNoMessage) {
    const std::string text = R"({"op":"status"})";
    const std::string announced = R"({"memfd":15})";
    ASSERT_EQ(text.size(), 15U);
    EXPECT_EQ(refusal_of(announced).code, EBADMSG) << "no descriptor";
    const Fd good = memfd_with(text, immutable);
    const auto refusal = [](std::string_view packet, const Fd& fd) {
        const int number = fd.get();
        return refusal_of(packet, std::span(&number, 1));
    };
    EXPECT_EQ(refusal(announced, good).code, 0) << "accepted";
    EXPECT_EQ(refusal(R"({"memfd":14})", good).code, EBADMSG);
    EXPECT_EQ(refusal(R"({"memfd":16})", good).code, EBADMSG);
    EXPECT_EQ(refusal(R"({"memfd":-15})", good).code, EBADMSG);
    EXPECT_EQ(refusal(R"({"memfd":"15"})", good).code, EBADMSG);
    const Error unsealed = refusal(announced, memfd_with(text, 0));
    EXPECT_EQ(unsealed.code, EBADMSG);
    EXPECT_THAT(unsealed.message, HasSubstr("F_SEAL_SHRINK F_SEAL_GROW F_SEAL_WRITE"));
    EXPECT_EQ(refusal(announced, memfd_with(text, F_SEAL_SHRINK | F_SEAL_GROW)).code, EBADMSG) << "still writable";
    EXPECT_EQ(refusal(announced, memfd_with(text, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE)).code, EBADMSG);
    EXPECT_EQ(refusal(R"({"memfd":3})", memfd_with("nul", immutable)).code, EBADMSG);
    EXPECT_EQ(refusal(announced, Fd(::open("/dev/zero", O_RDONLY | O_CLOEXEC))).code, EBADMSG);
    EXPECT_EQ(refusal(announced, Fd(::open("/", O_RDONLY | O_CLOEXEC))).code, EBADMSG);
    const int number = good.get();
    EXPECT_EQ(refusal_of(announced, std::span(&number, 1), 0).code, EMSGSIZE) << "where no descriptor is accepted";
}

TEST(MaliciousMessage, HundredMegabyteMemfd) {
    Fd fd(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    ASSERT_EQ(::ftruncate(fd.get(), 100'000'000), 0);
    ASSERT_EQ(::fcntl(fd.get(), F_ADD_SEALS, immutable), 0);
    const int number = fd.get();
    EXPECT_EQ(refusal_of(R"({"memfd":100000000})", std::span(&number, 1)).code, EMSGSIZE);
    EXPECT_EQ(refusal_of(R"({"memfd":1})", std::span(&number, 1)).code, EMSGSIZE);
}

TEST(MaliciousMessage, WriteOnlyMemfd) {
    const Fd good = memfd_with(R"({"op":"status"})", immutable);
    const Fd write_only(::open(fmt::format("/proc/self/fd/{}", good.get()).c_str(), O_WRONLY | O_CLOEXEC));
    if (!write_only) {
        GTEST_SKIP() << "this kernel doesn't open a write-sealed memfd for writing";
    }
    const int number = write_only.get();
    EXPECT_NE(refusal_of(R"({"memfd":15})", std::span(&number, 1)).code, 0);
}

}  // namespace
}  // namespace yoke::control
