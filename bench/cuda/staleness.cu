// A kernel that never ends reads new data at an old address: does it see the new data? An SM's L1 cache is not
// coherent, and nothing but an acquire empties it. Rounds rewrite 4 KiB in place, in host memory by the CPU or in
// device memory by a copy engine or by another kernel, then make a call that names the version; the kernel counts words
// of any other version. The variants leave out the acquire or read through the non-coherent path; some of them must
// fail, or the check is blind.
#include <vector>

#include "mailbox.cuh"
#include "measurements.hpp"

namespace measure {
namespace {

constexpr uint32_t kWords = 1024;
constexpr uint32_t kVectors = kWords / 4;
constexpr uint64_t kLimitNs = 60'000'000'000u;

enum class Load { plain, non_coherent, strong };  // strong: relaxed at system scope, which passes by the L1 cache
enum class Acquire { none, fence, fence_device, halves, quarters };  // the last two: acquiring loads of the entry
enum class Reader { same_warp, other_warp, other_block };
enum class Writer { cpu, copy_engine, kernel };

__host__ __device__ inline uint32_t data_word(uint32_t version, uint32_t index) {
    return version * 2654435761u + index;
}

template <Load kLoad>
__device__ uint32_t count_stale(const uint4* data, uint32_t version) {
    uint32_t stale = 0;
    for (uint32_t k = threadIdx.x % 32; k < kVectors; k += 32) {
        uint4 v;
        if constexpr (kLoad == Load::plain)
            asm volatile("ld.global.v4.u32 {%0, %1, %2, %3}, [%4];"
                         : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                         : "l"(&data[k]));
        else if constexpr (kLoad == Load::strong)
            asm volatile("ld.relaxed.sys.global.v4.u32 {%0, %1, %2, %3}, [%4];"
                         : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                         : "l"(&data[k]));
        else
            asm volatile("ld.global.nc.v4.u32 {%0, %1, %2, %3}, [%4];"
                         : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                         : "l"(&data[k]));
        stale += (v.x != data_word(version, 4 * k)) + (v.y != data_word(version, 4 * k + 1)) +
                 (v.z != data_word(version, 4 * k + 2)) + (v.w != data_word(version, 4 * k + 3));
    }
    return __reduce_add_sync(kWarp, stale);
}

// The first words of an entry read with acquiring loads by lane 0 alone, as a CPU would.
__device__ bool take_acquiring(const RingView& ring, uint64_t position, const Bound& bound, uint32_t* word) {
    const unsigned lane = threadIdx.x % 32;
    for (uint32_t polls = 1;; polls++) {
        Words words;
        int got = 0;
        if (lane == 0)
            got = yoke_line_read(&ring.submission[position % kSlots], words.word, yoke_lap_tag(position, kSlotsLog2));
        if (__shfl_sync(kWarp, got, 0)) {
            for (int k = 0; k < 2; k++) word[k] = __shfl_sync(kWarp, words.word[k], 0);
            return true;
        }
        if (polls % 256 == 0 && bound.passed()) return false;
    }
}

template <Acquire kAcquire>
__device__ bool take_call(const RingView& ring, uint64_t position, const Bound& bound, uint32_t* word) {
    if constexpr (kAcquire == Acquire::halves) return take_acquiring(ring, position, bound, word);
    Quarter entry;
    if (!take<kAcquire == Acquire::quarters>(ring, position, threadIdx.x % 32, bound, entry)) return false;
    word[0] = line_word(entry, 0);
    word[1] = line_word(entry, 1);
    if constexpr (kAcquire == Acquire::fence) fence_system();
    if constexpr (kAcquire == Acquire::fence_device) fence_device();
    __syncwarp();
    return true;
}

__device__ uint32_t load_acquire_device(const uint32_t* from) {
    uint32_t value;
    asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(value) : "l"(from) : "memory");
    return value;
}

__device__ void store_release_device(uint32_t* to, uint32_t value) {
    asm volatile("st.release.gpu.global.u32 [%0], %1;" ::"l"(to), "r"(value) : "memory");
}

// The executor is the polling warp, warp 1 of its block, or block 1. Block 1 waits on @handover in device memory: the
// number of calls so far, and 0xffffffff at the end.
template <Load kLoad, Acquire kAcquire, Reader kReader>
__global__ void serve_reread(RingView ring, const uint4* data, uint32_t* handover, uint32_t* handover_version) {
    __shared__ uint32_t word[2];
    const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const Bound bound(kLimitNs);
    for (uint64_t position = ring.position, calls = 1;; position++, calls++) {
        uint32_t what[2] = {kPark, 0};
        if (kReader == Reader::other_block && blockIdx.x == 1) {
            uint32_t number = 0;
            for (uint32_t polls = 1; number < calls; polls++) {
                number = __shfl_sync(kWarp, load_acquire_device(handover), 0);
                if (polls % 256 == 0 && bound.passed()) return;
            }
            if (number == 0xffffffffu) return;
            const uint32_t stale = count_stale<kLoad>(data, *static_cast<volatile uint32_t*>(handover_version));
            complete(ring, position, lane, stale);
            continue;
        }
        if (warp == 0) {
            if (!take_call<kAcquire>(ring, position, bound, what)) what[0] = kPark;
            if (lane == 0) word[0] = what[0], word[1] = what[1];
        }
        if constexpr (kReader == Reader::other_warp) {
            __syncthreads();
            what[0] = word[0], what[1] = word[1];
            __syncthreads();
        }
        if (what[0] != kCall) {
            if (kReader == Reader::other_block && lane == 0) store_release_device(handover, 0xffffffffu);
            if (warp == 0) complete(ring, position, lane);
            return;
        }
        if constexpr (kReader == Reader::other_block) {
            if (lane == 0) {
                *static_cast<volatile uint32_t*>(handover_version) = what[1];
                store_release_device(handover, static_cast<uint32_t>(calls));
            }
            __syncwarp();
        } else if (warp == (kReader == Reader::same_warp ? 0 : 1)) {
            complete(ring, position, lane, count_stale<kLoad>(data, what[1]));
        }
    }
}

__global__ void rewrite(uint32_t* data, uint32_t version) {
    for (uint32_t k = threadIdx.x; k < kWords; k += blockDim.x) data[k] = data_word(version, k);
}

struct Bench {
    Arena arena{65536};
    Mailbox mailbox{arena};
    cudaStream_t side = nullptr, own = nullptr;
    uint32_t* device_data = nullptr;
    uint32_t* handover = nullptr;
    Json json = Json::array();
    double scale;

    explicit Bench(double factor) : scale(factor) {
        check(cudaStreamCreateWithFlags(&side, cudaStreamNonBlocking));
        check(cudaStreamCreateWithFlags(&own, cudaStreamNonBlocking));
        check(cudaMalloc(&device_data, kWords * sizeof(uint32_t)));
        check(cudaMalloc(&handover, 256));
        rewrite<<<1, 256, 0, side>>>(device_data, 0);  // loads the module before anything stays resident
        check(cudaStreamSynchronize(side));
    }
    ~Bench() {
        check(cudaFree(device_data));
        check(cudaFree(handover));
        check(cudaStreamDestroy(side));
        check(cudaStreamDestroy(own));
    }

    void write(Writer writer, uint32_t version) {
        if (writer == Writer::kernel) {
            rewrite<<<1, 256, 0, side>>>(device_data, version);
            check(cudaStreamSynchronize(side));
            return;
        }
        auto* data = arena.host<uint32_t>(32768);
        for (uint32_t k = 0; k < kWords; k++) data[k] = data_word(version, k);
        if (writer == Writer::cpu) return;
        check(cudaMemcpyAsync(device_data, data, kWords * sizeof(uint32_t), cudaMemcpyHostToDevice, side));
        check(cudaStreamSynchronize(side));
    }

    template <Load kLoad, Acquire kAcquire, Reader kReader>
    void run(Writer writer, double rounds) {
        static const char* const loads[] = {"ld", "ld.nc (__ldg)", "ld.relaxed.sys"};
        static const char* const acquires[] = {"none", "fence of system scope", "fence of device scope",
                                               "acquiring 8-byte loads of the entry",
                                               "acquiring 16-byte loads of the entry"};
        static const char* const readers[] = {"polling warp", "other warp", "other block"};
        static const char* const writers[] = {"CPU, host memory", "copy engine, device memory",
                                              "kernel, device memory"};
        const auto count = static_cast<uint64_t>(rounds * scale);
        const auto* data =
            writer == Writer::cpu ? arena.device<const uint4>(32768) : reinterpret_cast<const uint4*>(device_data);
        check(cudaMemsetAsync(handover, 0, 256, own));
        check(cudaStreamSynchronize(own));
        serve_reread<kLoad, kAcquire, kReader>
            <<<kReader == Reader::other_block ? 2 : 1, kReader == Reader::other_warp ? 64 : 32, 0, own>>>(
                mailbox.view(), data, handover, handover + 32);
        check(cudaGetLastError());
        Samples samples(count);
        uint64_t stale_words = 0, stale_rounds = 0;
        for (uint64_t k = 0; k < count; k++) {
            const auto version = static_cast<uint32_t>(k + 1);
            write(writer, version);
            Words out;
            samples.add(mailbox.call({{kCall, version}}, out));
            stale_words += out.word[0];
            stale_rounds += out.word[0] != 0;
        }
        mailbox.park();
        check(cudaStreamSynchronize(own));
        Json row = {{"written_by", writers[static_cast<int>(writer)]},
                    {"load", loads[static_cast<int>(kLoad)]},
                    {"acquire", acquires[static_cast<int>(kAcquire)]},
                    {"read_by", readers[static_cast<int>(kReader)]},
                    {"rounds", count},
                    {"stale_rounds", stale_rounds},
                    {"stale_words", stale_words},
                    {"call", samples.summary()}};
        json.push_back(row);
    }

    void run_all(Writer writer, double many, double few) {
        run<Load::plain, Acquire::fence, Reader::same_warp>(writer, many);
        run<Load::plain, Acquire::quarters, Reader::same_warp>(writer, many);
        run<Load::plain, Acquire::none, Reader::same_warp>(writer, few);
        run<Load::non_coherent, Acquire::none, Reader::same_warp>(writer, few);
        run<Load::strong, Acquire::none, Reader::same_warp>(writer, few);
        run<Load::plain, Acquire::fence_device, Reader::same_warp>(writer, few);
        run<Load::plain, Acquire::halves, Reader::same_warp>(writer, few);
        run<Load::non_coherent, Acquire::fence, Reader::same_warp>(writer, few);
        run<Load::plain, Acquire::none, Reader::other_warp>(writer, few);
        run<Load::plain, Acquire::quarters, Reader::other_warp>(writer, few);
        run<Load::plain, Acquire::quarters, Reader::other_block>(writer, few);
        run<Load::plain, Acquire::none, Reader::other_block>(writer, few);
    }
};

}  // namespace

Json measure_staleness(double scale) {
    Bench bench(scale);
    bench.run_all(Writer::cpu, 1e6, 2e5);
    bench.run_all(Writer::copy_engine, 1e6, 1e5);
    bench.run_all(Writer::kernel, 2e5, 5e4);
    return bench.json;
}

}  // namespace measure
