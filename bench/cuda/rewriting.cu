// What protects a line: the single 16-byte access, or the rule that a slot is not rewritten before it was consumed?
// Here the rule is broken on purpose: one side rewrites lines without end, the other accepts whatever line carries four
// equal tags and checks that its words belong to that tag. Writers and readers use 16-byte accesses, or the 8-byte
// halves of yoke_line_write and yoke_line_read. With halves torn lines must be accepted now and then; if none were, the
// check would be blind.
#include <immintrin.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "arena.hpp"
#include "line.cuh"
#include "measurements.hpp"

namespace measure {
namespace {

constexpr uint32_t kThreads = 8;                // of the host, writing or reading
constexpr uint64_t kChunkNs = 200'000'000u;     // one kernel
constexpr uint64_t kWindowNs = 8'000'000'000u;  // one configuration

struct Counts {
    unsigned long long reads;
    unsigned long long accepted;
    unsigned long long corrupted;
    unsigned long long slowest_read_ns;  // of the device
};

__global__ void read_lines(const yoke_line* lines, uint32_t count, Counts* counts) {
    const unsigned lane = threadIdx.x % 32, quarter = lane % 4;
    const uint32_t warp = (blockIdx.x * blockDim.x + threadIdx.x) / 32, warps = gridDim.x * blockDim.x / 32;
    const Bound bound(kChunkNs);
    unsigned long long reads = 0, accepted = 0, corrupted = 0;
    uint32_t index = (warp * 8 + lane / 4) % count;
    uint64_t begin = global_ns(), slowest_ns = 0;
    while (!bound.passed()) {
        const Quarter q = load_quarter(&lines[index].quarter[quarter]);
        const uint32_t tag = tag_of(q);
        const uint32_t first_tag = __shfl_sync(kWarp, tag, lane & 28);
        const bool equal = tag != 0 && tag == first_tag;
        bool good = true;
        for (int k = 0; k < 3; k++) good = good && quarter_word(q, k) == pattern(tag, index, 3 * quarter + k);
        const unsigned equals = __ballot_sync(kWarp, equal) >> (lane & 28) & 15u;
        const unsigned goods = __ballot_sync(kWarp, good) >> (lane & 28) & 15u;
        reads++;
        accepted += equals == 15u;
        corrupted += equals == 15u && goods != 15u;
        index = (index + warps * 8) % count;
        const uint64_t end = global_ns();
        slowest_ns = max(slowest_ns, end - begin);
        begin = end;
    }
    if (quarter != 0) return;
    atomicMax(&counts->slowest_read_ns, slowest_ns);
    atomicAdd(&counts->reads, reads);
    atomicAdd(&counts->accepted, accepted);
    atomicAdd(&counts->corrupted, corrupted);
}

__global__ void write_lines(yoke_line* lines, uint32_t count, uint32_t first_tag) {
    const unsigned lane = threadIdx.x % 32, quarter = lane % 4;
    const uint32_t warp = (blockIdx.x * blockDim.x + threadIdx.x) / 32, warps = gridDim.x * blockDim.x / 32;
    const Bound bound(kChunkNs);
    for (uint32_t tag = first_tag;; tag++) {
        if (tag == 0) continue;
        for (uint32_t index = warp * 8 + lane / 4; index < count; index += warps * 8)
            store_quarter(&lines[index].quarter[quarter],
                          make_quarter(pattern(tag, index, 3 * quarter), pattern(tag, index, 3 * quarter + 1),
                                       pattern(tag, index, 3 * quarter + 2), tag));
        if (tag % 64 == 0 && bound.passed()) return;
    }
}

void store16(void* to, uint32_t a, uint32_t b, uint32_t c, uint32_t tag) {
    const __m128i value =
        _mm_set_epi32(static_cast<int>(tag), static_cast<int>(c), static_cast<int>(b), static_cast<int>(a));
    asm volatile("vmovdqa %1, %0" : "=m"(*static_cast<__m128i*>(to)) : "x"(value) : "memory");
}

Quarter load16(const void* from) {
    __m128i value;
    asm volatile("vmovdqa %1, %0" : "=x"(value) : "m"(*static_cast<const __m128i*>(from)) : "memory");
    return {static_cast<unsigned long long>(_mm_extract_epi64(value, 0)),
            static_cast<unsigned long long>(_mm_extract_epi64(value, 1))};
}

// Rewrites lines [first, last) until told to stop, or until the time is over: a device whose reads are starved by these
// writes could not end its kernel, and nobody would say stop. Returns the number of lines written.
uint64_t write_host(yoke_line* lines, uint32_t first, uint32_t last, bool whole_quarters, uint64_t until_ns,
                    const std::atomic<bool>& stop) {
    uint64_t written = 0;
    for (uint32_t tag = 1; !stop.load(std::memory_order_relaxed); tag += tag == UINT32_MAX ? 2 : 1) {
        if (tag % 64 == 0 && now_ns() > until_ns) break;
        for (uint32_t index = first; index < last; index++, written++) {
            uint32_t word[12];
            for (uint32_t k = 0; k < 12; k++) word[k] = pattern(tag, index, k);
            if (whole_quarters)
                for (int q = 0; q < 4; q++)
                    store16(&lines[index].quarter[q], word[3 * q], word[3 * q + 1], word[3 * q + 2], tag);
            else
                yoke_line_write(&lines[index], word, tag);
        }
    }
    return written;
}

// Copies a line whose four tags are equal; returns its tag, or 0.
uint32_t read_host(const yoke_line* line, uint32_t* word, bool whole_quarters) {
    if (!whole_quarters) {
        const auto tag = static_cast<uint32_t>(yoke_load_relaxed64(&line->quarter[3].high) >> 32);
        return yoke_line_read(line, word, tag) ? tag : 0;
    }
    uint32_t tag = 0;
    for (int q = 0; q < 4; q++) {
        const Quarter quarter = load16(&line->quarter[q]);
        if (q > 0 && tag_of(quarter) != tag) return 0;
        tag = tag_of(quarter);
        for (int k = 0; k < 3; k++) word[3 * q + k] = quarter_word(quarter, k);
    }
    return tag;
}

Counts read_all_host(const yoke_line* lines, uint32_t count, bool whole_quarters, uint64_t until_ns, uint64_t target) {
    Counts counts = {};
    for (uint32_t index = 0; counts.accepted < target; index = (index + 1) % count) {
        if (++counts.reads % 4096 == 0 && now_ns() > until_ns) break;
        uint32_t word[12], want[12];
        const uint32_t tag = read_host(&lines[index], word, whole_quarters);
        if (tag == 0) continue;
        counts.accepted++;
        for (uint32_t k = 0; k < 12; k++) want[k] = pattern(tag, index, k);
        counts.corrupted += __builtin_memcmp(word, want, sizeof(word)) != 0;
    }
    return counts;
}

Json to_json(const char* writer, bool whole_quarters, uint32_t lines, const Counts& counts, double seconds) {
    return {{"writer", writer},
            {"host_access_bytes", whole_quarters ? 16 : 8},
            {"lines", lines},
            {"line_reads", counts.reads},
            {"accepted", counts.accepted},
            {"refused", counts.reads - counts.accepted},
            {"accepted_but_torn", counts.corrupted},
            {"reads_per_second", static_cast<double>(counts.reads) / seconds}};
}

Json host_writes(uint32_t lines, bool whole_quarters, uint64_t target, uint64_t window_ns) {
    Arena arena(lines * sizeof(yoke_line));
    Counts* device_counts = nullptr;
    check(cudaMalloc(&device_counts, sizeof(Counts)));
    check(cudaMemset(device_counts, 0, sizeof(Counts)));
    std::atomic<bool> stop = false;
    std::atomic<uint64_t> written = 0;
    const uint64_t begin = now_ns();
    const uint32_t blocks = std::clamp(lines / 256, 1u, 8u), warps = std::min(lines / 8, 32u);
    std::vector<std::jthread> threads;
    for (uint32_t t = 0; t < kThreads; t++)
        threads.emplace_back([&, t] {
            written += write_host(arena.host<yoke_line>(), lines / kThreads * t, lines / kThreads * (t + 1),
                                  whole_quarters, begin + window_ns, stop);
        });
    Counts counts = {};
    while (counts.accepted < target && now_ns() < begin + window_ns) {
        read_lines<<<blocks, warps * 32>>>(arena.device<yoke_line>(), lines, device_counts);
        check(cudaGetLastError());
        check(cudaMemcpy(&counts, device_counts, sizeof(counts), cudaMemcpyDeviceToHost));
    }
    const double seconds = static_cast<double>(now_ns() - begin) * 1e-9;
    stop = true;
    threads.clear();
    check(cudaFree(device_counts));
    Json json = to_json("host", whole_quarters, lines, counts, seconds);
    json["lines_written"] = written.load();
    json["slowest_read_ns"] = counts.slowest_read_ns;
    return json;
}

Json device_writes(uint32_t lines, bool whole_quarters, uint64_t target, uint64_t window_ns) {
    Arena arena(lines * sizeof(yoke_line));
    const uint64_t begin = now_ns();
    std::vector<Counts> each(kThreads);
    std::atomic<uint32_t> reading = kThreads;
    std::vector<std::jthread> threads;
    for (uint32_t t = 0; t < kThreads; t++)
        threads.emplace_back([&, t] {
            each[t] =
                read_all_host(arena.host<yoke_line>(), lines, whole_quarters, begin + window_ns, target / kThreads + 1);
            reading--;
        });
    const uint32_t blocks = std::clamp(lines / 256, 1u, 8u), warps = std::min(lines / 8, 32u);
    for (uint32_t chunk = 1; reading.load() > 0; chunk++) {
        write_lines<<<blocks, warps * 32>>>(arena.device<yoke_line>(), lines, chunk << 28);
        check(cudaGetLastError());
        check(cudaDeviceSynchronize());
    }
    threads.clear();
    const double seconds = static_cast<double>(now_ns() - begin) * 1e-9;
    Counts counts = {};
    for (const Counts& c : each) {
        counts.reads += c.reads;
        counts.accepted += c.accepted;
        counts.corrupted += c.corrupted;
    }
    return to_json("device", whole_quarters, lines, counts, seconds);
}

}  // namespace

Json measure_rewriting(double scale) {
    const auto target = static_cast<uint64_t>(1.05e9 * scale);
    const auto window = static_cast<uint64_t>(static_cast<double>(kWindowNs) * std::max(scale, 0.02));
    Json json = Json::array();
    for (const uint32_t lines : {8u, 512u, 32768u}) {
        json.push_back(host_writes(lines, true, target, window));
        json.push_back(host_writes(lines, false, target / 4, window / 4));
        json.push_back(device_writes(lines, true, target, window));
        json.push_back(device_writes(lines, false, target / 4, window / 4));
    }
    return json;
}

}  // namespace measure
