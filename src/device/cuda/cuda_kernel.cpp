// Loading, what the driver tells of parameters, and work-groups; see cuda_kernel.hpp. Local memory of a context grows
// when a kernel needs more than any before, and growing waits for every kernel: so it is made to grow here.
#include "device/cuda/cuda_kernel.hpp"

#include <algorithm>
#include <atomic>

#include "base/text.hpp"
#include "device/cuda/quiet.hpp"

namespace yoke::device::cuda {
namespace {

constexpr std::size_t grid_x_max = 0x7fff'ffff;  // of every device since compute capability 3.0
constexpr std::size_t grid_yz_max = 65535;

// A kernel that uses so many bytes of local memory per thread and does nothing else: it stores at a place and loads
// from another that only the clock and the grid tell, so that no compiler takes the memory away.
std::string hungry_kernel(int bytes) {
    constexpr const char* text = R"(.version 8.0
.target sm_75
.address_size 64
.visible .entry grow(.param .u64 result)
{{
    .local .align 16 .b8 depot[{0}];
    .reg .pred %p;
    .reg .b32 %r<4>;
    .reg .b64 %rd<5>;
    mov.u64 %rd1, depot;
    mov.u32 %r1, %clock;
    rem.u32 %r1, %r1, {1};
    mul.wide.u32 %rd2, %r1, 4;
    add.u64 %rd2, %rd1, %rd2;
    st.local.u32 [%rd2], %r1;
    mov.u32 %r2, %nctaid.x;
    rem.u32 %r2, %r2, {1};
    mul.wide.u32 %rd3, %r2, 4;
    add.u64 %rd3, %rd1, %rd3;
    ld.local.u32 %r3, [%rd3];
    ld.param.u64 %rd4, [result];
    setp.eq.u64 %p, %rd4, 0;
    @%p ret;
    cvta.to.global.u64 %rd4, %rd4;
    st.global.u32 [%rd4], %r3;
    ret;
}}
)";
    return fmt::format(fmt::runtime(text), (bytes + 15) / 16 * 16, (bytes + 15) / 16 * 4);
}

std::string as_text(const std::array<std::size_t, 3>& extent) {
    return fmt::format("{}x{}x{}", extent[0], extent[1], extent[2]);
}

}  // namespace

Result<std::shared_ptr<Module>> Module::load(const Context& context, std::span<const unsigned char> code) {
    constexpr std::array<unsigned char, 4> elf{0x7f, 'E', 'L', 'F'};
    if (code.size() < elf.size() || !std::equal(elf.begin(), elf.end(), code.begin())) {
        return fail(ENOEXEC, "this is no machine code for a CUDA device; give a cubin file");
    }
    context.make_current();
    std::shared_ptr<Module> module(new Module(context));
    const CUresult result =
        context.driver->cuLibraryLoadData(&module->library_, code.data(), nullptr, nullptr, 0, nullptr, nullptr, 0);
    if (result == CUDA_ERROR_OUT_OF_MEMORY) {
        return tl::unexpected(check(result, "compiled code cannot be loaded").error());
    }
    if (result != CUDA_SUCCESS) {
        return fail(ENOEXEC, "{}", check(result, "compiled code cannot be loaded").error().message);
    }
    return module;
}

Module::~Module() {
    if (library_ != nullptr) {
        context_.make_current();
        const Quiet quiet;
        context_.driver->cuLibraryUnload(library_);
    }
}

Result<CUkernel> Module::find(const std::string& symbol) {
    CUkernel kernel = nullptr;
    if (context_.driver->cuLibraryGetKernel(&kernel, library_, symbol.c_str()) != CUDA_SUCCESS) {
        return fail(EINVAL, "the code has no kernel function \"{}\"; name one that it has", printable(symbol));
    }
    return kernel;
}

Status Module::prepare(CUkernel kernel) {
    static std::atomic<int> grown{0};  // bytes of local memory per thread; there is one context
    const Driver& api = *context_.driver;
    CUfunction function = nullptr;
    int local = 0;
    Status done = check(api.cuKernelGetFunction(&function, kernel), "a kernel cannot be loaded");
    done = done ? check(api.cuFuncLoad(function), "a kernel cannot be loaded") : done;
    done = done ? check(api.cuKernelGetAttribute(&local, CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES, kernel, context_.device),
                        "a kernel does not tell its memory")
                : done;
    if (!done || local <= grown.load()) {
        return done;
    }
    const std::string text = hungry_kernel(local);
    CUlibrary library = nullptr;
    CUkernel hungry = nullptr;
    CUstream stream = nullptr;
    CUdeviceptr nowhere = 0;
    std::array<void*, 1> arguments{&nowhere};
    done = check(api.cuLibraryLoadData(&library, text.c_str(), nullptr, nullptr, 0, nullptr, nullptr, 0),
                 "local memory cannot be prepared");
    done = done ? check(api.cuLibraryGetKernel(&hungry, library, "grow"), "local memory cannot be prepared") : done;
    done = done ? check(api.cuStreamCreateWithPriority(&stream, CU_STREAM_NON_BLOCKING, 0), "a stream cannot be had")
                : done;
    done = done ? check(api.cuLaunchKernel(reinterpret_cast<CUfunction>(hungry), 1, 1, 1, 1, 1, 1, 0, stream,
                                           arguments.data(), nullptr),
                        "local memory cannot be prepared")
                : done;
    done = done ? check(api.cuStreamSynchronize(stream), "local memory cannot be prepared") : done;
    if (stream != nullptr) {
        api.cuStreamDestroy(stream);
    }
    if (library != nullptr) {
        api.cuLibraryUnload(library);
    }
    if (done) {
        grown.store(local);
    }
    return done;
}

Result<std::unique_ptr<CudaKernel>> CudaKernel::create(const Context& context, std::shared_ptr<Module> module,
                                                       const Image& image, const Geometry& geometry) {
    context.make_current();
    auto found = module->find(image.symbol);
    if (!found) {
        return tl::unexpected(found.error());
    }
    if (auto prepared = module->prepare(*found); !prepared) {
        return tl::unexpected(prepared.error());
    }
    std::unique_ptr<CudaKernel> kernel(new CudaKernel(context, std::move(module)));
    Status done = check(context.driver->cuKernelGetFunction(&kernel->function_, *found), "a kernel cannot be loaded");
    kernel->symbol_ = image.symbol;
    done = done ? kernel->read_parameters(*found, image) : done;
    if (!done) {
        return tl::unexpected(done.error());
    }
    WorkGroupLimits limits;
    int items = 0;
    if (auto told = check(context.driver->cuKernelGetAttribute(&items, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, *found,
                                                               context.device),
                          "a kernel does not tell its limits");
        !told) {
        return tl::unexpected(told.error());
    }
    limits.items = static_cast<std::size_t>(std::max(items, 1));
    limits.extent = {1024, 1024, 64};  // of every device since compute capability 2.0
    kernel->geometry_ = geometry;
    if (geometry.local[0] == 0) {
        kernel->geometry_.local = choose_work_group(geometry.global, limits);
    }
    if (auto fits = kernel->check_geometry(limits); !fits) {
        return tl::unexpected(fits.error());
    }
    return kernel;
}

Status CudaKernel::check_geometry(const WorkGroupLimits& limits) const {
    const auto& [global, local] = geometry_;
    std::size_t items = 1;
    for (std::size_t d = 0; d < 3; ++d) {
        if (local[d] == 0 || local[d] > limits.extent[d] || local[d] > limits.items / items) {
            return fail(EINVAL, "work-group size {} of kernel {} is too large (at most {} items); choose another",
                        as_text(local), printable(symbol_), limits.items);
        }
        items *= local[d];
        if (global[d] == 0 || (global[d] - 1) / local[d] + 1 > (d == 0 ? grid_x_max : grid_yz_max)) {
            return fail(EINVAL, "geometry {} of kernel {} has too many work-groups; choose larger ones",
                        as_text(global), printable(symbol_));
        }
    }
    return {};
}

Status CudaKernel::read_parameters(CUkernel kernel, const Image& image) {
    for (std::size_t i = 0;; ++i) {
        std::size_t offset = 0;
        std::size_t size = 0;
        const CUresult result = context_.driver->cuKernelGetParamInfo(kernel, i, &offset, &size);
        if (result == CUDA_ERROR_INVALID_VALUE) {
            break;
        }
        if (auto told = check(result, "a kernel does not tell its parameters"); !told) {
            return told;
        }
        sizes_.push_back(size);
    }
    if (image.has_parameters && image.parameters.size() != sizes_.size()) {
        return fail(ENOEXEC, "kernel {} has {} parameters in its source and {} in its code", printable(symbol_),
                    image.parameters.size(), sizes_.size());
    }
    parameters_ = image.parameters;
    parameters_.resize(sizes_.size());
    for (std::size_t i = 0; i < sizes_.size(); ++i) {
        Parameter& parameter = parameters_[i];
        // Without the source an address cannot be told from eight other bytes.
        if (!image.has_parameters && sizes_[i] != sizeof(CUdeviceptr)) {
            parameter.kind = Parameter::Kind::constant;
        }
        if (parameter.kind == Parameter::Kind::constant) {
            parameter.bytes = sizes_[i];
        }
    }
    addresses_.resize(sizes_.size());
    values_.resize(sizes_.size());
    return {};
}

Result<void**> CudaKernel::bind(std::span<const Argument> arguments) {
    if (arguments.size() != sizes_.size()) {
        return fail(EINVAL, "kernel {} takes {} arguments, not {}", printable(symbol_), sizes_.size(),
                    arguments.size());
    }
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const Argument& argument = arguments[i];
        const std::size_t bytes = argument.buffer != nullptr ? sizeof(CUdeviceptr) : argument.constant.size();
        if (bytes != sizes_[i]) {
            return fail(EINVAL, "argument {} of kernel {} has {} bytes, not {}", i + 1, printable(symbol_), sizes_[i],
                        bytes);
        }
        if (argument.buffer != nullptr) {
            // NOLINTNEXTLINE(cppcoreguidelines-pro-type-static-cast-downcast): buffers of this device are CudaBuffers
            addresses_[i] = static_cast<const CudaBuffer*>(argument.buffer)->address();
            values_[i] = &addresses_[i];
        } else {
            // The driver reads it only.
            values_[i] = const_cast<std::uint8_t*>(argument.constant.data());
        }
    }
    return values_.data();
}

CudaKernel::Grid CudaKernel::grid(const std::array<std::size_t, 3>* global) const {
    const auto& wanted = global != nullptr ? *global : geometry_.global;
    Grid grid;
    for (std::size_t d = 0; d < 3; ++d) {
        const std::size_t local = geometry_.local[d];
        const std::size_t extent = std::clamp<std::size_t>(wanted[d], 1, geometry_.global[d]);
        grid.blocks[d] = static_cast<unsigned>((extent - 1) / local + 1);
        grid.threads[d] = static_cast<unsigned>(local);
    }
    return grid;
}

}  // namespace yoke::device::cuda
