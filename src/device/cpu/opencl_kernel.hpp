// A loaded OpenCL kernel, bound to the geometry that it was compiled for.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "device/cpu/opencl.hpp"
#include "device/cpu/opencl_buffer.hpp"
#include "device/device.hpp"

namespace yoke::device {

class OpenclKernel final : public Kernel {
   public:
    // Loads `binary` for `target`. Errors mean that the binary does not fit.
    static Result<std::unique_ptr<OpenclKernel>> load(cl_context context, const OpenclTarget& target,
                                                      std::span<const unsigned char> binary,
                                                      const std::string& function, const Geometry& geometry);

    [[nodiscard]] const std::vector<Parameter>& parameters() const override { return parameters_; }
    // Sets what has changed since the last launch.
    Status set_arguments(std::span<const Argument> arguments);
    [[nodiscard]] cl_kernel handle() const { return kernel_.get(); }
    [[nodiscard]] const Geometry& geometry() const { return geometry_; }

   private:
    OpenclKernel() = default;

    OpenclOwned<cl_program> program_;
    OpenclOwned<cl_kernel> kernel_;
    Geometry geometry_;
    std::string function_;
    std::vector<Parameter> parameters_;
    struct Bound {
        cl_mem memory = nullptr;
        std::vector<std::uint8_t> constant;
    };
    std::vector<Bound> bound_;
};

}  // namespace yoke::device
