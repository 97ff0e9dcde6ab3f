// A team of the NSK: four warps that serve up to eight rings; see protocol.hpp for what is agreed with the worker.
//
// The first warp polls, judges and, alone, runs short calls: nobody waits for anybody. Longer ones, and several that
// came at once, are laid out in shared memory and run by all four warps: one call is divided among them, several are
// dealt out whole. The other warps wait at a barrier, which costs nothing.
//
// What is shared has names here instead of being passed by reference, so that every access is one of shared memory.
#pragma once

#include "executive/cuda/left_out.cuh"
#include "executive/cuda/line.cuh"
#include "executive/cuda/tables.cuh"

namespace yoke::executive::cuda {

using service::device::Block;
using service::device::Element;
using service::device::Share;

struct alignas(16) Job {
    Call call;
    std::uint32_t ring;
    std::uint32_t slot;
    std::uint32_t tag;
    std::uint32_t out_length;
    std::uint32_t key_place;
    std::uint64_t key;    // KeyName of the session's key, as one number; 0: none
    std::uint32_t begin;  // cycles, as those below
    std::uint32_t judged;
    std::uint32_t loaded;
    std::uint32_t stored;
};

struct Totals {
    std::uint64_t calls;
    std::uint64_t bytes_in;
    std::uint64_t bytes_out;
    std::uint64_t busy_cycles;
};

struct TeamState {
    Ring ring[rings_per_team];
    Totals totals[rings_per_team];
    std::uint64_t last_work[rings_per_team];  // cycles
    std::uint64_t last_name[rings_per_team];  // the KeyName found last, kept until a `sync`
    Job jobs[rings_per_team];
    std::uint32_t job_count;
    std::uint32_t divided;  // the only job is run by all warps together
    std::uint32_t leaving;
    // A call whose input and key all warps begin to read while its entry is judged; then jobs[0], the same call,
    // counts, if job_count is 1. Nobody has judged it: its input is the client's, its key a session's and of its
    // service.
    Call early_untrusted;
    std::uint32_t early_key_place;
    std::uint32_t early_blocks;  // 0: none
    Block unit_tweak;            // of an early call in one unit (XTS), found by the second warp for all
    std::uint32_t ns_per_cycle;
};

constexpr unsigned warps_per_block = teams_per_block * warps_per_team;

__shared__ TeamState states[teams_per_block];
__shared__ Key staged[warps_per_block];  // each warp's copy of what it needs of a key
// Input of early calls, two blocks for each thread, which alone reads them.
__shared__ Block inputs[teams_per_block][2 * warps_per_team * 32];

constexpr std::uint32_t early_bytes = sizeof(inputs[0]);  // the longest input that is read while its entry is judged

__device__ __forceinline__ std::uint32_t short_cycles() {
    return static_cast<std::uint32_t>(cycles());
}

// What run_*() of a call reads of a key, on its way from device memory; stage_key() is called by all lanes.
struct KeyParts {
    Block schedule;
    Block power;
};

// The schedule of the call's direction in lanes 0 to 14, the tweak's in 15 to 29, the head in 30.
__device__ __forceinline__ unsigned key_part(const Call& call, unsigned lane) {
    const bool backwards =
        decrypts(call) && call.service != YOKE_SERVICE_AES_CTR && call.service != YOKE_SERVICE_AES_GCM;
    return lane < 15 ? 1 + lane + (backwards ? 15 : 0) : lane < 30 ? 16 + lane : 0;
}

__device__ __forceinline__ KeyParts load_key(const Key* from, const Call& call, unsigned lane) {
    static_assert(offsetof(Key, encrypt) == 16 && offsetof(Key, decrypt) == 256 && offsetof(Key, tweak) == 496);
    const auto* parts = reinterpret_cast<const std::uint8_t*>(from);
    KeyParts loaded{};
    service::device::load_if(loaded.schedule, parts + static_cast<std::size_t>(16 * key_part(call, lane)), true);
    service::device::load_if(loaded.power, parts + offsetof(Key, power) + static_cast<std::size_t>(16 * lane),
                             call.service == YOKE_SERVICE_AES_GCM);
    return loaded;
}

__device__ __forceinline__ void stage_key(Key& to, const KeyParts& loaded, const Call& call, unsigned lane) {
    static_assert(service::device::hash_powers == 32);
    __syncwarp();     // nobody reads the last one any more
    if (lane < 31) {  // the last has what the one before it has
        reinterpret_cast<Block*>(&to)[key_part(call, lane)] = loaded.schedule;
    }
    if (call.service == YOKE_SERVICE_AES_GCM) {
        to.power[lane] = loaded.power;
    }
    __syncwarp();
}

__device__ __forceinline__ void team_barrier(unsigned team) {
    barrier(1 + team, warps_per_team * 32);
}

__device__ __forceinline__ Element sum_over_warp(Element e) {
    for (unsigned step = 16; step > 0; step /= 2) {
        e.low ^= __shfl_xor_sync(full_warp, e.low, step);
        e.high ^= __shfl_xor_sync(full_warp, e.high, step);
    }
    return e;
}

// The completion is a releasing store of its four lanes, behind all output that barriers put in front of it. A fence of
// its own instruction would also throw away what the first cache holds, keys among it, and takes longer.
__device__ __forceinline__ void write_completion(yoke_line* completion, const TeamState& team, const Job& job,
                                                 int status, unsigned lane) {
    const std::uint32_t taken = short_cycles() - job.begin;
    const auto nanoseconds = static_cast<std::uint32_t>(static_cast<std::uint64_t>(taken) * team.ns_per_cycle >> 16);
    if (lane < 4) {
        std::uint32_t first = lane == 0 ? static_cast<std::uint32_t>(status) : lane == 2 ? nanoseconds : 0;
        std::uint32_t second = lane == 0 ? YOKE_WHERE_NSK | YOKE_WHY_ONLY << 8 : 0;
        std::uint32_t third = lane == 0 && status == 0 ? job.out_length : 0;
        if (tells_clocks && lane == 3) {
            first = job.judged - job.begin;
            second = job.loaded - job.begin;
            third = job.stored - job.begin;
        }
        const Quarter q{first | static_cast<std::uint64_t>(second) << 32, third | static_cast<std::uint64_t>(job.tag)
                                                                                      << 32};
        // Input alone is a reason too: the client may write it anew, and must not be seen to by a late read.
        if (fences_output && (job.call.in_length | job.out_length) != 0) {
            store_release(&completion[job.slot].quarter[lane], q);
        } else {
            store_relaxed(&completion[job.slot].quarter[lane], q);
        }
    }
}

// A thread's two blocks of a blockwise call.
struct Pair {
    Block v[2];
};

__device__ __forceinline__ void load_pair(Pair& pair, const std::uint8_t* in, std::uint32_t at, unsigned threads,
                                          std::uint32_t count) {
    YOKE_UNROLL
    for (unsigned k = 0; k < 2; ++k) {
        const std::uint32_t block = at + k * threads;
        service::device::load_if(pair.v[k], in + sizeof(Block) * std::uint64_t{block}, reads_input && block < count);
    }
}

__device__ __forceinline__ void store_pair(const Pair& pair, std::uint8_t* out, std::uint32_t at, unsigned threads,
                                           std::uint32_t count) {
    YOKE_UNROLL
    for (unsigned k = 0; k < 2; ++k) {
        const std::uint32_t block = at + k * threads;
        if (writes_output && block < count) {
            *reinterpret_cast<Block*>(out + sizeof(Block) * std::uint64_t{block}) = pair.v[k];
        }
    }
}

// A blockwise call by `threads` threads, whole warps: the loads of two blocks each and of the key are on their way
// together, and what needs no input is computed meanwhile.
__device__ __forceinline__ void run_blockwise(const Call& call, const Key* key, Key& place, unsigned thread,
                                              unsigned threads) {
    const unsigned lane = thread % 32;
    const std::uint32_t count = call.in_length / sizeof(Block);
    const KeyParts parts = load_key(key, call, lane);
    for (std::uint32_t base = 0; base < count; base += 2 * threads) {
        Pair pair{};
        load_pair(pair, call.in, base + thread, threads, count);
        if (base == 0) {
            stage_key(place, parts, call, lane);
        }
        const std::uint32_t at[2] = {base + thread, base + thread + threads};
        Pair mask{};
        make_masks(SharedTables(lane), place, call, at, mask.v);
        transform(SharedTables(lane), place, call, mask.v, pair.v);
        store_pair(pair, call.out, base + thread, threads, count);
    }
}

// One warp's part of job `j`: `parts` warps run it together. GCM is always one warp's. Returns the status; the output
// is not published.
__device__ __noinline__ int run_part(unsigned team, unsigned j, const Key* keys, unsigned part, unsigned parts) {
    const unsigned lane = threadIdx.x % 32;
    const Job& job = states[team].jobs[j];
    const Call call = job.call;
    const Key* const key = &keys[job.key_place];
    Key& place = staged[threadIdx.x / 32];
    if (is_blockwise(call)) {
        run_blockwise(call, key, place, part * 32 + lane, parts * 32);
        return 0;
    }
    if (takes_key(call.service)) {
        stage_key(place, load_key(key, call, lane), call, lane);
    }
    const bool gcm = call.service == YOKE_SERVICE_AES_GCM;
    Block start{};
    if (gcm) {
        start = service::device::gcm_start(place, call);
    }
    const Share share{0, service::device::grains_of(call), part * 32 + lane, parts * 32};
    Element hash = service::device::run_share(SharedTables(lane), place, call, share, start);
    if (!gcm) {
        return 0;
    }
    hash = sum_over_warp(hash ^ service::device::hash_aad(place, call, lane, 32));
    const Block tag = service::device::gcm_tag(SharedTables(lane), place, start, hash);
    int right = 1;
    if (lane == 0) {
        right = service::device::gcm_finish(call, tag) ? 1 : 0;
    }
    if (__shfl_sync(full_warp, right, 0) != 0) {
        return 0;
    }
    for (std::uint32_t i = lane; i < job.out_length; i += 32) {
        call.out[i] = 0;
    }
    return -YOKE_EBADMSG;
}

// Warp `warp` of the team does its part of what is laid out: of one call a share, of several every fourth.
__device__ __noinline__ void run_jobs(unsigned team, unsigned warp, const Key* keys) {
    TeamState& state = states[team];
    const unsigned lane = threadIdx.x % 32;
    if (state.divided != 0) {
        Job& job = state.jobs[0];
        run_part(team, 0, keys, warp, warps_per_team);
        if (tells_clocks && threadIdx.x % (warps_per_team * 32) == 0) {
            job.stored = short_cycles();
        }
        team_barrier(team);
        if (warp == 0) {
            write_completion(state.ring[job.ring].completion, state, job, 0, lane);
        }
        return;
    }
    static_assert(rings_per_team <= 2 * warps_per_team);
    const unsigned second = warp + warps_per_team;
    const int status = warp < state.job_count ? run_part(team, warp, keys, 0, 1) : 0;
    const int second_status = second < state.job_count ? run_part(team, second, keys, 0, 1) : 0;
    __syncwarp();
    if (warp < state.job_count) {
        const Job& job = state.jobs[warp];
        write_completion(state.ring[job.ring].completion, state, job, status, lane);
    }
    if (second < state.job_count) {
        const Job& job = state.jobs[second];
        write_completion(state.ring[job.ring].completion, state, job, second_status, lane);
    }
    team_barrier(team);
}

// Begins to read the warp's part of the early call's input.
__device__ __forceinline__ void begin_input(unsigned team, unsigned warp, const std::uint8_t* in, std::uint32_t count) {
    YOKE_UNROLL
    for (unsigned k = 0; k < 2; ++k) {
        const unsigned block = k * warps_per_team * 32 + warp * 32 + threadIdx.x % 32;
        if (reads_input && block < count) {
            begin_copy(inputs[team][block], in + sizeof(Block) * block);
        }
    }
}

// One block, the same in all lanes, encrypted by the warp: each lane has a column, so that a round lasts as long as
// four look-ups and not sixteen.
__device__ __forceinline__ Block encrypt_by_columns(const SharedTables& t, const Block* schedule, std::uint32_t rounds,
                                                    const Block& v) {
    using service::device::rotate_left;
    const unsigned column = threadIdx.x % 4;
    const std::uint32_t* const keys = &schedule[0].w[0] + column;
    std::uint32_t word = (column == 0 ? v.w[0] : column == 1 ? v.w[1] : column == 2 ? v.w[2] : v.w[3]) ^ keys[0];
    for (std::uint32_t round = 1; round <= rounds; ++round) {
        const std::uint32_t second = __shfl_sync(full_warp, word, (column + 1) % 4);
        const std::uint32_t third = __shfl_sync(full_warp, word, (column + 2) % 4);
        const std::uint32_t fourth = __shfl_sync(full_warp, word, (column + 3) % 4);
        const std::uint32_t looked_up[4] = {t.encrypt<0>(word), t.encrypt<1>(second), t.encrypt<2>(third),
                                            t.encrypt<3>(fourth)};
        // The last round does not mix columns: of each entry only the box itself counts.
        word = round < rounds ? looked_up[0] ^ rotate_left(looked_up[1], 8) ^ rotate_left(looked_up[2], 16) ^
                                    rotate_left(looked_up[3], 24)
                              : (looked_up[0] >> 8 & 0xffU) | (looked_up[1] & 0xff00U) |
                                    (looked_up[2] << 8 & 0xff0000U) | (looked_up[3] << 16 & 0xff000000U);
        word ^= keys[4 * round];
    }
    return {{__shfl_sync(full_warp, word, 0), __shfl_sync(full_warp, word, 1), __shfl_sync(full_warp, word, 2),
             __shfl_sync(full_warp, word, 3)}};
}

// What a warp that is not the first does of the early call while the first one judges it: all that is the key's. The
// second one does it for the first as well, and finds the tweak of a call in one unit for all.
__device__ __forceinline__ void prepare_early(unsigned team, unsigned warp, const Key* keys) {
    TeamState& state = states[team];
    const unsigned lane = threadIdx.x % 32;
    const Call call = state.early_untrusted;
    Key& place = staged[threadIdx.x / 32];
    const KeyParts parts = load_key(&keys[state.early_key_place], call, lane);
    begin_input(team, warp, call.in, state.early_blocks);
    stage_key(place, parts, call, lane);
    if (warp == 1) {
        stage_key(staged[threadIdx.x / 32 - 1], parts, call, lane);
        if (service::device::is_one_unit(call)) {
            const Block number = service::device::unit_number(call, 0);
            const Block tweak = encrypt_by_columns(SharedTables(lane), place.tweak, place.rounds, number);
            if (lane == 0) {
                state.unit_tweak = tweak;
            }
        }
    }
}

// Warp `warp` does its part of the early call, which has been judged and is laid out.
__device__ __noinline__ void run_early(unsigned team, unsigned warp) {
    TeamState& state = states[team];
    Job& job = state.jobs[0];
    const unsigned lane = threadIdx.x % 32;
    const Call call = job.call;
    const Key& place = staged[threadIdx.x / 32];
    constexpr unsigned threads = warps_per_team * 32;
    const std::uint32_t at[2] = {warp * 32 + lane, warp * 32 + lane + threads};
    Pair mask{};
    if (service::device::is_one_unit(call)) {
        tweaks_of_unit(service::device::element_of(state.unit_tweak), at, mask.v);
    } else {
        make_masks(SharedTables(lane), place, call, at, mask.v);
    }
    wait_copies();
    Pair pair{{inputs[team][at[0]], inputs[team][at[1]]}};
    if (tells_clocks && warp == 0) {
        job.loaded = short_cycles();
    }
    transform(SharedTables(lane), place, call, mask.v, pair.v);
    store_pair(pair, call.out, at[0], threads, call.in_length / sizeof(Block));
    if (tells_clocks && warp == 0) {
        job.stored = short_cycles();
    }
    team_barrier(team);
    if (warp == 0) {
        write_completion(state.ring[job.ring].completion, state, job, 0, lane);
    }
}

// What a warp that is not the first does behind each barrier that the first one opens; false: it is to leave.
__device__ __forceinline__ bool follow(unsigned team, unsigned warp, const Key* keys) {
    TeamState& state = states[team];
    if (state.leaving != 0) {
        return false;
    }
    if (state.early_blocks == 0) {
        run_jobs(team, warp, keys);
        return true;
    }
    prepare_early(team, warp, keys);
    team_barrier(team);
    if (state.job_count != 0) {
        run_early(team, warp);
    } else {
        wait_copies();
        team_barrier(team);  // nobody looks at this call any more
    }
    return true;
}

}  // namespace yoke::executive::cuda
