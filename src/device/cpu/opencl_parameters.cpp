// Kinds follow from address spaces and the names of types; sizes from those names, where OpenCL defines them.
#include "device/cpu/opencl_parameters.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <string>
#include <string_view>

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

std::vector<Parameter> opencl_parameters(cl_kernel kernel, cl_uint count) {
    std::vector<Parameter> parameters;
    for (cl_uint i = 0; i < count; ++i) {
        Parameter parameter;
        cl_kernel_arg_address_qualifier space = 0;
        const cl_int status =
            ::clGetKernelArgInfo(kernel, i, CL_KERNEL_ARG_ADDRESS_QUALIFIER, sizeof space, &space, nullptr);
        if (status == CL_SUCCESS) {
            parameter.name = argument_text(kernel, i, CL_KERNEL_ARG_NAME);
            parameter.type = argument_text(kernel, i, CL_KERNEL_ARG_TYPE_NAME);
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
        parameters.push_back(std::move(parameter));
    }
    return parameters;
}

}  // namespace yoke::device
