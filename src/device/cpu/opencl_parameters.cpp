// Kinds follow from address spaces and the names of types; sizes and elements from those names, where OpenCL defines
// them.
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

struct Scalar {
    std::string_view name;
    std::string_view element;  // the same as a template has it
    std::size_t bytes;
};
constexpr std::array scalars{Scalar{"char", "i8", 1},   Scalar{"uchar", "u8", 1},   Scalar{"short", "i16", 2},
                             Scalar{"int", "i32", 4},   Scalar{"ushort", "u16", 2}, Scalar{"half", "f16", 2},
                             Scalar{"uint", "u32", 4},  Scalar{"float", "f32", 4},  Scalar{"long", "i64", 8},
                             Scalar{"ulong", "u64", 8}, Scalar{"double", "f64", 8}};

// An OpenCL scalar or vector type, taken apart.
struct OpenclType {
    const Scalar* scalar = nullptr;  // null: another type, a structure or the name of a typedef
    std::size_t lanes = 1;
};

OpenclType parse_type(std::string_view type) {
    OpenclType parsed;
    const std::size_t digits = type.find_first_of("0123456789");
    if (digits != std::string_view::npos) {
        const auto [end, error] = std::from_chars(type.data() + digits, type.data() + type.size(), parsed.lanes);
        if (error != std::errc() || end != type.data() + type.size()) {
            return {};
        }
    }
    const auto* const found =
        std::find_if(scalars.begin(), scalars.end(), [&](const Scalar& s) { return s.name == type.substr(0, digits); });
    parsed.scalar = found == scalars.end() ? nullptr : found;
    return parsed;
}

// Bytes of an argument of that type; 0: unknown.
std::size_t bytes_of_type(std::string_view type) {
    const OpenclType parsed = parse_type(type);
    return parsed.scalar == nullptr ? 0 : parsed.scalar->bytes * (parsed.lanes == 3 ? 4 : parsed.lanes);
}

// What an argument "float4*" points to, as a template has it: "f32x4". A pointer to a pointer points to no element.
std::string element_of_pointer(std::string_view type) {
    type.remove_suffix(1);
    while (type.ends_with(' ')) {
        type.remove_suffix(1);
    }
    const OpenclType parsed = parse_type(type);
    if (parsed.scalar == nullptr) {
        return {};
    }
    return std::string(parsed.scalar->element) + (parsed.lanes == 1 ? "" : "x" + std::to_string(parsed.lanes));
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
                parameter.element = element_of_pointer(parameter.type);
                cl_kernel_arg_type_qualifier qualifiers = CL_KERNEL_ARG_TYPE_NONE;
                ::clGetKernelArgInfo(kernel, i, CL_KERNEL_ARG_TYPE_QUALIFIER, sizeof qualifiers, &qualifiers, nullptr);
                parameter.read_only =
                    space == CL_KERNEL_ARG_ADDRESS_CONSTANT || (qualifiers & CL_KERNEL_ARG_TYPE_CONST) != 0;
            } else {
                parameter.kind = Parameter::Kind::other;
            }
        }
        parameters.push_back(std::move(parameter));
    }
    return parameters;
}

}  // namespace yoke::device
