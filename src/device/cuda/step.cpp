// Holding back, comparing with what was seen before, and instances; see step.hpp.
#include "device/cuda/step.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/log.hpp"
#include "device/cuda/quiet.hpp"

namespace yoke::device::cuda {
namespace {

constexpr std::size_t parameter_alignment = 16;  // of the widest parameter, a vector of four floats

std::size_t padded(std::size_t bytes) {
    return (bytes + parameter_alignment - 1) / parameter_alignment * parameter_alignment;
}

}  // namespace

CUDA_KERNEL_NODE_PARAMS Step::Node::params() {
    CUDA_KERNEL_NODE_PARAMS params{};
    params.func = function;
    params.gridDimX = grid.blocks[0];
    params.gridDimY = grid.blocks[1];
    params.gridDimZ = grid.blocks[2];
    params.blockDimX = grid.threads[0];
    params.blockDimY = grid.threads[1];
    params.blockDimZ = grid.threads[2];
    params.kernelParams = values.data();
    return params;
}

Step::~Step() {
    if (std::any_of(instances_.begin(), instances_.end(), [](const Instance& i) { return i.graph != nullptr; })) {
        context_.make_current();
        const Quiet quiet;
        for (Instance& instance : instances_) {
            drop(instance);
        }
    }
}

void Step::drop(Instance& instance) const {
    if (instance.executable != nullptr) {
        context_.driver->cuGraphExecDestroy(std::exchange(instance.executable, nullptr));
    }
    if (instance.graph != nullptr) {
        context_.driver->cuGraphDestroy(std::exchange(instance.graph, nullptr));
    }
}

void Step::hold(const CudaKernel& kernel, const CudaKernel::Grid& grid, void* const* values,
                std::span<const std::uint32_t> after) {
    if (held_ == nodes_.size()) {
        nodes_.emplace_back();
    }
    Node& node = nodes_[held_++];
    node.function = kernel.function();
    node.grid = grid;
    node.after.assign(after.begin(), after.end());
    const std::span<const std::size_t> sizes = kernel.sizes();
    std::size_t bytes = 0;
    for (const std::size_t size : sizes) {
        bytes += padded(size);
    }
    node.bytes.assign(bytes, 0);
    node.values.resize(sizes.size());
    std::uint8_t* place = node.bytes.data();
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        std::memcpy(place, values[i], sizes[i]);
        node.values[i] = place;
        place += padded(sizes[i]);
    }
}

// The instance of what is held, or a new one that has not been seen before.
Step::Instance& Step::instance_of_held() {
    for (Instance& instance : instances_) {
        if (instance.nodes.size() == held_ && std::equal(instance.nodes.begin(), instance.nodes.end(), nodes_.begin(),
                                                         [](const Node& a, const Node& b) { return a.is_like(b); })) {
            return instance;
        }
    }
    if (instances_.size() < instances_max) {
        instances_.emplace_back();
    } else {
        // What was only seen goes first: what is instantiated is worth more.
        const auto least = std::min_element(instances_.begin(), instances_.end(), [](const auto& a, const auto& b) {
            return std::pair(a.executable != nullptr, a.used) < std::pair(b.executable != nullptr, b.used);
        });
        std::rotate(least, least + 1, instances_.end());
        if (instances_.back().graph != nullptr) {
            const Quiet quiet;
            drop(instances_.back());
        }
        instances_.back() = Instance{};
    }
    Instance& instance = instances_.back();
    for (std::size_t i = 0; i < held_; ++i) {
        instance.nodes.push_back({nodes_[i].function, {}, nodes_[i].after, {}, {}});
    }
    return instance;
}

Status Step::build(Instance& instance, CUstream stream) {
    const Driver& api = *context_.driver;
    Status done = check(api.cuGraphCreate(&instance.graph, 0), "a CUDA graph cannot be made");
    for (std::size_t i = 0; done && i < held_; ++i) {
        std::vector<CUgraphNode> before;
        for (const std::uint32_t other : nodes_[i].after) {
            before.push_back(instance.handles[other]);
        }
        const CUDA_KERNEL_NODE_PARAMS params = nodes_[i].params();
        instance.handles.emplace_back();
        done = check(
            api.cuGraphAddKernelNode(&instance.handles.back(), instance.graph, before.data(), before.size(), &params),
            "a kernel cannot be put into a CUDA graph");
    }
    done = done ? check(api.cuGraphInstantiateWithFlags(&instance.executable, instance.graph, 0),
                        "a CUDA graph cannot be instantiated")
                : done;
    return done ? check(api.cuGraphUpload(instance.executable, stream), "a CUDA graph cannot be uploaded") : done;
}

void Step::instantiate(Instance& instance, CUstream stream) {
    const Quiet quiet;
    if (auto built = build(instance, stream); !built) {
        drop(instance);
        instance.refused = true;
        log_warning(Topic::device, "a step of a graph is launched kernel by kernel", {{"why", built.error().message}});
        return;
    }
    for (std::size_t i = 0; i < held_; ++i) {
        instance.nodes[i].grid = nodes_[i].grid;
        instance.nodes[i].bytes.swap(nodes_[i].bytes);
    }
}

// Has the instance run with what is held.
Status Step::update(Instance& instance) {
    for (std::size_t i = 0; i < held_; ++i) {
        Node& last = instance.nodes[i];
        Node& now = nodes_[i];
        if (last.bytes == now.bytes && last.grid == now.grid) {
            continue;
        }
        const CUDA_KERNEL_NODE_PARAMS params = now.params();
        if (auto set = check(
                context_.driver->cuGraphExecKernelNodeSetParams(instance.executable, instance.handles[i], &params),
                "the parameters of a step cannot be set");
            !set) {
            return set;
        }
        last.grid = now.grid;
        last.bytes.swap(now.bytes);  // what points into it is made anew by hold()
    }
    return {};
}

Status Step::launch_each(CUstream stream) {
    for (std::size_t i = 0; i < held_; ++i) {
        Node& node = nodes_[i];
        if (auto launched =
                check(context_.driver->cuLaunchKernel(node.function, node.grid.blocks[0], node.grid.blocks[1],
                                                      node.grid.blocks[2], node.grid.threads[0], node.grid.threads[1],
                                                      node.grid.threads[2], 0, stream, node.values.data(), nullptr),
                      "a kernel cannot be launched");
            !launched) {
            return launched;
        }
    }
    return {};
}

Status Step::submit(CUstream stream) {
    if (held_ == 0) {
        return {};
    }
    context_.make_current();
    Status done;
    if (held_ < kernels_least) {
        done = launch_each(stream);
    } else {
        Instance& instance = instance_of_held();
        instance.used = ++submits_;
        if (instance.executable != nullptr) {
            done = update(instance);
        } else if (!instance.refused && ++instance.sights >= sights_wanted) {
            instantiate(instance, stream);
        }
        if (instance.executable == nullptr) {
            done = launch_each(stream);
        } else if (done) {
            done = check(context_.driver->cuGraphLaunch(instance.executable, stream), "a step cannot be launched");
        }
    }
    held_ = 0;
    return done;
}

}  // namespace yoke::device::cuda
