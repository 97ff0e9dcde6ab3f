// The split is asked for once and kept; both halves are green contexts of the primary context and share its memory.
#include "partition.hpp"

namespace measure {

bool Partition::failed(CUresult result, const char* what) {
    if (result == CUDA_SUCCESS) return false;
    const char* text = nullptr;
    cuGetErrorString(result, &text);
    error_ = std::string(what) + ": " + (text ? text : "unknown error");
    return true;
}

Partition::Partition(uint32_t executive_sms, bool ignore_coscheduling) {
    CUdevice device = 0;
    CUdevResource all = {}, parts[2] = {};
    unsigned groups = 1;
    const unsigned flags = ignore_coscheduling ? CU_DEV_SM_RESOURCE_SPLIT_IGNORE_SM_COSCHEDULING : 0;
    if (failed(cuCtxGetDevice(&device), "cuCtxGetDevice") ||
        failed(cuDeviceGetDevResource(device, &all, CU_DEV_RESOURCE_TYPE_SM), "cuDeviceGetDevResource") ||
        failed(cuDevSmResourceSplitByCount(&parts[0], &groups, &all, &parts[1], flags, executive_sms),
               "cuDevSmResourceSplitByCount"))
        return;
    executive_sms_ = parts[0].sm.smCount;
    rest_sms_ = parts[1].sm.smCount;
    for (int k = 0; k < 2; k++) {
        CUdevResourceDesc description = nullptr;
        if (failed(cuDevResourceGenerateDesc(&description, &parts[k], 1), "cuDevResourceGenerateDesc") ||
            failed(cuGreenCtxCreate(&contexts_[k], description, device, CU_GREEN_CTX_DEFAULT_STREAM),
                   "cuGreenCtxCreate"))
            return;
    }
    int least = 0, greatest = 0;
    check(cudaDeviceGetStreamPriorityRange(&least, &greatest));
    if (failed(cuGreenCtxStreamCreate(&executive_stream_, contexts_[0], CU_STREAM_NON_BLOCKING, greatest),
               "cuGreenCtxStreamCreate"))
        return;
    failed(cuGreenCtxStreamCreate(&rest_stream_, contexts_[1], CU_STREAM_NON_BLOCKING, least),
           "cuGreenCtxStreamCreate");
}

Partition::~Partition() {
    if (executive_stream_) check(cuStreamDestroy(executive_stream_));
    if (rest_stream_) check(cuStreamDestroy(rest_stream_));
    for (CUgreenCtx context : contexts_)
        if (context) check(cuGreenCtxDestroy(context));
}

}  // namespace measure
