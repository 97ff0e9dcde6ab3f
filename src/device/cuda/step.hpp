// Kernels that wait to be handed to the device together: a step of a graph.
//
// PROBLEM. Each launch costs the host about two microseconds, and a graph launches the same kernels in the same order
// for every datablock.
//
// MODEL. A step is the kernels held back in one lane, and which of them must follow which. When the same step comes
// for the third time it is instantiated as a CUDA graph; from then on what is handed over is that graph, in which only
// the parameters that differ from its last run are set: addresses, and the number of blocks. Whether kernels of a step
// run side by side is up to the queue (lane_plan.hpp).
//
// TRADE-OFF. An instance belongs to a lane, since no two runs of one can overlap. A lane keeps few; steps that change
// every time are launched kernel by kernel and instantiate nothing. Instantiating waits until nothing is resident
// (quiet.hpp).
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "device/cuda/cuda_kernel.hpp"
#include "device/cuda/driver.hpp"

namespace yoke::device::cuda {

class Step {
   public:
    explicit Step(const Context& context) : context_(context) {}
    Step(const Step&) = delete;
    Step& operator=(const Step&) = delete;
    ~Step();  // nothing of it is under way

    [[nodiscard]] bool empty() const { return held_ == 0; }
    [[nodiscard]] std::size_t size() const { return held_; }
    // Holds a kernel back, with a copy of its parameters. `after`: the numbers of those held that must have ended.
    void hold(const CudaKernel& kernel, const CudaKernel::Grid& grid, void* const* values,
              std::span<const std::uint32_t> after);
    // Hands over what is held. After an error nothing is held any more.
    Status submit(CUstream stream);

   private:
    static constexpr std::size_t instances_max = 4;  // of a lane: a graph with a switch has some steps
    static constexpr std::uint32_t sights_wanted = 3;
    static constexpr std::size_t kernels_least = 4;  // fewer are launched as quickly

    struct Node {
        CUfunction function = nullptr;
        CudaKernel::Grid grid;
        std::vector<std::uint32_t> after;
        std::vector<std::uint8_t> bytes;  // the parameters, one behind the other
        std::vector<void*> values;        // into `bytes`

        [[nodiscard]] bool is_like(const Node& other) const {
            return function == other.function && after == other.after;
        }
        [[nodiscard]] CUDA_KERNEL_NODE_PARAMS params();
    };
    struct Instance {
        std::vector<Node> nodes;  // as they ran last
        std::vector<CUgraphNode> handles;
        CUgraph graph = nullptr;
        CUgraphExec executable = nullptr;
        std::uint32_t sights = 0;
        bool refused = false;  // by the driver
        std::uint64_t used = 0;
    };

    [[nodiscard]] Instance& instance_of_held();
    void instantiate(Instance& instance, CUstream stream);
    Status build(Instance& instance, CUstream stream);
    Status update(Instance& instance);
    Status launch_each(CUstream stream);
    void drop(Instance& instance) const;

    const Context& context_;
    std::vector<Node> nodes_;  // the first `held_` count; the others keep their memory for later
    std::size_t held_ = 0;
    std::vector<Instance> instances_;
    std::uint64_t submits_ = 0;
};

}  // namespace yoke::device::cuda
