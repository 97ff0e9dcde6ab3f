// Does it pay to have several reads of the same line on their way at once? An entry waits on average half a read's
// round trip until the next read passes its memory; with k reads evenly staggered it waits 1/(2k) of it. Two ways to
// have them: one warp with k loads in registers, or k warps of one block that race for each entry. A read remembers the
// position that it was made for: the neighbouring slot carries the same lap tag, so a late read of it must not count
// for the next.
#include "mailbox.cuh"
#include "measurements.hpp"

namespace measure {
namespace {

constexpr uint64_t kLimitNs = 60'000'000'000u;
constexpr uint32_t kReadNs = 1400;  // about one read of host memory; only the first spacing of the reads depends on it

__device__ void wait_ns(uint64_t ns) {
    const uint64_t until = global_ns() + ns;
    while (global_ns() < until) {
    }
}

template <int kInFlight, bool kFenced>
__global__ void poll_from_registers(RingView ring) {
    const unsigned lane = threadIdx.x;
    const Bound bound(kLimitNs);
    uint64_t position = ring.position, asked[kInFlight];
    Quarter q[kInFlight];
#pragma unroll
    for (int k = 0; k < kInFlight; k++) {
        q[k] = load_line(&ring.submission[position % kSlots], lane);
        asked[k] = position;
        wait_ns(kReadNs / kInFlight);
    }
    for (uint32_t turn = 1;; turn++) {
#pragma unroll
        for (int k = 0; k < kInFlight; k++) {
            if (asked[k] == position && line_has(q[k], yoke_lap_tag(position, kSlotsLog2), lane)) {
                if constexpr (kFenced) fence_system();
                const uint32_t opcode = line_word(q[k], 0);
                if constexpr (kFenced) fence_system();
                complete(ring, position, lane);
                if (opcode == kPark) return;
                position++;
            }
            q[k] = load_line(&ring.submission[position % kSlots], lane);
            asked[k] = position;
        }
        if (turn % 256 == 0 && bound.passed()) return;
    }
}

__global__ void poll_from_warps(RingView ring) {
    __shared__ unsigned long long next;
    __shared__ uint32_t parked;
    const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const Bound bound(kLimitNs);
    if (threadIdx.x == 0) {
        next = ring.position;
        parked = 0;
    }
    __syncthreads();
    wait_ns(warp * kReadNs / (blockDim.x / 32));
    volatile unsigned long long* const shared_next = &next;
    volatile uint32_t* const shared_parked = &parked;
    for (uint32_t turn = 1; *shared_parked == 0; turn++) {
        const uint64_t position = __shfl_sync(kWarp, *shared_next, 0);
        const Quarter q = load_line(&ring.submission[position % kSlots], lane);
        if (line_has(q, yoke_lap_tag(position, kSlotsLog2), lane)) {
            bool won = false;
            if (lane == 0) won = atomicCAS(&next, position, position + 1) == position;
            if (!__shfl_sync(kWarp, won, 0)) continue;
            complete(ring, position, lane);
            if (line_word(q, 0) == kPark && lane == 0) *shared_parked = 1;
            __syncwarp();
        }
        if (turn % 256 == 0 && bound.passed()) return;
    }
}

// Calls with a pause of 0 to 4 microseconds between them, so that entries arrive at any phase of the polling.
Json run(Mailbox& mailbox, const char* how, uint32_t in_flight, uint64_t calls) {
    Samples samples(calls);
    uint32_t random = 12345;
    for (int warm = 0; warm < 1000; warm++) mailbox.null_call();
    for (uint64_t k = 0; k < calls; k++) {
        random = random * 1664525u + 1013904223u;
        spin_until(now_ns() + (random >> 20));
        samples.add(mailbox.null_call());
    }
    mailbox.park();
    check(cudaDeviceSynchronize());
    Json json = {{"how", how}, {"reads_in_flight", in_flight}};
    json.update(samples.summary());
    return json;
}

template <int kInFlight, bool kFenced>
Json registers(Mailbox& mailbox, uint64_t calls) {
    poll_from_registers<kInFlight, kFenced><<<1, 32>>>(mailbox.view());
    check(cudaGetLastError());
    return run(mailbox, kFenced ? "one warp, acquire and release fences" : "one warp", kInFlight, calls);
}

Json warps(Mailbox& mailbox, uint32_t count, uint64_t calls) {
    poll_from_warps<<<1, 32 * count>>>(mailbox.view());
    check(cudaGetLastError());
    return run(mailbox, "warps of one block", count, calls);
}

}  // namespace

Json measure_polling(double scale) {
    Arena arena(kMailboxBytes);
    Mailbox mailbox(arena);
    const auto calls = static_cast<uint64_t>(200'000 * scale);
    Json json = Json::array();
    for (int repeat = 0; repeat < 2; repeat++) {
        json.push_back(registers<1, false>(mailbox, calls));
        json.push_back(registers<2, false>(mailbox, calls));
        json.push_back(registers<4, false>(mailbox, calls));
        json.push_back(registers<8, false>(mailbox, calls));
        for (const uint32_t count : {1u, 2u, 4u, 8u}) json.push_back(warps(mailbox, count, calls));
        json.push_back(registers<1, true>(mailbox, calls));
        json.push_back(registers<4, true>(mailbox, calls));
    }
    return json;
}

}  // namespace measure
