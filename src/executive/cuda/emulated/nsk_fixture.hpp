// For tests: the resident kernel on the host, one team of it, and what its keeper would tell it.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <memory>
#include <thread>
#include <vector>

#include "executive/cuda/emulated/instructions.hpp"
#include "executive/cuda/emulated/kernels.hpp"
#include "executive/session_fixture.hpp"
#include "service/device/key.hpp"
#include "vectors/random_case.hpp"

namespace yoke::executive::cuda::emulated {

// One ring of the kernel with the client behind it.
struct Guest {
    std::unique_ptr<TestClient> client;
    SessionMemory memory;
    unsigned slot = 0;
    std::uint64_t head = 0;  // where the kernel left the ring
    std::uint32_t attachment = 0;

    [[nodiscard]] yoke_status_page& status() const {
        return *reinterpret_cast<yoke_status_page*>(memory.status.data());
    }
    [[nodiscard]] yoke_line* lines(std::uint64_t offset) const {
        return reinterpret_cast<yoke_line*>(memory.arena.data() + offset);
    }
};

class EmulatedNsk : public testing::Test {
   protected:
    static constexpr std::uint64_t patience_ns = 30'000'000'000;
    static constexpr std::uint64_t never_idle_ns = 1'000'000'000'000;

    void TearDown() override {
        park();
        after_load = nullptr;
    }

    void launch(std::uint64_t idle_ns = never_idle_ns, std::int64_t ahead_ns = 0) {
        launch_ = {orders_.data(),
                   rings_.data(),
                   names_.data(),
                   keys_.data(),
                   reports_.data(),
                   progress_.data(),
                   ++number_,
                   0,
                   idle_ns,
                   1U << 16,
                   0,
                   ahead_ns};
        orders_.fill({});
        sequence_ = 0;
        __atomic_store_n(&progress_[0].acknowledged, 0, __ATOMIC_RELEASE);
        thread_ = std::thread([this] { run_nsk(launch_, 0, blocks, 1); });
    }

    void park() {
        if (thread_.joinable()) {
            order(Command::park, 0);
            thread_.join();
            EXPECT_EQ(progress_[0].parked, number_);
        }
    }

    // Returns when the kernel has answered.
    void order(Command command, unsigned slot) {
        auto& words = orders_[0];
        auto* const what = reinterpret_cast<std::uint64_t*>(&words.command);
        __atomic_store_n(what, std::uint64_t{slot} << 32 | static_cast<std::uint32_t>(command), __ATOMIC_RELAXED);
        __atomic_store_n(&words.sequence, ++sequence_, __ATOMIC_RELEASE);
        ASSERT_TRUE(
            comes([this] { return __atomic_load_n(&progress_[0].acknowledged, __ATOMIC_ACQUIRE) == sequence_; }));
    }

    static bool comes(const std::function<bool()>& what) {
        const std::uint64_t begin = now_ns();
        while (!what()) {
            if (now_ns() - begin > patience_ns) {
                return false;
            }
            std::this_thread::yield();
        }
        return true;
    }

    // It stays until the test has ended: the kernel may look at it as long.
    Guest& make_guest(unsigned slot) {
        Guest& guest = guests_.emplace_back();
        guest.client = std::make_unique<TestClient>(
            ring::Geometry{.arena_bytes = 4U << 20, .express_slots = 16, .bulk_slots = 16});
        guest.memory = guest.client->take_worker_side();
        guest.slot = slot;
        return guest;
    }

    void attach(Guest& guest) {
        const yoke_layout& layout = guest.memory.layout;
        const yoke_ring_layout& place = layout.ring[YOKE_RING_EXPRESS];
        Ring& ring = rings_[guest.slot];
        ring.submission = guest.lines(place.submission);
        ring.params = guest.lines(place.params);
        ring.completion = guest.lines(place.completion);
        ring.running = reinterpret_cast<std::uint32_t*>(guest.memory.status.data() + place.running);
        ring.asleep = &guest.status().ring[YOKE_RING_EXPRESS].asleep;
        ring.arena = reinterpret_cast<std::uint8_t*>(guest.memory.arena.data());
        ring.data = layout.data;
        ring.end = layout.arena_bytes;
        ring.head = guest.head;
        ring.slots_log2 = static_cast<std::uint32_t>(__builtin_ctz(place.slots));
        ring.attachment = guest.attachment = ++attachments_;
        ring.faults = 0;
        order(Command::attach, guest.slot);
    }

    [[nodiscard]] bool released(const Guest& guest) const {
        return __atomic_load_n(&reports_[guest.slot].released, __ATOMIC_ACQUIRE) == guest.attachment;
    }
    // The kernel gives the ring back by itself.
    Why wait_released(Guest& guest) {
        EXPECT_TRUE(comes([&] { return released(guest); }));
        guest.head = reports_[guest.slot].head;
        return static_cast<Why>(reports_[guest.slot].why);
    }

    static std::uint64_t submit(const Guest& guest, const yoke_submission& s, const void* params = nullptr) {
        const std::int64_t position = guest.client->express->submit(s, params);
        EXPECT_GE(position, 0);
        return static_cast<std::uint64_t>(position);
    }
    static yoke_completion await(const Guest& guest, std::uint64_t position) {
        yoke_completion done{};
        if (!comes([&] { return guest.client->express->take_completion(position, done); })) {
            done.status = -1;
        }
        return done;
    }
    static yoke_completion call(const Guest& guest, const yoke_submission& s, const void* params = nullptr) {
        return await(guest, submit(guest, s, params));
    }

    // The session's key `id` at a place of the table; the kernel learns of it by its next order.
    void put_key(const Guest& guest, std::uint32_t id, std::uint32_t place, std::uint16_t service,
                 std::span<const std::byte> bytes) {
        keys_[place] = service::device::make_key(service, bytes);
        name(guest, id, {id, std::uint32_t{service} << 16 | place});
    }
    void name(const Guest& guest, std::uint32_t id, KeyName what) {
        auto* const to = reinterpret_cast<std::uint64_t*>(
            &names_[std::size_t{guest.slot} * keys_per_ring + (id - 1) % keys_per_ring]);
        __atomic_store_n(to, std::uint64_t{what.place} << 32 | what.id, __ATOMIC_RELEASE);
    }

    // A case as an entry; its memory is laid out from `offset` of the data area on, output poisoned.
    static yoke_submission lay_out(const Guest& guest, const vectors::Case& test, std::size_t offset,
                                   std::uint32_t key) {
        const TestClient& client = *guest.client;
        const std::size_t aux = offset + (test.in.size() + 127) / 64 * 64 + offset % 5;
        const std::size_t out = aux + (test.aux.size() + 127) / 64 * 64 - offset % 5 + offset % 7;
        std::copy(test.in.begin(), test.in.end(), client.data(offset));
        std::copy(test.aux.begin(), test.aux.end(), client.data(aux));
        std::memset(client.data(out - 16), 0xa5, test.expected.size() + 32);
        yoke_submission s = client.echo(offset, out, static_cast<std::uint32_t>(test.in.size()));
        s.service = test.service;
        s.flags = test.flags;
        s.aux_offset = client.layout().data + aux;
        s.out_length = static_cast<std::uint32_t>(test.expected.size());
        s.object = key;
        return s;
    }
    static testing::AssertionResult holds(const Guest& guest, const vectors::Case& test, const yoke_submission& s,
                                          const yoke_completion& done) {
        const std::byte* const out = guest.memory.arena.data() + s.out_offset;
        if (done.status != test.status || done.where != YOKE_WHERE_NSK) {
            return testing::AssertionFailure()
                   << test.name << " ended with " << done.status << " at " << int{done.where};
        }
        if (!std::equal(test.expected.begin(), test.expected.end(), out)) {
            return testing::AssertionFailure() << test.name << " of " << test.in.size() << " bytes: wrong output";
        }
        for (std::ptrdiff_t i = 0; i < 16; ++i) {
            if (out[-1 - i] != std::byte{0xa5} || out[s.out_length + i] != std::byte{0xa5}) {
                return testing::AssertionFailure() << test.name << ": wrote beside the output";
            }
        }
        return testing::AssertionSuccess();
    }

    std::array<Order, teams> orders_{};
    std::vector<Ring> rings_ = std::vector<Ring>(rings_max);
    std::vector<KeyName> names_ = std::vector<KeyName>(std::size_t{rings_max} * keys_per_ring);
    std::vector<Key> keys_ = std::vector<Key>(64);
    std::vector<Report> reports_ = std::vector<Report>(rings_max);
    std::array<TeamReport, teams> progress_{};
    Launch launch_{};
    std::uint32_t number_ = 0;
    std::uint32_t sequence_ = 0;
    std::uint32_t attachments_ = 0;
    std::deque<Guest> guests_;
    std::thread thread_;
};

}  // namespace yoke::executive::cuda::emulated
