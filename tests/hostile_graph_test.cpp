// Hostile use of graphs of a real worker: too many objects, channels that are not there or somebody else's, graphs that
// go while data flows. Beside it runs a graph of the neighbour's kind, fed and read by an honest session.
#include <numeric>

#include "support/hostile.hpp"

namespace yoke::test {
namespace {

constexpr std::uint32_t block = 256;  // bytes of a datablock
constexpr const char* source =
    "kernel void next(global const uchar *in, global uchar *out) { size_t i = get_global_id(0); out[i] = in[i] + 1; }";

Json port(const std::string& name, const char* direction, std::uint64_t bytes = block) {
    return {{"op", "open_port"},
            {"name", name},
            {"direction", direction},
            {"template", {{"type", "u8"}, {"extent", {bytes, 1, 1}}, {"stride", 0}}}};
}

Json channel(const std::string& name, const Json& from, const Json& to, unsigned capacity = 4) {
    return {{"op", "open_channel"}, {"name", name}, {"source", from}, {"destination", to}, {"capacity", capacity}};
}

Json ptask(const std::string& name) {
    return {{"op", "open_ptask"},
            {"name", name},
            {"kernel",
             {{"source", source},
              {"source_name", ""},
              {"function", "next"},
              {"options", ""},
              {"geometry", {0, 0, 0}},
              {"local", {0, 0, 0}}}},
            {"arguments", {{{"port", name + ":in"}}, {{"port", name + ":out"}}}}};
}

// Ids of the outer channels of a graph of one ptask.
struct Line {
    std::uint32_t in = 0;
    std::uint32_t out = 0;
};

Line build(const Fd& socket, const std::string& graph, bool run = true) {
    Line line;
    const auto ask = [&](const Json& request) {
        Answer answer = answer_to(socket, request);
        EXPECT_EQ(answer.code, 0) << answer.sentence;
        return answer.code == 0 ? std::move(answer.message.body) : Json::object();
    };
    ask({{"op", "open_graph"}, {"name", graph}});
    ask(port(graph + "/p:in", "in"));
    ask(port(graph + "/p:out", "out"));
    ask(ptask(graph + "/p"));
    line.in = ask(channel(graph + "/to", nullptr, graph + "/p:in")).value("channel", 0U);
    line.out = ask(channel(graph + "/from", graph + "/p:out", nullptr)).value("channel", 0U);
    if (run) {
        ask({{"op", "run_graph"}, {"name", graph}});
    }
    return line;
}

yoke_submission push_of(const RawSession& session, std::uint32_t channel, std::uint32_t length = block) {
    yoke_submission s{};
    s.opcode = YOKE_OP_PUSH;
    s.object = channel;
    s.in_offset = session.layout().data;
    s.in_length = length;
    return s;
}

yoke_submission pull_of(const RawSession& session, std::uint32_t channel, std::uint32_t length = block) {
    yoke_submission s{};
    s.opcode = YOKE_OP_PULL;
    s.object = channel;
    s.out_offset = session.layout().data + 4096;
    s.out_length = length;
    return s;
}

// One datablock through a line, with a check of what comes out.
bool flows(RawSession& session, const Line& line) {
    const std::span<std::byte> data = session.data();
    std::iota(reinterpret_cast<unsigned char*>(data.data()), reinterpret_cast<unsigned char*>(data.data()) + block,
              static_cast<unsigned char>(3));
    const auto pushed = session.call(push_of(session, line.in));
    const auto pulled = session.call(pull_of(session, line.out), YOKE_RING_BULK);
    if (!pushed || pushed->status != 0 || !pulled || pulled->status != 0 || pulled->out_length != block) {
        return false;
    }
    for (std::uint32_t i = 0; i < block; ++i) {
        if (data[4096 + i] != static_cast<std::byte>(i + 4)) {
            return false;
        }
    }
    return true;
}

class HostileGraph : public Hostile {
   protected:
    HostileGraph() : Hostile("[limits.account]\ngraphs = 64\nobjects = 128\n") {}
    void SetUp() override {
        ASSERT_NO_FATAL_FAILURE(Hostile::SetUp());
        honest_ = open();
        ASSERT_TRUE(honest_);
        line_ = build(honest_->socket(), "/honest");
        ASSERT_TRUE(flows(*honest_, line_));
    }
    void TearDown() override {
        if (honest_) {
            EXPECT_TRUE(flows(*honest_, line_));
            EXPECT_EQ(graphs(), 1U);
        }
        Hostile::TearDown();
    }
    std::size_t graphs() {
        std::size_t count = 0;
        EXPECT_TRUE(eventually([&] {
            const auto list = instance_.ask({{"op", "list"}, {"kind", "graphs"}});
            count = list ? list->body["graphs"].size() : 0;
            return count == 1;
        }));
        return count;
    }

    std::unique_ptr<RawSession> honest_;
    Line line_;
};

TEST_F(HostileGraph, GraphsAndObjectsEndAtTheirLimitsAndAreGivenBack) {
    expect_no_trace([&] {
        auto session = open();
        ASSERT_TRUE(session);
        const Fd& socket = session->socket();
        for (unsigned i = 1; i < 64; ++i) {  // the honest one is there already
            ASSERT_EQ(answer_to(socket, {{"op", "open_graph"}, {"name", fmt::format("/many-{}", i)}}).code, 0) << i;
        }
        EXPECT_TRUE(is_refused(answer_to(socket, {{"op", "open_graph"}, {"name", "/straw"}}), ENOBUFS, "/straw"));
        unsigned objects = 0;
        for (; objects < 100; ++objects) {
            ASSERT_EQ(answer_to(socket, port(fmt::format("/many-1/p{}:out", objects), "out")).code, 0) << objects;
        }
        for (; objects < 128; ++objects) {
            const std::string from = fmt::format("/many-1/p{}:out", objects - 100);
            ASSERT_EQ(answer_to(socket, channel(fmt::format("/many-1/c{}", objects), from, nullptr)).code, 0)
                << objects;
        }
        EXPECT_TRUE(is_refused(answer_to(socket, port("/many-1/straw:out", "out")), ENOBUFS, "/many-1/straw:out"));
        EXPECT_TRUE(is_refused(answer_to(socket, channel("/many-1/straw", "/many-1/p99:out", nullptr)), ENOBUFS,
                               "/many-1/straw"));
        EXPECT_TRUE(flows(*honest_, line_));
        session.reset();
        EXPECT_EQ(graphs(), 1U);
    });
}

TEST_F(HostileGraph, MoreDeviceMemoryThanThereIsIsRefusedByName) {
    expect_no_trace([&] {
        auto session = open();
        ASSERT_TRUE(session);
        const Fd& socket = session->socket();
        ASSERT_EQ(answer_to(socket, {{"op", "open_graph"}, {"name", "/fat"}}).code, 0);
        Json huge = port("/fat/p:out", "out", 1U << 30U);
        ASSERT_EQ(answer_to(socket, huge).code, 0);
        EXPECT_TRUE(is_refused(answer_to(socket, channel("/fat/c", "/fat/p:out", nullptr, 4096)), ENOMEM, "/fat/c"));
        huge["name"] = "/fat/q:out";
        huge["template"]["extent"] = {1U << 30U, 1U << 30U, 1U << 30U};
        EXPECT_TRUE(is_refused(answer_to(socket, huge), EMSGSIZE, "/fat/q:out"));
        EXPECT_TRUE(flows(*honest_, line_));
    });
}

TEST_F(HostileGraph, ChannelsThatAreNotThereOrNotOfThatEndAreRefused) {
    auto session = open();
    ASSERT_TRUE(session);
    for (const unsigned ring : {YOKE_RING_EXPRESS, YOKE_RING_BULK}) {
        const auto status = [&](const yoke_submission& s) {
            return session->call(s, ring).value_or(yoke_completion{}).status;
        };
        for (const std::uint32_t id : {line_.in + 1000, ~0U, 1U << 31U}) {
            EXPECT_EQ(status(push_of(*session, id)), -ENOENT);
            EXPECT_EQ(status(pull_of(*session, id)), -ENOENT);
        }
        EXPECT_EQ(status(pull_of(*session, line_.in)), -YOKE_EINVAL) << "the wrong end";
        EXPECT_EQ(status(push_of(*session, line_.out)), -YOKE_EINVAL) << "the wrong end";
        EXPECT_EQ(status(push_of(*session, line_.in, block - 1)), -YOKE_EINVAL);
        EXPECT_EQ(status(push_of(*session, line_.in, block + 1)), -YOKE_EINVAL);
        EXPECT_EQ(status(pull_of(*session, line_.out, block - 1)), -YOKE_EMSGSIZE);
        yoke_submission decrypt = pull_of(*session, line_.out);
        decrypt.flags = YOKE_FLAG_DECRYPT;
        EXPECT_EQ(status(decrypt), -YOKE_EINVAL);
    }
    EXPECT_TRUE(
        is_refused(answer_to(session->socket(), {{"op", "run_graph"}, {"name", "/nobody"}}), ENOENT, "/nobody"));
    EXPECT_TRUE(is_refused(answer_to(session->socket(), port("/honest/late:in", "in")), EBUSY, "/honest"));
}

// Pushes and pulls of several sessions are under way, waiting and flowing, when the graph goes; again and again.
TEST_F(HostileGraph, GraphsTerminatedWhileDataFlowsEndEveryTransferTyped) {
    expect_no_trace(
        [&] {
            std::array<std::unique_ptr<RawSession>, 2> sessions{open(), open()};
            ASSERT_TRUE(sessions[0] && sessions[1]);
            for (unsigned round = 0; round < 4; ++round) {
                const Line line = build(sessions[round % 2]->socket(), "/fleeting");
                std::size_t ended = 0;
                std::size_t submitted = 0;
                const auto drive = [&](bool more) {
                    for (const auto& session : sessions) {
                        for (const unsigned ring : {YOKE_RING_EXPRESS, YOKE_RING_BULK}) {
                            const auto s =
                                (submitted + ring) % 3 == 0 ? pull_of(*session, line.out) : push_of(*session, line.in);
                            submitted += more && session->producer(ring).submit(s, nullptr) >= 0 ? 1U : 0U;
                            std::uint64_t position = 0;
                            yoke_completion completion{};
                            if (session->producer(ring).take_any(position, completion)) {
                                ++ended;
                                EXPECT_THAT(completion.status,
                                            testing::AnyOf(0, -YOKE_ECANCELED, -ENOENT, -YOKE_EPIPE));
                            }
                        }
                    }
                };
                for (unsigned i = 0; i < 200; ++i) {
                    drive(true);
                }
                ASSERT_TRUE(control::send(sessions[0]->socket(), {{"op", "terminate_graph"}, {"name", "/fleeting"}}));
                for (unsigned i = 0; i < 200; ++i) {
                    drive(true);
                }
                const auto terminated = control::receive_for(sessions[0]->socket(), 20'000);
                ASSERT_TRUE(terminated && *terminated);
                EXPECT_EQ((*terminated)->body["ok"], true);
                EXPECT_TRUE(eventually([&] {
                    drive(false);
                    return ended == submitted;
                })) << ended
                    << " of " << submitted << " transfers have ended";
                EXPECT_TRUE(flows(*honest_, line_));
            }
        },
        2);
}

// Transfers wait for ever, in every slot of both rings, when their session goes.
TEST_F(HostileGraph, SessionsThatGoWithTransfersInFlightLeaveNothing) {
    auto owner = open();
    ASSERT_TRUE(owner);
    const Line line = build(owner->socket(), "/full", false);  // built, not running: pushes fill it, pulls wait
    expect_no_trace([&] {
        for (unsigned i = 0; i < 10; ++i) {
            auto session = open();
            ASSERT_TRUE(session);
            for (const unsigned ring : {YOKE_RING_EXPRESS, YOKE_RING_BULK}) {
                for (unsigned slot = 0; slot < 16; ++slot) {
                    ASSERT_GE(session->producer(ring).submit(
                                  slot % 2 == 0 ? push_of(*session, line.in) : pull_of(*session, line.out), nullptr),
                              0);
                }
            }
            if (i % 2 == 0) {
                session->producer(YOKE_RING_BULK).cancel(3);
            }
        }
        EXPECT_TRUE(flows(*honest_, line_));
    });
    ASSERT_EQ(answer_to(owner->socket(), {{"op", "terminate_graph"}, {"name", "/full"}}).code, 0);
}

// Data changes and vanishes while the device copies it.
TEST_F(HostileGraph, DatablocksChangedWhileTheyArePushedStayInTheirGraph) {
    expect_no_trace(
        [&] {
            auto session = open();
            ASSERT_TRUE(session);
            const Line line = build(session->socket(), "/changing");
            const Again scribbler([&](std::mt19937_64& random) {
                __atomic_store_n(reinterpret_cast<std::uint64_t*>(session->data().data()) + random() % 1024, random(),
                                 __ATOMIC_RELAXED);
            });
            std::size_t pulled = 0;
            EXPECT_TRUE(eventually([&] {
                for (unsigned i = 0; i < 100; ++i) {
                    static_cast<void>(session->producer(YOKE_RING_EXPRESS).submit(push_of(*session, line.in), nullptr));
                    static_cast<void>(session->producer(YOKE_RING_BULK).submit(pull_of(*session, line.out), nullptr));
                    std::uint64_t position = 0;
                    yoke_completion completion{};
                    while (session->producer(YOKE_RING_EXPRESS).take_any(position, completion)) {
                        EXPECT_EQ(completion.status, 0);
                    }
                    while (session->producer(YOKE_RING_BULK).take_any(position, completion)) {
                        EXPECT_EQ(completion.status, 0);
                        ++pulled;
                    }
                }
                return pulled > 1000;
            })) << pulled;
            EXPECT_TRUE(flows(*honest_, line_));
        },
        2);
}

}  // namespace
}  // namespace yoke::test
