// A team of the NSK: four warps that serve up to eight rings; see protocol.hpp for what is agreed with the worker.
//
// The first warp polls, judges and, alone, runs short calls: nobody waits for anybody. Longer ones, and several that
// came at once, are laid out in shared memory and run by all four warps: one call is divided among them, several are
// dealt out whole. The other warps wait at a barrier, which costs nothing.
//
// Rules of code that never ends: each entry is read by acquiring loads, nothing read from memory that others write is
// kept beyond its call, and no vote or shuffle stands behind a condition that lanes could see differently.
#pragma once

#include "executive/cuda/line.cuh"
#include "executive/cuda/tables.cuh"

namespace yoke::executive::cuda {

using service::device::Block;
using service::device::Element;
using service::device::Share;

struct Job {
    Call call;
    std::uint32_t ring;
    std::uint32_t slot;
    std::uint32_t tag;
    std::uint32_t out_length;
    std::uint32_t key_place;
    std::uint64_t begin;  // cycles
};

struct Totals {
    std::uint64_t calls;
    std::uint64_t bytes_in;
    std::uint64_t bytes_out;
    std::uint64_t busy_ns;
};

// In shared memory.
struct TeamState {
    Ring ring[rings_per_team];
    Totals totals[rings_per_team];
    std::uint64_t last_work[rings_per_team];  // cycles
    Job jobs[rings_per_team];
    std::uint32_t job_count;
    std::uint32_t leaving;
    std::uint32_t cycles_per_us;
};

// Keys are read from shared memory in the inner loops.
__device__ __forceinline__ void stage_key(Key& to, const Key* from, unsigned lane) {
    const auto* source = reinterpret_cast<const Block*>(from);
    auto* target = reinterpret_cast<Block*>(&to);
    constexpr unsigned parts = sizeof(Key) / sizeof(Block);
    constexpr unsigned turns = (parts + 31) / 32;
    Block v[turns] = {};
#pragma unroll
    for (unsigned t = 0; t < turns; ++t) {
        service::device::load_if(v[t], reinterpret_cast<const std::uint8_t*>(source + lane + 32 * t),
                                 lane + 32 * t < parts);
    }
#pragma unroll
    for (unsigned t = 0; t < turns; ++t) {
        if (lane + 32 * t < parts) {
            target[lane + 32 * t] = v[t];
        }
    }
    __syncwarp();
}

__device__ __forceinline__ void team_barrier(unsigned id) {
    asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(warps_per_team * 32) : "memory");
}

__device__ __forceinline__ Element sum_over_warp(Element e) {
    for (unsigned step = 16; step > 0; step /= 2) {
        e.low ^= __shfl_xor_sync(full_warp, e.low, step);
        e.high ^= __shfl_xor_sync(full_warp, e.high, step);
    }
    return e;
}

__device__ __forceinline__ std::uint32_t run_ns(const TeamState& team, const Job& job) {
    return static_cast<std::uint32_t>(cycles() - job.begin) * 1000U / team.cycles_per_us;
}

__device__ __forceinline__ void write_completion(const Ring& ring, const Job& job, int status,
                                                 std::uint32_t nanoseconds, unsigned lane) {
    if (lane < 4) {
        const std::uint32_t first = lane == 0 ? static_cast<std::uint32_t>(status) : lane == 2 ? nanoseconds : 0;
        const std::uint32_t second = lane == 0 ? YOKE_WHERE_NSK | YOKE_WHY_ONLY << 8 : 0;
        const std::uint32_t third = lane == 0 && status == 0 ? job.out_length : 0;
        store_relaxed(&ring.completion[job.slot].quarter[lane], {first | static_cast<std::uint64_t>(second) << 32,
                                                                 third | static_cast<std::uint64_t>(job.tag) << 32});
    }
}

// One warp's part of a job: `parts` warps run it together. GCM is always one warp's. Returns the status.
__device__ __noinline__ int run_part(const SharedTables& tables, const Job& job, Key& staged, const Key* keys,
                                     unsigned part, unsigned parts, unsigned lane) {
    const Call call = job.call;
    if (takes_key(call.service)) {
        stage_key(staged, &keys[job.key_place], lane);
    }
    const bool gcm = call.service == YOKE_SERVICE_AES_GCM;
    Block start{};
    if (gcm) {
        start = service::device::gcm_start(staged, call);
    }
    const Share share{0, service::device::grains_of(call), part * 32 + lane, parts * 32};
    Element hash = service::device::run_share(tables, staged, call, share, start);
    int status = 0;
    if (gcm) {
        hash = sum_over_warp(hash ^ service::device::hash_aad(staged, call, lane, 32));
        const Block tag = service::device::gcm_tag(tables, staged, start, hash);
        int right = 1;
        if (lane == 0) {
            right = service::device::gcm_finish(call, tag) ? 1 : 0;
        }
        if (__shfl_sync(full_warp, right, 0) == 0) {
            for (std::uint32_t i = lane; i < job.out_length; i += 32) {
                call.out[i] = 0;
            }
            status = -YOKE_EBADMSG;
        }
    }
    if (job.out_length != 0) {
        fence_system();
    }
    __syncwarp();
    return status;
}

// What the leader does behind a completed job.
__device__ __forceinline__ void account(TeamState& team, Report* reports, const Job& job, std::uint64_t now,
                                        unsigned lane) {
    if (lane == 0) {
        Totals& totals = team.totals[job.ring];
        totals.calls += 1;
        totals.bytes_in += job.call.in_length;
        totals.bytes_out += job.out_length;
        totals.busy_ns += (now - job.begin) * 1000 / team.cycles_per_us;
        Report& report = reports[job.ring];
        store_relaxed64(&report.calls, totals.calls);
        store_relaxed64(&report.bytes_in, totals.bytes_in);
        store_relaxed64(&report.bytes_out, totals.bytes_out);
        store_relaxed64(&report.busy_ns, totals.busy_ns);
        team.last_work[job.ring] = now;
    }
    __syncwarp();
}

// Warp `warp` of the team does what is laid out.
__device__ __noinline__ void run_jobs(TeamState& team, const SharedTables& tables, Key& staged, const Key* keys,
                                      unsigned warp, unsigned barrier, unsigned lane) {
    if (team.job_count == 1) {
        run_part(tables, team.jobs[0], staged, keys, warp, warps_per_team, lane);
        team_barrier(barrier);
        if (warp == 0) {
            write_completion(team.ring[team.jobs[0].ring], team.jobs[0], 0, run_ns(team, team.jobs[0]), lane);
        }
        return;
    }
    for (unsigned j = warp; j < team.job_count; j += warps_per_team) {
        const Job& job = team.jobs[j];
        const int status = run_part(tables, job, staged, keys, 0, 1, lane);
        write_completion(team.ring[job.ring], job, status, run_ns(team, job), lane);
    }
    team_barrier(barrier);
}

}  // namespace yoke::executive::cuda
