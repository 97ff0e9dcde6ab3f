// The library is looked for under its versioned names, then where CUDA is installed by default.
#include "device/cuda/nvrtc.hpp"

#include <dlfcn.h>
#include <nvrtc.h>

#include <array>
#include <filesystem>
#include <memory>
#include <sstream>

#include "base/text.hpp"

namespace yoke::device::cuda {
namespace {

constexpr const char* toolkit = "/usr/local/cuda";

// clang-format off
#define YOKE_NVRTC_FUNCTIONS(X)                                                                                        \
    X(nvrtcCreateProgram) X(nvrtcDestroyProgram) X(nvrtcAddNameExpression) X(nvrtcCompileProgram)                      \
    X(nvrtcGetLoweredName) X(nvrtcGetCUBINSize) X(nvrtcGetCUBIN) X(nvrtcGetProgramLogSize) X(nvrtcGetProgramLog)       \
    X(nvrtcGetErrorString)
// clang-format on

struct Nvrtc {
// NOLINTNEXTLINE(bugprone-macro-parentheses): the name of a member
#define YOKE_NVRTC_MEMBER(function) decltype(&::function) function = nullptr;
    YOKE_NVRTC_FUNCTIONS(YOKE_NVRTC_MEMBER)
#undef YOKE_NVRTC_MEMBER
};

Result<Nvrtc> open_nvrtc() {
    void* library = nullptr;
    const std::string installed = std::string(toolkit) + "/lib64/libnvrtc.so";
    for (const char* name : {"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so", installed.c_str()}) {
        library = library != nullptr ? library : ::dlopen(name, RTLD_NOW | RTLD_LOCAL);
    }
    if (library == nullptr) {
        return fail(ENODEV,
                    "there is no compiler for CUDA C++ (libnvrtc.so); install NVRTC or give the kernel as "
                    "OpenCL C or PTX");
    }
    Nvrtc functions;
#define YOKE_NVRTC_LOOK_UP(function)                                                                          \
    functions.function = reinterpret_cast<decltype(functions.function)>(::dlsym(library, #function));         \
    if (functions.function == nullptr) {                                                                      \
        return fail(ENODEV, "the CUDA C++ compiler has no " #function "; install NVRTC of CUDA 12 or newer"); \
    }
    YOKE_NVRTC_FUNCTIONS(YOKE_NVRTC_LOOK_UP)
#undef YOKE_NVRTC_LOOK_UP
    return functions;
}

std::string log_of(const Nvrtc& nvrtc, nvrtcProgram program) {
    std::size_t bytes = 0;
    if (nvrtc.nvrtcGetProgramLogSize(program, &bytes) != NVRTC_SUCCESS || bytes < 2) {
        return {};
    }
    std::string log(bytes, '\0');
    if (nvrtc.nvrtcGetProgramLog(program, log.data()) != NVRTC_SUCCESS) {
        return {};
    }
    log.resize(bytes - 1);
    return log;
}

std::vector<std::string> arguments_of(const std::string& options, const std::string& architecture) {
    std::vector<std::string> arguments{"--gpu-architecture=" + architecture, "--std=c++17"};
    const std::string headers = std::string(toolkit) + "/include";
    std::error_code error;
    if (std::filesystem::is_directory(headers, error)) {
        arguments.push_back("--include-path=" + headers);
    }
    std::istringstream words(options);
    for (std::string word; words >> word;) {
        arguments.push_back(word);
    }
    return arguments;
}

}  // namespace

Result<NvrtcOutcome> compile_cuda(const std::string& source, const std::string& source_name,
                                  const std::string& function, const std::string& options,
                                  const std::string& architecture) {
    auto opened = open_nvrtc();
    if (!opened) {
        return tl::unexpected(opened.error());
    }
    const Nvrtc& nvrtc = *opened;
    nvrtcProgram raw = nullptr;
    if (nvrtc.nvrtcCreateProgram(&raw, source.c_str(), source_name.c_str(), 0, nullptr, nullptr) != NVRTC_SUCCESS) {
        return fail(ENOMEM, "compiling {} takes more memory than there is", printable(source_name));
    }
    const auto destroy = [&nvrtc](nvrtcProgram program) { nvrtc.nvrtcDestroyProgram(&program); };
    const std::unique_ptr<std::remove_pointer_t<nvrtcProgram>, decltype(destroy)> program(raw, destroy);
    nvrtc.nvrtcAddNameExpression(raw, function.c_str());
    const std::vector<std::string> arguments = arguments_of(options, architecture);
    std::vector<const char*> pointers;
    pointers.reserve(arguments.size());
    for (const std::string& argument : arguments) {
        pointers.push_back(argument.c_str());
    }
    const nvrtcResult compiled = nvrtc.nvrtcCompileProgram(raw, static_cast<int>(pointers.size()), pointers.data());
    NvrtcOutcome outcome;
    outcome.log = log_of(nvrtc, raw);
    // The name is looked up in a line that NVRTC appends to the source: an error there is the first only if all else is
    // right.
    if (compiled != NVRTC_SUCCESS && outcome.log.starts_with("__nv_name_map")) {
        return fail(EINVAL, "{} has no kernel function \"{}\"; name one that is declared with __global__",
                    printable(source_name), printable(function));
    }
    if (compiled != NVRTC_SUCCESS) {
        return fail(ENOEXEC, "{} does not compile: {}", printable(source_name),
                    outcome.log.empty() ? nvrtc.nvrtcGetErrorString(compiled) : outcome.log);
    }
    const char* symbol = nullptr;
    std::size_t bytes = 0;
    if (nvrtc.nvrtcGetLoweredName(raw, function.c_str(), &symbol) != NVRTC_SUCCESS || symbol == nullptr) {
        return fail(EINVAL, "{} has no kernel function \"{}\"; name one that is declared with __global__",
                    printable(source_name), printable(function));
    }
    outcome.symbol = symbol;
    if (nvrtc.nvrtcGetCUBINSize(raw, &bytes) != NVRTC_SUCCESS || bytes == 0) {
        return fail(EIO, "the CUDA C++ compiler gives no code for {}", architecture);
    }
    outcome.code.resize(bytes);
    if (nvrtc.nvrtcGetCUBIN(raw, reinterpret_cast<char*>(outcome.code.data())) != NVRTC_SUCCESS) {
        return fail(EIO, "the CUDA C++ compiler gives no code for {}", architecture);
    }
    return outcome;
}

}  // namespace yoke::device::cuda
