// A function of this process as a kernel of a CUDA device.
//
// MODEL. The function is called in the order of the lane that runs kernels: its buffers are copied to pinned memory, a
// thread of the driver calls it on those copies, and they are copied back. The memory belongs to the kernel and is used
// again by the next launch, which the order of the lane keeps behind this one.
#pragma once

#include <array>
#include <span>
#include <vector>

#include "device/cuda/driver.hpp"
#include "device/device.hpp"

namespace yoke::device::cuda {

class CudaHostKernel final : public Kernel {
   public:
    CudaHostKernel(const Context& context, std::vector<Parameter> parameters, HostFunction function,
                   const Geometry& geometry)
        : context_(context),
          parameters_(std::move(parameters)),
          function_(std::move(function)),
          geometry_(geometry),
          staging_(parameters_.size()) {}
    ~CudaHostKernel() override;  // no launch is under way

    [[nodiscard]] const std::vector<Parameter>& parameters() const override { return parameters_; }
    // Queues copies and the call. EINVAL: the number of arguments; ENOMEM. After an error nothing is called.
    Status enqueue(CUstream stream, std::span<const Argument> arguments, Done& failed,
                   const std::array<std::size_t, 3>* global);

   private:
    struct Staging {
        std::byte* memory = nullptr;
        std::size_t bytes = 0;
    };
    struct Call;

    static void CUDA_CB run(void* call);
    Status provide(Staging& staging, std::size_t bytes) const;

    const Context& context_;
    std::vector<Parameter> parameters_;
    HostFunction function_;
    Geometry geometry_;
    std::vector<Staging> staging_;  // one for each parameter
};

}  // namespace yoke::device::cuda
