// Hostile control messages to a real worker: no JSON, half of it, too much of it, wrong members, wrong descriptors, and
// clients that hang up in the middle. What is no message is answered with a typed error and the socket goes on.
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "support/hostile.hpp"

namespace yoke::test {
namespace {

class HostileMessage : public Hostile {};

struct Bad {
    std::string text;
    int code;
    const char* about;
};

// The answer to whatever was sent last.
Answer next_answer(const Fd& socket) {
    const auto message = control::receive_for(socket, 20'000);
    if (!message || !*message) {
        return {-1, message ? "the connection was closed" : message.error().message, {}};
    }
    const Json& body = (*message)->body;
    return body["ok"] == true ? Answer{} : Answer{body["errno"].get<int>(), body["error"].get<std::string>(), {}};
}

Fd memfd(const std::string& content, std::size_t bytes, int seals) {
    Fd fd(::memfd_create("hostile", MFD_ALLOW_SEALING | MFD_CLOEXEC));
    EXPECT_EQ(::pwrite(fd.get(), content.data(), content.size(), 0), static_cast<ssize_t>(content.size()));
    EXPECT_EQ(::ftruncate(fd.get(), static_cast<off_t>(bytes)), 0);
    EXPECT_TRUE(seals == 0 || ::fcntl(fd.get(), F_ADD_SEALS, seals) == 0);
    return fd;
}

constexpr int all_seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;

const std::vector<Bad>& bad_texts() {
    const std::string open = R"({"op":"open_graph","name":")";
    static const std::vector<Bad> texts{
        {R"({"op":"open_gr)", EBADMSG, "no JSON"},
        {R"({"op":"open_graph","name":"/a")", EBADMSG, "no JSON"},
        {"{", EBADMSG, "no JSON"},
        {std::string(1, '\0'), EBADMSG, "NUL"},
        {std::string("{\"op\":\"status\"}\0{}", 18), EBADMSG, "NUL"},
        {"\xff\xfe{}", EBADMSG, "no JSON"},
        {R"({"op":"open_graph","name":"/)"
         "\xc3\x28"
         R"("})",
         EBADMSG, "no JSON"},
        {"[]", EBADMSG, "JSON object"},
        {"7", EBADMSG, "JSON object"},
        {"{}", EBADMSG, "op"},
        {R"({"op":null})", EBADMSG, "op"},
        {R"({"op":"connect","version":1})", ENOSYS, "connect"},
        {R"({"op":"adopt","client_pid":1,"client_uid":0,"limits":{}})", ENOSYS, "adopt"},
        {R"({"op":"end"})", ENOSYS, "end"},
        {R"({"op":"open_graph","op":"end","name":"/a"})", EBADMSG, "two members"},
        {R"({"op":"open_graph","name":"/a","name":"/b"})", EBADMSG, "two members"},
        {R"({"op":"open_graph","name":"/a","more":1})", EBADMSG, "more"},
        {R"({"op":"open_graph"})", EBADMSG, "name"},
        {R"({"op":"open_graph","name":7})", EBADMSG, "name"},
        {R"({"op":"open_graph","name":"/a","id":-1})", EBADMSG, "id"},
        {R"({"op":"destroy_key","key":0})", EBADMSG, "key"},
        {R"({"op":"destroy_key","key":-1})", EBADMSG, "key"},
        {R"({"op":"destroy_key","key":1.0})", EBADMSG, "key"},
        {R"({"op":"destroy_key","key":4294967296})", EBADMSG, "key"},
        {R"({"op":"destroy_key","key":18446744073709551616})", EBADMSG, "key"},
        {R"({"op":"destroy_key","key":1e400})", EBADMSG, ""},
        {R"({"op":"destroy_key","key":)" + std::string(60'000, '9') + "}", EBADMSG, ""},
        {R"({"op":"destroy_key","key":77})", ENOKEY, "key"},
        {open + R"(\u0000"})", EBADMSG, "name"},
        {open + R"(/a\u0000b"})", EBADMSG, "name"},
        {open + R"(/\ud800"})", EBADMSG, ""},
        {open + R"(/..\/..\/etc"})", EBADMSG, "name"},
        {open + R"(/\u001b[31m"})", EBADMSG, "name"},
        {open + "/" + std::string(64, 'a') + "\"}", EBADMSG, "name"},
        {open + "/" + std::string(60'000, 'a') + "\"}", EBADMSG, "name"},
        {open + "/a/b/c\"}", EBADMSG, "name"},
        {open + "/a/b:\"}", EBADMSG, "name"},
        {open + "a\"}", EBADMSG, "name"},
        {open + "/\"}", EBADMSG, "name"},
        {open + "\"}", EBADMSG, "name"},
        {open + "/a b\"}", EBADMSG, "name"},
        {std::string(17, '[') + std::string(17, ']'), EMSGSIZE, "deeper than 16"},
        {std::string(60'000, '['), EMSGSIZE, "deeper than 16"},
        {R"({"a":)" + std::string(60'000, '{'), EBADMSG, "no JSON"},
        {R"({"op":"open_port","name":"/a/b:c","direction":"sideways","template":{"type":"u8","extent":[1,1,1],"stride":0}})",
         EBADMSG, "direction"},
        {R"({"op":"open_port","name":"/a/b:c","direction":"in","template":{"type":"u8","extent":[1,1],"stride":0}})",
         EBADMSG, "extent"},
        {R"({"op":"open_port","name":"/a/b:c","direction":"in","template":{"type":"u8","extent":[1,1,4294967296],"stride":0}})",
         EBADMSG, "extent"},
        {R"({"op":"open_port","name":"/a/b:c","direction":"in","template":{"type":"u8","extent":[0,1,1],"stride":0}})",
         EBADMSG, "extent"},
        {R"({"op":"open_channel","name":"/a/b","source":null,"destination":null,"capacity":0})", EBADMSG, "capacity"},
        {R"({"op":"open_channel","name":"/a/b","source":null,"destination":null,"capacity":4097})", EBADMSG,
         "capacity"},
    };
    return texts;
}

TEST_F(HostileMessage, TextsThatAreNoRequestsAreRefusedAndTheSocketGoesOn) {
    expect_no_trace([&] {
        auto session = open();
        ASSERT_TRUE(session);
        for (const Bad& bad : bad_texts()) {
            send_packet(session->socket(), bad.text);
            EXPECT_TRUE(is_refused(next_answer(session->socket()), bad.code, bad.about)) << bad.text.substr(0, 100);
        }
        send_packet(session->socket(), std::string(70'000, ' '));
        EXPECT_TRUE(is_refused(next_answer(session->socket()), EMSGSIZE, "memfd"));
        ASSERT_EQ(::send(session->socket().get(), "", 0, MSG_NOSIGNAL), 0);
        EXPECT_TRUE(is_refused(next_answer(session->socket()), EBADMSG, "empty"));
        EXPECT_EQ(answer_to(session->socket(), {{"op", "open_graph"}, {"name", "/good"}}).code, 0);
        EXPECT_TRUE(session->echo(3000));
    });
}

TEST_F(HostileMessage, OpeningASessionTakesOnlyWhatFits) {
    const Fd socket = connect();
    const auto with = [](const char* member, const Json& value) {
        Json request = open_session_request();
        request[member] = value;
        return request;
    };
    for (const auto& [member, value] : std::vector<std::pair<const char*, Json>>{{"arena_bytes", 0},
                                                                                 {"arena_bytes", (1U << 20U) - 1},
                                                                                 {"arena_bytes", (1ULL << 40U) + 1},
                                                                                 {"arena_bytes", ~0ULL},
                                                                                 {"arena_bytes", -4096},
                                                                                 {"arena_bytes", 1048576.5},
                                                                                 {"express_slots", 0},
                                                                                 {"express_slots", 1},
                                                                                 {"express_slots", 8192},
                                                                                 {"bulk_slots", 1ULL << 32U},
                                                                                 {"features", 1ULL << 32U},
                                                                                 {"handover", 1}}) {
        EXPECT_TRUE(is_refused(answer_to(socket, with(member, value)), EBADMSG, member)) << value;
    }
    EXPECT_TRUE(is_refused(answer_to(socket, with("express_slots", 3)), EINVAL, "express ring"));
    EXPECT_TRUE(is_refused(answer_to(socket, with("bulk_slots", 4095)), EINVAL, "bulk ring"));
    Json tight = open_session_request();
    tight["express_slots"] = tight["bulk_slots"] = 4096;
    EXPECT_TRUE(is_refused(answer_to(socket, tight), EINVAL, "no room for data"));
    EXPECT_TRUE(is_refused(answer_to(socket, with("arena_bytes", 1ULL << 40U)), ENOBUFS, "limits.account.arena_bytes"));
    EXPECT_TRUE(is_refused(answer_to(socket, {{"op", "open_graph"}, {"name", "/a"}}), EINVAL, "before open_session"));
    // Features that nobody knows are not granted; without graphs there are none.
    const Answer opened = answer_to(socket, with("features", 0xffffff00U));
    ASSERT_EQ(opened.code, 0) << opened.sentence;
    EXPECT_EQ(opened.message.body["layout"]["features"], 0U);
    EXPECT_TRUE(is_refused(answer_to(socket, {{"op", "open_graph"}, {"name", "/a"}}), EPROTO, "YOKE_FEATURE_GRAPH"));
}

TEST_F(HostileMessage, AnotherVersionOfTheInterfaceIsRefused) {
    const auto link = instance_.connect();
    ASSERT_TRUE(link);
    for (const std::uint32_t version : {0U, YOKE_ABI_VERSION + 1, ~0U}) {
        EXPECT_TRUE(is_refused(answer_to(*link, {{"op", "connect"}, {"version", version}}), EPROTO, "version"));
    }
    EXPECT_EQ(answer_to(*link, {{"op", "connect"}, {"version", YOKE_ABI_VERSION}}).code, 0);
}

TEST_F(HostileMessage, MemfdsThatHoldNoMessageAreRefused) {
    const std::string text = R"({"op":"open_graph","name":"/a"})";
    struct Case {
        const char* what;
        std::function<Fd()> make;
        std::uint64_t announced;
        int code;
        const char* about;
    };
    const std::vector<Case> cases{
        {"without seals", [&] { return memfd(text, text.size(), 0); }, text.size(), EBADMSG, "F_SEAL_WRITE"},
        {"still writable", [&] { return memfd(text, text.size(), F_SEAL_SHRINK | F_SEAL_GROW); }, text.size(), EBADMSG,
         "F_SEAL_WRITE"},
        {"100 MB", [&] { return memfd(text, 100'000'000, all_seals); }, 100'000'000, EMSGSIZE, "100000000"},
        {"longer than announced", [&] { return memfd(text, text.size(), all_seals); }, 1, EBADMSG, "announced"},
        {"shorter than announced", [&] { return memfd(text, text.size(), all_seals); }, 4096, EBADMSG, "announced"},
        {"empty", [&] { return memfd("", 0, all_seals); }, 0, EMSGSIZE, "0 bytes"},
        {"zeros", [&] { return memfd("", 4U << 20U, all_seals); }, 4U << 20U, EBADMSG, "NUL"},
        {"deep",
         [&] {
             const std::string deep(4U << 20U, '[');
             return memfd(deep, deep.size(), all_seals);
         },
         4U << 20U, EMSGSIZE, "deeper"},
        {"a memfd in a memfd", [&] { return memfd(R"({"memfd":31})", 12, all_seals); }, 12, EBADMSG, "op"},
        {"a pipe",
         [] {
             int ends[2] = {-1, -1};
             EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
             ::close(ends[1]);
             return Fd(ends[0]);
         },
         10, EBADMSG, "memfd"},
        {"a directory", [] { return Fd(::open("/", O_RDONLY | O_CLOEXEC)); }, 10, EBADMSG, "memfd"},
        {"a file", [] { return Fd(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC)); }, 10, EBADMSG, "memfd"},
        {"a bell", [] { return Fd(::eventfd(0, EFD_CLOEXEC)); }, 10, EBADMSG, "memfd"},
    };
    expect_no_trace([&] {
        auto session = open();
        ASSERT_TRUE(session);
        for (const Case& c : cases) {
            const Fd made = c.make();
            const int fd = made.get();
            // The id is lost with the message: the answer comes without one.
            ASSERT_TRUE(control::send(session->socket(), {{"memfd", c.announced}}, {&fd, 1})) << c.what;
            EXPECT_TRUE(is_refused(next_answer(session->socket()), c.code, c.about)) << c.what;
        }
        ASSERT_TRUE(control::send(session->socket(), {{"memfd", 10}}));
        EXPECT_TRUE(is_refused(next_answer(session->socket()), EBADMSG, "no descriptor"));
        ASSERT_TRUE(control::send(session->socket(), {{"memfd", "ten"}}));
        EXPECT_TRUE(is_refused(next_answer(session->socket()), EBADMSG, "memfd"));
        // One that is right, with more values than a message may have.
        std::string many = R"({"op":"x","a":[0)";
        for (unsigned i = 0; i < 140'000; ++i) {
            many += ",0";
        }
        many += "]}";
        const Fd made = memfd(many, many.size(), all_seals);
        const int fd = made.get();
        ASSERT_TRUE(control::send(session->socket(), {{"memfd", many.size()}}, {&fd, 1}));
        EXPECT_TRUE(is_refused(next_answer(session->socket()), EMSGSIZE, "values"));
        EXPECT_TRUE(session->echo(3000));
    });
}

TEST_F(HostileMessage, DescriptorsThatAreNoKeysAreRefused) {
    const std::string bytes(32, 'k');
    struct Case {
        const char* what;
        std::function<Fd()> make;
        int code;
        const char* about;
    };
    const std::vector<Case> cases{
        {"without seals", [&] { return memfd(bytes, 32, 0); }, EINVAL, "F_SEAL_WRITE"},
        {"still writable", [&] { return memfd(bytes, 32, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL); }, EINVAL,
         "F_SEAL_WRITE"},
        {"100 MB", [&] { return memfd(bytes, 100'000'000, all_seals); }, EMSGSIZE, "key"},
        {"empty", [&] { return memfd("", 0, all_seals); }, EMSGSIZE, "key"},
        {"of a wrong length", [&] { return memfd(bytes, 31, all_seals); }, EKEYREJECTED, "aes-ecb"},
        {"a page", [&] { return memfd(bytes, 4096, all_seals); }, EKEYREJECTED, "aes-ecb"},
        {"a socket", [] { return Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)); }, EINVAL, "key"},
        {"a directory", [] { return Fd(::open("/proc", O_RDONLY | O_CLOEXEC)); }, EINVAL, "key"},
        {"a device", [] { return Fd(::open("/dev/zero", O_RDONLY | O_CLOEXEC)); }, EINVAL, "key"},
    };
    expect_no_trace([&] {
        auto session = open();
        ASSERT_TRUE(session);
        const Json request{{"op", "create_key"}, {"service", "aes-ecb"}};
        for (const Case& c : cases) {
            const Fd made = c.make();
            const int fd = made.get();
            EXPECT_TRUE(is_refused(answer_to(session->socket(), request, {&fd, 1}), c.code, c.about)) << c.what;
        }
        const Fd good = memfd(bytes, 32, all_seals);
        const std::array<int, 2> two{good.get(), good.get()};
        EXPECT_TRUE(is_refused(answer_to(session->socket(), request), EBADMSG, "1 descriptor, not 0"));
        EXPECT_TRUE(is_refused(answer_to(session->socket(), request, two), EBADMSG, "1 descriptor, not 2"));
        const std::vector<int> eight(8, good.get());
        EXPECT_TRUE(is_refused(answer_to(session->socket(), request, eight), EMSGSIZE, "descriptors"));
        for (const char* service : {"echo", "sha256"}) {
            EXPECT_TRUE(
                is_refused(answer_to(session->socket(), {{"op", "create_key"}, {"service", service}}, {two.data(), 1}),
                           ENOSYS, service));
        }
        EXPECT_TRUE(
            is_refused(answer_to(session->socket(), {{"op", "create_key"}, {"service", "rot13"}}, {two.data(), 1}),
                       ENOSYS, "rot13"));
        EXPECT_TRUE(is_refused(answer_to(session->socket(), {{"op", "open_graph"}, {"name", "/a"}}, {two.data(), 1}),
                               EBADMSG, "open_graph"));
    });
}

// As many as the kernel lets through, in one packet.
TEST_F(HostileMessage, HundredsOfDescriptorsAtOnceAreClosed) {
    constexpr std::size_t count = 253;  // SCM_MAX_FD
    expect_no_trace([&] {
        auto session = open();
        ASSERT_TRUE(session);
        std::vector<int> fds(count, STDERR_FILENO);
        std::vector<std::byte> control(CMSG_SPACE(count * sizeof(int)));
        std::string text = R"({"op":"open_graph","name":"/a"})";
        iovec data{text.data(), text.size()};
        msghdr header{};
        header.msg_iov = &data;
        header.msg_iovlen = 1;
        header.msg_control = control.data();
        header.msg_controllen = control.size();
        cmsghdr* const attached = CMSG_FIRSTHDR(&header);
        attached->cmsg_level = SOL_SOCKET;
        attached->cmsg_type = SCM_RIGHTS;
        attached->cmsg_len = CMSG_LEN(count * sizeof(int));
        std::memcpy(CMSG_DATA(attached), fds.data(), count * sizeof(int));
        for (unsigned i = 0; i < 20; ++i) {
            ASSERT_EQ(::sendmsg(session->socket().get(), &header, MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
            EXPECT_TRUE(is_refused(next_answer(session->socket()), EMSGSIZE, "descriptors"));
        }
    });
}

// A socket that travels through itself keeps itself alive unless somebody looks.
TEST_F(HostileMessage, SocketsSentThroughThemselvesAreForgotten) {
    expect_no_trace([&] {
        for (unsigned i = 0; i < 20; ++i) {
            auto session = open();
            ASSERT_TRUE(session);
            const int self = session->socket().get();
            ASSERT_TRUE(control::send(session->socket(), {{"op", "create_key"}, {"service", "aes-ecb"}}, {&self, 1}));
            ASSERT_TRUE(control::send(session->socket(), {{"op", "open_graph"}, {"name", "/a"}}, {&self, 1}));
        }
    });
}

TEST_F(HostileMessage, ClientsThatHangUpInTheMiddleLeaveNothing) {
    const std::string source = "kernel void f(global const uchar *in, global uchar *out) { *out = *in; }";
    const Json form{{"type", "u8"}, {"extent", {64, 1, 1}}, {"stride", 0}};
    const Json kernel{{"source", source}, {"source_name", ""},     {"function", "f"},
                      {"options", ""},    {"geometry", {0, 0, 0}}, {"local", {0, 0, 0}}};
    expect_no_trace(
        [&] {
            for (unsigned i = 0; i < 8; ++i) {
                Fd socket = connect();  // before open_session is answered
                ASSERT_TRUE(control::send(socket, open_session_request()));
                socket.reset();
                auto session = open();
                ASSERT_TRUE(session);
                const std::string graph = fmt::format("/gone-{}", i);
                ASSERT_TRUE(control::send(session->socket(), {{"op", "open_graph"}, {"name", graph}}));
                for (const char* port : {"in", "out"}) {
                    ASSERT_TRUE(control::send(session->socket(), {{"op", "open_port"},
                                                                  {"name", fmt::format("{}/p:{}", graph, port)},
                                                                  {"direction", port},
                                                                  {"template", form}}));
                }
                // Compiled while nobody waits any more, or not at all.
                ASSERT_TRUE(control::send(
                    session->socket(), {{"op", "open_ptask"},
                                        {"name", graph + "/p"},
                                        {"kernel", kernel},
                                        {"arguments", {{{"port", graph + "/p:in"}}, {{"port", graph + "/p:out"}}}}}));
                if (i % 3 == 0) {
                    ::shutdown(session->socket().get(), SHUT_WR);
                }
            }
        },
        2);
    // Graphs that they had begun are gone with them.
    EXPECT_TRUE(eventually([&] {
        const auto list = instance_.ask({{"op", "list"}, {"kind", "graphs"}});
        return list && list->body["graphs"].empty();
    }));
}

TEST_F(HostileMessage, AClientThatNeverReadsIsDroppedAlone) {
    expect_no_trace([&] {
        const Fd socket = connect();
        ASSERT_TRUE(socket);
        ASSERT_EQ(::fcntl(socket.get(), F_SETFL, O_NONBLOCK), 0);
        const std::string packet = R"({"op":"status"})";
        EXPECT_TRUE(eventually([&] {
            for (unsigned i = 0; i < 1000; ++i) {
                if (::send(socket.get(), packet.data(), packet.size(), MSG_NOSIGNAL) < 0 && errno != EAGAIN) {
                    return errno == EPIPE || errno == ECONNRESET;
                }
            }
            return false;
        }));
    });
}

}  // namespace
}  // namespace yoke::test
