// The non-stop kernel and the bulk kernels; see protocol.hpp, team.cuh and kernels.hpp.
#include "executive/cuda/leader.cuh"

namespace yoke::executive::cuda {

extern "C" __global__ void __launch_bounds__(nsk_threads, 1) nsk(const __grid_constant__ Launch launch) {
    fill_tables();
    const unsigned lane = threadIdx.x % 32;
    const unsigned warp = threadIdx.x / 32 % warps_per_team;
    const unsigned here = threadIdx.x / (32 * warps_per_team);
    const unsigned number = blockIdx.x * teams_per_block + here;
    TeamState& team = states[here];
    if (warp != 0) {
        for (;;) {
            team_barrier(here);
            if (!follow(here, warp, launch.keys)) {
                return;
            }
        }
    }
    if (lane == 0) {
        team.leaving = 0;
        team.early_blocks = 0;
        team.ns_per_cycle = launch.ns_per_cycle;
        store_release32(&launch.progress[number].begun, launch.number);
    }
    __syncwarp();
    Leader leader{launch, number, here, lane};
    leader.lead();
    if (lane == 0) {
        team.leaving = 1;
        store_release32(&launch.progress[number].parked, launch.number);
    }
    __syncwarp();
    team_barrier(here);
}

// The device's clock, for the host to compare with its own.
extern "C" __global__ void read_clock(std::uint64_t* to) {
    store_relaxed64(to, device_ns());
}

// GCM: the first counter block, and the part of the hash that is not ciphertext. One warp.
extern "C" __global__ void bulk_begin(const BulkWork work) {
    __shared__ Key key;
    stage_key(key, load_key(work.key, work.call, threadIdx.x), work.call, threadIdx.x);
    const Block start = service::device::gcm_start(key, work.call);
    const Element hash = sum_over_warp(service::device::hash_aad(key, work.call, threadIdx.x, 32));
    if (threadIdx.x < 4) {
        work.start[threadIdx.x] = start.w[threadIdx.x];
        work.hash[threadIdx.x] = service::device::block_of(hash).w[threadIdx.x];
    }
}

// A share of a range of grains for each thread of the grid.
extern "C" __global__ void __launch_bounds__(bulk_threads, bulk_blocks_resident) bulk(const BulkWork work) {
    __shared__ Key key;
    const Call call = work.call;
    const SharedTables tables(threadIdx.x % 32);
    if (takes_key(call.service)) {
        if (threadIdx.x < 32) {
            stage_key(key, load_key(work.key, call, threadIdx.x), call, threadIdx.x);
        }
        fill_tables();
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
    __shared__ Key key;
    stage_key(key, load_key(work.key, work.call, threadIdx.x), work.call, threadIdx.x);
    const SharedTables tables = fill_tables();
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
