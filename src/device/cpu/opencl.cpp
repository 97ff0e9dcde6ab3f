// OpenCL's error codes with names and errno (EIO for those not listed), and the choice of a platform: PoCL, else one
// with a processor, else any; see opencl.hpp.
#include "device/cpu/opencl.hpp"

#include <fmt/ranges.h>

#include <array>
#include <cstddef>
#include <utility>
#include <vector>

namespace yoke::device {

namespace {

struct Name {
    cl_int code;
    std::string_view name;
    int errno_value;
};

constexpr std::array names{
    Name{CL_DEVICE_NOT_FOUND, "CL_DEVICE_NOT_FOUND", ENODEV},
    Name{CL_DEVICE_NOT_AVAILABLE, "CL_DEVICE_NOT_AVAILABLE", ENODEV},
    Name{CL_COMPILER_NOT_AVAILABLE, "CL_COMPILER_NOT_AVAILABLE", ENOEXEC},
    Name{CL_MEM_OBJECT_ALLOCATION_FAILURE, "CL_MEM_OBJECT_ALLOCATION_FAILURE", ENOMEM},
    Name{CL_OUT_OF_RESOURCES, "CL_OUT_OF_RESOURCES", ENOMEM},
    Name{CL_OUT_OF_HOST_MEMORY, "CL_OUT_OF_HOST_MEMORY", ENOMEM},
    Name{CL_BUILD_PROGRAM_FAILURE, "CL_BUILD_PROGRAM_FAILURE", ENOEXEC},
    Name{CL_LINK_PROGRAM_FAILURE, "CL_LINK_PROGRAM_FAILURE", ENOEXEC},
    Name{CL_COMPILE_PROGRAM_FAILURE, "CL_COMPILE_PROGRAM_FAILURE", ENOEXEC},
    Name{CL_KERNEL_ARG_INFO_NOT_AVAILABLE, "CL_KERNEL_ARG_INFO_NOT_AVAILABLE", ENODATA},
    Name{CL_INVALID_VALUE, "CL_INVALID_VALUE", EINVAL},
    Name{CL_INVALID_BINARY, "CL_INVALID_BINARY", ENOEXEC},
    Name{CL_INVALID_BUILD_OPTIONS, "CL_INVALID_BUILD_OPTIONS", ENOEXEC},
    Name{CL_INVALID_PROGRAM, "CL_INVALID_PROGRAM", ENOEXEC},
    Name{CL_INVALID_PROGRAM_EXECUTABLE, "CL_INVALID_PROGRAM_EXECUTABLE", ENOEXEC},
    Name{CL_INVALID_KERNEL_NAME, "CL_INVALID_KERNEL_NAME", ENOEXEC},
    Name{CL_INVALID_KERNEL_DEFINITION, "CL_INVALID_KERNEL_DEFINITION", ENOEXEC},
    Name{CL_INVALID_ARG_INDEX, "CL_INVALID_ARG_INDEX", EINVAL},
    Name{CL_INVALID_ARG_VALUE, "CL_INVALID_ARG_VALUE", EINVAL},
    Name{CL_INVALID_ARG_SIZE, "CL_INVALID_ARG_SIZE", EINVAL},
    Name{CL_INVALID_KERNEL_ARGS, "CL_INVALID_KERNEL_ARGS", EINVAL},
    Name{CL_INVALID_WORK_DIMENSION, "CL_INVALID_WORK_DIMENSION", EINVAL},
    Name{CL_INVALID_WORK_GROUP_SIZE, "CL_INVALID_WORK_GROUP_SIZE", EINVAL},
    Name{CL_INVALID_WORK_ITEM_SIZE, "CL_INVALID_WORK_ITEM_SIZE", EINVAL},
    Name{CL_INVALID_BUFFER_SIZE, "CL_INVALID_BUFFER_SIZE", ENOMEM},
    Name{CL_INVALID_GLOBAL_WORK_SIZE, "CL_INVALID_GLOBAL_WORK_SIZE", EINVAL},
    Name{CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST, "CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST", EIO},
};

const Name* find_name(cl_int code) {
    for (const Name& entry : names) {
        if (entry.code == code) {
            return &entry;
        }
    }
    return nullptr;
}

std::string platform_text(cl_platform_id platform, cl_platform_info what) {
    std::size_t bytes = 0;
    if (::clGetPlatformInfo(platform, what, 0, nullptr, &bytes) != CL_SUCCESS || bytes == 0) {
        return {};
    }
    std::string text(bytes, '\0');
    ::clGetPlatformInfo(platform, what, bytes, text.data(), nullptr);
    text.resize(bytes - 1);  // without the final zero
    return text;
}

std::string device_text(cl_device_id device, cl_device_info what) {
    std::size_t bytes = 0;
    if (::clGetDeviceInfo(device, what, 0, nullptr, &bytes) != CL_SUCCESS || bytes == 0) {
        return {};
    }
    std::string text(bytes, '\0');
    ::clGetDeviceInfo(device, what, bytes, text.data(), nullptr);
    text.resize(bytes - 1);
    return text;
}

cl_device_id first_device(cl_platform_id platform, cl_device_type type) {
    cl_device_id device = nullptr;
    return ::clGetDeviceIDs(platform, type, 1, &device, nullptr) == CL_SUCCESS ? device : nullptr;
}

OpenclTarget describe(cl_platform_id platform, cl_device_id device) {
    OpenclTarget target;
    target.platform = platform;
    target.device = device;
    target.platform_name = platform_text(platform, CL_PLATFORM_NAME);
    target.device_name = device_text(device, CL_DEVICE_NAME);
    target.pocl = target.platform_name == "Portable Computing Language";
    target.fingerprint =
        fmt::format("{}\n{}\n{}\n{}\n{}", target.platform_name, platform_text(platform, CL_PLATFORM_VERSION),
                    target.device_name, device_text(device, CL_DEVICE_VERSION), device_text(device, CL_DRIVER_VERSION));
    return target;
}

}  // namespace

std::string opencl_error_name(cl_int code) {
    const Name* const entry = find_name(code);
    return entry != nullptr ? std::string(entry->name) : fmt::format("OpenCL error {}", code);
}

int errno_of_opencl(cl_int code) {
    const Name* const entry = find_name(code);
    return entry != nullptr ? entry->errno_value : EIO;
}

tl::unexpected<Error> fail_opencl(cl_int code, std::string_view what) {
    return fail(errno_of_opencl(code), "{}: {}", what, opencl_error_name(code));
}

Result<OpenclTarget> find_opencl_target(std::string_view wanted) {
    constexpr cl_uint platforms_max = 64;
    std::array<cl_platform_id, platforms_max> platforms{};
    cl_uint count = 0;
    if (::clGetPlatformIDs(platforms_max, platforms.data(), &count) != CL_SUCCESS || count == 0) {
        return fail(ENODEV, "no OpenCL platform found; install pocl-opencl-icd");
    }
    count = std::min(count, platforms_max);
    std::vector<std::string> seen;
    OpenclTarget best;
    int best_rank = 0;
    for (cl_uint i = 0; i < count; ++i) {
        auto* const cpu = first_device(platforms[i], CL_DEVICE_TYPE_CPU);
        auto* const any = cpu != nullptr ? cpu : first_device(platforms[i], CL_DEVICE_TYPE_ALL);
        if (any == nullptr) {
            continue;
        }
        OpenclTarget target = describe(platforms[i], any);
        seen.push_back(target.platform_name);
        int rank = 0;
        if (!wanted.empty()) {
            rank = target.platform_name.find(wanted) != std::string::npos ? 1 : 0;
        } else {
            rank = target.pocl ? 3 : cpu != nullptr ? 2 : 1;
        }
        if (rank > best_rank) {
            best_rank = rank;
            best = std::move(target);
        }
    }
    if (seen.empty()) {
        return fail(ENODEV, "no OpenCL platform has a device; install pocl-opencl-icd");
    }
    if (best_rank == 0) {
        return fail(ENODEV, "no OpenCL platform is called \"{}\"; there are: {}", wanted, fmt::join(seen, ", "));
    }
    return best;
}

}  // namespace yoke::device
