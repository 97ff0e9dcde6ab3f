// instructions.cuh for a host, with the same orders of memory as far as C++ has them.
//
// Two halves of a quarter are two accesses here. The half with the tag is read before and after the other, so that what
// is returned was written together unless the writer came by twice; device code has to bear that from a client anyway.
// A relaxed load acquires: ThreadSanitizer does not know the fences that stand behind such loads on the device.
#pragma once

#include <uapi/yoke_ring.h>

#include <array>

#include "base/clock.hpp"
#include "executive/cuda/emulated/block.hpp"
#include "executive/cuda/quarter.hpp"

namespace yoke::executive::cuda {

namespace emulated {
// Called behind each load of 16 bytes, with its address: a test changes memory exactly there. Set while no block runs.
inline std::function<void(const void*)> after_load;

// Of each lane, what it copies into the block's own memory and has not waited for.
struct Copies {
    std::array<service::device::Block, 2> what;
    std::array<service::device::Block*, 2> to;
    unsigned count;
};
inline thread_local std::array<Copies, 1024> copies{};
}  // namespace emulated

inline Quarter load_acquire(const yoke_quarter* from) {
    Quarter q{0, yoke_load_acquire64(&from->high)};
    for (std::uint64_t before = ~q.high; before != q.high;) {
        before = q.high;
        q.low = yoke_load_acquire64(&from->low);
        q.high = yoke_load_acquire64(&from->high);
    }
    if (emulated::after_load) {
        emulated::after_load(from);
    }
    return q;
}

inline Quarter load_relaxed(const void* from) {
    return load_acquire(static_cast<const yoke_quarter*>(from));
}

inline std::uint64_t load_relaxed64(const void* from) {
    return __atomic_load_n(static_cast<const std::uint64_t*>(from), __ATOMIC_ACQUIRE);
}

inline void store_relaxed(yoke_quarter* to, const Quarter& q) {
    yoke_store_relaxed64(&to->low, q.low);
    yoke_store_relaxed64(&to->high, q.high);
}

inline void store_release(yoke_quarter* to, const Quarter& q) {
    yoke_store_relaxed64(&to->low, q.low);
    yoke_store_release64(&to->high, q.high);
}

inline void store_relaxed32(std::uint32_t* to, std::uint32_t value) {
    __atomic_store_n(to, value, __ATOMIC_RELAXED);
}

inline void store_relaxed64(std::uint64_t* to, std::uint64_t value) {
    __atomic_store_n(to, value, __ATOMIC_RELAXED);
}

inline void store_release32(std::uint32_t* to, std::uint32_t value) {
    yoke_store_release32(to, value);
}

inline void fence_system() {
    yoke_full_fence();
}

inline void fence_full() {
    yoke_full_fence();
}

inline void barrier(unsigned id, unsigned threads, YokePlace place = YOKE_HERE) {
    emulated::wait_at(id, threads, place);
}

// What is read is what is there now; it comes when somebody waits, and until then there is something else.
inline void begin_copy(service::device::Block& to, const std::uint8_t* from) {
    emulated::Copies& mine = emulated::copies.at(threadIdx.x);
    std::memcpy(&mine.what.at(mine.count), from, sizeof(to));
    mine.to.at(mine.count++) = &to;
    to = {{0xa5a5a5a5U, 0xa5a5a5a5U, 0xa5a5a5a5U, 0xa5a5a5a5U}};
}

inline void wait_copies() {
    emulated::Copies& mine = emulated::copies.at(threadIdx.x);
    for (unsigned i = 0; i < mine.count; ++i) {
        *mine.to.at(i) = mine.what.at(i);
    }
    mine.count = 0;
}

// A cycle is a nanosecond.
inline std::uint64_t cycles() {
    return now_ns();
}

inline std::uint64_t device_ns() {
    return now_ns();
}

}  // namespace yoke::executive::cuda
