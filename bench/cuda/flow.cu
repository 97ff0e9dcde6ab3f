// Is a half-written line ever taken for a whole one? Clients on CPU threads keep their rings full with yoke_line_write;
// one block per ring takes lines in 16-byte quarters and writes completions in 16-byte quarters; clients read them with
// yoke_line_read. Both sides spin on lines while these are being written and check every word of what they accept. Both
// count how often they saw a line half written: without such sightings the absence of torn lines would prove nothing.
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "arena.hpp"
#include "line.cuh"
#include "measurements.hpp"

namespace measure {
namespace {

constexpr uint32_t kWarpsPerRing = 32;
constexpr uint32_t kLinesPerWarp = 8;
constexpr uint32_t kCompletionSalt = 0x80000000u;
constexpr uint64_t kLimitNs = 60'000'000'000u;

struct Counts {
    unsigned long long reads;
    unsigned long long accepted;
    unsigned long long half_written;
    unsigned long long corrupted;
};

struct FlowRing {
    const yoke_line* submission;
    yoke_line* completion;
};

__device__ bool payload_is(Quarter q, uint64_t position, uint32_t salt, unsigned quarter) {
    bool good = true;
    for (int k = 0; k < 3; k++) good = good && quarter_word(q, k) == pattern(position, salt, 3 * quarter + k);
    return good;
}

__device__ Quarter payload_of(uint64_t position, uint32_t salt, unsigned quarter, uint32_t tag) {
    return make_quarter(pattern(position, salt, 3 * quarter), pattern(position, salt, 3 * quarter + 1),
                        pattern(position, salt, 3 * quarter + 2), tag);
}

// Warp w of a ring's block takes the groups w, w + 32, ... of eight positions, four lanes a position.
__global__ void serve_flow(const FlowRing* rings, uint32_t slots_log2, uint64_t total, Counts* counts) {
    const FlowRing ring = rings[blockIdx.x];
    const unsigned lane = threadIdx.x % 32, quarter = lane % 4;
    const Bound bound(kLimitNs);
    unsigned long long reads = 0, accepted = 0, half_written = 0, corrupted = 0;
    uint32_t polls = 0;

    for (uint64_t group = threadIdx.x / 32; group < total / kLinesPerWarp; group += kWarpsPerRing) {
        const uint64_t position = group * kLinesPerWarp + lane / 4;
        const uint64_t slot = position & ((1ull << slots_log2) - 1);
        const uint32_t tag = yoke_lap_tag(position, slots_log2);
        bool done = false;
        while (!__all_sync(kWarp, done)) {
            Quarter q = {0, 0};
            if (!done) q = load_quarter(&ring.submission[slot].quarter[quarter]);
            const unsigned matching = __ballot_sync(kWarp, !done && tag_of(q) == tag) >> (lane & 28) & 15u;
            const unsigned good =
                __ballot_sync(kWarp, payload_is(q, position, blockIdx.x, quarter)) >> (lane & 28) & 15u;
            if (!done) {
                reads++;
                if (matching == 15u) {
                    done = true;
                    accepted++;
                    corrupted += good != 15u;
                    store_quarter(&ring.completion[slot].quarter[quarter],
                                  payload_of(position, blockIdx.x | kCompletionSalt, quarter, tag));
                } else if (matching != 0) {
                    half_written++;
                }
            }
            if (++polls % 1024 == 0 && bound.passed()) return;
        }
    }
    if (quarter != 0) return;
    atomicAdd(&counts->reads, reads);
    atomicAdd(&counts->accepted, accepted);
    atomicAdd(&counts->half_written, half_written);
    atomicAdd(&counts->corrupted, corrupted);
}

void fill(uint32_t* word, uint64_t position, uint32_t salt) {
    for (uint32_t k = 0; k < 12; k++) word[k] = pattern(position, salt, k);
}

// Keeps its ring full and checks every completion, until @total calls are done or the time is over.
Counts run_client(yoke_line* submission, const yoke_line* completion, uint32_t id, uint32_t slots_log2,
                  uint64_t total) {
    const uint64_t slots = 1ull << slots_log2, give_up = now_ns() + kLimitNs;
    Counts counts = {};
    uint32_t word[12], want[12];
    uint64_t produced = 0, consumed = 0;
    while (consumed < total) {
        for (int burst = 0; burst < 64 && produced < total && produced - consumed < slots; burst++, produced++) {
            fill(word, produced, id);
            yoke_line_write(&submission[produced & (slots - 1)], word, yoke_lap_tag(produced, slots_log2));
        }
        for (int burst = 0; burst < 64 && consumed < produced; burst++) {
            const yoke_line* line = &completion[consumed & (slots - 1)];
            const uint32_t tag = yoke_lap_tag(consumed, slots_log2);
            counts.reads++;
            const bool last_quarter = yoke_load_relaxed64(&line->quarter[3].high) >> 32 == tag;
            if (!yoke_line_read(line, word, tag)) {
                counts.half_written += last_quarter;
                break;
            }
            fill(want, consumed, id | kCompletionSalt);
            counts.corrupted += __builtin_memcmp(word, want, sizeof(word)) != 0;
            counts.accepted++;
            consumed++;
        }
        if (counts.reads % 65536 == 0 && now_ns() > give_up) break;
    }
    return counts;
}

Json to_json(const Counts& counts) {
    return {{"line_reads", counts.reads},
            {"accepted", counts.accepted},
            {"seen_half_written_and_refused", counts.half_written},
            {"accepted_but_torn", counts.corrupted}};
}

Json flow(uint32_t rings, uint32_t slots_log2, uint64_t calls) {
    const uint64_t total = calls / rings / (kWarpsPerRing * kLinesPerWarp) * (kWarpsPerRing * kLinesPerWarp);
    const size_t ring_bytes = sizeof(yoke_line) << slots_log2;
    Arena arena(2 * ring_bytes * rings);
    std::vector<FlowRing> views;
    for (uint32_t r = 0; r < rings; r++)
        views.push_back(
            {arena.device<yoke_line>(2 * ring_bytes * r), arena.device<yoke_line>(2 * ring_bytes * r + ring_bytes)});

    FlowRing* device_rings = nullptr;
    Counts* device_counts = nullptr;
    check(cudaMalloc(&device_rings, rings * sizeof(FlowRing)));
    check(cudaMalloc(&device_counts, sizeof(Counts)));
    check(cudaMemcpy(device_rings, views.data(), rings * sizeof(FlowRing), cudaMemcpyHostToDevice));
    check(cudaMemset(device_counts, 0, sizeof(Counts)));
    check(cudaDeviceSynchronize());

    const uint64_t begin = now_ns();
    serve_flow<<<rings, kWarpsPerRing * 32>>>(device_rings, slots_log2, total, device_counts);
    check(cudaGetLastError());
    std::vector<Counts> clients(rings);
    {
        std::vector<std::jthread> threads;
        for (uint32_t r = 0; r < rings; r++)
            threads.emplace_back([&, r] {
                yoke_line* submission = arena.host<yoke_line>(2 * ring_bytes * r);
                clients[r] = run_client(submission, submission + (1u << slots_log2), r, slots_log2, total);
            });
    }
    const double seconds = static_cast<double>(now_ns() - begin) * 1e-9;
    check(cudaDeviceSynchronize());

    Counts device = {}, host = {};
    check(cudaMemcpy(&device, device_counts, sizeof(device), cudaMemcpyDeviceToHost));
    check(cudaFree(device_rings));
    check(cudaFree(device_counts));
    for (const Counts& c : clients) {
        host.reads += c.reads;
        host.accepted += c.accepted;
        host.half_written += c.half_written;
        host.corrupted += c.corrupted;
    }
    return {{"rings", rings},
            {"slots", 1u << slots_log2},
            {"calls", host.accepted},
            {"complete", host.accepted == total * rings},
            {"calls_per_second", static_cast<double>(host.accepted) / seconds},
            {"entries_read_by_device", to_json(device)},
            {"completions_read_by_client", to_json(host)}};
}

}  // namespace

Json measure_flow(double scale) {
    const uint32_t rings = std::max(1u, std::min(12u, std::thread::hardware_concurrency() - 2));
    Json json = Json::array();
    json.push_back(flow(rings, 12, static_cast<uint64_t>(1.05e9 * scale)));
    json.push_back(flow(rings, 8, static_cast<uint64_t>(1e8 * scale)));
    json.push_back(flow(1, 12, static_cast<uint64_t>(2e7 * scale)));
    return json;
}

}  // namespace measure
