// Two green contexts that split the device's SMs: a few for the executive, the rest for everybody else. A device or
// driver that refuses the split says so in error().
#pragma once

#include <string>

#include "check.hpp"

namespace measure {

class Partition {
   public:
    Partition(uint32_t executive_sms, bool ignore_coscheduling);
    ~Partition();
    Partition(const Partition&) = delete;
    Partition& operator=(const Partition&) = delete;

    const std::string& error() const { return error_; }
    uint32_t executive_sms() const { return executive_sms_; }
    uint32_t rest_sms() const { return rest_sms_; }
    cudaStream_t executive() const { return executive_stream_; }
    cudaStream_t rest() const { return rest_stream_; }

   private:
    bool failed(CUresult result, const char* what);

    CUgreenCtx contexts_[2] = {};
    CUstream executive_stream_ = nullptr;
    CUstream rest_stream_ = nullptr;
    uint32_t executive_sms_ = 0;
    uint32_t rest_sms_ = 0;
    std::string error_;
};

}  // namespace measure
