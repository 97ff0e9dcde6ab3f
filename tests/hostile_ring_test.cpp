// Hostile entries in the rings of a real worker: wrong, half, repeated and changed while they are read. Each is
// answered with a typed error or costs its own session the service; nobody else notices.
#include <map>

#include "support/hostile.hpp"

namespace yoke::test {
namespace {

class HostileRing : public Hostile, public testing::WithParamInterface<unsigned> {
   protected:
    [[nodiscard]] static unsigned ring() { return GetParam(); }
};

std::byte* arena_of(const RawSession& session) {
    return session.data().data() - session.layout().data;
}

yoke_line* lines_of(const RawSession& session, std::uint64_t place) {
    return reinterpret_cast<yoke_line*>(arena_of(session) + place);
}

void ring_bell(const RawSession& session) {
    const std::uint64_t one = 1;
    EXPECT_EQ(::write(session.bell_fd().get(), &one, sizeof(one)), 8);
}

std::uint32_t fault_of(const RawSession& session) {
    return yoke_load_acquire32(&session.status_page().fault);
}

std::uint32_t create_key(const RawSession& session, const char* service) {
    std::array<std::byte, 32> bytes{};
    const auto memfd = create_content_memfd("key", bytes);
    const int fd = memfd->get();
    const Answer answer = answer_to(session.socket(), {{"op", "create_key"}, {"service", service}}, {&fd, 1});
    EXPECT_EQ(answer.code, 0) << answer.sentence;
    return answer.code == 0 ? answer.message.body["key"].get<std::uint32_t>() : 0;
}

// A channel that never gives a datablock, so that what pulls from it stays in flight.
std::uint32_t create_silent_channel(const RawSession& session, const std::string& graph) {
    const auto ask = [&](const Json& request) {
        Answer answer = answer_to(session.socket(), request);
        EXPECT_EQ(answer.code, 0) << answer.sentence;
        return answer;
    };
    ask({{"op", "open_graph"}, {"name", graph}});
    ask({{"op", "open_port"},
         {"name", graph + "/mute:out"},
         {"direction", "out"},
         {"template", {{"type", "u8"}, {"extent", {64, 1, 1}}, {"stride", 0}}}});
    return ask({{"op", "open_channel"},
                {"name", graph + "/silence"},
                {"source", graph + "/mute:out"},
                {"destination", nullptr},
                {"capacity", 1}})
        .message.body["channel"]
        .get<std::uint32_t>();
}

yoke_submission echo_of(const RawSession& session, std::uint32_t length = 64) {
    yoke_submission s{};
    s.opcode = YOKE_OP_CALL;
    s.service = YOKE_SERVICE_ECHO;
    s.in_offset = session.layout().data;
    s.in_length = length;
    s.out_offset = session.layout().data + 128U * 1024;
    s.out_length = length;
    return s;
}

struct Wrong {
    const char* what;
    std::function<void(yoke_submission&, const yoke_layout&)> change;
    int status;
    std::uint64_t member;
};

const std::vector<Wrong>& wrong_entries() {
    using S = yoke_submission;
    using L = yoke_layout;
    static const std::vector<Wrong> entries{
        {"input behind the arena", [](S& s, const L& l) { s.in_offset = l.arena_bytes; }, YOKE_EFAULT,
         YOKE_MEMBER_INPUT},
        {"input's last byte behind the arena", [](S& s, const L& l) { s.in_offset = l.arena_bytes - 63; }, YOKE_EFAULT,
         YOKE_MEMBER_INPUT},
        {"input in the rings", [](S& s, const L& l) { s.in_offset = l.data - 1; }, YOKE_EFAULT, YOKE_MEMBER_INPUT},
        {"input at the end of all addresses", [](S& s, const L&) { s.in_offset = ~0ULL; }, YOKE_EFAULT,
         YOKE_MEMBER_INPUT},
        {"input that wraps around", [](S& s, const L&) { s.in_offset = ~0ULL - 62; }, YOKE_EFAULT, YOKE_MEMBER_INPUT},
        {"input longer than any call", [](S& s, const L&) { s.in_length = ~0U; }, YOKE_EMSGSIZE, YOKE_MEMBER_INPUT},
        {"input longer than the arena", [](S& s, const L&) { s.in_length = 1U << 30U; }, YOKE_EFAULT,
         YOKE_MEMBER_INPUT},
        {"output in the rings", [](S& s, const L& l) { s.out_offset = l.ring[0].submission; }, YOKE_EFAULT,
         YOKE_MEMBER_OUTPUT},
        {"output over the client's words", [](S& s, const L&) { s.out_offset = 0; }, YOKE_EFAULT, YOKE_MEMBER_OUTPUT},
        {"output behind the arena", [](S& s, const L& l) { s.out_offset = l.arena_bytes + 4096; }, YOKE_EFAULT,
         YOKE_MEMBER_OUTPUT},
        {"output that wraps around", [](S& s, const L&) { s.out_offset = 0ULL - 64; }, YOKE_EFAULT, YOKE_MEMBER_OUTPUT},
        {"output too short", [](S& s, const L&) { s.out_length = 63; }, YOKE_EMSGSIZE, YOKE_MEMBER_OUTPUT},
        {"output longer than it says", [](S& s, const L&) { s.out_length = ~0U; }, YOKE_EFAULT, YOKE_MEMBER_OUTPUT},
        {"output over the input", [](S& s, const L&) { s.out_offset = s.in_offset; }, YOKE_EINVAL, YOKE_MEMBER_OVERLAP},
        {"output over the input's last byte", [](S& s, const L&) { s.out_offset = s.in_offset + 63; }, YOKE_EINVAL,
         YOKE_MEMBER_OVERLAP},
        {"zero opcode", [](S& s, const L&) { s.opcode = 0; }, YOKE_EINVAL, YOKE_MEMBER_OPCODE},
        {"unknown opcode", [](S& s, const L&) { s.opcode = 6; }, YOKE_ENOSYS, YOKE_MEMBER_OPCODE},
        {"last opcode", [](S& s, const L&) { s.opcode = 255; }, YOKE_ENOSYS, YOKE_MEMBER_OPCODE},
        {"unknown flags", [](S& s, const L&) { s.flags = 0x80; }, YOKE_EINVAL, YOKE_MEMBER_FLAGS},
        {"end of stream in a call", [](S& s, const L&) { s.flags = YOKE_FLAG_END; }, YOKE_EINVAL, YOKE_MEMBER_FLAGS},
        {"no service", [](S& s, const L&) { s.service = 0; }, YOKE_ENOSYS, YOKE_MEMBER_SERVICE},
        {"unknown service", [](S& s, const L&) { s.service = 8; }, YOKE_ENOSYS, YOKE_MEMBER_SERVICE},
        {"last service", [](S& s, const L&) { s.service = 0xffff; }, YOKE_ENOSYS, YOKE_MEMBER_SERVICE},
        {"a key where none belongs", [](S& s, const L&) { s.object = 1; }, YOKE_EINVAL, YOKE_MEMBER_OBJECT},
        {"no key", [](S& s, const L&) { s.service = YOKE_SERVICE_AES_ECB; }, YOKE_ENOKEY, YOKE_MEMBER_OBJECT},
        {"unknown key",
         [](S& s, const L&) {
             s.service = YOKE_SERVICE_AES_ECB;
             s.object = ~0U;
         },
         YOKE_ENOKEY, YOKE_MEMBER_OBJECT},
        {"push into nothing",
         [](S& s, const L&) {
             s.opcode = YOKE_OP_PUSH;
             s.service = 0;
         },
         YOKE_EINVAL, YOKE_MEMBER_OBJECT},
        {"push with a service", [](S& s, const L&) { s.opcode = YOKE_OP_PUSH; }, YOKE_EINVAL, YOKE_MEMBER_SERVICE},
        {"push into an unknown channel",
         [](S& s, const L&) {
             s.opcode = YOKE_OP_PUSH;
             s.service = 0;
             s.object = 0xfffffffe;
         },
         ENOENT, YOKE_MEMBER_OBJECT},
        {"pull from an unknown channel",
         [](S& s, const L&) {
             s.opcode = YOKE_OP_PULL;
             s.service = 0;
             s.object = 0xffffffff;
         },
         ENOENT, YOKE_MEMBER_OBJECT},
        {"pull into the rings",
         [](S& s, const L& l) {
             s.opcode = YOKE_OP_PULL;
             s.service = 0;
             s.object = 1;
             s.out_offset = l.ring[1].completion;
         },
         YOKE_EFAULT, YOKE_MEMBER_OUTPUT},
        {"deadline long past", [](S& s, const L&) { s.deadline_ns = 1; }, YOKE_ETIME, YOKE_MEMBER_NONE},
    };
    return entries;
}

TEST_P(HostileRing, EntriesThatNameWhatTheyMayNotAreRefusedByMember) {
    expect_no_trace([&] {
        auto session = open();
        ASSERT_TRUE(session);
        for (const Wrong& wrong : wrong_entries()) {
            yoke_submission s = echo_of(*session);
            wrong.change(s, session->layout());
            const auto completion = session->call(s, ring());
            ASSERT_TRUE(completion) << wrong.what;
            EXPECT_EQ(completion->status, -wrong.status) << wrong.what;
            EXPECT_EQ(completion->detail, wrong.member) << wrong.what;
        }
        EXPECT_TRUE(session->echo(5000, ring())) << "the session is served as before";
        EXPECT_EQ(fault_of(*session), 0U);
    });
}

TEST_P(HostileRing, KeysOfOthersAndKeysThatAreGoneAreNoKeys) {
    auto owner = open();
    auto thief = open();
    ASSERT_TRUE(owner && thief);
    const std::uint32_t key = create_key(*owner, "aes-ecb");
    yoke_submission s = echo_of(*owner);
    s.service = YOKE_SERVICE_AES_ECB;
    s.object = key;
    ASSERT_EQ(owner->call(s, ring())->status, 0);
    EXPECT_EQ(thief->call(s, ring())->status, -YOKE_ENOKEY);
    s.service = YOKE_SERVICE_AES_CTR;
    EXPECT_EQ(owner->call(s, ring())->status, -YOKE_ENOKEY) << "a key serves one service";
    EXPECT_TRUE(is_refused(answer_to(thief->socket(), {{"op", "destroy_key"}, {"key", key}}), ENOKEY, "key"));
    s.service = YOKE_SERVICE_AES_ECB;
    EXPECT_EQ(owner->call(s, ring())->status, 0) << "it was not the thief's to destroy";
    ASSERT_EQ(answer_to(owner->socket(), {{"op", "destroy_key"}, {"key", key}}).code, 0);
    EXPECT_EQ(owner->call(s, ring())->status, -YOKE_ENOKEY);
    EXPECT_NE(create_key(*owner, "aes-ecb"), key) << "ids of keys do not come back";
}

TEST_P(HostileRing, AParameterLineThatIsNotThereIsMissed) {
    auto session = open();
    ASSERT_TRUE(session);
    const yoke_ring_layout& place = session->layout().ring[ring()];
    yoke_submission s = echo_of(*session);
    s.service = YOKE_SERVICE_SHA256;
    s.flags = YOKE_FLAG_PARAMS;
    // The producer would write the line: this entry is written by hand, at position 0.
    yoke_line_write(&lines_of(*session, place.submission)[0], &s, yoke_lap_tag(0, 4));
    ring_bell(*session);
    yoke_completion completion{};
    ASSERT_TRUE(eventually([&] {
        return yoke_line_read(&lines_of(*session, place.completion)[0], &completion, yoke_lap_tag(0, 4)) != 0;
    }));
    EXPECT_EQ(completion.status, -YOKE_EINVAL);
    EXPECT_EQ(completion.detail, YOKE_MEMBER_PARAMS);
}

// Quarters arrive one by one, in any order; the entry is taken when the last is there and not before.
TEST_P(HostileRing, HalfAnEntryIsNoEntry) {
    auto session = open();
    ASSERT_TRUE(session);
    const yoke_ring_layout& place = session->layout().ring[ring()];
    const auto completed = [&](std::uint32_t position) {
        yoke_completion completion{};
        return yoke_line_read(&lines_of(*session, place.completion)[position], &completion, 1) != 0 &&
               completion.status == 0;
    };
    std::mt19937 random(5);
    std::array<unsigned, 4> order{0, 1, 2, 3};
    for (std::uint32_t position = 0; position < 16; ++position) {
        yoke_line whole{};
        const yoke_submission s = echo_of(*session);
        yoke_line_write(&whole, &s, 1);
        yoke_line& line = lines_of(*session, place.submission)[position];
        std::shuffle(order.begin(), order.end(), random);
        for (unsigned i = 0; i < order.size(); ++i) {
            EXPECT_FALSE(completed(position)) << "taken with " << i << " quarters";
            yoke_store_relaxed64(&line.quarter[order[i]].low, whole.quarter[order[i]].low);
            yoke_store_release64(&line.quarter[order[i]].high, whole.quarter[order[i]].high);
            ring_bell(*session);
            std::this_thread::sleep_for(std::chrono::milliseconds(2));
        }
        ASSERT_TRUE(eventually([&] { return completed(position); })) << position;
    }
}

TEST_P(HostileRing, AReplayedEntryIsNotTakenTwice) {
    auto session = open();
    ASSERT_TRUE(session);
    const yoke_ring_layout& place = session->layout().ring[ring()];
    const yoke_submission s = echo_of(*session);
    ASSERT_EQ(session->call(s, ring())->status, 0);
    std::byte* const output = session->data().data() + 128UL * 1024;
    std::fill(output, output + 64, std::byte{0x77});
    for (const std::uint64_t position : {0ULL, 16ULL, 32ULL, 0xffffffffULL * 16}) {  // this lap, others, the last
        yoke_line_write(&lines_of(*session, place.submission)[0], &s, yoke_lap_tag(position, 4));
        ring_bell(*session);
    }
    ASSERT_TRUE(session->echo(100, ring())) << "position 1";
    EXPECT_EQ(output[0], std::byte{0x77}) << "the output was written again";
    EXPECT_EQ(fault_of(*session), 0U);
}

TEST_P(HostileRing, AnEntryOnABusySlotEndsTheServiceOfItsSession) {
    expect_no_trace([&] {
        auto session = open();
        ASSERT_TRUE(session);
        yoke_submission pull = echo_of(*session);
        pull.opcode = YOKE_OP_PULL;
        pull.service = 0;
        pull.object = create_silent_channel(*session, "/busy");
        const yoke_ring_layout& place = session->layout().ring[ring()];
        for (std::uint32_t position = 0; position < place.slots; ++position) {
            yoke_line_write(&lines_of(*session, place.submission)[position], &pull, 1);
        }
        ring_bell(*session);
        const auto* const running = reinterpret_cast<const std::uint32_t*>(
            reinterpret_cast<const std::byte*>(&session->status_page()) + place.running);
        ASSERT_TRUE(eventually([&] { return yoke_load_acquire32(&running[place.slots - 1]) == 1; }));
        yoke_line_write(&lines_of(*session, place.submission)[0], &pull, 2);
        ring_bell(*session);
        ASSERT_TRUE(eventually([&] { return fault_of(*session) == YOKE_MEMBER_SLOT; }));
        // Neither ring is served any more; what was in flight goes with the session.
        const unsigned other = 1 - ring();
        yoke_line_write(&lines_of(*session, session->layout().ring[other].submission)[0], &pull, 1);
        ring_bell(*session);
        EXPECT_TRUE(neighbour_->is_served());
        EXPECT_EQ(
            yoke_load_acquire32(reinterpret_cast<const std::uint32_t*>(
                reinterpret_cast<const std::byte*>(&session->status_page()) + session->layout().ring[other].running)),
            0U);
        // Its control socket still answers.
        EXPECT_EQ(answer_to(session->socket(), {{"op", "terminate_graph"}, {"name", "/busy"}}).code, 0);
    });
}

TEST_P(HostileRing, SkipsWithoutEndHoldNobodyUp) {
    expect_no_trace([&] {
        auto session = open();
        ASSERT_TRUE(session);
        const yoke_ring_layout& place = session->layout().ring[ring()];
        yoke_submission skip{};
        skip.opcode = YOKE_OP_SKIP;
        std::uint64_t position = 0;
        const Again flood([&](std::mt19937_64&) {
            for (unsigned i = 0; i < place.slots; ++i, ++position) {
                yoke_line_write(&lines_of(*session, place.submission)[position % place.slots], &skip,
                                yoke_lap_tag(position, 4));
            }
            ring_bell(*session);
        });
        EXPECT_TRUE(neighbour_->is_served());
        auto other = open();
        EXPECT_TRUE(other && other->echo(3000, ring()));
    });
}

// Entries are correct when they are submitted and are rewritten until they are completed. Whatever the worker reads, it
// checks what it uses: every call ends, and typed.
TEST_P(HostileRing, EntriesChangedAfterSubmissionEndTyped) {
    constexpr std::size_t calls = 2000;
    expect_no_trace([&] {
        auto session = open();
        ASSERT_TRUE(session);
        const yoke_layout& layout = session->layout();
        const yoke_ring_layout& place = layout.ring[ring()];
        std::byte* const entries = arena_of(*session) + place.submission;
        // Not the tags, or the entry would never be taken; not the opcode: a SKIP is never answered, and a CALL that
        // was one is a fault.
        const auto scribble = [&](std::mt19937_64& random) {
            std::byte* const entry = entries + random() % place.slots * sizeof(yoke_line);
            const std::uint64_t word = random() % 2 == 0 ? random() : random() % layout.arena_bytes;
            switch (random() % 6) {
                case 0:
                    return __atomic_store_n(reinterpret_cast<std::uint8_t*>(entry + 1), word % 16, __ATOMIC_RELAXED);
                case 1:
                    return __atomic_store_n(reinterpret_cast<std::uint16_t*>(entry + 2), word % 9, __ATOMIC_RELAXED);
                case 2:
                    return __atomic_store_n(reinterpret_cast<std::uint32_t*>(entry + 4), word, __ATOMIC_RELAXED);
                default:
                    const std::size_t quarter = 1 + word % 3;
                    return __atomic_store_n(reinterpret_cast<std::uint64_t*>(entry + quarter * 16), word,
                                            __ATOMIC_RELAXED);
            }
        };
        const Again scribbler(scribble);
        std::mt19937_64 random(2);
        std::map<int, std::size_t> statuses;
        std::size_t ended = 0;
        ring::Producer& producer = session->producer(ring());
        EXPECT_TRUE(eventually([&] {
            for (unsigned i = 0; i < 1000; ++i) {
                static_cast<void>(producer.submit(echo_of(*session, 1 + i), nullptr));
                scribble(random);  // the other thread may not run before the worker has read everything
                std::uint64_t position = 0;
                yoke_completion completion{};
                if (producer.take_any(position, completion)) {
                    ++statuses[completion.status];
                    ++ended;
                }
            }
            return ended >= calls && statuses.size() > 1;
        })) << ended
            << " calls have ended, with " << statuses.size() << " statuses; with one, no entry was changed in time";
        for (const auto& [status, count] : statuses) {
            EXPECT_THAT(status, testing::AnyOf(0, -YOKE_EFAULT, -YOKE_EINVAL, -YOKE_ENOSYS, -YOKE_EMSGSIZE,
                                               -YOKE_ENOKEY, -YOKE_ETIME))
                << count << " times";
        }
        EXPECT_EQ(fault_of(*session), 0U);
    });
}

// Everything that a client can write is written all the time, with tags that are right for some position: entries,
// parameters, completions, cancel words, the words for the bell.
TEST_P(HostileRing, ScribblingOverEverythingHurtsTheScribblerOnly) {
    expect_no_trace([&] {
        auto session = open();
        ASSERT_TRUE(session);
        const yoke_layout& layout = session->layout();
        const yoke_ring_layout& place = layout.ring[ring()];
        std::byte* const arena = arena_of(*session);
        const Again scribbler([&](std::mt19937_64& random) {
            yoke_submission s = echo_of(*session, static_cast<std::uint32_t>(random() % 70'000));
            s.opcode = static_cast<std::uint8_t>(random() % 6);
            s.flags = static_cast<std::uint8_t>(random() % 9);
            s.service = static_cast<std::uint16_t>(random() % 9);
            s.object = static_cast<std::uint32_t>(random() % 4);
            s.in_offset += random() % 600'000;
            const auto tag = static_cast<std::uint32_t>(1 + random() % 64);
            const std::size_t slot = random() % place.slots;
            yoke_line_write(&lines_of(*session, place.params)[slot], &s, tag);
            yoke_line_write(&lines_of(*session, place.submission)[slot], &s, tag);
            yoke_line_write(&lines_of(*session, place.completion)[random() % place.slots], &s, tag);
            __atomic_store_n(reinterpret_cast<std::uint32_t*>(arena + place.cancel) + random() % place.slots, tag,
                             __ATOMIC_RELAXED);
            __atomic_store_n(reinterpret_cast<std::uint32_t*>(arena + layout.client),
                             static_cast<std::uint32_t>(random()), __ATOMIC_RELAXED);
            ring_bell(*session);
        });
        const Again noise(
            [&](std::mt19937_64& random) {
                __atomic_store_n(reinterpret_cast<std::uint64_t*>(arena) + random() % (layout.data / 8), random(),
                                 __ATOMIC_RELAXED);
            },
            2);
        EXPECT_TRUE(neighbour_->is_served());
        EXPECT_TRUE(neighbour_->is_served());
    });
}

INSTANTIATE_TEST_SUITE_P(Both, HostileRing, testing::Values(YOKE_RING_EXPRESS, YOKE_RING_BULK),
                         [](const auto& ring) { return ring.param == YOKE_RING_EXPRESS ? "Express" : "Bulk"; });

}  // namespace
}  // namespace yoke::test
