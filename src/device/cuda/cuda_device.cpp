// Puts pool, watcher, queues and kernels together; see cuda_device.hpp. Loaded code is kept for the next graph with the
// same kernel: loading makes the resident kernel leave.
#include "device/cuda/cuda_device.hpp"

#include <algorithm>
#include <list>
#include <mutex>
#include <optional>
#include <utility>

#include "base/log.hpp"
#include "base/text.hpp"
#include "device/cpu/binary_cache.hpp"
#include "device/cpu/compiler.hpp"
#include "device/cuda/cuda_build.hpp"
#include "device/cuda/cuda_host_kernel.hpp"
#include "device/cuda/cuda_kernel.hpp"
#include "device/cuda/cuda_queue.hpp"
#include "device/cuda/memory_pool.hpp"
#include "device/cuda/quiet.hpp"
#include "device/cuda/watcher.hpp"

namespace yoke::device::cuda {
namespace {

constexpr std::size_t modules_kept = 64;  // a few graphs' kernels; some 100 KiB of device memory each

class CudaDevice final : public Device {
   public:
    CudaDevice(const Context& context, const LanePlan& lanes, std::unique_ptr<Watcher> watcher,
               std::unique_ptr<Compiler> compiler)
        : context_(context),
          lanes_(lanes),
          pool_(std::make_shared<MemoryPool>(context)),
          watcher_(std::move(watcher)),
          compiler_(std::move(compiler)) {}

    [[nodiscard]] std::string name() const override { return "cuda"; }
    [[nodiscard]] bool overlaps() const override { return true; }
    [[nodiscard]] std::string description() const override {
        return fmt::format("{} (CUDA {}.{})", context_.name, context_.driver_version / 1000,
                           context_.driver_version % 1000 / 10);
    }

    Result<std::unique_ptr<Buffer>> allocate(std::size_t bytes) override {
        auto block = pool_->take(bytes);
        if (!block) {
            return tl::unexpected(block.error());
        }
        return std::make_unique<CudaBuffer>(pool_, *block, bytes);
    }

    Result<std::unique_ptr<Queue>> create_queue() override {
        auto queue = CudaQueue::create(context_, lanes_, *watcher_);
        if (!queue) {
            return tl::unexpected(queue.error());
        }
        return std::move(*queue);
    }

    [[nodiscard]] bool accepts(const std::string& form) const override {
        return form == "opencl" || form == "cuda" || form == "ptx" || form == "cubin";
    }

    Result<std::unique_ptr<Kernel>> host_kernel(std::vector<Parameter> parameters, HostFunction function,
                                                const Geometry& geometry) override {
        return std::make_unique<CudaHostKernel>(context_, std::move(parameters), std::move(function), geometry);
    }

    Result<std::unique_ptr<Kernel>> compile(const Program& program, std::string& log) override {
        if (!accepts(program.form)) {
            return fail(ENOTSUP, "the CUDA device takes no kernels of form \"{}\"", printable(program.form));
        }
        for (const std::size_t extent : program.geometry.global) {
            if (extent == 0) {
                return fail(EINVAL, "kernel {} has a geometry with 0 work items; give at least 1 per dimension",
                            printable(program.function));
            }
        }
        auto kernel = load(program, log, false);
        if (!kernel && kernel.error().code == EBADF) {  // see load()
            kernel = load(program, log, true);
        }
        if (!kernel) {
            return tl::unexpected(kernel.error());
        }
        return std::move(*kernel);
    }

   private:
    struct Kept {
        BinaryCache::Key key{};
        std::shared_ptr<Module> module;
    };

    // EBADF: what the cache had is damaged or the driver does not take it.
    Result<std::unique_ptr<CudaKernel>> load(const Program& program, std::string& log, bool fresh) {
        Image image;
        Geometry geometry = program.geometry;
        bool cached = false;
        if (program.form == "cubin") {
            image.symbol = program.function;
            image.code.assign(program.source.begin(), program.source.end());
        } else {
            auto outcome = compiler_->compile({platform_prefix + context_.architecture, program}, fingerprint(), fresh);
            if (!outcome) {
                return tl::unexpected(outcome.error());
            }
            cached = outcome->cached;
            log = std::move(outcome->entry.log);
            std::copy(outcome->entry.local.begin(), outcome->entry.local.end(), geometry.local.begin());
            auto parsed = image_from_untrusted(outcome->entry.binary);
            if (!parsed) {
                return fail(cached ? EBADF : parsed.error().code, "{}", parsed.error().message);
            }
            image = std::move(*parsed);
        }
        auto kernel = create(image, geometry);
        if (!kernel && cached && kernel.error().code == ENOEXEC) {
            log_warning(Topic::device, "compiled kernel refused, compiling again",
                        {{"function", program.function}, {"why", kernel.error().message}});
            return fail(EBADF, "{}", kernel.error().message);
        }
        return kernel;
    }

    Result<std::unique_ptr<CudaKernel>> create(const Image& image, const Geometry& geometry) {
        auto key = BinaryCache::key_of(std::array{std::string(image.code.begin(), image.code.end())});
        if (!key) {
            return tl::unexpected(key.error());
        }
        std::list<Kept> dropped;  // unloaded without the lock, and after the quiet
        const std::lock_guard lock(mutex_);
        auto found =
            std::find_if(modules_.begin(), modules_.end(), [&key](const Kept& kept) { return kept.key == *key; });
        const Quiet quiet;
        if (found == modules_.end()) {
            auto module = Module::load(context_, image.code);
            if (!module) {
                return tl::unexpected(module.error());
            }
            modules_.push_front({*key, std::move(*module)});
            found = modules_.begin();
            if (modules_.size() > modules_kept) {
                dropped.splice(dropped.begin(), modules_, std::prev(modules_.end()));
            }
        } else {
            modules_.splice(modules_.begin(), modules_, found);
        }
        return CudaKernel::create(context_, found->module, image, geometry);
    }

    [[nodiscard]] std::string fingerprint() const {
        return fmt::format("cuda\n{}\n{}\n{}", context_.name, context_.architecture, context_.driver_version);
    }

    const Context& context_;
    LanePlan lanes_;
    std::shared_ptr<MemoryPool> pool_;
    std::unique_ptr<Watcher> watcher_;
    std::unique_ptr<Compiler> compiler_;
    std::mutex mutex_;
    std::list<Kept> modules_;  // the one used last first
};

}  // namespace

Result<std::unique_ptr<Device>> open_cuda_device(Options& options) {
    auto context = primary_context();
    if (!context) {
        return tl::unexpected(context.error());
    }
    (*context)->make_current();
    auto watcher = Watcher::create(**context);
    if (!watcher) {
        return tl::unexpected(watcher.error());
    }
    const std::string directory = options.cache_directory.empty() ? default_cache_directory() : options.cache_directory;
    std::optional<BinaryCache> cache;
    if (!directory.empty()) {
        if (auto opened = BinaryCache::open(directory)) {
            cache = std::move(*opened);
        } else {
            log_warning(Topic::device, "compiled kernels are not kept", {{"why", opened.error().message}});
        }
    }
    auto compiler = std::make_unique<Compiler>(std::move(options.spawner), std::move(cache));
    return std::make_unique<CudaDevice>(**context, options.lanes, std::move(*watcher), std::move(compiler));
}

}  // namespace yoke::device::cuda
