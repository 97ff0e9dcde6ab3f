// A block of device threads on a host: what device code may say beyond C++, and who runs it.
//
// MODEL. A block is one thread of the host, so that memory of the block (__shared__) is thread_local. Its lanes are
// contexts of that thread which take turns: a lane runs until it votes, shuffles or waits at a barrier; when the whole
// warp has come there, it goes on, and every few times another warp has its turn. So a run is repeatable but for what
// other threads do.
//
// What it shows: that lanes which exchange values are all there and at the same line of the source (else the process
// ends with a message); with ThreadSanitizer also that what one lane writes and another reads has a barrier between,
// since going from lane to lane orders nothing for it, only barriers do. What it cannot show: the order in which other
// processors and a bus let writes be seen, warps that run at the same moment, lanes that drift apart between barriers,
// time.
#pragma once

#include <cstdint>
#include <cstring>
#include <functional>

namespace yoke::executive::cuda::emulated {

struct Place {
    const char* file;
    unsigned line;
};

struct Index {
    unsigned x;
};

// Runs `body` once for each thread of a block: the calling thread is the block. `threads`: whole warps.
void run_block(unsigned number, unsigned blocks, unsigned threads, const std::function<void()>& body);

// Of the lane that asks.
Index thread_index();
Index block_index();
Index block_size();
Index blocks_in_grid();

// Lets all lanes of the warp say a value; what each said, until the lane's next but one exchange.
const std::uint64_t* exchange(std::uint64_t value, Place place);
// Waits for `threads` threads of the block, whole warps, at its barrier `id`.
void wait_at(unsigned id, unsigned threads, Place place);
// The warp has nothing to do for a moment.
void nap();

template <typename T>
std::uint64_t as_word(T value) {
    static_assert(sizeof(T) <= sizeof(std::uint64_t));
    std::uint64_t word = 0;
    std::memcpy(&word, &value, sizeof(value));
    return word;
}

template <typename T>
T as_value(std::uint64_t word) {
    T value;
    std::memcpy(&value, &word, sizeof(value));
    return value;
}

}  // namespace yoke::executive::cuda::emulated

// NOLINTBEGIN(bugprone-reserved-identifier): the names are those of CUDA
#define __device__
#define __global__
#define __grid_constant__
#define __forceinline__ inline
#define __noinline__
#define __launch_bounds__(...)
#define __shared__ thread_local
#define threadIdx (::yoke::executive::cuda::emulated::thread_index())
#define blockIdx (::yoke::executive::cuda::emulated::block_index())
#define blockDim (::yoke::executive::cuda::emulated::block_size())
#define gridDim (::yoke::executive::cuda::emulated::blocks_in_grid())

#define YOKE_HERE                                                 \
    ::yoke::executive::cuda::emulated::Place {                    \
        __builtin_FILE(), static_cast<unsigned>(__builtin_LINE()) \
    }

using YokePlace = yoke::executive::cuda::emulated::Place;

template <typename T>
T __shfl_sync(unsigned /*lanes*/, T value, unsigned from, YokePlace place = YOKE_HERE) {
    namespace e = yoke::executive::cuda::emulated;
    return e::as_value<T>(e::exchange(e::as_word(value), place)[from % 32]);
}

template <typename T>
T __shfl_xor_sync(unsigned lanes, T value, unsigned mask, YokePlace place = YOKE_HERE) {
    return __shfl_sync(lanes, value, (threadIdx.x % 32) ^ mask, place);
}

inline std::uint32_t __ballot_sync(unsigned /*lanes*/, bool says, YokePlace place = YOKE_HERE) {
    const std::uint64_t* const all = yoke::executive::cuda::emulated::exchange(says ? 1 : 0, place);
    std::uint32_t votes = 0;
    for (unsigned i = 0; i < 32; ++i) {
        votes |= static_cast<std::uint32_t>(all[i]) << i;
    }
    return votes;
}

inline bool __any_sync(unsigned lanes, bool says, YokePlace place = YOKE_HERE) {
    return __ballot_sync(lanes, says, place) != 0;
}

inline std::uint32_t __match_any_sync(unsigned /*lanes*/, std::uint32_t value, YokePlace place = YOKE_HERE) {
    const std::uint64_t* const all = yoke::executive::cuda::emulated::exchange(value, place);
    std::uint32_t same = 0;
    for (unsigned i = 0; i < 32; ++i) {
        same |= (all[i] == value ? 1U : 0U) << i;
    }
    return same;
}

inline std::uint32_t __reduce_or_sync(unsigned /*lanes*/, std::uint32_t value, YokePlace place = YOKE_HERE) {
    const std::uint64_t* const all = yoke::executive::cuda::emulated::exchange(value, place);
    std::uint32_t any = 0;
    for (unsigned i = 0; i < 32; ++i) {
        any |= static_cast<std::uint32_t>(all[i]);
    }
    return any;
}

inline void __syncwarp(YokePlace place = YOKE_HERE) {
    yoke::executive::cuda::emulated::exchange(0, place);
}

inline void __syncthreads(YokePlace place = YOKE_HERE) {
    yoke::executive::cuda::emulated::wait_at(0, blockDim.x, place);
}

inline void __nanosleep(unsigned /*ns*/) {
    yoke::executive::cuda::emulated::nap();
}

inline int __popc(unsigned value) {
    return __builtin_popcount(value);
}

inline int __ffs(int value) {
    return __builtin_ffs(value);
}

inline std::uint32_t atomicXor(std::uint32_t* to, std::uint32_t value) {
    return __atomic_fetch_xor(to, value, __ATOMIC_RELAXED);
}
// NOLINTEND(bugprone-reserved-identifier)
