// Copies out, the call, copies back; see cuda_host_kernel.hpp. What a call needs is allocated for it and freed by it.
#include "device/cuda/cuda_host_kernel.hpp"

#include <memory>

#include "device/cuda/cuda_buffer.hpp"
#include "device/cuda/quiet.hpp"

namespace yoke::device::cuda {

struct CudaHostKernel::Call {
    const CudaHostKernel* kernel = nullptr;
    Done* failed = nullptr;
    Geometry geometry;
    std::vector<std::vector<std::byte>> constants;  // one for each parameter, empty for buffers
    std::vector<HostArgument> arguments;
};

CudaHostKernel::~CudaHostKernel() {
    context_.make_current();
    const Quiet quiet;
    for (const Staging& staging : staging_) {
        if (staging.memory != nullptr) {
            context_.driver->cuMemFreeHost(staging.memory);
        }
    }
}

Status CudaHostKernel::provide(Staging& staging, std::size_t bytes) const {
    if (bytes <= staging.bytes) {
        return {};
    }
    if (staging.memory != nullptr) {  // a launch with a smaller buffer may still use it
        const Quiet quiet;
        context_.driver->cuMemFreeHost(staging.memory);
        staging = {};
    }
    void* memory = nullptr;
    if (auto made = check(context_.driver->cuMemHostAlloc(&memory, bytes, 0), "pinned memory cannot be had"); !made) {
        return made;
    }
    staging = {static_cast<std::byte*>(memory), bytes};
    return {};
}

void CudaHostKernel::run(void* call_raw) {
    const std::unique_ptr<const Call> call(static_cast<const Call*>(call_raw));
    if (const int status = call->kernel->function_(call->arguments, call->geometry); status != 0) {
        call->failed->done(status);
    }
}

Status CudaHostKernel::enqueue(CUstream stream, std::span<const Argument> arguments, Done& failed,
                               const std::array<std::size_t, 3>* global) {
    if (arguments.size() != parameters_.size()) {
        return fail(EINVAL, "the function takes {} arguments, not {}", parameters_.size(), arguments.size());
    }
    const Driver& api = *context_.driver;
    auto call = std::make_unique<Call>();
    call->kernel = this;
    call->failed = &failed;
    call->geometry = geometry_;
    call->geometry.global = global != nullptr ? *global : geometry_.global;
    call->constants.resize(arguments.size());
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        if (arguments[i].buffer == nullptr) {
            const auto bytes = std::as_bytes(arguments[i].constant);
            call->constants[i].assign(bytes.begin(), bytes.end());
            call->arguments.emplace_back(call->constants[i]);
            continue;
        }
        // NOLINTNEXTLINE(cppcoreguidelines-pro-type-static-cast-downcast): buffers of this device are CudaBuffers
        const auto& buffer = static_cast<const CudaBuffer&>(*arguments[i].buffer);
        if (auto provided = provide(staging_[i], buffer.bytes()); !provided) {
            return provided;
        }
        call->arguments.emplace_back(staging_[i].memory, buffer.bytes());
        if (auto copied = check(api.cuMemcpyDtoHAsync(staging_[i].memory, buffer.address(), buffer.bytes(), stream),
                                "cannot copy from the device");
            !copied) {
            return copied;
        }
    }
    if (auto queued =
            check(api.cuLaunchHostFunc(stream, &CudaHostKernel::run, call.get()), "a function cannot be called");
        !queued) {
        return queued;
    }
    static_cast<void>(call.release());
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        if (arguments[i].buffer != nullptr) {
            // NOLINTNEXTLINE(cppcoreguidelines-pro-type-static-cast-downcast): as above
            const auto& buffer = static_cast<const CudaBuffer&>(*arguments[i].buffer);
            if (auto copied = check(api.cuMemcpyHtoDAsync(buffer.address(), staging_[i].memory, buffer.bytes(), stream),
                                    "cannot copy to the device");
                !copied) {
                lost(copied.error());
            }
        }
    }
    return {};
}

}  // namespace yoke::device::cuda
