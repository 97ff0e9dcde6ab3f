// The instructions of the device that C++ has no words for: 16 bytes by one access, orders of memory at system scope,
// barriers of a part of a block, clocks. emulated/instructions.hpp has them for a host that runs the resident kernel.
#pragma once

#include "executive/cuda/quarter.hpp"

namespace yoke::executive::cuda {

__device__ __forceinline__ Quarter load_acquire(const yoke_quarter* from) {
    Quarter q;
    asm volatile("{ .reg .b128 v; ld.acquire.sys.global.b128 v, [%2]; mov.b128 {%0, %1}, v; }"
                 : "=l"(q.low), "=l"(q.high)
                 : "l"(from)
                 : "memory");
    return q;
}

__device__ __forceinline__ Quarter load_relaxed(const void* from) {
    Quarter q;
    asm volatile("{ .reg .b128 v; ld.relaxed.sys.global.b128 v, [%2]; mov.b128 {%0, %1}, v; }"
                 : "=l"(q.low), "=l"(q.high)
                 : "l"(from)
                 : "memory");
    return q;
}

__device__ __forceinline__ std::uint64_t load_relaxed64(const void* from) {
    std::uint64_t value;
    asm volatile("ld.relaxed.sys.global.u64 %0, [%1];" : "=l"(value) : "l"(from) : "memory");
    return value;
}

__device__ __forceinline__ void store_relaxed(yoke_quarter* to, const Quarter& q) {
    asm volatile("{ .reg .b128 v; mov.b128 v, {%1, %2}; st.relaxed.sys.global.b128 [%0], v; }" ::"l"(to), "l"(q.low),
                 "l"(q.high)
                 : "memory");
}

__device__ __forceinline__ void store_release(yoke_quarter* to, const Quarter& q) {
    asm volatile("{ .reg .b128 v; mov.b128 v, {%1, %2}; st.release.sys.global.b128 [%0], v; }" ::"l"(to), "l"(q.low),
                 "l"(q.high)
                 : "memory");
}

__device__ __forceinline__ void store_relaxed32(std::uint32_t* to, std::uint32_t value) {
    asm volatile("st.relaxed.sys.global.u32 [%0], %1;" ::"l"(to), "r"(value) : "memory");
}

__device__ __forceinline__ void store_relaxed64(std::uint64_t* to, std::uint64_t value) {
    asm volatile("st.relaxed.sys.global.u64 [%0], %1;" ::"l"(to), "l"(value) : "memory");
}

__device__ __forceinline__ void store_release32(std::uint32_t* to, std::uint32_t value) {
    asm volatile("st.release.sys.global.u32 [%0], %1;" ::"l"(to), "r"(value) : "memory");
}

__device__ __forceinline__ void fence_system() {
    asm volatile("fence.acq_rel.sys;" ::: "memory");
}
__device__ __forceinline__ void fence_full() {
    asm volatile("fence.sc.sys;" ::: "memory");
}

// One of the block's barriers, for that many of its threads.
__device__ __forceinline__ void barrier(unsigned id, unsigned threads) {
    asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

// Begins to read 16 bytes into the block's own memory; wait_copies() waits for all that this thread has begun. Unlike a
// load's registers, memory that is being filled stalls nobody: of loads on their way, the compiler has six counters to
// tell them apart, and what is needed behind a branch shares one of them with all that is.
__device__ __forceinline__ void begin_copy(service::device::Block& to, const std::uint8_t* from) {
    asm volatile(
        "cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(static_cast<std::uint32_t>(__cvta_generic_to_shared(&to))),
        "l"(from)
        : "memory");
}

__device__ __forceinline__ void wait_copies() {
    asm volatile("cp.async.wait_all;" ::: "memory");
}

// Counts cycles: cheap to read, where the clock that counts time takes longer than a null call's own work.
__device__ __forceinline__ std::uint64_t cycles() {
    std::uint64_t count;
    asm volatile("mov.u64 %0, %%clock64;" : "=l"(count));
    return count;
}

__device__ __forceinline__ std::uint64_t device_ns() {
    std::uint64_t ns;
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(ns));
    return ns;
}

}  // namespace yoke::executive::cuda
