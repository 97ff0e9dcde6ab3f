// The resident kernel's own code against rings of real clients: what it answers, when it gives a ring back, how it
// comes and goes. What an emulation shows and what not is said in block.hpp; the same on a device is in tests/gpu.
#include <atomic>

#include "executive/cuda/emulated/nsk_fixture.hpp"

namespace yoke::executive::cuda::emulated {
namespace {

constexpr std::uint16_t services[] = {YOKE_SERVICE_ECHO,    YOKE_SERVICE_AES_ECB, YOKE_SERVICE_AES_CBC,
                                      YOKE_SERVICE_AES_CTR, YOKE_SERVICE_AES_XTS, YOKE_SERVICE_AES_GCM,
                                      YOKE_SERVICE_SHA256};

constexpr std::uint32_t express_bytes_max{YOKE_EXPRESS_BYTES_MAX};

bool is_served(const vectors::Case& test) {
    std::uint32_t message = 0;
    std::memcpy(&message, test.params.data(), sizeof(message));
    const bool chain = test.service == YOKE_SERVICE_AES_CBC && (test.flags & YOKE_FLAG_DECRYPT) == 0;
    const bool is_long = test.service == YOKE_SERVICE_SHA256 &&
                         (message == 0 ? test.in.size() : std::size_t{message}) > message_bytes_max;
    const std::size_t longest = std::max({test.in.size(), test.aux.size(), test.expected.size()});
    return test.key_error == 0 && !chain && !is_long && longest <= express_bytes_max;
}

TEST_F(EmulatedNsk, RandomCallsHold) {
    launch();
    Guest& guest = make_guest(0);
    attach(guest);
    vectors::Random random(vectors::test_seed());
    std::map<std::uint16_t, unsigned> served;
    std::uint32_t key = 0;
    for (unsigned round = 0; round < vectors::test_rounds(210); ++round) {
        const std::uint16_t service = services[round % std::size(services)];
        const auto test = vectors::random_case(random, service, 0, round % 4 == 0 ? 20'000 : 5000);
        ASSERT_TRUE(test.has_value()) << test.error();
        if (!is_served(*test)) {
            continue;
        }
        if (!test->key.empty()) {
            ++key;
            put_key(guest, key, key % 64, service, test->key);
            order(Command::sync, 0);
        }
        // From 448 on lay_out() puts input and output at multiples of 16.
        const std::size_t offset = round % 2 == 0 ? 448 : 64 + vectors::random_between(random, 0, 63);
        const yoke_submission s = lay_out(guest, *test, offset, test->key.empty() ? 0 : key);
        ASSERT_TRUE(holds(guest, *test, s, call(guest, s, (s.flags & YOKE_FLAG_PARAMS) != 0 ? &test->params : nullptr)))
            << "round " << round << "; repeat with YOKE_TEST_SEED=" << vectors::test_seed();
        ++served[service];
    }
    for (const std::uint16_t service : services) {
        EXPECT_GT(served[service], 5U) << "service " << service;
    }
}

// Several entries of several rings are taken at once; each ring's lap tags wrap several times.
TEST_F(EmulatedNsk, BatchesOfManyRingsHold) {
    launch();
    vectors::Random random(vectors::test_seed());
    std::vector<Guest*> guests;
    for (unsigned slot = 0; slot < 3; ++slot) {
        guests.push_back(&make_guest(slot));
        attach(*guests.back());
    }
    std::uint64_t calls = 0;
    for (unsigned round = 0; round < 12; ++round) {
        struct Sent {
            Guest* guest;
            yoke_submission entry;
            std::uint64_t position;
        };
        std::vector<Sent> sent;
        for (unsigned i = 0; i < 8; ++i) {
            Guest& guest = *guests[(i + round) % (1 + round % 3)];
            const std::uint64_t in = std::uint64_t{i} * 32768;
            const auto length = static_cast<std::uint32_t>(16 * vectors::random_between(random, 0, 300));
            fill(guest.client->data(in), length, round + i);
            std::memset(guest.client->data(in + 16384), 0xa5, length + 16);
            yoke_submission s = guest.client->echo(in, in + 16384, length);
            sent.push_back({&guest, s, submit(guest, s)});
        }
        for (const Sent& one : sent) {
            const yoke_completion done = await(*one.guest, one.position);
            ASSERT_EQ(done.status, 0);
            ASSERT_EQ(done.where, YOKE_WHERE_NSK);
            ASSERT_EQ(done.out_length, one.entry.in_length);
            const std::byte* const out = one.guest->memory.arena.data() + one.entry.out_offset;
            ASSERT_EQ(std::memcmp(out, one.guest->memory.arena.data() + one.entry.in_offset, one.entry.in_length), 0);
            ASSERT_EQ(out[one.entry.in_length], std::byte{0xa5});
            ++calls;
        }
    }
    std::uint64_t counted = 0;
    for (Guest* guest : guests) {
        order(Command::detach, guest->slot);
        EXPECT_EQ(wait_released(*guest), Why::asked);
        counted += reports_[guest->slot].calls;
    }
    EXPECT_EQ(counted, calls);
}

TEST_F(EmulatedNsk, ParksAndGoesOnWhereItWas) {
    Guest& guest = make_guest(2);
    std::uint64_t calls = 0;
    for (unsigned round = 0; round < 4; ++round) {
        // While nobody is there nothing is answered.
        const std::uint64_t position = submit(guest, guest.client->echo(0, 8192, 100));
        yoke_completion done{};
        EXPECT_FALSE(guest.client->express->take_completion(position, done));
        launch();
        attach(guest);
        EXPECT_EQ(await(guest, position).where, YOKE_WHERE_NSK);
        for (unsigned i = 0; i < 6; ++i) {
            fill(guest.client->data(), 100, round * 7 + i);
            ASSERT_EQ(call(guest, guest.client->echo(0, 8192, 100)).where, YOKE_WHERE_NSK);
            ASSERT_EQ(std::memcmp(guest.client->data(), guest.client->data(8192), 100), 0);
        }
        calls += 7;
        park();
        EXPECT_EQ(wait_released(guest), Why::asked);
        EXPECT_EQ(guest.head, calls);
        EXPECT_EQ(reports_[guest.slot].calls, 7U);
    }
}

TEST_F(EmulatedNsk, AnIdleRingFallsAsleepAndComesBack) {
    launch(5'000'000);
    Guest& guest = make_guest(0);
    const std::uint64_t first = submit(guest, guest.client->echo(0, 8192, 64));  // before it can be idle for too long
    attach(guest);
    ASSERT_EQ(await(guest, first).where, YOKE_WHERE_NSK);
    EXPECT_EQ(wait_released(guest), Why::idle);
    EXPECT_EQ(__atomic_load_n(&guest.status().ring[YOKE_RING_EXPRESS].asleep, __ATOMIC_ACQUIRE), 1U);
    EXPECT_EQ(guest.head, 1U);
    // The keeper's side of it: awake again, and what was written meanwhile is found.
    const std::uint64_t position = submit(guest, guest.client->echo(0, 8192, 64));
    __atomic_store_n(&guest.status().ring[YOKE_RING_EXPRESS].asleep, 0, __ATOMIC_RELEASE);
    attach(guest);
    EXPECT_EQ(await(guest, position).where, YOKE_WHERE_NSK);
}

// An entry written between the word that says asleep and the last look is found by that look.
TEST_F(EmulatedNsk, AnEntryAtTheLastMomentKeepsTheRingAwake) {
    Guest& guest = make_guest(0);
    std::atomic<bool> written{false};
    std::uint32_t* const asleep = &guest.status().ring[YOKE_RING_EXPRESS].asleep;
    const std::byte* const lines = guest.memory.arena.data() + guest.memory.layout.ring[YOKE_RING_EXPRESS].submission;
    after_load = [&](const void* from) {
        // The look is that of four lanes, one after the other: the first finds nothing, the others do.
        if (from == lines && __atomic_load_n(asleep, __ATOMIC_ACQUIRE) == 1 && !written.exchange(true)) {
            submit(guest, guest.client->echo(0, 8192, 64));
        }
    };
    launch(5'000'000);
    attach(guest);
    ASSERT_TRUE(comes([&] { return guest.client->has_completion(YOKE_RING_EXPRESS, 0, 1); }));
    EXPECT_EQ(wait_released(guest), Why::idle);
    EXPECT_EQ(guest.head, 1U);
}

TEST_F(EmulatedNsk, AnEntryPastItsDeadlineGoesBack) {
    launch();
    Guest& guest = make_guest(0);
    attach(guest);
    yoke_submission s = guest.client->echo(0, 8192, 64);
    s.deadline_ns = now_ns() + 600'000'000'000;
    EXPECT_EQ(call(guest, s).where, YOKE_WHERE_NSK);
    s.deadline_ns = now_ns();
    const std::uint64_t late = submit(guest, s);
    EXPECT_EQ(wait_released(guest), Why::entry);
    EXPECT_EQ(guest.head, late);
    yoke_completion done{};
    EXPECT_FALSE(guest.client->express->take_completion(late, done));
    park();
    // A device whose clock is an hour behind: what it has to add makes the same entry late.
    launch(never_idle_ns, 3600'000'000'000);
    Guest& later = make_guest(0);
    attach(later);
    s.deadline_ns = now_ns() + 600'000'000'000;
    submit(later, s);
    EXPECT_EQ(wait_released(later), Why::entry);
    EXPECT_EQ(later.head, 0U);
}

TEST_F(EmulatedNsk, AKeyIsFoundUntilItIsRemoved) {
    launch();
    Guest& guest = make_guest(0);
    Guest& other = make_guest(1);
    const vectors::Bytes bytes(16, std::byte{7});
    put_key(guest, 5, 9, YOKE_SERVICE_AES_ECB, bytes);
    attach(guest);
    attach(other);
    yoke_submission s = guest.client->echo(0, 8192, 4096);
    s.service = YOKE_SERVICE_AES_ECB;
    s.object = 5;
    EXPECT_EQ(call(guest, s).status, 0);
    EXPECT_EQ(call(guest, s).status, 0);
    // Another session's key of that number is another's.
    const std::uint64_t foreign = submit(other, s);
    EXPECT_EQ(wait_released(other), Why::entry);
    EXPECT_EQ(other.head, foreign);
    // The number of another place with the same remainder is none.
    s.object = 5 + keys_per_ring;
    submit(guest, s);
    EXPECT_EQ(wait_released(guest), Why::entry);

    Guest& third = make_guest(0);
    attach(third);
    s.object = 5;
    EXPECT_EQ(call(third, s).status, 0);
    // As the keeper does it: the name goes, the team answers, then nobody finds it and the place may be wiped.
    name(third, 5, {});
    order(Command::sync, 0);
    keys_[9] = {};
    submit(third, s);
    EXPECT_EQ(wait_released(third), Why::entry);
    EXPECT_EQ(reports_[third.slot].calls, 1U);
}

TEST_F(EmulatedNsk, CopiesOfAKeyGoWithIt) {
    Guest& guest = make_guest(0);
    vectors::Bytes bytes(16, std::byte{0x5b});
    put_key(guest, 1, 1, YOKE_SERVICE_AES_ECB, bytes);
    const service::device::Block first = keys_[1].encrypt[0];
    enum : int { unknown, held, gone };
    std::atomic<int> found{unknown};
    after_load = [&](const void* from) {  // on the block's own thread
        if (from == orders_.data() && found == unknown) {
            found = block_holds(first) ? held : gone;
        }
    };
    const auto now = [&] {
        found = unknown;
        EXPECT_TRUE(comes([&] { return found != unknown; }));
        return found.load();
    };
    launch();
    attach(guest);
    yoke_submission s = guest.client->echo(0, 8192, 4096);
    s.service = YOKE_SERVICE_AES_ECB;
    s.object = 1;
    for (const Command command : {Command::sync, Command::detach}) {
        EXPECT_EQ(call(guest, s).status, 0);
        EXPECT_EQ(now(), held);
        order(command, 0);
        EXPECT_EQ(now(), gone);
    }
}

TEST_F(EmulatedNsk, ItsHeartBeatsWithRingsAndWithout) {
    launch();
    const auto beats = [this] {
        const std::uint32_t before = __atomic_load_n(&progress_[0].heartbeat, __ATOMIC_ACQUIRE);
        return comes([&] { return __atomic_load_n(&progress_[0].heartbeat, __ATOMIC_ACQUIRE) != before; });
    };
    EXPECT_TRUE(beats());
    EXPECT_TRUE(beats());
    Guest& guest = make_guest(0);
    attach(guest);
    EXPECT_TRUE(beats());
    EXPECT_TRUE(beats());
    EXPECT_EQ(__atomic_load_n(&progress_[0].begun, __ATOMIC_ACQUIRE), number_);
}

}  // namespace
}  // namespace yoke::executive::cuda::emulated
