// A resident kernel of 512, 1024 and 2048 threads against launches of as many: the table of the KGPU paper ("Augmenting
// Operating Systems With the GPU", response times of the non-stop kernel). Every thread adds to a word of its own. The
// resident kernel's blocks wait for the first one, which polls host memory, and answer when all have ended; the launch
// is waited for in two ways, by the driver and by a word that its last block writes.
#include "arena.hpp"
#include "line.cuh"
#include "measurements.hpp"

namespace measure {
namespace {

constexpr uint32_t kBlock = 512;  // threads, as in the paper
constexpr uint32_t kStop = ~0u;

__device__ void arrive(uint32_t* arrived, uint32_t target) {
    __syncthreads();
    if (threadIdx.x == 0) {
        __threadfence();
        atomicAdd(arrived, 1);
        if (blockIdx.x == 0)
            while (yoke_load_acquire32(arrived) != target) {
            }
    }
    __syncthreads();
}

// @words: request and answer in host memory; @shared: what the first block has seen, and how many have arrived.
__global__ void stay(uint32_t* request, uint32_t* answer, uint32_t* shared, uint32_t* counters) {
    __shared__ uint32_t number;
    for (uint32_t turn = 1;; turn++) {
        if (threadIdx.x == 0) {
            if (blockIdx.x == 0) {
                do {
                    number = yoke_load_acquire32(request);
                } while (number != turn && number != kStop);
                yoke_store_release32(&shared[0], number);
            } else {
                do {
                    number = yoke_load_acquire32(&shared[0]);
                } while (number != turn && number != kStop);
            }
        }
        __syncthreads();
        if (number == kStop) return;
        counters[blockIdx.x * kBlock + threadIdx.x] += 1;
        arrive(&shared[1], turn * gridDim.x);
        if (blockIdx.x == 0 && threadIdx.x == 0) yoke_store_release32(answer, turn);
    }
}

__global__ void once(uint32_t* answer, uint32_t* shared, uint32_t* counters, uint32_t turn) {
    counters[blockIdx.x * kBlock + threadIdx.x] += 1;
    __syncthreads();
    if (threadIdx.x == 0) {
        __threadfence();
        if (atomicAdd(&shared[1], 1) + 1 == turn * gridDim.x) yoke_store_release32(answer, turn);
    }
}

void await(uint32_t* word, uint32_t value) {
    const uint64_t give_up = now_ns() + 2'000'000'000u;
    while (yoke_load_acquire32(word) != value)
        if (now_ns() > give_up) die("a kernel did not answer within two seconds");
}

struct Memory {
    Arena arena{8192};
    uint32_t* shared = nullptr;
    uint32_t* counters = nullptr;
    cudaStream_t stream = nullptr;

    Memory() {
        check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
        check(cudaMalloc(&shared, 4096));
        check(cudaMalloc(&counters, 65536));
        clear();
    }
    ~Memory() {
        check(cudaFree(shared));
        check(cudaFree(counters));
        check(cudaStreamDestroy(stream));
    }
    void clear() {
        check(cudaMemset(shared, 0, 4096));
        check(cudaMemset(counters, 0, 65536));
        check(cudaDeviceSynchronize());
        *request() = *answer() = 0;
    }
    void expect(uint32_t threads, uint32_t value) {
        std::vector<uint32_t> seen(threads);
        check(cudaMemcpy(seen.data(), counters, threads * sizeof(uint32_t), cudaMemcpyDeviceToHost));
        for (const uint32_t count : seen)
            if (count != value) die("a thread did not take part in every call");
    }
    uint32_t* request() { return arena.host<uint32_t>(); }
    uint32_t* answer() { return arena.host<uint32_t>(4096); }
};

}  // namespace

Json measure_threads(double scale) {
    Json json = Json::array();
    const auto calls = static_cast<uint32_t>(20'000 * scale);
    for (const uint32_t threads : {512u, 1024u, 2048u}) {
        Json row;
        row["threads"] = threads;
        const uint32_t blocks = threads / kBlock;
        {
            Memory m;
            stay<<<blocks, kBlock, 0, m.stream>>>(m.arena.device<uint32_t>(), m.arena.device<uint32_t>(4096), m.shared,
                                                  m.counters);
            check(cudaGetLastError());
            Samples samples(calls);
            for (uint32_t turn = 1; turn <= calls; turn++) {
                const uint64_t begin = now_ns();
                yoke_store_release32(m.request(), turn);
                await(m.answer(), turn);
                samples.add(now_ns() - begin);
            }
            yoke_store_release32(m.request(), kStop);
            check(cudaStreamSynchronize(m.stream));
            m.expect(threads, calls);
            row["resident"] = samples.summary();
        }
        for (const bool word : {false, true}) {
            Memory m;
            Samples samples(calls);
            for (uint32_t turn = 1; turn <= calls; turn++) {
                const uint64_t begin = now_ns();
                once<<<blocks, kBlock, 0, m.stream>>>(m.arena.device<uint32_t>(4096), m.shared, m.counters, turn);
                if (word)
                    await(m.answer(), turn);
                else
                    check(cudaStreamSynchronize(m.stream));
                samples.add(now_ns() - begin);
            }
            check(cudaStreamSynchronize(m.stream));
            m.expect(threads, calls);
            row[word ? "launch, wait on its word" : "launch, wait by the driver"] = samples.summary();
        }
        json.push_back(row);
    }
    return json;
}

}  // namespace measure
