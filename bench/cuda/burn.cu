// Every kind runs 256 threads a block and at most 32 registers a thread, so that eight blocks fill an SM.
#include "burn.cuh"

namespace measure {
namespace {

constexpr int kQueued = 4;

// One chain of multiply-adds per thread: 64 warps on an SM keep its arithmetic busy.
__global__ void __launch_bounds__(kBurnThreads, kBurnBlocksPerSm) burn_arithmetic(uint32_t rounds, float* sink) {
    float a = static_cast<float>(threadIdx.x) * 1e-3f;
    const float b = 0.999f + static_cast<float>(blockIdx.x % 7) * 1e-5f;
    for (uint32_t r = 0; r < rounds; r++) {
#pragma unroll
        for (int k = 0; k < 16; k++) a = fmaf(a, b, 0.25f);
    }
    if (a == -1.0f) *sink = a;  // never: keeps the arithmetic
}

// All blocks together stream through the ground.
__global__ void __launch_bounds__(kBurnThreads, kBurnBlocksPerSm)
    burn_bandwidth(uint32_t rounds, const uint4* data, uint32_t* sink) {
    uint32_t index = (blockIdx.x * kBurnThreads + threadIdx.x) % Ground::kVectors, sum = 0;
    for (uint32_t r = 0; r < rounds; r++) {
        const uint4 v = data[index];
        sum += v.x ^ v.y ^ v.z ^ v.w;
        index = (index + gridDim.x * kBurnThreads) % Ground::kVectors;
    }
    if (sum != 0) *sink = sum;  // never: the ground is zero
}

// A warp follows one chain of loads that miss the L1 cache.
__global__ void __launch_bounds__(kBurnThreads, kBurnBlocksPerSm)
    burn_latency(uint32_t rounds, const uint4* data, uint32_t* sink) {
    uint32_t index = (blockIdx.x * kBurnThreads + threadIdx.x) / 32 * 2654435761u;
    for (uint32_t r = 0; r < rounds; r++)
        index = index * 1664525u + 1013904223u + data[(index >> 8) % Ground::kVectors].x;
    if (index == 1 && rounds == 0) *sink = index;  // never: keeps the loads
}

}  // namespace

const char* name_of(Kind kind) {
    static const char* const names[] = {"arithmetic", "bandwidth", "latency"};
    return names[static_cast<int>(kind)];
}

Ground::Ground() {
    check(cudaMalloc(&data_, kVectors * sizeof(uint4)));
    check(cudaMemset(data_, 0, kVectors * sizeof(uint4)));
    check(cudaDeviceSynchronize());
}

Ground::~Ground() {
    check(cudaFree(data_));
}

Burn::Burn(const Ground& ground, Kind kind, const Shape& shape, uint32_t sms, uint64_t duration_ns, cudaStream_t stream)
    : data_(ground.data()), kind_(kind), blocks_(shape.blocks_per_sm * sms), rounds_(100) {
    const double wanted_ns = static_cast<double>(duration_ns);
    const uint32_t repeats = duration_ns < 1'000'000 ? 50 : 4;
    for (int step = 0; step < 6; step++) {
        const double factor = std::clamp(wanted_ns / time_ns(stream, repeats), 0.1, 10.0);
        rounds_ = std::max(1u, static_cast<uint32_t>(rounds_ * factor));
    }
    measured_ns_ = static_cast<uint64_t>(time_ns(stream, repeats));
}

double Burn::time_ns(cudaStream_t stream, uint32_t repeats) const {
    check(cudaStreamSynchronize(stream));
    const uint64_t begin = now_ns();
    for (uint32_t k = 0; k < repeats; k++) launch(stream);
    check(cudaStreamSynchronize(stream));
    return static_cast<double>(now_ns() - begin) / repeats;
}

void Burn::launch(cudaStream_t stream) const {
    switch (kind_) {
        case Kind::arithmetic:
            burn_arithmetic<<<blocks_, kBurnThreads, 0, stream>>>(rounds_, nullptr);
            break;
        case Kind::bandwidth:
            burn_bandwidth<<<blocks_, kBurnThreads, 0, stream>>>(rounds_, data_, nullptr);
            break;
        case Kind::latency:
            burn_latency<<<blocks_, kBurnThreads, 0, stream>>>(rounds_, data_, nullptr);
            break;
    }
    check(cudaGetLastError());
}

Burn Burn::with_blocks(uint32_t blocks) const {
    Burn other = *this;
    other.blocks_ = blocks;
    return other;
}

Feeder::Feeder(const Burn& burn, cudaStream_t stream) : burn_(burn), stream_(stream), thread_([this] { run(); }) {}

Feeder::~Feeder() {
    stop_ = true;
    thread_.join();
}

void Feeder::run() {
    cudaEvent_t done[kQueued];
    for (cudaEvent_t& event : done)
        check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming | cudaEventBlockingSync));
    for (int turn = 0; !stop_; turn = (turn + 1) % kQueued) {
        check(cudaEventSynchronize(done[turn]));
        burn_.launch(stream_);
        check(cudaEventRecord(done[turn], stream_));
    }
    check(cudaStreamSynchronize(stream_));
    for (cudaEvent_t event : done) check(cudaEventDestroy(event));
}

}  // namespace measure
