// Compiles inside yoke-compile; see opencl_build.hpp. The source is built first, since only then the kernel tells its
// work-group limits; with the size chosen, PoCL is asked for a binary with that one launch's machine code.
#include "device/cpu/opencl_build.hpp"

#include <algorithm>
#include <cstdlib>
#include <string>

#include "base/text.hpp"
#include "device/cpu/opencl.hpp"
#include "device/cpu/opencl_parameters.hpp"
#include "device/cpu/work_group.hpp"

namespace yoke::device {

namespace {

constexpr std::size_t pocl_small_grid_below = 65535;  // PoCL's grid_width_specialization_limit of CPU devices

std::string build_log(cl_program program, cl_device_id device) {
    std::size_t bytes = 0;
    if (::clGetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_LOG, 0, nullptr, &bytes) != CL_SUCCESS || bytes < 2) {
        return {};
    }
    std::string log(bytes, '\0');
    ::clGetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_LOG, bytes, log.data(), nullptr);
    log.resize(log.find_last_not_of(std::string_view("\0\n ", 3)) + 1);
    if (log.size() > compiler_log_bytes_max) {
        log.resize(compiler_log_bytes_max);
        log += "...";
    }
    return log;
}

// Makes the compiler's messages speak of the caller's file and lines, not of a temporary file.
std::string with_name(const Program& program) {
    std::string name;
    for (const char c : printable(program.source_name)) {
        if (c == '"' || c == '\\') {
            name += '\\';
        }
        name += c;
    }
    return fmt::format("#line 1 \"{}\"\n{}", name.empty() ? "kernel" : name, program.source);
}

std::string replaced(std::string text, std::string_view what, const std::string& with) {
    for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + with.size())) {
        text.replace(at, what.size(), with);
    }
    return text;
}

// PoCL writes "error: FILE:LINE:COLUMN: TEXT"; editors and people look for the place first.
std::string place_first(const std::string& line) {
    for (const std::string_view kind : {"error: ", "warning: "}) {
        const std::size_t text = line.find(": ", kind.size());
        if (line.starts_with(kind) && text != std::string::npos && line[text - 1] >= '0' && line[text - 1] <= '9') {
            return fmt::format("{}: {}{}", line.substr(kind.size(), text - kind.size()), kind, line.substr(text + 2));
        }
    }
    return line;
}

// A compiler's messages as they stand in a sentence: one behind it, several below it.
std::string messages_of(const std::string& log) {
    std::string lines;
    std::size_t count = 0;
    for (std::size_t at = 0; at < log.size();) {
        const std::size_t end = std::min(log.find('\n', at), log.size());
        const std::string line = log.substr(at, end - at);
        at = end + 1;
        // That it has failed is said in front.
        if (!line.empty() && !(line.starts_with("Device ") && line.ends_with("failed to build the program"))) {
            lines += "\n  " + place_first(line);
            ++count;
        }
    }
    return count == 1 ? lines.substr(3) : lines;
}

Result<OpenclOwned<cl_program>> build(cl_context context, const OpenclTarget& target, const Program& program,
                                      std::string& log) {
    // NVIDIA's compiler passes over the line that says where the text is from, and counts it.
    const bool named = target.platform_name == "NVIDIA CUDA";
    const std::string text = named ? program.source : with_name(program);
    const char* source = text.c_str();
    const std::size_t length = text.size();
    cl_int status = CL_SUCCESS;
    OpenclOwned<cl_program> built(::clCreateProgramWithSource(context, 1, &source, &length, &status));
    if (!built) {
        return fail_opencl(status, "cannot create an OpenCL program");
    }
    const std::string options = program.options + " -cl-kernel-arg-info";
    status = ::clBuildProgram(built.get(), 1, &target.device, options.c_str(), nullptr, nullptr);
    log = build_log(built.get(), target.device);
    if (named) {
        log = replaced(log, "<kernel>", printable(program.source_name));
    }
    if (status == CL_SUCCESS) {
        return built;
    }
    const int code = errno_of_opencl(status) == ENOMEM ? ENOMEM : ENOEXEC;
    if (log.empty()) {
        log = opencl_error_name(status);
    }
    const std::string messages = messages_of(log);
    return fail(code, "{} does not compile:{}{}", printable(program.source_name), messages.starts_with('\n') ? "" : " ",
                messages.empty() ? log : messages);
}

// The work-group size of the launch; checks one that the caller or the source asks for.
Result<std::array<std::size_t, 3>> work_group_of(cl_program built, const OpenclTarget& target, const Program& program) {
    cl_int status = CL_SUCCESS;
    const OpenclOwned<cl_kernel> kernel(::clCreateKernel(built, program.function.c_str(), &status));
    if (!kernel) {
        if (status == CL_INVALID_KERNEL_NAME) {
            return fail(EINVAL, "{} has no kernel function \"{}\"; name one that is declared with \"kernel\"",
                        printable(program.source_name), printable(program.function));
        }
        return fail_opencl(status, "cannot create kernel " + printable(program.function));
    }
    WorkGroupLimits limits;
    std::array<std::size_t, 3> required{};
    ::clGetKernelWorkGroupInfo(kernel.get(), target.device, CL_KERNEL_WORK_GROUP_SIZE, sizeof limits.items,
                               &limits.items, nullptr);
    ::clGetDeviceInfo(target.device, CL_DEVICE_MAX_WORK_ITEM_SIZES, sizeof limits.extent, limits.extent.data(),
                      nullptr);
    ::clGetKernelWorkGroupInfo(kernel.get(), target.device, CL_KERNEL_COMPILE_WORK_GROUP_SIZE, sizeof required,
                               required.data(), nullptr);
    const auto& global = program.geometry.global;
    std::array<std::size_t, 3> local = program.geometry.local;
    if (local[0] == 0) {
        local = required[0] != 0 ? required : choose_work_group(global, limits);
    }
    if (required[0] != 0 && local != required) {
        return fail(EINVAL, "kernel {} requires work-groups of {}x{}x{}; leave local out or give that",
                    printable(program.function), required[0], required[1], required[2]);
    }
    std::size_t items = 1;
    for (std::size_t d = 0; d < 3; ++d) {
        if (local[d] == 0 || local[d] > limits.extent[d] || global[d] % local[d] != 0 ||
            local[d] > limits.items / items) {
            return fail(EINVAL,
                        "work-group size {}x{}x{} of kernel {} does not fit geometry {}x{}x{} (at most {} items, and "
                        "each must divide); choose another",
                        local[0], local[1], local[2], printable(program.function), global[0], global[1], global[2],
                        limits.items);
        }
        items *= local[d];
    }
    return local;
}

std::vector<Parameter> parameters_of(cl_program built, const std::string& function) {
    cl_int status = CL_SUCCESS;
    const OpenclOwned<cl_kernel> kernel(::clCreateKernel(built, function.c_str(), &status));
    cl_uint count = 0;
    if (!kernel || ::clGetKernelInfo(kernel.get(), CL_KERNEL_NUM_ARGS, sizeof count, &count, nullptr) != CL_SUCCESS) {
        return {};
    }
    return opencl_parameters(kernel.get(), count);
}

void ask_pocl_for(const std::array<std::size_t, 3>& global, const std::array<std::size_t, 3>& local) {
    const bool small =
        global[0] < pocl_small_grid_below && global[1] < pocl_small_grid_below && global[2] < pocl_small_grid_below;
    const std::string variant =
        fmt::format("{}-{}-{}-goffs0{}", local[0], local[1], local[2], small ? "-smallgrid" : "");
    ::setenv("POCL_BINARY_SPECIALIZE_WG", variant.c_str(), 1);
}

Result<std::vector<unsigned char>> binary_of(cl_program built) {
    std::size_t bytes = 0;
    cl_int status = ::clGetProgramInfo(built, CL_PROGRAM_BINARY_SIZES, sizeof bytes, &bytes, nullptr);
    if (status != CL_SUCCESS || bytes == 0) {
        return fail_opencl(status, "the OpenCL platform gives no binary of the program");
    }
    std::vector<unsigned char> binary(bytes);
    unsigned char* place = binary.data();
    status = ::clGetProgramInfo(built, CL_PROGRAM_BINARIES, sizeof place, static_cast<void*>(&place), nullptr);
    if (status != CL_SUCCESS) {
        return fail_opencl(status, "the OpenCL platform gives no binary of the program");
    }
    return binary;
}

}  // namespace

Result<BuiltBinary> build_opencl(const CompileRequest& request) {
    auto target = find_opencl_target(request.platform);
    if (!target) {
        return tl::unexpected(target.error());
    }
    cl_int status = CL_SUCCESS;
    const OpenclOwned<cl_context> context(::clCreateContext(nullptr, 1, &target->device, nullptr, nullptr, &status));
    if (!context) {
        return fail_opencl(status, "cannot create an OpenCL context");
    }
    BuiltBinary result;
    auto built = build(context.get(), *target, request.program, result.answer.log);
    if (!built) {
        return tl::unexpected(built.error());
    }
    auto local = work_group_of(built->get(), *target, request.program);
    if (!local) {
        return tl::unexpected(local.error());
    }
    result.answer.local = *local;
    result.parameters = parameters_of(built->get(), request.program.function);
    ask_pocl_for(request.program.geometry.global, *local);
    auto binary = binary_of(built->get());
    if (!binary) {
        return tl::unexpected(binary.error());
    }
    result.bytes = std::move(*binary);
    return result;
}

}  // namespace yoke::device
