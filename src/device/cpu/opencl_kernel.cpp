// What a loaded kernel says of its parameters, and binding arguments to them; see opencl_kernel.hpp. Arguments that
// did not change since the last launch are not set again.
#include "device/cpu/opencl_kernel.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "device/cpu/opencl_parameters.hpp"

namespace yoke::device {

Result<std::unique_ptr<OpenclKernel>> OpenclKernel::load(cl_context context, const OpenclTarget& target,
                                                         std::span<const unsigned char> binary,
                                                         const std::string& function, const Geometry& geometry) {
    std::unique_ptr<OpenclKernel> result(new OpenclKernel());
    const std::size_t bytes = binary.size();
    const unsigned char* data = binary.data();
    cl_int status = CL_SUCCESS;
    cl_int loaded = CL_SUCCESS;
    result->program_.reset(::clCreateProgramWithBinary(context, 1, &target.device, &bytes, &data, &loaded, &status));
    if (!result->program_) {
        return fail_opencl(loaded != CL_SUCCESS ? loaded : status, "cannot load a compiled program");
    }
    // PoCL tells about arguments only when asked here too.
    status = ::clBuildProgram(result->program_.get(), 1, &target.device, "-cl-kernel-arg-info", nullptr, nullptr);
    if (status != CL_SUCCESS) {
        return fail_opencl(status, "cannot load a compiled program");
    }
    result->kernel_.reset(::clCreateKernel(result->program_.get(), function.c_str(), &status));
    if (!result->kernel_) {
        return fail_opencl(status, "cannot load kernel " + printable(function));
    }
    cl_uint count = 0;
    status = ::clGetKernelInfo(result->kernel_.get(), CL_KERNEL_NUM_ARGS, sizeof count, &count, nullptr);
    if (status != CL_SUCCESS) {
        return fail_opencl(status, "cannot look at kernel " + printable(function));
    }
    result->function_ = function;
    result->geometry_ = geometry;
    result->bound_.resize(count);
    result->parameters_ = opencl_parameters(result->kernel_.get(), count);
    return result;
}

Status OpenclKernel::set_arguments(std::span<const Argument> arguments) {
    if (arguments.size() != bound_.size()) {
        return fail(EINVAL, "kernel {} takes {} arguments, not {}", printable(function_), bound_.size(),
                    arguments.size());
    }
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const Argument& argument = arguments[i];
        Bound& bound = bound_[i];
        cl_int status = CL_SUCCESS;
        if (argument.buffer != nullptr) {
            // NOLINTNEXTLINE(cppcoreguidelines-pro-type-static-cast-downcast): buffers of this device are OpenclBuffers
            auto* const memory = static_cast<OpenclBuffer*>(argument.buffer)->memory();
            if (memory != bound.memory) {
                status = ::clSetKernelArg(kernel_.get(), static_cast<cl_uint>(i), sizeof(cl_mem), &memory);
                bound.memory = memory;
            }
        } else if (!std::equal(argument.constant.begin(), argument.constant.end(), bound.constant.begin(),
                               bound.constant.end())) {
            status = ::clSetKernelArg(kernel_.get(), static_cast<cl_uint>(i), argument.constant.size(),
                                      argument.constant.data());
            bound.constant.assign(argument.constant.begin(), argument.constant.end());
        }
        if (status != CL_SUCCESS) {
            bound = Bound();
            return fail_opencl(status, fmt::format("cannot set argument {} of kernel {}", i, printable(function_)));
        }
    }
    return {};
}

}  // namespace yoke::device
