// Does it pay to have several reads of the same line on their way at once? An entry waits on average half a read's
// round trip until the next read passes its memory; with k reads evenly staggered it waits 1/(2k) of it. Two ways to
// have them: one warp with k loads in registers, or k warps of one block that race for each entry. A read remembers the
// position that it was made for: the neighbouring slot carries the same lap tag, so a late read of it must not count
// for the next.
//
// And what does order cost? A real call needs an acquire before it reads its input and a release before its completion.
#include "mailbox.cuh"
#include "measurements.hpp"

namespace measure {
namespace {

constexpr uint64_t kLimitNs = 60'000'000'000u;
constexpr uint32_t kReadNs = 1100;  // about one read of host memory; only the first spacing of the reads depends on it
constexpr unsigned kQuad = 0xfu;

enum class Order {
    relaxed,
    acquiring_load,
    acquire_fence,
    acquire_fence_device,
    release_fence,
    fences,
    load_and_fence
};

__host__ __device__ constexpr bool acquires_by_load(Order order) {
    return order == Order::acquiring_load || order == Order::load_and_fence;
}
__host__ __device__ constexpr bool acquires_by_fence(Order order) {
    return order == Order::acquire_fence || order == Order::fences;
}
__host__ __device__ constexpr bool releases(Order order) {
    return order == Order::release_fence || order == Order::fences || order == Order::load_and_fence;
}

__device__ void wait_ns(uint64_t ns) {
    const uint64_t until = global_ns() + ns;
    while (global_ns() < until) {
    }
}

template <Order kOrder>
__device__ Quarter poll(const RingView& ring, uint64_t position) {
    const yoke_quarter* quarter = &ring.submission[position % kSlots].quarter[threadIdx.x];
    return acquires_by_load(kOrder) ? load_quarter_acquire(quarter) : load_quarter(quarter);
}

// Four threads, so that every load is unconditional; and the completion is the entry itself, so that all words of a
// load are needed. Otherwise the compiler keeps less than a load's four registers and lets all loads share one set, one
// by one.
template <int kInFlight, Order kOrder>
__global__ void poll_from_registers(RingView ring) {
    const Bound bound(kLimitNs);
    uint64_t position = ring.position, asked[kInFlight];
    Quarter q[kInFlight];
#pragma unroll
    for (int k = 0; k < kInFlight; k++) {
        q[k] = poll<kOrder>(ring, position);
        asked[k] = position;
        if (kInFlight > 1) wait_ns(kReadNs / kInFlight);
    }
    for (uint32_t turn = 1;; turn++) {
#pragma unroll
        for (int k = 0; k < kInFlight; k++) {
            const bool mine = tag_of(q[k]) == yoke_lap_tag(position, kSlotsLog2);
            if (__all_sync(kQuad, mine) && asked[k] == position) {
                if constexpr (acquires_by_fence(kOrder)) fence_system();
                if constexpr (kOrder == Order::acquire_fence_device) fence_device();
                const uint32_t opcode = __shfl_sync(kQuad, quarter_word(q[k], 0), 0);
                if constexpr (releases(kOrder)) fence_system();
                store_quarter(&ring.completion[position % kSlots].quarter[threadIdx.x], q[k]);
                if (opcode == kPark) return;
                position++;
            }
            q[k] = poll<kOrder>(ring, position);
            asked[k] = position;
        }
        if (turn % 256 == 0 && bound.passed(kQuad)) return;
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
    for (uint32_t turn = 1; __shfl_sync(kWarp, *shared_parked, 0) == 0; turn++) {
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

// Calls back to back, or with a pause of 0 to 4 microseconds, so that entries arrive at any phase of the polling.
Samples make_calls(Mailbox& mailbox, uint64_t calls, bool pauses) {
    Samples samples(calls);
    uint32_t random = 12345;
    for (int warm = 0; warm < 1000; warm++) mailbox.null_call();
    for (uint64_t k = 0; k < calls; k++) {
        random = random * 1664525u + 1013904223u;
        if (pauses) spin_until(now_ns() + (random >> 20));
        samples.add(mailbox.null_call());
    }
    return samples;
}

Json run(Mailbox& mailbox, const char* how, uint32_t in_flight, uint64_t calls) {
    Json json = {{"how", how}, {"reads_in_flight", in_flight}};
    json["after_random_pauses"] = make_calls(mailbox, calls, true).summary();
    json["back_to_back"] = make_calls(mailbox, calls, false).summary();
    mailbox.park();
    check(cudaDeviceSynchronize());
    return json;
}

template <int kInFlight, Order kOrder>
Json registers(Mailbox& mailbox, uint64_t calls, const char* how) {
    poll_from_registers<kInFlight, kOrder><<<1, 4>>>(mailbox.view());
    check(cudaGetLastError());
    return run(mailbox, how, kInFlight, calls);
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
    const auto calls = static_cast<uint64_t>(100'000 * scale);
    Json json = Json::array();
    for (int repeat = 0; repeat < 2; repeat++) {
        json.push_back(registers<1, Order::relaxed>(mailbox, calls, "one warp"));
        json.push_back(registers<2, Order::relaxed>(mailbox, calls, "one warp"));
        json.push_back(registers<4, Order::relaxed>(mailbox, calls, "one warp"));
        json.push_back(registers<8, Order::relaxed>(mailbox, calls, "one warp"));
        for (const uint32_t count : {1u, 2u, 4u, 8u}) json.push_back(warps(mailbox, count, calls));
        json.push_back(registers<1, Order::acquiring_load>(mailbox, calls, "one warp, acquiring loads"));
        json.push_back(registers<2, Order::acquiring_load>(mailbox, calls, "one warp, acquiring loads"));
        json.push_back(registers<1, Order::acquire_fence>(mailbox, calls, "one warp, acquire fence"));
        json.push_back(
            registers<1, Order::acquire_fence_device>(mailbox, calls, "one warp, acquire fence of device scope"));
        json.push_back(registers<1, Order::release_fence>(mailbox, calls, "one warp, release fence"));
        json.push_back(registers<1, Order::fences>(mailbox, calls, "one warp, acquire and release fence"));
        json.push_back(registers<1, Order::load_and_fence>(mailbox, calls, "one warp, acquiring loads, release fence"));
        json.push_back(registers<2, Order::load_and_fence>(mailbox, calls, "one warp, acquiring loads, release fence"));
    }
    return json;
}

}  // namespace measure
