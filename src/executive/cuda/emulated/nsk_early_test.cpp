// Calls that the team begins before they are judged: their input and key are read, and for one unit of XTS a tweak is
// made, while the first warp judges. What they answer, which keys are copied, and that a refused one leaves nothing.
#include <atomic>

#include "executive/cuda/emulated/nsk_fixture.hpp"
#include "vectors/reference.hpp"

namespace yoke::executive::cuda::emulated {
namespace {

constexpr std::size_t aligned = 448;  // lay_out() puts input and output from here on at multiples of 16

class EarlyCall : public EmulatedNsk {
   protected:
    struct Wanted {
        std::uint16_t service;
        std::size_t length;
        std::uint32_t unit;
    };

    vectors::Case make_case(const Wanted& wanted, bool decrypts = false) {
        vectors::Case made;
        made.service = wanted.service;
        made.name = "early call";
        made.in = vectors::random_bytes(random_, wanted.length);
        if (wanted.service != YOKE_SERVICE_ECHO) {
            const std::size_t keys = wanted.service == YOKE_SERVICE_AES_XTS ? 2 : 1;
            made.key = vectors::random_bytes(random_, keys * (vectors::random_between(random_, 0, 1) == 0 ? 16 : 32));
        }
        if (wanted.service == YOKE_SERVICE_AES_CTR || wanted.service == YOKE_SERVICE_AES_XTS) {
            made.flags = YOKE_FLAG_PARAMS;
            const vectors::Bytes start = vectors::random_bytes(random_, 16);
            std::copy(start.begin(), start.end(), made.params.begin());
            std::memcpy(&made.params.at(16), &wanted.unit, sizeof(wanted.unit));
        }
        made.expected = made.service == YOKE_SERVICE_ECHO ? made.in : vectors::reference(made).value();
        if (decrypts) {
            made.flags |= YOKE_FLAG_DECRYPT;
            std::swap(made.in, made.expected);
        }
        return made;
    }

    static const void* params_of(const yoke_submission& s, const vectors::Case& test) {
        return (s.flags & YOKE_FLAG_PARAMS) != 0 ? &test.params : nullptr;
    }
    testing::AssertionResult serves(const Guest& guest, const vectors::Case& test, std::uint32_t key) {
        const yoke_submission s = lay_out(guest, test, aligned, key);
        return holds(guest, test, s, call(guest, s, params_of(s, test)));
    }

    // The kernel gives `s` back, its output untouched; then this test is the host, completes it and attaches again.
    testing::AssertionResult refuses(Guest& guest, const vectors::Case& test, const yoke_submission& s) {
        const std::uint64_t out = lay_out(guest, test, aligned, s.object).out_offset;
        std::uint64_t position = 0;
        next_ = [&] { position = submit(guest, s, params_of(s, test)); };
        submits_ = true;
        if (wait_released(guest) != Why::entry || guest.head != position) {
            return testing::AssertionFailure() << "not given back at " << position << " but at " << guest.head;
        }
        const std::byte* const bytes = guest.memory.arena.data() + out;
        if (!std::all_of(bytes, bytes + test.expected.size(), [](std::byte b) { return b == std::byte{0xa5}; })) {
            return testing::AssertionFailure() << "has written output";
        }
        yoke_completion done{};
        yoke_line_write(guest.lines(guest.memory.layout.ring[YOKE_RING_EXPRESS].completion) + position % 16, &done,
                        yoke_lap_tag(position, 4));
        if (!guest.client->express->take_completion(position, done)) {
            return testing::AssertionFailure() << "no completion of the host";
        }
        guest.head = position + 1;
        attach(guest);
        return testing::AssertionSuccess();
    }

    // Entries to be refused are written in front of a poll, so that it finds their parameters as well. And `held_` says
    // whether the block has had a copy of the key at place `watched_`, seen between its calls.
    void hook() {
        after_load = [this](const void* from) {
            if (from != orders_.data()) {
                return;
            }
            if (block_holds(keys_[watched_].encrypt[0])) {
                held_ = true;
            }
            if (thread_index().x == 0 && submits_.exchange(false)) {
                next_();
            }
            ++looks_;
        };
    }
    void watch(unsigned place) {
        watched_ = place;
        look_twice();
        held_ = false;
    }
    void look_twice() {
        const unsigned before = looks_;
        ASSERT_TRUE(comes([&] { return looks_ > before + 64; }));  // each lane looks
    }

    vectors::Random random_{vectors::test_seed()};
    std::function<void()> next_;
    std::atomic<bool> submits_{false};
    std::atomic<unsigned> watched_{0};
    std::atomic<unsigned> looks_{0};
    std::atomic<bool> held_{false};
};

TEST_F(EarlyCall, ServicesInTurnOnOneRingHold) {
    constexpr Wanted wanted[] = {
        {YOKE_SERVICE_AES_ECB, 4096, 0},    {YOKE_SERVICE_AES_XTS, 4096, 4096}, {YOKE_SERVICE_ECHO, 4096, 0},
        {YOKE_SERVICE_AES_CTR, 4096, 0},    {YOKE_SERVICE_AES_XTS, 4096, 512},  {YOKE_SERVICE_AES_XTS, 2064, 1U << 20},
        {YOKE_SERVICE_AES_ECB, 272, 0},     {YOKE_SERVICE_AES_CTR, 1008, 0},    {YOKE_SERVICE_AES_XTS, 272, 16},
        {YOKE_SERVICE_ECHO, 48, 0},         {YOKE_SERVICE_AES_XTS, 3072, 2048}, {YOKE_SERVICE_AES_XTS, 4096, 24},
        {YOKE_SERVICE_AES_XTS, 1000, 4096}, {YOKE_SERVICE_AES_CTR, 301, 0},     {YOKE_SERVICE_AES_XTS, 4096, 1U << 24},
        {YOKE_SERVICE_AES_ECB, 4112, 0}};
    Guest& guest = make_guest(0);
    std::vector<vectors::Case> cases;
    for (const bool decrypts : {false, true}) {
        for (const Wanted& one : wanted) {
            cases.push_back(make_case(one, decrypts && one.service != YOKE_SERVICE_ECHO));
            if (!cases.back().key.empty()) {
                const auto id = static_cast<std::uint32_t>(cases.size());
                put_key(guest, id, id, one.service, cases.back().key);
            }
        }
    }
    launch();
    attach(guest);
    for (const std::size_t step : {1U, 1U, 5U, 11U}) {  // none of them divides the number of cases
        for (std::size_t i = 0; i < cases.size(); ++i) {
            const std::size_t which = i * step % cases.size();
            const vectors::Case& test = cases[which];
            const auto id = static_cast<std::uint32_t>(test.key.empty() ? 0 : which + 1);
            ASSERT_TRUE(serves(guest, test, id))
                << "case " << which << "; repeat with YOKE_TEST_SEED=" << vectors::test_seed();
        }
    }
}

TEST_F(EarlyCall, CopiesNoKeyButTheSessionsOwnOfTheService) {
    Guest& guest = make_guest(0);
    Guest& other = make_guest(1);
    const vectors::Case ecb = make_case({YOKE_SERVICE_AES_ECB, 4096, 0});
    const vectors::Case xts = make_case({YOKE_SERVICE_AES_XTS, 4096, 4096});
    put_key(guest, 1, 1, YOKE_SERVICE_AES_ECB, ecb.key);
    put_key(guest, 2, 2, YOKE_SERVICE_AES_XTS, xts.key);
    hook();
    launch();
    attach(guest);
    attach(other);
    const auto entry = [&](const vectors::Case& test, const Guest& of, std::uint32_t id) {
        return lay_out(of, test, aligned, id);
    };
    watch(2);
    EXPECT_TRUE(refuses(guest, ecb, entry(ecb, guest, 2))) << "of another service";
    EXPECT_TRUE(refuses(guest, ecb, entry(ecb, guest, 3))) << "not there";
    look_twice();
    EXPECT_FALSE(held_);
    ASSERT_TRUE(serves(guest, xts, 2));  // and the next poll reads parameters too
    look_twice();
    EXPECT_TRUE(held_);
    watch(1);
    EXPECT_TRUE(refuses(guest, xts, entry(xts, guest, 1))) << "of another service";
    EXPECT_TRUE(refuses(guest, ecb, entry(ecb, guest, 1 + keys_per_ring))) << "of the same place";
    EXPECT_TRUE(refuses(other, ecb, entry(ecb, other, 1))) << "another session's";
    look_twice();
    EXPECT_FALSE(held_);
    ASSERT_TRUE(serves(guest, ecb, 1));
    look_twice();
    EXPECT_TRUE(held_);
}

TEST_F(EarlyCall, OneThatIsRefusedLeavesNothing) {
    Guest& guest = make_guest(0);
    const vectors::Case good = make_case({YOKE_SERVICE_AES_XTS, 4096, 4096});
    put_key(guest, 1, 1, YOKE_SERVICE_AES_XTS, good.key);
    const std::uint64_t end = guest.memory.layout.arena_bytes;
    struct Refused {
        const char* what;
        Wanted wanted;
        std::function<void(yoke_submission&, vectors::Case&)> change;
    };
    const auto set_word = [](vectors::Case& test, unsigned index, std::uint32_t value) {
        std::memcpy(&test.params.at(std::size_t{4} * index), &value, sizeof(value));
    };
    const Wanted page{YOKE_SERVICE_AES_ECB, 4096, 0};
    const Wanted unit{YOKE_SERVICE_AES_XTS, 4096, 4096};
    const std::vector<Refused> all = {
        {"no such flag", page, [](auto& s, auto&) { s.flags |= 0x40; }},
        {"a deadline in the past", page, [](auto& s, auto&) { s.deadline_ns = 1; }},
        {"too little output", page, [](auto& s, auto&) { s.out_length = 4095; }},
        {"output over input", page, [](auto& s, auto&) { s.out_offset = s.in_offset + 16; }},
        {"output behind the end", page, [&](auto& s, auto&) { s.out_offset = end - 4080; }},
        {"output that wraps", unit, [](auto& s, auto&) { s.out_offset = ~std::uint64_t{0} - 31; }},
        {"units of nothing", unit, [&](auto&, auto& test) { set_word(test, 4, 0); }},
        {"units of 8 bytes", unit, [&](auto&, auto& test) { set_word(test, 4, 8); }},
        {"units too long", unit, [&](auto&, auto& test) { set_word(test, 4, (1U << 24) + 16); }},
        {"parameters that there are not", unit, [&](auto&, auto& test) { set_word(test, 11, 1); }}};
    hook();
    launch();
    attach(guest);
    std::uint32_t id = 1;
    for (const Refused& one : all) {
        ASSERT_TRUE(serves(guest, good, 1)) << "before " << one.what;  // so the next poll reads parameters too
        vectors::Case test = make_case(one.wanted);
        ++id;
        put_key(guest, id, id, test.service, test.key);
        order(Command::sync, 0);
        ASSERT_TRUE(serves(guest, good, 1)) << "before " << one.what;
        watch(id);
        yoke_submission s = lay_out(guest, test, aligned, id);
        one.change(s, test);
        ASSERT_TRUE(refuses(guest, test, s)) << one.what;
        look_twice();
        EXPECT_TRUE(held_) << one.what << ": the team has not begun";
        order(Command::sync, 0);
        watch(id);
        look_twice();
        EXPECT_FALSE(held_) << one.what;
    }
    EXPECT_TRUE(serves(guest, good, 1));
}

// The poll that finds the entry has read the parameters' line just before it was written.
TEST_F(EarlyCall, ParametersThatComeLateCount) {
    Guest& guest = make_guest(0);
    const vectors::Case first = make_case({YOKE_SERVICE_AES_XTS, 4096, 4096});
    const vectors::Case second = make_case({YOKE_SERVICE_AES_XTS, 4096, 4096});
    put_key(guest, 1, 1, YOKE_SERVICE_AES_XTS, first.key);
    put_key(guest, 2, 2, YOKE_SERVICE_AES_XTS, second.key);
    const yoke_submission s = lay_out(guest, second, 65536 + aligned, 2);
    std::atomic<bool> wanted{false};
    std::atomic<bool> written{false};
    std::atomic<unsigned> reads{0};
    const yoke_line* const line = guest.lines(guest.memory.layout.ring[YOKE_RING_EXPRESS].params) + 1;
    after_load = [&](const void* from) {
        if (from != &line->quarter[0]) {
            return;
        }
        reads += written ? 1 : 0;
        if (wanted.exchange(false)) {
            submit(guest, s, &second.params);
            written = true;
        }
    };
    launch();
    attach(guest);
    ASSERT_TRUE(serves(guest, first, 1));
    wanted = true;
    ASSERT_TRUE(comes([&] { return written.load(); }));
    EXPECT_TRUE(holds(guest, second, s, await(guest, 1)));
    EXPECT_EQ(reads, 1U);
    EXPECT_TRUE(serves(guest, first, 1));
}

TEST_F(EarlyCall, AnotherKeyAtTheSamePlaceCountsBehindASync) {
    Guest& guest = make_guest(0);
    launch();
    attach(guest);
    for (const std::uint16_t service : {YOKE_SERVICE_AES_ECB, YOKE_SERVICE_AES_XTS, YOKE_SERVICE_AES_XTS,
                                        YOKE_SERVICE_AES_CTR, YOKE_SERVICE_AES_CTR, YOKE_SERVICE_AES_ECB}) {
        const vectors::Case test = make_case({service, 4096, 4096U * (service == YOKE_SERVICE_AES_XTS ? 1U : 0U)});
        put_key(guest, 7, 3, service, test.key);
        order(Command::sync, 0);
        ASSERT_TRUE(serves(guest, test, 7));
        ASSERT_TRUE(serves(guest, test, 7));
        // As the keeper does it: the name goes, the team answers, then the place may be used again.
        name(guest, 7, {});
        order(Command::sync, 0);
        keys_[3] = {};
    }
}

}  // namespace
}  // namespace yoke::executive::cuda::emulated
