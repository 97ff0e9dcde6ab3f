// What a loaded kernel says of its parameters, and binding arguments to them; see opencl_kernel.hpp. Arguments that
// did not change since the last launch are not set again.
#include "device/cpu/opencl_kernel.hpp"

#include <algorithm>
#include <charconv>
#include <string_view>

#include "base/text.hpp"

namespace yoke::device {

namespace {

std::string argument_text(cl_kernel kernel, cl_uint index, cl_kernel_arg_info what) {
    std::size_t bytes = 0;
    if (::clGetKernelArgInfo(kernel, index, what, 0, nullptr, &bytes) != CL_SUCCESS || bytes < 2) {
        return {};
    }
    std::string text(bytes, '\0');
    ::clGetKernelArgInfo(kernel, index, what, bytes, text.data(), nullptr);
    text.resize(bytes - 1);
    return text;
}

// Bytes of an OpenCL scalar or vector type; 0 for others (structures, typedefs).
std::size_t bytes_of_type(std::string_view type) {
    struct Scalar {
        std::string_view name;
        std::size_t bytes;
    };
    static constexpr std::array scalars{Scalar{"char", 1}, Scalar{"uchar", 1}, Scalar{"short", 2}, Scalar{"ushort", 2},
                                        Scalar{"half", 2}, Scalar{"int", 4},   Scalar{"uint", 4},  Scalar{"float", 4},
                                        Scalar{"long", 8}, Scalar{"ulong", 8}, Scalar{"double", 8}};
    const std::size_t digits = type.find_first_of("0123456789");
    std::size_t lanes = 1;
    if (digits != std::string_view::npos) {
        const auto [end, error] = std::from_chars(type.data() + digits, type.data() + type.size(), lanes);
        if (error != std::errc() || end != type.data() + type.size()) {
            return 0;
        }
    }
    const auto* const found =
        std::find_if(scalars.begin(), scalars.end(), [&](const Scalar& s) { return s.name == type.substr(0, digits); });
    return found == scalars.end() ? 0 : found->bytes * (lanes == 3 ? 4 : lanes);
}

}  // namespace

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
    result->read_parameters(count);
    return result;
}

void OpenclKernel::read_parameters(cl_uint count) {
    for (cl_uint i = 0; i < count; ++i) {
        Parameter parameter;
        cl_kernel_arg_address_qualifier space = 0;
        const cl_int status =
            ::clGetKernelArgInfo(kernel_.get(), i, CL_KERNEL_ARG_ADDRESS_QUALIFIER, sizeof space, &space, nullptr);
        if (status == CL_SUCCESS) {
            parameter.name = argument_text(kernel_.get(), i, CL_KERNEL_ARG_NAME);
            parameter.type = argument_text(kernel_.get(), i, CL_KERNEL_ARG_TYPE_NAME);
            if (space == CL_KERNEL_ARG_ADDRESS_PRIVATE && parameter.type != "sampler_t") {
                parameter.kind = Parameter::Kind::constant;
                parameter.bytes = bytes_of_type(parameter.type);
            } else if ((space == CL_KERNEL_ARG_ADDRESS_GLOBAL || space == CL_KERNEL_ARG_ADDRESS_CONSTANT) &&
                       parameter.type.ends_with('*')) {
                parameter.kind = Parameter::Kind::buffer;
            } else {
                parameter.kind = Parameter::Kind::other;
            }
        }
        parameters_.push_back(std::move(parameter));
    }
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
