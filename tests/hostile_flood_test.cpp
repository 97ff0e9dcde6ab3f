// More of everything than anybody may have: sessions, silent connections, keys, arenas, requests. The limit answers by
// its name, and what was taken is given back.
#include "support/hostile.hpp"

namespace yoke::test {
namespace {

constexpr unsigned sessions_max = 1024;  // limits.account.sessions
constexpr unsigned keys_max = 1024;      // limits.account.keys, per session

class HostileFlood : public Hostile {
   protected:
    // Session sockets over one connection to yoked, none of them opened; how many of `count` were granted.
    std::vector<Fd> connect_many(unsigned count) {
        std::vector<Fd> sockets;
        const auto link = instance_.connect();
        if (!link) {
            ADD_FAILURE() << link.error().message;
            return sockets;
        }
        for (unsigned i = 0; i < count; ++i) {
            Answer answer = answer_to(*link, {{"op", "connect"}, {"version", YOKE_ABI_VERSION}});
            if (answer.code == 0) {
                sockets.push_back(std::move(answer.message.fds.at(0)));
            } else {
                EXPECT_TRUE(is_refused(answer, ENOBUFS, "limits.account.sessions"));
            }
        }
        return sockets;
    }

    // Until yoked knows of no session but the neighbour's.
    bool is_alone() {
        return eventually([&] {
            const auto list = instance_.ask({{"op", "list"}, {"kind", "sessions"}});
            return list && list->body["sessions"].size() == 1;
        });
    }
};

TEST_F(HostileFlood, TenThousandSessionsEndAtTheLimitAndAreGivenBack) {
    ASSERT_TRUE(is_alone());
    expect_no_trace(
        [&] {
            std::vector<std::vector<Fd>> opened;
            for (const Fd& socket : connect_many(3500)) {
                Answer answer = answer_to(socket, open_session_request());
                EXPECT_EQ(answer.code, 0) << answer.sentence;
                opened.push_back(std::move(answer.message.fds));
                opened.back().push_back(Fd(::dup(socket.get())));
            }
            EXPECT_EQ(opened.size() + 1, sessions_max) << "the neighbour has one";
            EXPECT_TRUE(neighbour_->is_served());
            opened.clear();
            EXPECT_TRUE(is_alone());
        },
        1, 24 * 1024);
}

TEST_F(HostileFlood, ThousandsWhoSayNothingAreForgotten) {
    expect_no_trace(
        [&] {
            ASSERT_TRUE(is_alone());
            const std::vector<Fd> silent = connect_many(1500);
            EXPECT_EQ(silent.size() + 1, sessions_max);
            std::vector<Fd> links;
            unsigned refused = 0;
            for (unsigned i = 0; i < 1500; ++i) {
                auto link = instance_.connect();
                ASSERT_TRUE(link) << link.error().message;
                links.push_back(std::move(*link));
            }
            // Those above the limit find the reason without asking.
            for (const Fd& link : links) {
                const auto message = control::receive_for(link, 0);
                if (message && *message) {
                    EXPECT_EQ((*message)->body["errno"], ENOBUFS);
                    EXPECT_THAT((*message)->body["error"].get<std::string>(),
                                testing::HasSubstr("limits.account.connections"));
                    ++refused;
                }
            }
            EXPECT_GE(refused, 1000U);
            EXPECT_TRUE(neighbour_->is_served());
        },
        2, 24 * 1024);
}

TEST_F(HostileFlood, KeysEndAtTheLimitAndAreGivenBack) {
    std::array<std::byte, 32> bytes{};
    const auto memfd = create_content_memfd("key", bytes);
    ASSERT_TRUE(memfd);
    const int fd = memfd->get();
    const Json request{{"op", "create_key"}, {"service", "aes-ctr"}};
    expect_no_trace(
        [&] {
            auto session = open();
            ASSERT_TRUE(session);
            std::vector<std::uint32_t> keys;
            for (unsigned i = 0; i < keys_max; ++i) {
                Answer answer = answer_to(session->socket(), request, {&fd, 1});
                ASSERT_EQ(answer.code, 0) << answer.sentence;
                keys.push_back(answer.message.body["key"].get<std::uint32_t>());
            }
            EXPECT_TRUE(is_refused(answer_to(session->socket(), request, {&fd, 1}), ENOBUFS, "limits.account.keys"));
            // A place is free again, under another number; the other keys go with the session.
            ASSERT_EQ(answer_to(session->socket(), {{"op", "destroy_key"}, {"key", keys[7]}}).code, 0);
            Answer again = answer_to(session->socket(), request, {&fd, 1});
            ASSERT_EQ(again.code, 0) << again.sentence;
            EXPECT_THAT(keys, testing::Not(testing::Contains(again.message.body["key"].get<std::uint32_t>())));
            EXPECT_TRUE(session->echo(3000));
        },
        2, 24 * 1024);
}

TEST_F(HostileFlood, ArenasEndAtTheLimitAndAreGivenBack) {
    ASSERT_TRUE(is_alone());
    expect_no_trace([&] {
        std::vector<std::unique_ptr<RawSession>> sessions;
        for (unsigned i = 0; i < 3; ++i) {  // of 16 GiB, less the neighbour's
            sessions.push_back(open(5ULL << 30U));
            ASSERT_TRUE(sessions.back());
        }
        Fd socket = connect();
        EXPECT_TRUE(
            is_refused(answer_to(socket, open_session_request(5ULL << 30U)), ENOBUFS, "limits.account.arena_bytes"));
        EXPECT_EQ(answer_to(socket, open_session_request(1U << 20U)).code, 0) << "a smaller one fits";
        socket.reset();
        EXPECT_TRUE(sessions[0]->echo(3000));
        sessions.clear();
        EXPECT_TRUE(eventually([&] { return answer_to(connect(), open_session_request(5ULL << 30U)).code == 0; }));
        EXPECT_TRUE(is_alone()) << "the next round needs all";
    });
}

// Requests and calls as fast as they can be written, over several sessions at a time.
TEST_F(HostileFlood, BusySessionsLeaveOthersTheirTurn) {
    expect_no_trace([&] {
        std::vector<std::unique_ptr<RawSession>> sessions;
        for (unsigned i = 0; i < 4; ++i) {
            sessions.push_back(open(4U << 20U));
            ASSERT_TRUE(sessions.back());
        }
        const std::string packet = R"({"op":"open_graph","name":"/..)" + std::string(50'000, 'x') + "\"}";
        const Again talker([&](std::mt19937_64&) {
            send_packet(sessions[0]->socket(), packet);
            static_cast<void>(control::receive_for(sessions[0]->socket(), 20'000));
        });
        const Again caller([&](std::mt19937_64& random) {
            for (const auto& session : sessions) {
                for (const unsigned ring : {YOKE_RING_EXPRESS, YOKE_RING_BULK}) {
                    yoke_submission s{};
                    s.opcode = YOKE_OP_CALL;
                    s.service = YOKE_SERVICE_SHA256;
                    s.in_offset = session->layout().data;
                    s.in_length = ring == YOKE_RING_EXPRESS ? 60'000 : 3'000'000;
                    s.out_offset = session->layout().arena_bytes - 64 * (1 + random() % 16);
                    s.out_length = 32;
                    static_cast<void>(session->producer(ring).submit(s, nullptr));
                    std::uint64_t position = 0;
                    yoke_completion completion{};
                    static_cast<void>(session->producer(ring).take_any(position, completion));
                }
            }
        });
        EXPECT_TRUE(neighbour_->is_served());
        EXPECT_TRUE(neighbour_->is_served());
    });
}

}  // namespace
}  // namespace yoke::test
