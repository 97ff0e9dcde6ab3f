// A gate: yoked's grant to one worker to use a device, as a page of memory that the worker can only read.
//
// The grant is a lease: `open` counts only until `lease_until_ns`, which yoked keeps moving into the future. So a
// worker whose yoked is gone or hangs sees its grant end by itself, and nobody waits for anybody. The page has room for
// what the scheduler between accounts adds later (turns, bounds on work in flight); words not named here are zero.
#pragma once

#include <atomic>
#include <cstdint>

namespace yoke::control {

inline constexpr std::uint32_t gate_magic = 0x65746167U;  // "gate"
inline constexpr std::uint32_t gate_version = 1;
inline constexpr std::size_t gate_bytes = 4096;

struct GatePage {
    std::uint32_t magic = gate_magic;
    std::uint32_t version = gate_version;
    std::uint32_t account = 0;
    std::uint32_t generation = 0;
    std::uint32_t reserved[12]{};
    // On a cache line of their own: the words that change. One writer, yoked.
    alignas(64) std::atomic<std::uint32_t> open{0};  // 1: the device may be used
    std::atomic<std::uint32_t> turn{0};              // counts openings
    std::atomic<std::uint64_t> lease_until_ns{0};    // CLOCK_MONOTONIC
};
static_assert(sizeof(GatePage) <= gate_bytes);
static_assert(std::atomic<std::uint32_t>::is_always_lock_free && std::atomic<std::uint64_t>::is_always_lock_free);

enum class GateState : std::uint8_t { open, closed, expired };

[[nodiscard]] inline GateState gate_state(const GatePage& page, std::uint64_t now_ns) {
    if (page.open.load(std::memory_order_acquire) == 0) {
        return GateState::closed;
    }
    return now_ns < page.lease_until_ns.load(std::memory_order_relaxed) ? GateState::open : GateState::expired;
}

[[nodiscard]] inline const char* name_of(GateState state) {
    switch (state) {
        case GateState::open:
            return "open";
        case GateState::closed:
            return "closed";
        case GateState::expired:
            return "expired";
    }
    return "closed";
}

}  // namespace yoke::control
