// A kernel that is a function of this process, called in the order of an OpenCL queue.
//
// OpenCL would fill in the addresses of its buffers, but PoCL 3.1 sorts buffers that are named to it and so mixes them
// up where they were not allocated in the order of the arguments. So the function gets the addresses that the buffers
// share with the host, which do not change, and the queue's order is all that is asked of OpenCL. What the function
// returns cannot be told through the event, so the function's failure goes to `failed` itself.
#pragma once

#include <array>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "device/cpu/opencl.hpp"
#include "device/device.hpp"

namespace yoke::device {

class OpenclHostKernel final : public Kernel {
   public:
    OpenclHostKernel(std::vector<Parameter> parameters, HostFunction function, const Geometry& geometry)
        : parameters_(std::move(parameters)), function_(std::move(function)), geometry_(geometry) {}
    [[nodiscard]] const std::vector<Parameter>& parameters() const override { return parameters_; }
    // Queues a call. All buffers are shared with the host (OpenclBuffer::host()). `event` becomes the caller's.
    Status enqueue(cl_command_queue queue, std::span<const Argument> arguments, Done& failed,
                   const std::array<std::size_t, 3>* global, cl_event& event) const;

   private:
    struct Call;
    static void CL_CALLBACK run(void* block);

    std::vector<Parameter> parameters_;
    HostFunction function_;
    Geometry geometry_;
};

}  // namespace yoke::device
