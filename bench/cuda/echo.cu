// A call of 4 KiB in and 4 KiB out by a few warps that load from and store to host memory themselves. The reads are the
// long pole: one PCIe round trip if all of them are on their way at once, several if the code or the compiler puts them
// in a row. Every answer is compared, and every input differs from the last. The order of memory is a price of its own,
// so the plain form comes with several: fences around the copy; the entry read by acquiring loads; input read past the
// L1 cache, which needs no acquire in practice; and that without a release fence, which is wrong and only shows what
// the fence costs.
#include <cstring>
#include <vector>

#include "mailbox.cuh"
#include "measurements.hpp"

namespace measure {
namespace {

constexpr uint32_t kBytes = 4096;
constexpr uint32_t kVectors = kBytes / sizeof(uint4);
constexpr uint64_t kLimitNs = 60'000'000'000u;

enum class Copy { loop, unrolled, async, bulk, bulk_in, bulk_out };
enum class Order { fences, acquiring_load, strong_loads, unordered };

__device__ uint4 load16(const uint4* from) {
    uint4 v;
    asm volatile("ld.global.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                 : "l"(from)
                 : "memory");
    return v;
}

__device__ uint32_t shared_address(const void* p) {
    return static_cast<uint32_t>(__cvta_generic_to_shared(p));
}

__device__ void copy_loop(const uint4* in, uint4* out) {
#pragma unroll 1
    for (uint32_t k = threadIdx.x; k < kVectors; k += blockDim.x) out[k] = load16(&in[k]);
}

__device__ uint4 load16_strong(const uint4* from) {
    const Quarter q = load_quarter(reinterpret_cast<const yoke_quarter*>(from));
    return {quarter_word(q, 0), quarter_word(q, 1), quarter_word(q, 2), tag_of(q)};
}

template <int kWarps, bool kStrong = false>
__device__ void copy_unrolled(const uint4* in, uint4* out) {
    uint4 v[kVectors / (32 * kWarps)];
#pragma unroll
    for (uint32_t k = 0; k < kVectors / (32 * kWarps); k++) {
        const uint4* from = &in[threadIdx.x + 32 * kWarps * k];
        v[k] = kStrong ? load16_strong(from) : load16(from);
    }
#pragma unroll
    for (uint32_t k = 0; k < kVectors / (32 * kWarps); k++) out[threadIdx.x + 32 * kWarps * k] = v[k];
}

// Each lane reads back only what it copied itself, so no barrier is needed.
__device__ void copy_async(const uint4* in, uint4* out, uint4* buffer) {
    for (uint32_t k = threadIdx.x; k < kVectors; k += blockDim.x)
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(&buffer[k])), "l"(&in[k])
                     : "memory");
    asm volatile("cp.async.wait_all;" ::: "memory");
    for (uint32_t k = threadIdx.x; k < kVectors; k += blockDim.x) out[k] = buffer[k];
}

// Piece @threadIdx.x of the input into shared memory; all threads of the first @pieces return when all pieces are
// there.
__device__ void bulk_load(const uint4* in, uint4* buffer, uint64_t* barrier, uint32_t pieces, uint32_t phase) {
    const uint32_t bytes = kBytes / pieces, bar = shared_address(barrier);
    asm volatile("fence.proxy.async;" ::: "memory");
    if (threadIdx.x == 0)
        asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(bar), "r"(kBytes) : "memory");
    __syncwarp();
    if (threadIdx.x < pieces)
        asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
                         shared_address(buffer) + threadIdx.x * bytes),
                     "l"(reinterpret_cast<const char*>(in) + threadIdx.x * bytes), "r"(bytes), "r"(bar)
                     : "memory");
    uint32_t done = 0;
    while (done == 0)
        asm volatile("{ .reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2; selp.u32 %0, 1, 0, p; }"
                     : "=r"(done)
                     : "r"(bar), "r"(phase)
                     : "memory");
}

__device__ void bulk_store(const uint4* buffer, uint4* out, uint32_t pieces) {
    const uint32_t bytes = kBytes / pieces;
    if (threadIdx.x < pieces) {
        asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;" ::"l"(reinterpret_cast<char*>(out) +
                                                                                         threadIdx.x * bytes),
                     "r"(shared_address(buffer) + threadIdx.x * bytes), "r"(bytes)
                     : "memory");
        asm volatile("cp.async.bulk.commit_group; cp.async.bulk.wait_group 0;" ::: "memory");
        asm volatile("fence.proxy.async;" ::: "memory");
    }
    __syncwarp();
}

// For the bulk forms kParts counts pieces of one warp, else warps.
template <Copy kCopy, int kParts, bool kStrong>
__device__ void copy(const uint4* in, uint4* out, uint4* buffer, uint64_t* barrier, uint32_t phase) {
    if constexpr (kCopy == Copy::loop) copy_loop(in, out);
    if constexpr (kCopy == Copy::unrolled) copy_unrolled<kParts, kStrong>(in, out);
    if constexpr (kCopy == Copy::async) copy_async(in, out, buffer);
    if constexpr (kCopy == Copy::bulk || kCopy == Copy::bulk_in) bulk_load(in, buffer, barrier, kParts, phase);
    if constexpr (kCopy == Copy::bulk_in)
        for (uint32_t k = threadIdx.x; k < kVectors; k += 32) out[k] = buffer[k];
    if constexpr (kCopy == Copy::bulk_out) {
        copy_unrolled<1>(in, buffer);
        asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
        __syncwarp();
    }
    if constexpr (kCopy == Copy::bulk || kCopy == Copy::bulk_out) bulk_store(buffer, out, kParts);
}

template <Copy kCopy, int kParts, int kThreads, Order kOrder>
__global__ void __launch_bounds__(kThreads) serve_echo(RingView ring, const uint4* in, uint4* out) {
    __shared__ __align__(128) uint4 buffer[kVectors];
    __shared__ uint64_t barrier;
    __shared__ uint32_t opcode;
    const unsigned lane = threadIdx.x % 32;
    const Bound bound(kLimitNs);
    if (threadIdx.x == 0) {
        asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(shared_address(&barrier)) : "memory");
        asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
    }
    __syncthreads();
    for (uint64_t position = ring.position, calls = 0;; position++, calls++) {
        uint32_t what = kPark;
        Quarter entry = {0, 0};
        if (threadIdx.x < 32) {
            if (take<kOrder == Order::acquiring_load>(ring, position, lane, bound, entry)) what = line_word(entry, 0);
            if (kOrder == Order::fences) fence_system();
            __syncwarp();
            if (lane == 0) opcode = what;
        }
        if constexpr (kThreads > 32) {
            __syncthreads();
            what = opcode;
        }
        constexpr bool kStrong = kOrder == Order::strong_loads || kOrder == Order::unordered;
        if (what == kCall) copy<kCopy, kParts, kStrong>(in, out, buffer, &barrier, calls & 1);
        if constexpr (kThreads > 32) __syncthreads();
        __syncwarp();
        if (threadIdx.x < 32) {
            if (kOrder != Order::unordered) fence_system();
            complete(ring, position, lane);
        }
        if (what != kCall) return;
    }
}

struct Bench {
    Arena arena{65536};
    Mailbox mailbox{arena};
    uint8_t* in = arena.host<uint8_t>(16384);
    uint8_t* out = arena.host<uint8_t>(32768);
    std::vector<uint8_t> source = std::vector<uint8_t>(64 * kBytes + 64);
    uint64_t calls;

    explicit Bench(uint64_t rounds) : calls(rounds) {
        for (size_t k = 0; k < source.size(); k++) source[k] = static_cast<uint8_t>(pattern(k, 7, 0));
    }

    Json run(const char* how, uint32_t warps, uint32_t pieces) {
        Samples samples(calls);
        uint64_t wrong = 0;
        for (uint64_t k = 0; k < calls + 500; k++) {
            const uint8_t* fresh = &source[k % 64 * kBytes + k / 64 % 64];
            std::memcpy(in, fresh, kBytes);
            const uint64_t ns = mailbox.null_call();
            if (k >= 500) samples.add(ns);
            wrong += std::memcmp(out, fresh, kBytes) != 0;
        }
        mailbox.park();
        check(cudaDeviceSynchronize());
        Json json = {{"how", how}, {"warps", warps}, {"pieces", pieces}, {"wrong_answers", wrong}};
        json.update(samples.summary());
        return json;
    }

    template <Copy kCopy, int kParts, Order kOrder>
    Json measure(const char* how) {
        constexpr bool kOneWarp = kCopy == Copy::bulk || kCopy == Copy::bulk_in || kCopy == Copy::bulk_out;
        constexpr int kThreads = kOneWarp ? 32 : 32 * kParts;
        serve_echo<kCopy, kParts, kThreads, kOrder>
            <<<1, kThreads>>>(mailbox.view(), arena.device<const uint4>(16384), arena.device<uint4>(32768));
        check(cudaGetLastError());
        return run(how, kThreads / 32, kOneWarp ? kParts : kVectors);
    }

    template <Copy kCopy, Order kOrder = Order::fences>
    void measure_all(Json& json, const char* how) {
        json.push_back(measure<kCopy, 1, kOrder>(how));
        json.push_back(measure<kCopy, 2, kOrder>(how));
        json.push_back(measure<kCopy, 4, kOrder>(how));
        json.push_back(measure<kCopy, 8, kOrder>(how));
    }
};

}  // namespace

Json measure_echo(double scale) {
    Bench bench(static_cast<uint64_t>(50'000 * scale));
    Json json = Json::array();
    bench.measure_all<Copy::loop>(json, "16-byte loads in a loop");
    bench.measure_all<Copy::unrolled>(json, "16-byte loads, all before the first store");
    bench.measure_all<Copy::unrolled, Order::acquiring_load>(json, "the same, entry read by acquiring loads");
    bench.measure_all<Copy::unrolled, Order::strong_loads>(json, "the same, input read past the L1 cache");
    bench.measure_all<Copy::unrolled, Order::unordered>(json, "the same, and no release fence (wrong)");
    bench.measure_all<Copy::async>(json, "cp.async into shared memory, stores");
    return json;
}

Json measure_bulk_echo(double scale) {
    Bench bench(static_cast<uint64_t>(50'000 * scale));
    Json json = Json::array();
    bench.measure_all<Copy::bulk>(json, "bulk copies in and out");
    bench.measure_all<Copy::bulk_in>(json, "bulk copy in, stores out");
    bench.measure_all<Copy::bulk_out>(json, "loads in, bulk copy out");
    return json;
}

}  // namespace measure
