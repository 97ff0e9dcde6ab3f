// Two locks: one is held while the device opens, which takes long; the other only guards what is known of the outcome,
// so that an inventory never waits for a device.
#include "worker/engine.hpp"

#include <unistd.h>

#include <cstdlib>
#include <string_view>

#include "base/log.hpp"
#include "device/cpu/opencl_device.hpp"
#include "device/cuda/cuda_device.hpp"
#include "worker/last_words.hpp"

namespace yoke::worker {

namespace {

// Nothing takes a device back from a kernel that never ends but the end of the process: at once, since what waits for
// the device would wait for ever. yoked starts the next worker; its clients hear that their graphs began anew.
void end_at_once(const std::string& object, const std::string& why) {
    log_error(Topic::worker, "worker ends, since a kernel does not", {{"why", why}});
    say_last_words(object, why + " and does not end");
    ::_exit(EXIT_FAILURE);
}

}  // namespace

bool wants_cuda() {
#if defined(YOKE_WITH_CUDA)
    const char* const wanted = std::getenv("YOKE_DEVICE");
    return wanted == nullptr || std::string_view(wanted) != "cpu";
#else
    return false;
#endif
}

bool wants_device_faults() {
    const char* const wanted = std::getenv("YOKE_DEVICE_FAULTS");
    return wanted != nullptr && std::string_view(wanted) == "1";
}

Result<graph::Runtime*> Engine::open(const graph::Limits& limits) {
    const std::lock_guard lock(opening_);
    if (!outcome_) {
        Status opened = open_once(limits);
        if (!opened) {
            log_warning(Topic::worker, "graphs cannot be served", {{"why", opened.error().message}});
        }
        const std::lock_guard outcome_lock(outcome_mutex_);
        outcome_ = std::move(opened);
    }
    if (!*outcome_) {
        return tl::unexpected(outcome_->error());
    }
    return runtime_.get();
}

Status Engine::open_once(const graph::Limits& limits) {
    if (!spawner_) {
        return tl::unexpected(spawner_.error());
    }
    auto device = open_device();
    if (!device) {
        return tl::unexpected(device.error());
    }
    device_ = std::move(*device);
    auto runtime = graph::Runtime::create(*device_, limits, end_at_once);
    if (!runtime) {
        return tl::unexpected(runtime.error());
    }
    runtime_ = std::move(*runtime);
    runtime_->lend_keys(lender_);
    ready_.store(runtime_.get(), std::memory_order_release);
    return {};
}

// A GPU where there is one, else the CPU.
Result<std::unique_ptr<device::Device>> Engine::open_device() {
    if (uses_cuda_) {
        device::cuda::Options options{.spawner = std::move(*spawner_), .cache_directory = {}};
        auto device = device::cuda::open_cuda_device(options);
        if (device) {
            return device;
        }
        if (device.error().code == ENODEV) {
            log_info(Topic::worker, "graphs are served without a CUDA device", {{"why", device.error().message}});
        } else {
            log_warning(Topic::worker, "graphs are served without the CUDA device", {{"why", device.error().message}});
        }
        *spawner_ = std::move(options.spawner);
    }
    return device::open_opencl_device({.spawner = std::move(*spawner_), .platform = {}, .cache_directory = {}});
}

control::Json Engine::devices() const {
    const std::lock_guard lock(outcome_mutex_);
    control::Json device{{"name", "cpu"}, {"description", nullptr}, {"state", "opening"}, {"error", nullptr}};
    if (outcome_ && *outcome_) {
        device["name"] = device_->name();
        device["description"] = device_->description();
        device["state"] = "open";
    } else if (outcome_) {
        device["state"] = "failed";
        device["error"] = outcome_->error().message;
    }
    return control::Json::array({std::move(device)});
}

}  // namespace yoke::worker
