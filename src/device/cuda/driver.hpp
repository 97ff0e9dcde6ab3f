// The CUDA driver, opened at run time: one program serves machines with and without a GPU.
//
// Nothing is linked. The first use opens libcuda and looks up every function that yoke uses, by the versioned name that
// cuda.h gives it; a driver that lacks one is as good as none, and the error names the function. All parts of a worker
// share the device's primary context, so that an address means the same to the executive, the bulk lane and graphs.
//
// TRADE-OFF. The library stays open until the process ends: drivers keep threads that do not survive an unload.
#pragma once

#include <cuda.h>

#include <bit>
#include <string>

#include "base/error.hpp"

namespace yoke::device::cuda {

// clang-format off
#define YOKE_CUDA_FUNCTIONS(X) \
    X(cuCtxGetStreamPriorityRange) X(cuCtxSetCurrent) \
    X(cuDevResourceGenerateDesc) X(cuDevSmResourceSplitByCount) \
    X(cuDeviceGet) X(cuDeviceGetAttribute) X(cuDeviceGetCount) X(cuDeviceGetDevResource) X(cuDeviceGetName) \
    X(cuDevicePrimaryCtxRetain) \
    X(cuDriverGetVersion) \
    X(cuEventCreate) X(cuEventDestroy) X(cuEventElapsedTime) X(cuEventQuery) X(cuEventRecord) X(cuEventSynchronize) \
    X(cuFuncLoad) \
    X(cuGetErrorString) \
    X(cuGreenCtxCreate) X(cuGreenCtxStreamCreate) \
    X(cuInit) \
    X(cuKernelGetAttribute) X(cuKernelGetFunction) X(cuKernelGetParamInfo) X(cuKernelSetAttribute) \
    X(cuLaunchHostFunc) X(cuLaunchKernel) \
    X(cuLibraryGetKernel) X(cuLibraryLoadData) X(cuLibraryUnload) \
    X(cuLinkAddData) X(cuLinkComplete) X(cuLinkCreate) X(cuLinkDestroy) \
    X(cuMemAlloc) X(cuMemFree) X(cuMemFreeHost) X(cuMemGetInfo) X(cuMemHostAlloc) X(cuMemHostGetDevicePointer) \
    X(cuMemHostRegister) X(cuMemHostUnregister) \
    X(cuMemcpyDtoDAsync) X(cuMemcpyDtoHAsync) X(cuMemcpyHtoDAsync) \
    X(cuMemsetD32Async) X(cuMemsetD8Async) \
    X(cuGraphAddKernelNode) X(cuGraphCreate) X(cuGraphDestroy) X(cuGraphExecDestroy) X(cuGraphExecKernelNodeSetParams) \
    X(cuGraphInstantiateWithFlags) X(cuGraphLaunch) X(cuGraphUpload) \
    X(cuStreamBeginCapture) X(cuStreamEndCapture) \
    X(cuStreamCreate) X(cuStreamCreateWithPriority) X(cuStreamDestroy) X(cuStreamQuery) X(cuStreamSynchronize) \
    X(cuStreamWaitEvent) X(cuStreamWriteValue32) X(cuStreamWriteValue64)
// clang-format on

struct Driver {
// NOLINTNEXTLINE(bugprone-macro-parentheses): the name of a member
#define YOKE_CUDA_MEMBER(function) decltype(&::function) function = nullptr;
    YOKE_CUDA_FUNCTIONS(YOKE_CUDA_MEMBER)
#undef YOKE_CUDA_MEMBER
};

// The driver, opened and initialised once for the process. ENODEV: no driver or no device, with the remedy. Any thread.
Result<const Driver*> driver();

// The primary context of the device, kept until the process ends. make_current() is needed once in every thread.
struct Context {
    const Driver* driver = nullptr;
    CUdevice device = 0;
    CUcontext context = nullptr;
    std::string name;  // "NVIDIA H100 80GB HBM3"
    int multiprocessors = 0;
    std::string architecture;  // "sm_90"
    int driver_version = 0;    // 13000

    void make_current() const { driver->cuCtxSetCurrent(context); }
};
// The first device's, opened once for the process. ENODEV, EIO. Any thread.
Result<const Context*> primary_context();

// An address of the device as the pointer that its kernels use.
template <typename T>
T* pointer_to(CUdeviceptr address) {
    return std::bit_cast<T*>(address);
}

// Ends the process: something failed on the device after it had been queued, and nothing of the context can be relied
// on any more. The worker's clients repeat their calls at the next one, graphs start again.
[[noreturn]] void lost(const Error& error);

// What a driver's answer means: success, or an error that names what was tried and what the driver said.
Status check(CUresult result, const char* what);

}  // namespace yoke::device::cuda
