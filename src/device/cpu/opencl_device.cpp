// Opens the platform and makes buffers, kernels and queues of it; see opencl_device.hpp. Programs arrive as binaries
// only.
#include "device/cpu/opencl_device.hpp"

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <utility>

#include "base/log.hpp"
#include "base/text.hpp"
#include "device/cpu/binary_cache.hpp"
#include "device/cpu/compiler.hpp"
#include "device/cpu/opencl.hpp"
#include "device/cpu/opencl_buffer.hpp"
#include "device/cpu/opencl_host_kernel.hpp"
#include "device/cpu/opencl_kernel.hpp"
#include "device/cpu/opencl_queue.hpp"
#include "device/cpu/scratch.hpp"

namespace yoke::device {

namespace {

class OpenclDevice final : public Device {
   public:
    OpenclDevice(OpenclTarget target, OpenclOwned<cl_context> context, std::unique_ptr<Compiler> compiler)
        : target_(std::move(target)), context_(std::move(context)), compiler_(std::move(compiler)) {
        cl_device_svm_capabilities can = 0;  // stays 0 where the version is too old for the question
        ::clGetDeviceInfo(target_.device, CL_DEVICE_SVM_CAPABILITIES, sizeof can, &can, nullptr);
        shares_memory_ = (can & CL_DEVICE_SVM_FINE_GRAIN_BUFFER) != 0;
    }

    [[nodiscard]] std::string name() const override { return "cpu"; }
    [[nodiscard]] std::string description() const override {
        return fmt::format("{} ({})", target_.device_name, target_.platform_name);
    }

    Result<std::unique_ptr<Buffer>> allocate(std::size_t bytes) override {
        SharedMemory shared(nullptr, SharedMemoryFree{context_.get()});
        cl_mem_flags flags = CL_MEM_READ_WRITE;
        if (shares_memory_) {
            shared.reset(static_cast<std::byte*>(
                ::clSVMAlloc(context_.get(), CL_MEM_READ_WRITE | CL_MEM_SVM_FINE_GRAIN_BUFFER, bytes, 0)));
            if (!shared) {
                return fail(ENOMEM, "cannot allocate {} bytes on the device", bytes);
            }
            flags |= CL_MEM_USE_HOST_PTR;
        }
        cl_int status = CL_SUCCESS;
        OpenclOwned<cl_mem> memory(::clCreateBuffer(context_.get(), flags, bytes, shared.get(), &status));
        if (!memory) {
            return fail_opencl(status, fmt::format("cannot allocate {} bytes on the device", bytes));
        }
        return std::make_unique<OpenclBuffer>(std::move(shared), std::move(memory), bytes);
    }

    Result<std::unique_ptr<Queue>> create_queue() override {
        cl_int status = CL_SUCCESS;
        OpenclOwned<cl_command_queue> queue(::clCreateCommandQueue(context_.get(), target_.device, 0, &status));
        if (!queue) {
            return fail_opencl(status, "cannot create a queue on the device");
        }
        return std::make_unique<OpenclQueue>(std::move(queue));
    }

    [[nodiscard]] bool accepts(const std::string& form) const override { return form == "opencl"; }

    Result<std::unique_ptr<Kernel>> host_kernel(std::vector<Parameter> parameters, HostFunction function,
                                                const Geometry& geometry) override {
        cl_device_exec_capabilities can = 0;
        ::clGetDeviceInfo(target_.device, CL_DEVICE_EXECUTION_CAPABILITIES, sizeof can, &can, nullptr);
        if ((can & CL_EXEC_NATIVE_KERNEL) == 0 || !shares_memory_) {
            return fail(ENOTSUP, "{} cannot call functions of this process", target_.device_name);
        }
        return std::make_unique<OpenclHostKernel>(std::move(parameters), std::move(function), geometry);
    }

    Result<std::unique_ptr<Kernel>> compile(const Program& program, std::string& log) override {
        for (const std::size_t extent : program.geometry.global) {
            if (extent == 0) {
                return fail(EINVAL, "kernel {} has a geometry with 0 work items; give at least 1 per dimension",
                            printable(program.function));
            }
        }
        const CompileRequest request{target_.platform_name, program};
        auto kernel = load(request, log, false);
        if (!kernel && kernel.error().code == EBADF) {  // see load()
            kernel = load(request, log, true);
        }
        if (!kernel) {
            return tl::unexpected(kernel.error());
        }
        return std::move(*kernel);
    }

   private:
    // EBADF: a binary from the cache is whole, but OpenCL does not take it (left by another build of the driver).
    Result<std::unique_ptr<OpenclKernel>> load(const CompileRequest& request, std::string& log, bool fresh) {
        auto outcome = compiler_->compile(request, target_.fingerprint, fresh);
        if (!outcome) {
            return tl::unexpected(outcome.error());
        }
        log = std::move(outcome->entry.log);
        Geometry geometry = request.program.geometry;
        std::copy(outcome->entry.local.begin(), outcome->entry.local.end(), geometry.local.begin());
        auto kernel =
            OpenclKernel::load(context_.get(), target_, outcome->entry.binary, request.program.function, geometry);
        if (!kernel && outcome->cached) {
            log_warning(Topic::device, "compiled kernel refused, compiling again",
                        {{"function", request.program.function}, {"why", kernel.error().message}});
            return fail(EBADF, "{}", kernel.error().message);
        }
        return kernel;
    }

    OpenclTarget target_;
    OpenclOwned<cl_context> context_;
    std::unique_ptr<Compiler> compiler_;
    bool shares_memory_ = false;
};

// Where PoCL unpacks binaries: with the cache, else where temporary files go.
Result<std::string> scratch_parent(const std::optional<BinaryCache>& cache) {
    if (cache) {
        return cache->directory();
    }
    std::error_code error;
    const std::filesystem::path temporary = std::filesystem::temp_directory_path(error);
    const std::string parent = (error ? "/tmp" : temporary.string()) + fmt::format("/yoke-{}", ::geteuid());
    if (auto made = make_private_directory(parent); !made) {
        return tl::unexpected(made.error());
    }
    return parent;
}

}  // namespace

Result<std::unique_ptr<Device>> open_opencl_device(OpenclOptions options) {
    const std::string directory = options.cache_directory.empty() ? default_cache_directory() : options.cache_directory;
    std::optional<BinaryCache> cache;
    if (!directory.empty()) {
        if (auto opened = BinaryCache::open(directory)) {
            cache = std::move(*opened);
        } else {
            log_warning(Topic::device, "compiled kernels are not kept", {{"why", opened.error().message}});
        }
    }
    auto parent = scratch_parent(cache);
    if (!parent) {
        return tl::unexpected(parent.error());
    }
    auto scratch = process_scratch(*parent);
    if (!scratch) {
        return tl::unexpected(scratch.error());
    }
    const char* const asked = std::getenv("YOKE_OPENCL_PLATFORM");
    auto target = find_opencl_target(!options.platform.empty() ? options.platform : asked != nullptr ? asked : "");
    if (!target) {
        return tl::unexpected(target.error());
    }
    cl_int status = CL_SUCCESS;
    OpenclOwned<cl_context> context(::clCreateContext(nullptr, 1, &target->device, nullptr, nullptr, &status));
    if (!context) {
        return fail_opencl(status, "cannot create an OpenCL context on " + target->device_name);
    }
    auto compiler = std::make_unique<Compiler>(std::move(options.spawner), std::move(cache));
    if (auto entrusted = compiler->entrust(*scratch); !entrusted) {
        return tl::unexpected(entrusted.error());
    }
    return std::make_unique<OpenclDevice>(std::move(*target), std::move(context), std::move(compiler));
}

}  // namespace yoke::device
