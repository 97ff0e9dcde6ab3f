// Clients that break the rules of the ring while the resident kernel reads it. What is written where it hurts most is
// written there exactly, between two loads of the kernel (after_load).
#include <atomic>

#include "executive/cuda/emulated/nsk_fixture.hpp"

namespace yoke::executive::cuda::emulated {
namespace {

constexpr std::uint64_t nowhere = std::uint64_t{1} << 46;  // behind every mapping

class MaliciousNsk : public EmulatedNsk {
   protected:
    static yoke_line* submission(const Guest& guest, unsigned slot) {
        return guest.lines(guest.memory.layout.ring[YOKE_RING_EXPRESS].submission) + slot;
    }
    static yoke_line* params(const Guest& guest, unsigned slot) {
        return guest.lines(guest.memory.layout.ring[YOKE_RING_EXPRESS].params) + slot;
    }

    // Everything in front of the data area but the lines of the express ring.
    static std::vector<std::byte> control_area(const Guest& guest) {
        const yoke_layout& layout = guest.memory.layout;
        std::vector<std::byte> copy(guest.memory.arena.data(), guest.memory.arena.data() + layout.data);
        const yoke_ring_layout& ring = layout.ring[YOKE_RING_EXPRESS];
        for (const std::uint64_t lines : {ring.submission, ring.params, ring.completion}) {
            std::fill_n(copy.begin() + static_cast<std::ptrdiff_t>(lines), ring.slots * sizeof(yoke_line),
                        std::byte{0});
        }
        return copy;
    }

    // The entry that a submit() of `s` would write.
    static void write(yoke_line* line, const void* payload, std::uint32_t tag) { yoke_line_write(line, payload, tag); }
};

TEST_F(MaliciousNsk, AnEntryRewrittenBehindItsReadIsServedAsItWasRead) {
    Guest& guest = make_guest(0);
    const yoke_submission good = guest.client->echo(0, 8192, 4096);
    yoke_submission bad = good;
    bad.in_offset = nowhere;
    bad.out_offset = guest.memory.layout.ring[YOKE_RING_BULK].submission;
    const std::uint64_t position = submit(guest, good);
    fill(guest.client->data(), 4096, 3);
    const auto before = control_area(guest);
    after_load = [&](const void* from) {
        if (from == &submission(guest, 0)->quarter[3]) {
            write(submission(guest, 0), &bad, 1);
        }
    };
    launch();
    attach(guest);
    const yoke_completion done = await(guest, position);
    EXPECT_EQ(done.status, 0);
    EXPECT_EQ(done.where, YOKE_WHERE_NSK);
    EXPECT_EQ(std::memcmp(guest.client->data(), guest.client->data(8192), 4096), 0);
    EXPECT_EQ(control_area(guest), before);
}

// Of an entry's quarters any may be of another entry: what comes of it is judged as one.
TEST_F(MaliciousNsk, AMixtureOfTwoEntriesIsJudgedAsWhatWasRead) {
    for (unsigned last_good = 0; last_good < 3; ++last_good) {
        Guest& guest = make_guest(last_good);
        const yoke_submission good = guest.client->echo(0, 8192, 4096);
        yoke_submission bad = good;  // wrong in each of the quarters that may follow
        bad.in_offset = nowhere;
        bad.out_offset = nowhere + 65536;
        bad.in_length = 1U << 31;
        bad.deadline_ns = std::uint64_t{1} << 32;
        submit(guest, good);
        const auto before = control_area(guest);
        after_load = [&, last_good](const void* from) {
            if (from == &submission(guest, 0)->quarter[last_good]) {
                write(submission(guest, 0), &bad, 1);
            }
        };
        launch();
        attach(guest);
        EXPECT_EQ(wait_released(guest), Why::entry) << last_good;
        EXPECT_EQ(guest.head, 0U);
        EXPECT_FALSE(guest.client->has_completion(YOKE_RING_EXPRESS, 0, 1));
        EXPECT_EQ(control_area(guest), before);
        park();
        after_load = nullptr;
    }
}

TEST_F(MaliciousNsk, ParametersRewrittenBehindTheirReadCountAsTheyWereRead) {
    Guest& guest = make_guest(0);
    vectors::Random random(vectors::test_seed());
    for (unsigned round = 0; round < 3; ++round) {
        auto test = vectors::random_case(random, YOKE_SERVICE_AES_XTS, 4096, 4096);
        ASSERT_TRUE(test.has_value()) << test.error();
        put_key(guest, 1 + round, round, YOKE_SERVICE_AES_XTS, test->key);
        const yoke_submission s = lay_out(guest, *test, 64, 1 + round);
        const std::uint64_t position = submit(guest, s, &test->params);
        const std::uint32_t slot = round % 16;
        const std::array<std::byte, YOKE_PAYLOAD_BYTES> zero{};  // units of 0 bytes: a division by zero
        std::atomic<bool> rewritten{false};
        after_load = [&](const void* from) {
            if (from == &params(guest, slot)->quarter[3]) {
                write(params(guest, slot), zero.data(), 1);
                rewritten = true;
            }
        };
        launch();
        attach(guest);
        const yoke_completion done = await(guest, position);
        EXPECT_TRUE(holds(guest, *test, s, done));
        EXPECT_TRUE(rewritten);
        park();
        after_load = nullptr;
        guest.head = reports_[guest.slot].head;
    }
}

TEST_F(MaliciousNsk, AnEntryWithoutAllItsTagsIsNotThere) {
    Guest& guest = make_guest(0);
    yoke_submission s = guest.client->echo(0, 8192, 64);
    std::atomic<unsigned> looks{0};
    after_load = [&](const void* from) { looks += from == &submission(guest, 0)->quarter[0] ? 1 : 0; };
    launch();
    attach(guest);
    for (unsigned missing = 0; missing < 4; ++missing) {
        write(submission(guest, 0), &s, 7);  // another lap's
        for (unsigned i = 0; i < 4; ++i) {
            yoke_line line{};
            write(&line, &s, i == missing ? 2 : 1);
            yoke_quarter& to = submission(guest, 0)->quarter[i];
            yoke_store_relaxed64(&to.low, line.quarter[i].low);
            yoke_store_release64(&to.high, line.quarter[i].high);
        }
        const unsigned before = looks;
        ASSERT_TRUE(comes([&] { return looks > before + 20; }));
        EXPECT_FALSE(guest.client->has_completion(YOKE_RING_EXPRESS, 0, 1)) << missing;
        EXPECT_FALSE(released(guest));
    }
    EXPECT_EQ(call(guest, s).where, YOKE_WHERE_NSK);
}

TEST_F(MaliciousNsk, GivesBackAtTheFirstEntryThatItRefuses) {
    Guest& guest = make_guest(0);
    const yoke_submission good = guest.client->echo(0, 8192, 64);
    const std::uint64_t data = guest.memory.layout.data;
    const std::uint64_t end = guest.memory.layout.arena_bytes;
    std::vector<std::pair<const char*, yoke_submission>> cases;
    const auto add = [&](const char* what, auto&& change) {
        cases.emplace_back(what, good);
        change(cases.back().second);
    };
    add("no operation", [](auto& s) { s.opcode = 77; });
    add("a push", [](auto& s) { s.opcode = YOKE_OP_PUSH; });
    add("no such flag", [](auto& s) { s.flags = 0x40; });
    add("no such service", [](auto& s) { s.service = 99; });
    add("the service that fails", [](auto& s) { s.service = service::device::fault_service; });
    add("no such key", [](auto& s) { s.service = YOKE_SERVICE_AES_ECB, s.object = 3; });
    add("output in front of the data", [&](auto& s) { s.out_offset = data - 64; });
    add("output behind the end", [&](auto& s) { s.out_offset = end - 63; });
    add("output that wraps", [](auto& s) { s.out_offset = ~std::uint64_t{0} - 31; });
    add("input behind everything", [](auto& s) { s.in_offset = nowhere; });
    add("input that wraps", [](auto& s) { s.in_offset = ~std::uint64_t{0} - 31; });
    add("output over input", [&](auto& s) { s.out_offset = s.in_offset + 63; });
    add("longer than express calls are", [](auto& s) { s.in_length = YOKE_EXPRESS_BYTES_MAX + 1; });
    add("too little output", [](auto& s) { s.out_length = 63; });
    add("a deadline in the past", [](auto& s) { s.deadline_ns = 1; });
    launch();
    for (const auto& [what, bad] : cases) {
        const std::uint64_t first = submit(guest, good);
        const std::uint64_t second = submit(guest, bad);
        const std::uint64_t third = submit(guest, good);
        attach(guest);
        EXPECT_EQ(await(guest, first).status, 0) << what;
        EXPECT_EQ(wait_released(guest), Why::entry) << what;
        EXPECT_EQ(guest.head, second) << what;
        // The host would take it; here its slot is completed in its place.
        for (const std::uint64_t position : {second, third}) {
            yoke_completion done{};
            EXPECT_FALSE(guest.client->express->take_completion(position, done)) << what;
            yoke_line_write(guest.lines(guest.memory.layout.ring[YOKE_RING_EXPRESS].completion) + position % 16, &done,
                            yoke_lap_tag(position, 4));
            EXPECT_TRUE(guest.client->express->take_completion(position, done)) << what;
        }
        guest.head = third + 1;
    }
}

// The only entry of a poll has its input read while it is judged: not where there is none.
TEST_F(MaliciousNsk, AnInputThatNobodyHasJudgedIsReadInsideTheArenaAlone) {
    launch();
    Guest& guest = make_guest(0);
    put_key(guest, 1, 1, YOKE_SERVICE_AES_ECB, vectors::Bytes(16, std::byte{1}));
    for (const std::uint16_t service : {YOKE_SERVICE_ECHO, YOKE_SERVICE_AES_ECB}) {
        for (const std::uint64_t in :
             {nowhere, ~std::uint64_t{0} - 4095, std::uint64_t{guest.memory.layout.arena_bytes} - 4080}) {
            yoke_submission s = guest.client->echo(0, 8192, 4096);
            s.service = service;
            s.object = service == YOKE_SERVICE_ECHO ? 0 : 1;
            s.in_offset = in;
            const std::uint64_t position = submit(guest, s);
            attach(guest);
            EXPECT_EQ(wait_released(guest), Why::entry);
            EXPECT_EQ(guest.head, position);
            ++guest.head;
        }
    }
    EXPECT_EQ(reports_[guest.slot].calls, 0U);
}

// Entries change all the time, without any order, in one ring of the team; the other's calls hold.
TEST_F(MaliciousNsk, GarbageInOneRingHarmsNoOther) {
    launch();
    Guest& hostile = make_guest(0);
    Guest& honest = make_guest(1);
    const auto before = control_area(hostile);
    attach(hostile);
    attach(honest);
    std::atomic<bool> stop{false};
    std::thread writer([&] {
        vectors::Random random(vectors::test_seed());
        for (std::uint64_t n = 0; !stop; ++n) {
            const unsigned slot = static_cast<unsigned>(n % 16);
            yoke_submission s = hostile.client->echo(random() % 4096, 65536 + std::uint64_t{slot} * 16384,
                                                     static_cast<std::uint32_t>(random() % 8192));
            s.service = static_cast<std::uint16_t>(1 + random() % 8);
            s.object = static_cast<std::uint32_t>(random() % 3);
            if (n % 4 == 0) {
                s.opcode = static_cast<std::uint8_t>(random());
                s.in_offset = random();
                s.out_offset = random() | nowhere;
            }
            const auto tag = static_cast<std::uint32_t>(1 + n / 16 % 2);
            write(params(hostile, slot), &s, tag);
            write(submission(hostile, slot), &s, tag);
        }
    });
    std::uint64_t returns = 0;
    const std::uint64_t begin = now_ns();
    for (unsigned round = 0; round < 60 || (returns < 8 && now_ns() - begin < patience_ns); ++round) {
        fill(honest.client->data(), 512, round);
        std::memset(honest.client->data(8192), 0xa5, 520);
        const yoke_completion done = call(honest, honest.client->echo(0, 8192, 512));
        ASSERT_EQ(done.status, 0);
        ASSERT_EQ(done.where, YOKE_WHERE_NSK);
        ASSERT_EQ(std::memcmp(honest.client->data(), honest.client->data(8192), 512), 0);
        ASSERT_EQ(*honest.client->data(8192 + 512), std::byte{0xa5});
        if (released(hostile)) {
            EXPECT_EQ(wait_released(hostile), Why::entry);
            hostile.head = (hostile.head + 1) % 32;
            attach(hostile);
            ++returns;
        }
    }
    stop = true;
    writer.join();
    EXPECT_GE(returns, 8U);
    EXPECT_EQ(control_area(hostile), before);
}

}  // namespace
}  // namespace yoke::executive::cuda::emulated
