// Tagged lines on the device: a quarter is one 16-byte access, and four lanes hold a line. Also the pattern that
// payloads are made of: every word is a function of the line's position, so a line put together from two versions
// shows.
#pragma once

#include <cstdint>

#include "uapi/yoke_ring.h"

namespace measure {

struct Quarter {
    unsigned long long low;
    unsigned long long high;
};

__host__ __device__ inline uint32_t quarter_word(Quarter q, int index) {
    const unsigned long long half = index < 2 ? q.low : q.high;
    return static_cast<uint32_t>(index == 1 ? half >> 32 : half);
}

__host__ __device__ inline Quarter make_quarter(uint32_t a, uint32_t b, uint32_t c, uint32_t tag) {
    return {a | static_cast<unsigned long long>(b) << 32, c | static_cast<unsigned long long>(tag) << 32};
}

__host__ __device__ inline uint32_t tag_of(Quarter q) {
    return static_cast<uint32_t>(q.high >> 32);
}

// Word @index of the payload with number @version in stream @salt.
__host__ __device__ inline uint32_t pattern(uint64_t version, uint32_t salt, uint32_t index) {
    uint32_t x = static_cast<uint32_t>(version) * 0x9e3779b1u + static_cast<uint32_t>(version >> 32) * 0x85ebca77u +
                 salt * 0xc2b2ae3du + index * 0x27d4eb2fu;
    x = (x ^ x >> 15) * 0x2c1b3c6du;
    return x ^ x >> 13;
}

#if defined(__CUDACC__)

constexpr unsigned kWarp = 0xffffffffu;

__device__ inline Quarter load_quarter(const yoke_quarter* from) {
    Quarter q;
    asm volatile("{ .reg .b128 v; ld.relaxed.sys.global.b128 v, [%2]; mov.b128 {%0, %1}, v; }"
                 : "=l"(q.low), "=l"(q.high)
                 : "l"(from)
                 : "memory");
    return q;
}

__device__ inline Quarter load_quarter_acquire(const yoke_quarter* from) {
    Quarter q;
    asm volatile("{ .reg .b128 v; ld.acquire.sys.global.b128 v, [%2]; mov.b128 {%0, %1}, v; }"
                 : "=l"(q.low), "=l"(q.high)
                 : "l"(from)
                 : "memory");
    return q;
}

__device__ inline void store_quarter(yoke_quarter* to, Quarter q) {
    asm volatile("{ .reg .b128 v; mov.b128 v, {%1, %2}; st.relaxed.sys.global.b128 [%0], v; }" ::"l"(to), "l"(q.low),
                 "l"(q.high)
                 : "memory");
}

__device__ inline uint64_t global_ns() {
    uint64_t ns;
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(ns));
    return ns;
}

__device__ inline void fence_device() {
    asm volatile("fence.acq_rel.gpu;" ::: "memory");
}
__device__ inline void fence_system() {
    asm volatile("fence.acq_rel.sys;" ::: "memory");
}

// Every loop of a kernel here ends at a time, whatever the host does. The lanes of @mask, all of which must ask, get
// the same answer: lanes that read the clock one by one could part for ever at the next vote.
struct Bound {
    uint64_t deadline_ns;

    __device__ explicit Bound(uint64_t limit_ns) : deadline_ns(global_ns() + limit_ns) {}
    __device__ bool passed(unsigned mask = kWarp) const { return __any_sync(mask, global_ns() > deadline_ns); }
};

#endif

}  // namespace measure
