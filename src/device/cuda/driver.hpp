// The CUDA driver, opened at run time: one program serves machines with and without a GPU.
//
// Nothing is linked. The first use opens libcuda and looks up every function that yoke uses, by the versioned name that
// cuda.h gives it; a driver that lacks one is as good as none, and the error names the function. All parts of a worker
// share the device's primary context, so that an address means the same to the executive, the bulk lane and graphs.
//
// TRADE-OFF. The library stays open until the process ends: drivers keep threads that do not survive an unload.
#pragma once

#include <cuda.h>

#include <string>

#include "base/error.hpp"

namespace yoke::device::cuda {

#define YOKE_CUDA_FUNCTIONS(X)                                                                                         \
    X(cuInit)                                                                                                          \
    X(cuDriverGetVersion)                                                                                              \
    X(cuGetErrorName) X(cuGetErrorString) X(cuDeviceGet) X(cuDeviceGetCount) X(cuDeviceGetName)                        \
        X(cuDeviceGetAttribute) X(cuDeviceTotalMem) X(cuDeviceGetUuid) X(cuDevicePrimaryCtxRetain) X(                  \
            cuDevicePrimaryCtxRelease) X(cuDevicePrimaryCtxSetFlags) X(cuCtxSetCurrent) X(cuCtxGetCurrent)             \
            X(cuCtxSynchronize) X(cuCtxGetStreamPriorityRange) X(cuModuleLoadData) X(cuModuleLoadDataEx) X(            \
                cuModuleUnload) X(cuModuleGetFunction) X(cuModuleGetGlobal) X(cuLibraryLoadData) X(cuLibraryGetKernel) \
                X(cuKernelSetAttribute) X(cuFuncGetAttribute) X(cuFuncSetAttribute) X(cuFuncLoad) X(cuLaunchKernel)    \
                    X(cuLaunchHostFunc) X(cuOccupancyMaxPotentialBlockSize) X(cuMemAlloc) X(cuMemFree) X(              \
                        cuMemAllocAsync) X(cuMemFreeAsync) X(cuMemAllocHost) X(cuMemFreeHost) X(cuMemHostAlloc)        \
                        X(cuMemHostRegister) X(cuMemHostUnregister) X(cuMemHostGetDevicePointer) X(cuMemGetInfo) X(    \
                            cuDeviceGetDefaultMemPool) X(cuMemPoolSetAttribute) X(cuMemPoolCreate) X(cuMemPoolDestroy) \
                            X(cuMemAllocFromPoolAsync) X(cuMemcpyHtoDAsync) X(cuMemcpyDtoHAsync) X(cuMemcpyDtoDAsync)  \
                                X(cuMemsetD8Async) X(cuMemsetD32Async) X(cuStreamCreateWithPriority) X(cuStreamCreate) \
                                    X(cuStreamDestroy) X(cuStreamSynchronize) X(cuStreamQuery) X(cuStreamWaitEvent)    \
                                        X(cuStreamWriteValue32) X(cuStreamWriteValue64) X(cuStreamBeginCapture)        \
                                            X(cuStreamEndCapture) X(cuEventCreate) X(cuEventDestroy) X(cuEventRecord)  \
                                                X(cuEventQuery) X(cuEventSynchronize) X(cuEventElapsedTime)            \
                                                    X(cuGraphCreate) X(cuGraphDestroy) X(cuGraphInstantiateWithFlags)  \
                                                        X(cuGraphExecDestroy) X(cuGraphLaunch) X(cuGraphUpload)        \
                                                            X(cuDeviceGetDevResource) X(cuDevSmResourceSplitByCount)   \
                                                                X(cuDevResourceGenerateDesc) X(cuGreenCtxCreate)       \
                                                                    X(cuGreenCtxDestroy) X(cuGreenCtxStreamCreate)     \
                                                                        X(cuCtxFromGreenCtx)

struct Driver {
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

    void make_current() const { driver->cuCtxSetCurrent(context); }
};
// The first device's, opened once for the process. ENODEV, EIO. Any thread.
Result<const Context*> primary_context();

// What a driver's answer means: success, or an error that names what was tried and what the driver said.
Status check(CUresult result, const char* what);

}  // namespace yoke::device::cuda
