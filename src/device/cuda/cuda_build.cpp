// One way for each form; see cuda_build.hpp.
#include "device/cuda/cuda_build.hpp"

#include <array>
#include <string_view>

#include "base/text.hpp"
#include "device/cuda/driver.hpp"
#include "device/cuda/image.hpp"
#include "device/cuda/nvrtc.hpp"
#include "device/cuda/ptx.hpp"

namespace yoke::device::cuda {
namespace {

constexpr const char* opencl_platform = "NVIDIA CUDA";

void* option(std::size_t value) {
    return std::bit_cast<void*>(value);  // as the linker takes numbers
}

// Translates PTX to the machine code of the first device.
Result<std::vector<unsigned char>> assemble(const std::string& ptx, const std::string& source_name, std::string& log) {
    auto context = primary_context();
    if (!context) {
        return tl::unexpected(context.error());
    }
    const Driver& api = *(*context)->driver;
    (*context)->make_current();
    std::array<char, compiler_log_bytes_max> errors{};
    std::array<char, compiler_log_bytes_max> warnings{};
    std::array<CUjit_option, 4> options{CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES,
                                        CU_JIT_INFO_LOG_BUFFER, CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES};
    std::array<void*, 4> values{errors.data(), option(errors.size()), warnings.data(), option(warnings.size())};
    CUlinkState state = nullptr;
    if (auto created = check(api.cuLinkCreate(options.size(), options.data(), values.data(), &state),
                             "the driver's linker cannot be started");
        !created) {
        return tl::unexpected(created.error());
    }
    std::string text = ptx;
    void* code = nullptr;
    std::size_t bytes = 0;
    CUresult result = api.cuLinkAddData(state, CU_JIT_INPUT_PTX, text.data(), text.size() + 1, source_name.c_str(), 0,
                                        nullptr, nullptr);
    result = result == CUDA_SUCCESS ? api.cuLinkComplete(state, &code, &bytes) : result;
    std::vector<unsigned char> copy;
    if (result == CUDA_SUCCESS) {
        const auto* const begin = static_cast<const unsigned char*>(code);
        copy.assign(begin, begin + bytes);
    }
    api.cuLinkDestroy(state);
    if (result != CUDA_SUCCESS) {
        const std::string_view said = errors.data();
        return fail(result == CUDA_ERROR_OUT_OF_MEMORY ? ENOMEM : ENOEXEC, "{} does not compile: {}",
                    printable(source_name),
                    said.empty() ? check(result, "the driver refuses it").error().message : std::string(said));
    }
    log += warnings.data();
    return copy;
}

Result<BuiltBinary> from_opencl(const CompileRequest& request) {
    CompileRequest for_platform = request;
    for_platform.platform = opencl_platform;
    auto built = build_opencl(for_platform);
    if (!built) {
        if (built.error().code == ENODEV) {
            return fail(ENODEV,
                        "OpenCL C cannot be compiled for the CUDA device ({}); install NVIDIA's OpenCL "
                        "driver or give the kernel as CUDA C++ or PTX",
                        built.error().message);
        }
        return built;
    }
    const std::string_view text(reinterpret_cast<const char*>(built->bytes.data()), built->bytes.size());
    auto ptx = rewrite_opencl_ptx(text.substr(0, text.find('\0')));
    if (!ptx) {
        return tl::unexpected(ptx.error());
    }
    auto code = assemble(*ptx, request.program.source_name, built->answer.log);
    if (!code) {
        return tl::unexpected(code.error());
    }
    built->bytes = bytes_of({request.program.function, true, built->parameters, std::move(*code)});
    return built;
}

Result<BuiltBinary> from_cuda(const CompileRequest& request, const std::string& architecture) {
    const Program& program = request.program;
    auto compiled = compile_cuda(program.source, program.source_name, program.function, program.options, architecture);
    if (!compiled) {
        return tl::unexpected(compiled.error());
    }
    BuiltBinary built;
    built.answer.local = program.geometry.local;
    built.answer.log = std::move(compiled->log);
    built.bytes = bytes_of({compiled->symbol, false, {}, std::move(compiled->code)});
    return built;
}

Result<BuiltBinary> from_ptx(const CompileRequest& request) {
    BuiltBinary built;
    built.answer.local = request.program.geometry.local;
    auto code = assemble(request.program.source, request.program.source_name, built.answer.log);
    if (!code) {
        return tl::unexpected(code.error());
    }
    built.bytes = bytes_of({request.program.function, false, {}, std::move(*code)});
    return built;
}

}  // namespace

bool is_cuda(const CompileRequest& request) {
    return request.platform.starts_with(platform_prefix);
}

Result<BuiltBinary> build_cuda(const CompileRequest& request) {
    const std::string architecture = request.platform.substr(std::string_view(platform_prefix).size());
    const std::string& form = request.program.form;
    if (form == "opencl") {
        return from_opencl(request);
    }
    if (form == "cuda") {
        return from_cuda(request, architecture);
    }
    if (form == "ptx") {
        return from_ptx(request);
    }
    return fail(ENOTSUP, "the CUDA device has no compiler for kernels of form \"{}\"", printable(form));
}

}  // namespace yoke::device::cuda
