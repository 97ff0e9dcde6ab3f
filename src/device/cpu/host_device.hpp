// A device whose kernels are C++ functions: the graph runtime's tests run on it under ThreadSanitizer, where PoCL,
// which is not instrumented, cannot.
//
// It keeps every promise of device.hpp that the runtime relies on: queues are in order and asynchronous, each on its
// own thread; `done` is called on that thread; memory starts with a pattern, not with zeros, so that nobody can rely on
// zeros.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "device/device.hpp"

namespace yoke::device {

class HostDevice final : public Device {
   public:
    HostDevice();
    ~HostDevice() override;  // its queues must be gone

    // Makes a function known under `name`, for programs whose `function` is that.
    void add(const std::string& name, std::vector<Parameter> parameters, HostFunction function);

    [[nodiscard]] std::string name() const override { return "host"; }
    [[nodiscard]] std::string description() const override { return "C++ functions on host threads"; }
    Result<std::unique_ptr<Buffer>> allocate(std::size_t bytes) override;
    Result<std::unique_ptr<Queue>> create_queue() override;
    [[nodiscard]] bool accepts(const std::string& form) const override { return form == "opencl"; }
    Result<std::unique_ptr<Kernel>> host_kernel(std::vector<Parameter> parameters, HostFunction function,
                                                const Geometry& geometry) override;
    // EINVAL: no such function.
    Result<std::unique_ptr<Kernel>> compile(const Program& program, std::string& log) override;

   private:
    struct Entry {
        std::vector<Parameter> parameters;
        HostFunction function;
    };
    std::mutex mutex_;
    std::map<std::string, std::shared_ptr<const Entry>> functions_;
};

}  // namespace yoke::device
