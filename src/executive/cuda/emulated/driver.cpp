// A CUDA driver without a device: what the executive asks of libcuda, done by the host, with the executive's own
// kernels.
//
// MODEL. Memory of the device is memory of the host; what is queued in a stream is done at once; a kernel runs in the
// thread that launches it, but for the resident one, whose blocks are threads. So the keeper of the resident kernel,
// its table of keys and the bulk lane run as they are. What must not happen while a kernel is resident, since it would
// wait for ever on a device, ends the process here. What the executive does not ask for is refused.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/clock.hpp"

#pragma GCC visibility push(default)
#include "device/cuda/driver.hpp"
#pragma GCC visibility pop
#include "executive/cuda/emulated/kernels.hpp"

namespace yoke::executive::cuda::emulated {
namespace {

struct Kernel {
    const char* name;
};
Kernel kernels[] = {{"nsk"}, {"bulk"}, {"bulk_begin"}, {"bulk_tag"}, {"read_clock"}};

struct State {
    std::mutex mutex;
    std::map<std::byte*, std::size_t> memory;  // of the device, and pinned
    std::vector<std::thread> resident;
    CUstream resident_in = nullptr;
    Launch launch{};
    std::uintptr_t streams = 0;
    std::map<void*, std::size_t> pinned;
    std::size_t pinned_least = 0;                        // less is refused
    std::vector<std::unique_ptr<std::uint64_t>> events;  // when they were recorded
};

State& state() {
    static State* const instance = new State;  // threads may outlive what is destroyed at the end
    return *instance;
}

void must_be_alone(const char* what) {
    const std::lock_guard lock(state().mutex);
    if (!state().resident.empty()) {
        std::fprintf(stderr, "%s would wait for the resident kernel for ever\n", what);
        std::abort();
    }
}

void end_resident(CUstream stream) {
    std::vector<std::thread> ended;
    {
        const std::lock_guard lock(state().mutex);
        if (stream != state().resident_in) {
            return;
        }
        ended.swap(state().resident);
    }
    for (std::thread& block : ended) {
        block.join();
    }
}

std::byte* allocate(std::size_t bytes) {
    auto* const memory = static_cast<std::byte*>(std::aligned_alloc(256, (bytes + 255) / 256 * 256));
    const std::lock_guard lock(state().mutex);
    state().memory[memory] = bytes;
    return memory;
}

void release(std::byte* memory) {
    const std::lock_guard lock(state().mutex);
    state().memory.erase(memory);
    std::free(memory);
}

// As a device does it: the resident kernel may look on, names of keys change while it does.
void copy_words(std::byte* to, const std::byte* from, std::size_t bytes) {
    std::size_t at = 0;
    for (; at + 8 <= bytes && std::bit_cast<std::uintptr_t>(to) % 8 == 0; at += 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, from + at, sizeof word);
        __atomic_store_n(reinterpret_cast<std::uint64_t*>(to + at), word, __ATOMIC_RELEASE);
    }
    std::memcpy(to + at, from + at, bytes - at);
}

std::byte* place(CUdeviceptr at) {
    return std::bit_cast<std::byte*>(at);
}

}  // namespace
}  // namespace yoke::executive::cuda::emulated

using namespace yoke::executive::cuda;            // NOLINT(google-build-using-namespace)
using namespace yoke::executive::cuda::emulated;  // NOLINT(google-build-using-namespace)

#pragma GCC visibility push(default)

// For tests: whether memory that the driver gave holds these words. Kernels may run meanwhile.
extern "C" bool yoke_emulated_memory_holds(const std::uint32_t* words, std::size_t count);
bool yoke_emulated_memory_holds(const std::uint32_t* words, std::size_t count) {
    constexpr std::size_t bytes_max = 8U << 20;  // of the table of keys; buffers of the bulk lane are larger
    const std::lock_guard lock(state().mutex);
    for (const auto& [memory, size] : state().memory) {
        const auto* const from = reinterpret_cast<const std::uint32_t*>(memory);
        for (std::size_t at = 0; size < bytes_max && at + count <= size / sizeof *from; ++at) {
            std::size_t same = 0;
            while (same < count && __atomic_load_n(&from[at + same], __ATOMIC_ACQUIRE) == words[same]) {
                ++same;
            }
            if (same == count) {
                return true;
            }
        }
    }
    return false;
}

// For tests: how much is pinned, and that less than so many bytes cannot be from now on.
extern "C" std::size_t yoke_emulated_pinned(std::size_t least);
std::size_t yoke_emulated_pinned(std::size_t least) {
    const std::lock_guard lock(state().mutex);
    state().pinned_least = least;
    return state().pinned.size();
}

CUresult cuInit(unsigned) {
    return CUDA_SUCCESS;
}
CUresult cuDeviceGetCount(int* count) {
    *count = 1;
    return CUDA_SUCCESS;
}
CUresult cuDeviceGet(CUdevice* device, int) {
    *device = 0;
    return CUDA_SUCCESS;
}
CUresult cuDeviceGetName(char* name, int length, CUdevice) {
    std::snprintf(name, static_cast<std::size_t>(length), "emulated");
    return CUDA_SUCCESS;
}
CUresult cuDeviceGetAttribute(int* value, CUdevice_attribute attribute, CUdevice) {
    // A cycle is a nanosecond (instructions.hpp).
    *value = attribute == CU_DEVICE_ATTRIBUTE_CLOCK_RATE                 ? 1'000'000
             : attribute == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR ? 9
             : attribute == CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT     ? 2
                                                                         : 0;
    return CUDA_SUCCESS;
}
CUresult cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice) {
    *context = nullptr;
    return CUDA_SUCCESS;
}
CUresult cuDriverGetVersion(int* version) {
    *version = CUDA_VERSION;
    return CUDA_SUCCESS;
}
CUresult cuGetErrorString(CUresult, const char** text) {
    *text = "refused by the emulated driver";
    return CUDA_SUCCESS;
}
CUresult cuCtxSetCurrent(CUcontext) {
    return CUDA_SUCCESS;
}
CUresult cuCtxGetStreamPriorityRange(int* least, int* greatest) {
    *least = 0;
    *greatest = -5;
    return CUDA_SUCCESS;
}
CUresult cuStreamCreateWithPriority(CUstream* stream, unsigned, int) {
    const std::lock_guard lock(state().mutex);
    *stream = std::bit_cast<CUstream>(++state().streams);
    return CUDA_SUCCESS;
}
CUresult cuStreamSynchronize(CUstream stream) {
    end_resident(stream);
    return CUDA_SUCCESS;
}
CUresult cuStreamQuery(CUstream) {
    return CUDA_SUCCESS;
}
CUresult cuStreamWriteValue32(CUstream, CUdeviceptr to, cuuint32_t value, unsigned) {
    __atomic_store_n(std::bit_cast<std::uint32_t*>(to), value, __ATOMIC_RELEASE);
    return CUDA_SUCCESS;
}
CUresult cuStreamWriteValue64(CUstream, CUdeviceptr to, cuuint64_t value, unsigned) {
    __atomic_store_n(std::bit_cast<std::uint64_t*>(to), value, __ATOMIC_RELEASE);
    return CUDA_SUCCESS;
}
CUresult cuStreamWaitEvent(CUstream, CUevent, unsigned) {
    return CUDA_SUCCESS;
}
CUresult cuEventCreate(CUevent* event, unsigned) {
    const std::lock_guard lock(state().mutex);
    state().events.push_back(std::make_unique<std::uint64_t>(0));
    *event = std::bit_cast<CUevent>(state().events.back().get());
    return CUDA_SUCCESS;
}
CUresult cuEventRecord(CUevent event, CUstream) {
    *std::bit_cast<std::uint64_t*>(event) = yoke::now_ns();
    return CUDA_SUCCESS;
}
CUresult cuEventSynchronize(CUevent) {
    return CUDA_SUCCESS;
}
CUresult cuEventElapsedTime(float* milliseconds, CUevent from, CUevent to) {
    *milliseconds =
        static_cast<float>(*std::bit_cast<std::uint64_t*>(to) - *std::bit_cast<std::uint64_t*>(from)) / 1e6F;
    return CUDA_SUCCESS;
}
CUresult cuMemAlloc(CUdeviceptr* memory, std::size_t bytes) {
    *memory = std::bit_cast<CUdeviceptr>(allocate(bytes));
    return CUDA_SUCCESS;
}
CUresult cuMemFree(CUdeviceptr memory) {
    must_be_alone("freeing memory");
    release(place(memory));
    return CUDA_SUCCESS;
}
CUresult cuMemHostAlloc(void** memory, std::size_t bytes, unsigned) {
    *memory = allocate(bytes);
    return CUDA_SUCCESS;
}
CUresult cuMemFreeHost(void* memory) {
    must_be_alone("freeing pinned memory");
    release(static_cast<std::byte*>(memory));
    return CUDA_SUCCESS;
}
CUresult cuMemHostRegister(void* memory, std::size_t bytes, unsigned) {
    const std::lock_guard lock(state().mutex);
    if (bytes < state().pinned_least) {
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    return state().pinned.emplace(memory, bytes).second ? CUDA_SUCCESS : CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
}
CUresult cuMemHostUnregister(void* memory) {
    must_be_alone("unpinning memory");
    const std::lock_guard lock(state().mutex);
    return state().pinned.erase(memory) == 1 ? CUDA_SUCCESS : CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
}
CUresult cuMemHostGetDevicePointer(CUdeviceptr* at, void* memory, unsigned) {
    *at = std::bit_cast<CUdeviceptr>(memory);
    return CUDA_SUCCESS;
}
CUresult cuMemcpyHtoDAsync(CUdeviceptr to, const void* from, std::size_t bytes, CUstream) {
    copy_words(place(to), static_cast<const std::byte*>(from), bytes);
    return CUDA_SUCCESS;
}
CUresult cuMemcpyDtoHAsync(void* to, CUdeviceptr from, std::size_t bytes, CUstream) {
    std::memcpy(to, place(from), bytes);
    return CUDA_SUCCESS;
}
CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char value, std::size_t bytes, CUstream) {
    const std::vector<std::byte> content(bytes, std::byte{value});
    copy_words(place(to), content.data(), bytes);
    return CUDA_SUCCESS;
}
CUresult cuMemsetD32Async(CUdeviceptr to, unsigned value, std::size_t count, CUstream) {
    for (std::size_t i = 0; i < count; ++i) {
        __atomic_store_n(std::bit_cast<std::uint32_t*>(to) + i, value, __ATOMIC_RELEASE);
    }
    return CUDA_SUCCESS;
}
CUresult cuLibraryLoadData(CUlibrary* library, const void*, CUjit_option*, void**, unsigned, CUlibraryOption*, void**,
                           unsigned) {
    must_be_alone("loading code");
    *library = nullptr;
    return CUDA_SUCCESS;
}
CUresult cuLibraryGetKernel(CUkernel* kernel, CUlibrary, const char* name) {
    for (Kernel& each : kernels) {
        if (std::strcmp(each.name, name) == 0) {
            *kernel = std::bit_cast<CUkernel>(&each);
            return CUDA_SUCCESS;
        }
    }
    return CUDA_ERROR_NOT_FOUND;
}
CUresult cuKernelSetAttribute(CUfunction_attribute, int, CUkernel, CUdevice) {
    return CUDA_SUCCESS;
}
CUresult cuLaunchKernel(CUfunction function, unsigned blocks, unsigned, unsigned, unsigned threads, unsigned, unsigned,
                        unsigned, CUstream stream, void** arguments, void**) {
    const char* const name = std::bit_cast<const Kernel*>(function)->name;
    if (std::strcmp(name, "nsk") != 0) {
        run_kernel(name, blocks, threads, arguments[0]);
        return CUDA_SUCCESS;
    }
    must_be_alone("another launch");
    const std::lock_guard lock(state().mutex);
    state().resident_in = stream;
    state().launch = *static_cast<const Launch*>(arguments[0]);
    for (unsigned i = 0; i < blocks; ++i) {
        state().resident.emplace_back(
            [i, blocks, threads] { run_nsk(state().launch, i, blocks, threads / (warps_per_team * 32)); });
    }
    return CUDA_SUCCESS;
}

// Refused, whatever the arguments.
extern "C" CUresult yoke_emulated_refuses() {
    return CUDA_ERROR_NOT_SUPPORTED;
}
#define YOKE_TEXT(name) #name
#define YOKE_REFUSED(name) asm(".globl " YOKE_TEXT(name) "\n.set " YOKE_TEXT(name) ", yoke_emulated_refuses\n");
// clang-format off
#define YOKE_REFUSED_FUNCTIONS(X) \
    X(cuDevResourceGenerateDesc) X(cuDevSmResourceSplitByCount) X(cuDeviceGetDevResource) \
    X(cuEventDestroy) X(cuEventQuery) X(cuFuncLoad) X(cuGreenCtxCreate) X(cuGreenCtxStreamCreate) \
    X(cuKernelGetAttribute) X(cuKernelGetFunction) X(cuKernelGetParamInfo) X(cuLaunchHostFunc) X(cuLibraryUnload) \
    X(cuLinkAddData) X(cuLinkComplete) X(cuLinkCreate) X(cuLinkDestroy) X(cuMemGetInfo) X(cuMemcpyDtoDAsync) \
    X(cuGraphAddKernelNode) X(cuGraphCreate) X(cuGraphDestroy) X(cuGraphExecDestroy) X(cuGraphExecKernelNodeSetParams) \
    X(cuGraphInstantiateWithFlags) X(cuGraphLaunch) X(cuGraphUpload) X(cuStreamBeginCapture) X(cuStreamEndCapture) \
    X(cuStreamCreate) X(cuStreamDestroy)
// clang-format on
YOKE_REFUSED_FUNCTIONS(YOKE_REFUSED)

#pragma GCC visibility pop
