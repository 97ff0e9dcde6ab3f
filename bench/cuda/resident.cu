// The blocks besides the first end with it: it writes the number of its turn to a word in device memory that they poll.
#include "resident.cuh"

namespace measure {
namespace {

__global__ void serve_null(RingView ring, uint32_t* parked, uint32_t turn, uint64_t limit_ns) {
    const unsigned lane = threadIdx.x % 32;
    const Bound bound(limit_ns);
    if (blockIdx.x == 0 && threadIdx.x < 32) {
        for (uint64_t position = ring.position;; position++) {
            Quarter entry = {0, 0};
            const bool taken = take(ring, position, lane, bound, entry);
            const bool last = !taken || line_word(entry, 0) != kCall;
            if (last && lane == 0) yoke_store_release32(parked, turn);
            if (taken) complete(ring, position, lane);
            if (last) return;
        }
    }
    if (blockIdx.x > 0 && threadIdx.x == 0)
        while (yoke_load_acquire32(parked) != turn && !bound.passed(1u)) __nanosleep(500);
    if (blockIdx.x > 0) __syncthreads();
}

}  // namespace

Resident::Resident(cudaStream_t stream, uint32_t blocks, uint32_t threads, uint64_t limit_ns)
    : stream_(stream), blocks_(blocks), threads_(threads), limit_ns_(limit_ns) {
    check(cudaMalloc(&parked_, sizeof(uint32_t)));
    check(cudaMemset(parked_, 0, sizeof(uint32_t)));
    check(cudaDeviceSynchronize());
}

Resident::~Resident() {
    check(cudaFree(parked_));
}

void Resident::launch() {
    serve_null<<<blocks_, threads_, 0, stream_>>>(mailbox_.view(), parked_, ++turn_, limit_ns_);
    check(cudaGetLastError());
}

void Resident::park() {
    mailbox_.park();
    check(cudaStreamSynchronize(stream_));
}

}  // namespace measure
