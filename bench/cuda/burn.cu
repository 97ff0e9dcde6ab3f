// One dependent chain of multiply-adds per thread: 64 warps on an SM are enough to keep its arithmetic busy.
#include "burn.cuh"

namespace measure {
namespace {

constexpr int kQueued = 4;

__global__ void __launch_bounds__(kBurnThreads, kBurnBlocksPerSm) burn_rounds(uint32_t rounds, float* sink) {
    float a = static_cast<float>(threadIdx.x) * 1e-3f;
    const float b = 0.999f + static_cast<float>(blockIdx.x % 7) * 1e-5f;
    for (uint32_t r = 0; r < rounds; r++) {
#pragma unroll
        for (int k = 0; k < 16; k++) a = fmaf(a, b, 0.25f);
    }
    if (a == -1.0f) *sink = a;  // never: keeps the arithmetic
}

}  // namespace

Burn::Burn(const Shape& shape, uint32_t sms, uint64_t duration_ns, cudaStream_t stream)
    : blocks_(shape.blocks_per_sm * sms), rounds_(2000) {
    time_ns(stream, 20);
    const double short_ns = time_ns(stream, 20);
    rounds_ = 12000;
    const double long_ns = time_ns(stream, 20);
    const double per_round = (long_ns - short_ns) / 10000.0, fixed = short_ns - 2000.0 * per_round;
    const double wanted = (static_cast<double>(duration_ns) - fixed) / per_round;
    rounds_ = wanted > 1 ? static_cast<uint32_t>(wanted) : 1;
    measured_ns_ = static_cast<uint64_t>(time_ns(stream, duration_ns < 1'000'000 ? 100 : 10));
}

double Burn::time_ns(cudaStream_t stream, uint32_t repeats) const {
    check(cudaStreamSynchronize(stream));
    const uint64_t begin = now_ns();
    for (uint32_t k = 0; k < repeats; k++) launch(stream);
    check(cudaStreamSynchronize(stream));
    return static_cast<double>(now_ns() - begin) / repeats;
}

void Burn::launch(cudaStream_t stream) const {
    burn_rounds<<<blocks_, kBurnThreads, 0, stream>>>(rounds_, nullptr);
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
