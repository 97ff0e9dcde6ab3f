// For tests: one session's memory within the process, with both sides' views of it.
#pragma once

#include <sys/eventfd.h>

#include <cstring>

#include <gtest/gtest.h>

#include "base/memory.hpp"
#include "ring/consumer.hpp"
#include "ring/layout.hpp"
#include "ring/producer.hpp"

namespace yoke::ring {

struct TestMemory {
    explicit TestMemory(std::uint32_t slots) {
        layout = *make_layout({.arena_bytes = 2U << 20, .express_slots = slots, .bulk_slots = slots});
        const auto arena_fd = create_sealed_memfd("arena", layout.arena_bytes);
        const auto status_fd = create_sealed_memfd("status", layout.status_bytes, false);
        EXPECT_TRUE(arena_fd && status_fd);
        arena = std::move(*Mapping::map(*arena_fd, layout.arena_bytes, true));
        status = std::move(*Mapping::map(*status_fd, layout.status_bytes, true));
        EXPECT_TRUE(seal_future_writes(*status_fd));
        status_of_client = std::move(*Mapping::map(*status_fd, layout.status_bytes, false));
        bell.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    }

    [[nodiscard]] ClientView client() const { return {arena.data(), status_of_client.data(), layout, bell.get()}; }
    [[nodiscard]] WorkerView worker() const { return {arena.data(), status.data(), layout}; }
    [[nodiscard]] yoke_line& submission_line(std::uint32_t slot) const {
        return reinterpret_cast<yoke_line*>(arena.data() + layout.ring[YOKE_RING_BULK].submission)[slot];
    }
    [[nodiscard]] yoke_line& completion_line(std::uint32_t slot) const {
        return reinterpret_cast<yoke_line*>(arena.data() + layout.ring[YOKE_RING_BULK].completion)[slot];
    }
    [[nodiscard]] yoke_line& params_line(std::uint32_t slot) const {
        return reinterpret_cast<yoke_line*>(arena.data() + layout.ring[YOKE_RING_BULK].params)[slot];
    }

    yoke_layout layout{};
    Mapping arena;
    Mapping status;
    Mapping status_of_client;
    Fd bell;
};

// An entry that can be told from others.
inline yoke_submission numbered(std::uint64_t number) {
    yoke_submission s{};
    s.opcode = YOKE_OP_CALL;
    s.service = YOKE_SERVICE_ECHO;
    s.in_offset = number;
    s.out_offset = ~number;
    s.in_length = static_cast<std::uint32_t>(number * 3);
    return s;
}

// The completion that belongs to it.
inline yoke_completion answer_to(const yoke_submission& s) {
    yoke_completion c{};
    c.out_length = s.in_offset;
    c.detail = s.out_offset;
    c.sequence = s.in_offset ^ 0x5555;
    return c;
}

}  // namespace yoke::ring
