// Machine code loaded into the device's context, and one kernel of it with the geometry it is launched over.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "device/cpu/work_group.hpp"
#include "device/cuda/cuda_buffer.hpp"
#include "device/cuda/driver.hpp"
#include "device/cuda/image.hpp"
#include "device/device.hpp"

namespace yoke::device::cuda {

// Code of one image. Unloading waits until nothing is resident (quiet.hpp).
class Module {
   public:
    // ENOEXEC: the driver does not take the code; ENOMEM. Waits until nothing is resident.
    static Result<std::shared_ptr<Module>> load(const Context& context, std::span<const unsigned char> code);
    Module(const Module&) = delete;
    Module& operator=(const Module&) = delete;
    ~Module();

    // EINVAL: the code has no such kernel.
    Result<CUkernel> find(const std::string& symbol);
    // Has everything done now that a first launch would wait for the resident kernel to do.
    Status prepare(CUkernel kernel);

   private:
    explicit Module(const Context& context) : context_(context) {}

    const Context& context_;
    CUlibrary library_ = nullptr;
};

class CudaKernel final : public Kernel {
   public:
    struct Grid {
        std::array<unsigned, 3> blocks{1, 1, 1};
        std::array<unsigned, 3> threads{1, 1, 1};

        friend bool operator==(const Grid&, const Grid&) = default;
    };

    // `geometry` has the size of a work-group, or zeros to have it chosen. EINVAL: it does not fit.
    static Result<std::unique_ptr<CudaKernel>> create(const Context& context, std::shared_ptr<Module> module,
                                                      const Image& image, const Geometry& geometry);

    [[nodiscard]] const std::vector<Parameter>& parameters() const override { return parameters_; }
    [[nodiscard]] CUfunction function() const { return function_; }
    [[nodiscard]] std::span<const std::size_t> sizes() const { return sizes_; }  // of the parameters, in bytes
    // The arguments as the driver takes them, valid until the next call. EINVAL: they are not what the code takes.
    Result<void**> bind(std::span<const Argument> arguments);
    // Of all, or of as many work-groups as cover `global`.
    [[nodiscard]] Grid grid(const std::array<std::size_t, 3>* global) const;

   private:
    CudaKernel(const Context& context, std::shared_ptr<Module> module)
        : context_(context), module_(std::move(module)) {}
    [[nodiscard]] Status check_geometry(const WorkGroupLimits& limits) const;
    Status read_parameters(CUkernel kernel, const Image& image);

    const Context& context_;
    std::shared_ptr<Module> module_;
    CUfunction function_ = nullptr;
    Geometry geometry_;
    std::string symbol_;
    std::vector<Parameter> parameters_;
    std::vector<std::size_t> sizes_;      // of the parameters
    std::vector<CUdeviceptr> addresses_;  // of buffers
    std::vector<void*> values_;           // what the driver gets
};

}  // namespace yoke::device::cuda
