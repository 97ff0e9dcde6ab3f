// The non-stop kernel and the bulk kernels; see protocol.hpp, team.cuh and kernels.hpp.
#include "executive/cuda/team.cuh"

namespace yoke::executive::cuda {
namespace {

// Calls up to here are faster with one warp than with four and two barriers.
constexpr std::uint32_t alone_bytes_echo = 8192;
constexpr std::uint32_t alone_bytes_cipher = 256;
constexpr std::uint64_t heartbeat_cycles = 50'000'000;
constexpr unsigned polls_per_clock = 16;

struct Leader {
    const Launch& launch;
    TeamState& team;
    const SharedTables& tables;
    Key& staged;
    Report* reports;  // of this team's rings
    TeamReport* progress;
    const KeyName* names;
    std::uint32_t number;  // of the team
    unsigned barrier;
    unsigned lane;
    // The same in all lanes:
    std::uint32_t attached = 0;  // bits
    std::uint32_t with_params = 0;
    std::uint32_t sequence = 0;
    std::uint64_t beat = 0;

    __device__ __forceinline__ std::uint64_t clock() const { return __shfl_sync(full_warp, cycles(), 0); }

    // Whether each lane's quarter is that of its ring's next entry: a bit for each ring whose four are.
    __device__ __forceinline__ std::uint32_t whole(bool tagged) const {
        std::uint32_t lanes = __ballot_sync(full_warp, tagged);
        lanes &= lanes >> 1;
        lanes &= lanes >> 2;
        std::uint32_t rings = 0;
        for (unsigned r = 0; r < rings_per_team; ++r) {
            rings |= (lanes >> (4 * r) & 1U) << r;
        }
        return rings;
    }

    __device__ __forceinline__ void release(unsigned r, Why why) {
        if (lane == 0) {
            Report& report = reports[r];
            store_relaxed64(&report.head, team.ring[r].head);
            store_relaxed32(&report.why, static_cast<std::uint32_t>(why));
            store_release32(&report.released, team.ring[r].attachment);
        }
        attached &= ~(1U << r);
        __syncwarp();
    }

    __device__ __forceinline__ const yoke_line* next_line(unsigned r, const yoke_line* lines) const {
        return &lines[team.ring[r].head & ((1U << team.ring[r].slots_log2) - 1)];
    }

    __device__ __forceinline__ std::uint32_t next_tag(unsigned r) const {
        return static_cast<std::uint32_t>((team.ring[r].head >> team.ring[r].slots_log2) % 0xffffffffU) + 1U;
    }

    // The protocol of uapi/yoke.h: asleep = 1; fence; look once more.
    __device__ __forceinline__ void release_if_idle(unsigned r) {
        if (lane == 0) {
            store_relaxed32(team.ring[r].asleep, 1);
        }
        fence_full();
        __syncwarp();
        Quarter q{0, 0};
        if (lane < 4) {
            q = load_relaxed(&next_line(r, team.ring[r].submission)->quarter[lane]);
        }
        if (__any_sync(full_warp, lane < 4 && tag_of(q) == next_tag(r))) {
            if (lane == 0) {
                store_relaxed32(team.ring[r].asleep, 0);
                team.last_work[r] = cycles();
            }
            __syncwarp();
        } else {
            release(r, Why::idle);
        }
    }

    // Returns false when the team is to leave.
    __device__ __forceinline__ bool obey(const Quarter& order) {
        const auto command = static_cast<Command>(static_cast<std::uint32_t>(order.high));
        const unsigned r = static_cast<std::uint32_t>(order.high >> 32) % rings_per_team;
        fence_system();
        __syncwarp();
        if (command == Command::attach) {
            if (lane == 0) {
                team.ring[r] = launch.rings[number * rings_per_team + r];
                team.totals[r] = {};
                team.last_work[r] = cycles();
            }
            attached |= 1U << r;
            with_params &= ~(1U << r);
        } else if (command == Command::detach && (attached >> r & 1U) != 0) {
            release(r, Why::asked);
        } else if (command == Command::park) {
            for (unsigned ring = 0; ring < rings_per_team; ++ring) {
                if ((attached >> ring & 1U) != 0) {
                    release(ring, Why::asked);
                }
            }
        }
        __syncwarp();
        sequence = static_cast<std::uint32_t>(order.low);
        if (lane == 0) {
            store_release32(&progress->acknowledged, sequence);
        }
        return command != Command::park;
    }

    // Reads the twelve words of a line held by lanes 4 * group ... into all lanes.
    __device__ __forceinline__ void spread(const Quarter& q, unsigned group, std::uint32_t (&words)[12]) const {
#pragma unroll
        for (unsigned i = 0; i < 12; ++i) {
            words[i] = __shfl_sync(full_warp, word_of(q, i % 3), 4 * group + i / 3);
        }
    }

    // Judges the next entry of ring r, whose quarters `q` holds, and makes a job of it. False: it is the worker's.
    __device__ __forceinline__ bool make_job(unsigned r, const Quarter& q, const Quarter& guess, std::uint64_t now,
                                             Job& job) {
        const Ring& ring = team.ring[r];
        const std::uint32_t tag = next_tag(r);
        std::uint32_t words[12];
        spread(q, r, words);
        yoke_submission s;
        memcpy(&s, words, sizeof(s));
        std::uint32_t params[12] = {};
        bool params_valid = false;
        if ((s.flags & YOKE_FLAG_PARAMS) != 0) {
            Quarter p = guess;
            std::uint32_t there = whole(tag_of(p) == tag);
            if ((with_params >> r & there >> r & 1U) == 0) {
                p = {0, 0};
                if (lane / 4 == r) {
                    p = load_acquire(&next_line(r, ring.params)->quarter[lane % 4]);
                }
                there = whole(tag_of(p) == tag);
            }
            params_valid = (there >> r & 1U) != 0;
            std::uint32_t found[12];
            spread(p, r, found);
#pragma unroll
            for (unsigned i = 0; i < 12; ++i) {
                params[i] = params_valid ? found[i] : 0;
            }
            with_params |= 1U << r;
        } else {
            with_params &= ~(1U << r);
        }
        std::uint32_t key_service = 0;
        std::uint32_t key_place = 0;
        if (s.object != 0) {
            const KeyName name = names[r * keys_per_ring + (s.object - 1) % keys_per_ring];
            if (name.id == s.object) {
                key_service = name.place >> 16;
                key_place = name.place & 0xffffU;
            }
        }
        const Judgement judged = judge(s, params, params_valid, key_service, ring);
        if (!judged.run) {
            return false;
        }
        if (s.deadline_ns != 0) {
            const auto time = static_cast<std::int64_t>(__shfl_sync(full_warp, device_ns(), 0));
            if (static_cast<std::int64_t>(s.deadline_ns) <= time + launch.monotonic_ahead_ns) {
                return false;
            }
        }
        if (lane == 0) {
            job.call = make_call(s, params, ring);
            job.ring = r;
            job.slot = static_cast<std::uint32_t>(ring.head & ((1U << ring.slots_log2) - 1));
            job.tag = tag;
            job.out_length = judged.out_length;
            job.key_place = key_place;
            job.begin = now;
            store_relaxed32(&ring.running[job.slot], tag);
            team.ring[r].head += 1;
        }
        __syncwarp();
        return true;
    }

    __device__ __forceinline__ bool alone(const Job& job) const {
        switch (job.call.service) {
            case YOKE_SERVICE_ECHO:
                return job.call.in_length <= alone_bytes_echo;
            case YOKE_SERVICE_AES_GCM:
                return true;
            default:
                return job.call.in_length <= alone_bytes_cipher;
        }
    }

    __device__ __forceinline__ void serve(std::uint32_t ready, const Quarter& q, const Quarter& guess) {
        const std::uint64_t now = clock();
        std::uint32_t count = 0;
        for (unsigned r = 0; r < rings_per_team; ++r) {
            if ((ready >> r & 1U) != 0) {
                if (make_job(r, q, guess, now, team.jobs[count])) {
                    ++count;
                } else {
                    release(r, Why::entry);
                }
            }
        }
        if (count == 0) {
            return;
        }
        if (count == 1 && alone(team.jobs[0])) {
            // A call without input and output needs neither run nor fence.
            const int status = team.jobs[0].call.in_length == 0 && team.jobs[0].out_length == 0
                                   ? 0
                                   : run_part(tables, team.jobs[0], staged, launch.keys, 0, 1, lane);
            write_completion(team.ring[team.jobs[0].ring], team.jobs[0], status, run_ns(team, team.jobs[0]), lane);
        } else {
            if (lane == 0) {
                team.job_count = count;
            }
            __syncwarp();
            team_barrier(barrier);
            run_jobs(team, tables, staged, launch.keys, 0, barrier, lane);
        }
        const std::uint64_t end = clock();
        for (std::uint32_t j = 0; j < count; ++j) {
            account(team, reports, team.jobs[j], end, lane);
        }
    }

    __device__ __forceinline__ void look_around() {
        const std::uint64_t now = clock();
        if (now - beat > heartbeat_cycles) {
            beat = now;
            if (lane == 0) {
                store_relaxed32(&progress->heartbeat, static_cast<std::uint32_t>(now / heartbeat_cycles) | 1U);
            }
        }
        for (unsigned r = 0; r < rings_per_team; ++r) {
            const std::uint64_t last = team.last_work[r];
            if ((attached >> r & 1U) != 0 && now > last && now - last > launch.idle_cycles) {
                release_if_idle(r);
            }
        }
    }

    __device__ __forceinline__ void lead() {
        for (unsigned polls = 0;; ++polls) {
            const Quarter order = load_relaxed(&launch.orders[number]);
            const unsigned mine = lane / 4;
            Quarter q{0, 0};
            Quarter guess{0, 0};
            bool tagged = false;
            if ((attached >> mine & 1U) != 0) {
                if ((with_params >> mine & 1U) != 0) {
                    guess = load_relaxed(&next_line(mine, team.ring[mine].params)->quarter[lane % 4]);
                }
                q = load_acquire(&next_line(mine, team.ring[mine].submission)->quarter[lane % 4]);
                tagged = tag_of(q) == next_tag(mine);
            }
            __syncwarp();
            const std::uint32_t ready = whole(tagged);
            if (ready != 0) {
                serve(ready, q, guess);
            } else if (attached == 0) {
                __nanosleep(300);
            }
            if (__any_sync(full_warp, static_cast<std::uint32_t>(order.low) != sequence)) {
                // Lanes may have read different orders while it changed: all take that of the first.
                Quarter first = load_relaxed(&launch.orders[number]);
                first.low = __shfl_sync(full_warp, first.low, 0);
                first.high = __shfl_sync(full_warp, first.high, 0);
                if (static_cast<std::uint32_t>(first.low) != sequence && !obey(first)) {
                    return;
                }
            }
            if (polls % polls_per_clock == 0) {
                look_around();
            }
        }
    }
};

}  // namespace

extern "C" __global__ void __launch_bounds__(nsk_threads, 1) nsk(const Launch launch) {
    extern __shared__ std::uint32_t table_memory[];
    __shared__ TeamState states[teams_per_block];
    __shared__ Key staged[teams_per_block * warps_per_team];
    const SharedTables tables = fill_tables(table_memory);
    const unsigned lane = threadIdx.x % 32;
    const unsigned warp = threadIdx.x / 32;
    const unsigned team_here = warp / warps_per_team;
    const unsigned number = blockIdx.x * teams_per_block + team_here;
    const unsigned barrier = 1 + team_here;
    TeamState& team = states[team_here];
    if (warp % warps_per_team != 0) {
        for (;;) {
            team_barrier(barrier);
            if (team.leaving != 0) {
                return;
            }
            run_jobs(team, tables, staged[warp], launch.keys, warp % warps_per_team, barrier, lane);
        }
    }
    if (lane == 0) {
        team.leaving = 0;
        team.cycles_per_us = launch.cycles_per_us;
        store_release32(&launch.progress[number].begun, launch.number);
    }
    __syncwarp();
    Leader leader{launch,
                  team,
                  tables,
                  staged[warp],
                  launch.reports + number * rings_per_team,
                  launch.progress + number,
                  launch.names + std::size_t{number} * rings_per_team * keys_per_ring,
                  number,
                  barrier,
                  lane};
    leader.lead();
    if (lane == 0) {
        team.leaving = 1;
        store_release32(&launch.progress[number].parked, launch.number);
    }
    __syncwarp();
    team_barrier(barrier);
}

// The device's clock, for the host to compare with its own.
extern "C" __global__ void read_clock(std::uint64_t* to) {
    store_relaxed64(to, device_ns());
}

// GCM: the first counter block, and the part of the hash that is not ciphertext. One warp.
extern "C" __global__ void bulk_begin(const BulkWork work) {
    __shared__ Key key;
    stage_key(key, work.key, threadIdx.x);
    const Block start = service::device::gcm_start(key, work.call);
    const Element hash = sum_over_warp(service::device::hash_aad(key, work.call, threadIdx.x, 32));
    if (threadIdx.x < 4) {
        work.start[threadIdx.x] = start.w[threadIdx.x];
        work.hash[threadIdx.x] = service::device::block_of(hash).w[threadIdx.x];
    }
}

// A share of a range of grains for each thread of the grid.
extern "C" __global__ void __launch_bounds__(bulk_threads) bulk(const BulkWork work) {
    extern __shared__ std::uint32_t table_memory[];
    __shared__ Key key;
    const Call call = work.call;
    SharedTables tables{};
    if (takes_key(call.service)) {
        if (threadIdx.x < 32) {
            stage_key(key, work.key, threadIdx.x);
        }
        tables = fill_tables(table_memory);
    }
    Block start{};
    if (call.service == YOKE_SERVICE_AES_GCM) {
        start = {{work.start[0], work.start[1], work.start[2], work.start[3]}};
    }
    const Share share{work.first, work.last, blockIdx.x * blockDim.x + threadIdx.x, gridDim.x * blockDim.x};
    const Element hash = service::device::run_share(tables, key, call, share, start);
    if (call.service == YOKE_SERVICE_AES_GCM) {
        const Block part = service::device::block_of(sum_over_warp(hash));
        if (threadIdx.x % 32 < 4) {
            atomicXor(&work.hash[threadIdx.x % 32], part.w[threadIdx.x % 32]);
        }
    }
}

// GCM: what the tag must be, from the hash over everything, in place of the hash. One warp, of which one lane counts.
extern "C" __global__ void bulk_tag(const BulkWork work) {
    extern __shared__ std::uint32_t table_memory[];
    __shared__ Key key;
    stage_key(key, work.key, threadIdx.x);
    const SharedTables tables = fill_tables(table_memory);
    const Block hash{{work.hash[0], work.hash[1], work.hash[2], work.hash[3]}};
    const Block start{{work.start[0], work.start[1], work.start[2], work.start[3]}};
    const Block tag = service::device::gcm_tag(tables, key, start, service::device::element_of(hash));
    __syncwarp();
    if (threadIdx.x == 0) {
        for (unsigned i = 0; i < 4; ++i) {
            work.hash[i] = tag.w[i];
        }
    }
}

}  // namespace yoke::executive::cuda
