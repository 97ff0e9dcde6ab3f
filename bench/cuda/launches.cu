// What the resident kernel is compared with: the same 4 KiB call as a stream of copies and a launch, as a CUDA graph,
// and as a graph of one kernel that works on host memory. No handicaps: pinned memory, spinning waits, instantiated
// graphs, and for the last one also a wait on a word that the kernel writes, which needs no call into the driver.
#include <cstring>
#include <functional>
#include <vector>

#include "arena.hpp"
#include "line.cuh"
#include "measurements.hpp"

namespace measure {
namespace {

constexpr uint32_t kBytes = 4096;
constexpr uint32_t kThreads = kBytes / sizeof(uint4);

__global__ void copy_once(const uint4* in, uint4* out) {
    out[threadIdx.x] = in[threadIdx.x];
}

// @ticket counts the launches in device memory, since a graph's parameters are fixed.
__global__ void copy_and_tell(const uint4* in, uint4* out, uint32_t* ticket, uint32_t* done) {
    out[threadIdx.x] = in[threadIdx.x];
    __syncthreads();
    if (threadIdx.x != 0) return;
    const uint32_t number = *ticket + 1;
    *ticket = number;
    yoke_store_release32(done, number);
}

__global__ void nothing() {}

struct Bench {
    Arena arena{65536};
    cudaStream_t stream = nullptr;
    uint4* device_in = nullptr;
    uint4* device_out = nullptr;
    uint32_t* ticket = nullptr;
    std::vector<uint8_t> source = std::vector<uint8_t>(64 * kBytes + 64);
    uint64_t calls;

    explicit Bench(uint64_t rounds) : calls(rounds) {
        check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
        check(cudaMalloc(&device_in, kBytes));
        check(cudaMalloc(&device_out, kBytes));
        check(cudaMalloc(&ticket, sizeof(uint32_t)));
        check(cudaMemset(ticket, 0, sizeof(uint32_t)));
        check(cudaDeviceSynchronize());
        for (size_t k = 0; k < source.size(); k++) source[k] = static_cast<uint8_t>(pattern(k, 9, 0));
    }
    ~Bench() {
        check(cudaFree(device_in));
        check(cudaFree(device_out));
        check(cudaFree(ticket));
        check(cudaStreamDestroy(stream));
    }

    uint8_t* in() const { return arena.host<uint8_t>(16384); }
    uint8_t* out() const { return arena.host<uint8_t>(32768); }

    cudaGraphExec_t record(const std::function<void()>& work) {
        cudaGraph_t graph;
        cudaGraphExec_t exec;
        check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
        work();
        check(cudaStreamEndCapture(stream, &graph));
        check(cudaGraphInstantiate(&exec, graph, 0));
        check(cudaGraphDestroy(graph));
        check(cudaGraphUpload(exec, stream));
        check(cudaStreamSynchronize(stream));
        return exec;
    }

    Json time(const char* how, const std::function<void()>& call, bool copies = true) {
        Samples samples(calls);
        uint64_t wrong = 0;
        for (uint64_t k = 0; k < calls + 500; k++) {
            const uint8_t* fresh = &source[k % 64 * kBytes + k / 64 % 64];
            std::memcpy(in(), fresh, kBytes);
            const uint64_t begin = now_ns();
            call();
            if (k >= 500) samples.add(now_ns() - begin);
            wrong += copies && std::memcmp(out(), fresh, kBytes) != 0;
        }
        check(cudaStreamSynchronize(stream));
        Json json = {{"how", how}, {"wrong_answers", wrong}};
        json.update(samples.summary());
        return json;
    }

    void copies_and_kernel() {
        check(cudaMemcpyAsync(device_in, in(), kBytes, cudaMemcpyHostToDevice, stream));
        copy_once<<<1, kThreads, 0, stream>>>(device_in, device_out);
        check(cudaMemcpyAsync(out(), device_out, kBytes, cudaMemcpyDeviceToHost, stream));
    }
};

}  // namespace

Json measure_launches(double scale) {
    Bench b(static_cast<uint64_t>(20'000 * scale));
    const auto* in = b.arena.device<const uint4>(16384);
    auto* out = b.arena.device<uint4>(32768);
    auto wait = [&] { check(cudaStreamSynchronize(b.stream)); };
    Json json = Json::array();
    json.push_back(b.time(
        "empty kernel",
        [&] {
            nothing<<<1, 32, 0, b.stream>>>();
            wait();
        },
        false));
    json.push_back(b.time("stream: copy, kernel, copy", [&] {
        b.copies_and_kernel();
        wait();
    }));
    const cudaGraphExec_t copies = b.record([&] { b.copies_and_kernel(); });
    json.push_back(b.time("CUDA graph: copy, kernel, copy", [&] {
        check(cudaGraphLaunch(copies, b.stream));
        wait();
    }));
    const cudaGraphExec_t zero_copy = b.record([&] { copy_once<<<1, kThreads, 0, b.stream>>>(in, out); });
    json.push_back(b.time("CUDA graph: zero-copy kernel", [&] {
        check(cudaGraphLaunch(zero_copy, b.stream));
        wait();
    }));
    json.push_back(b.time("stream: zero-copy kernel", [&] {
        copy_once<<<1, kThreads, 0, b.stream>>>(in, out);
        wait();
    }));
    const cudaGraphExec_t telling =
        b.record([&] { copy_and_tell<<<1, kThreads, 0, b.stream>>>(in, out, b.ticket, b.arena.device<uint32_t>()); });
    uint32_t launched = 0;
    json.push_back(b.time("CUDA graph: zero-copy kernel, wait on its word", [&] {
        check(cudaGraphLaunch(telling, b.stream));
        launched++;
        const uint64_t give_up = now_ns() + 2'000'000'000u;
        while (yoke_load_acquire32(b.arena.host<uint32_t>()) != launched)
            if (now_ns() > give_up) die("a graph's kernel did not run within two seconds");
    }));
    for (const cudaGraphExec_t exec : {copies, zero_copy, telling}) check(cudaGraphExecDestroy(exec));
    return json;
}

}  // namespace measure
