// Opening the device; pinning; keys. See device.hpp.
#include "executive/cuda/device.hpp"

#include <algorithm>
#include <utility>

#include "base/log.hpp"
#include "service/device/key.hpp"

namespace yoke::executive::cuda {

Result<std::unique_ptr<Device>> Device::open(const Limits& limits) {
    auto context = driver::primary_context();
    if (!context) {
        return tl::unexpected(context.error());
    }
    std::unique_ptr<Device> device(new Device);
    device->context_ = *context;
    device->context_->make_current();
    Status done =
        driver::check(device->api().cuCtxGetStreamPriorityRange(&device->priority_low, &device->priority_high),
                      "priorities of the device cannot be read");
    int kilohertz = 0;
    done = done ? driver::check(device->api().cuDeviceGetAttribute(&kilohertz, CU_DEVICE_ATTRIBUTE_CLOCK_RATE,
                                                                   device->context_->device),
                                "the device does not tell its clock")
                : done;
    device->cycles_per_us = static_cast<std::uint32_t>(std::max(1000, kilohertz) / 1000);
    done =
        done ? device->load_kernels(limits.device_code != nullptr ? limits.device_code : yoke_executive_kernels) : done;
    if (!done) {
        return tl::unexpected(done.error());
    }
    auto stream = device->create_stream(device->priority_high);
    auto keys = device->allocate(std::size_t{key_places} * sizeof(Key));
    auto staging = device->allocate_pinned<Key>(1);
    if (!stream || !keys || !staging) {
        return tl::unexpected(!stream ? stream.error() : !keys ? keys.error() : staging.error());
    }
    device->key_stream_ = *stream;
    device->keys_ = *keys;
    device->key_staging_ = *staging;
    for (std::uint32_t place = key_places; place > 0; --place) {
        device->free_places_.push_back(place - 1);
    }
    return device;
}

Status Device::load_kernels(const void* code) {
    CUlibrary library = nullptr;
    Status done = driver::check(api().cuLibraryLoadData(&library, code, nullptr, nullptr, 0, nullptr, nullptr, 0),
                                "the executive's kernels cannot be loaded");
    const std::pair<const char*, CUfunction*> wanted[] = {{"nsk", &nsk},
                                                          {"bulk", &bulk},
                                                          {"bulk_begin", &bulk_begin},
                                                          {"bulk_tag", &bulk_tag},
                                                          {"read_clock", &read_clock}};
    for (const auto& [name, place] : wanted) {
        CUkernel kernel = nullptr;
        done = done ? driver::check(api().cuLibraryGetKernel(&kernel, library, name), "a kernel is missing") : done;
        *place = reinterpret_cast<CUfunction>(kernel);
    }
    for (CUfunction kernel : {nsk, bulk, bulk_tag}) {
        done = done ? driver::check(
                          api().cuKernelSetAttribute(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, table_bytes,
                                                     reinterpret_cast<CUkernel>(kernel), context_->device),
                          "a kernel cannot have its shared memory")
                    : done;
    }
    return done;
}

Result<std::uint8_t*> Device::pin(std::byte* memory, std::size_t bytes, bool& pinned) const {
    CUdeviceptr at = 0;
    Status done = driver::check(api().cuMemHostRegister(memory, bytes, CU_MEMHOSTREGISTER_DEVICEMAP),
                                "memory of a session cannot be pinned");
    pinned = done.has_value();
    done = done ? driver::check(api().cuMemHostGetDevicePointer(&at, memory, 0), "pinned memory has no address") : done;
    if (!done) {
        return tl::unexpected(done.error());
    }
    return driver::pointer_to<std::uint8_t>(at);
}

Result<CUdeviceptr> Device::allocate(std::size_t bytes) const {
    CUdeviceptr memory = 0;
    if (auto done = driver::check(api().cuMemAlloc(&memory, bytes), "memory of the device cannot be had"); !done) {
        return tl::unexpected(done.error());
    }
    return memory;
}

Result<CUstream> Device::create_stream(int priority) const {
    CUstream stream = nullptr;
    if (auto done = driver::check(api().cuStreamCreateWithPriority(&stream, CU_STREAM_NON_BLOCKING, priority),
                                  "a stream cannot be had");
        !done) {
        return tl::unexpected(done.error());
    }
    return stream;
}

std::shared_ptr<Device::KeyPlace> Device::put_key(const Key& key) {
    const std::lock_guard lock(key_mutex_);
    if (free_places_.empty()) {
        return nullptr;
    }
    context_->make_current();
    const std::uint32_t place = free_places_.back();
    *key_staging_.host = key;
    must(api().cuMemcpyHtoDAsync(keys_ + place * sizeof(Key), key_staging_.host, sizeof(Key), key_stream_),
         "a key cannot be copied");
    must(api().cuStreamSynchronize(key_stream_), "a key cannot be copied");
    service::device::wipe(*key_staging_.host);
    free_places_.pop_back();
    return std::make_shared<KeyPlace>(this, place);
}

void Device::wipe_key(std::uint32_t place) {
    const std::lock_guard lock(key_mutex_);
    context_->make_current();
    must(api().cuMemsetD8Async(keys_ + place * sizeof(Key), 0, sizeof(Key), key_stream_), "a key cannot be wiped");
    must(api().cuStreamSynchronize(key_stream_), "a key cannot be wiped");
    free_places_.push_back(place);
}

void Side::before_transfer(Session& session) noexcept {
    const Device* const open = device.load(std::memory_order_acquire);
    if (open != nullptr && !transfers) {
        open->context().make_current();
        pin_session(*open, session);
        transfers = true;
    }
}

bool pin_session(const Device& device, Session& session) {
    Side& side = side_of(session);
    const std::lock_guard lock(side.pinning);
    if (side.pinned || side.refused) {
        return side.pinned;
    }
    auto arena = device.pin(session.memory.arena.data(), session.memory.layout.arena_bytes, side.arena_pinned);
    auto status = arena
                      ? device.pin(session.memory.status.data(), session.memory.layout.status_bytes, side.status_pinned)
                      : arena;
    if (!status) {
        side.refused = true;
        log_warning(Topic::executive, "session is served without the device",
                    {{"session", session.id}, {"error", status.error().message}});
        return false;
    }
    side.arena = *arena;
    side.status = *status;
    side.pinned = true;
    return true;
}

}  // namespace yoke::executive::cuda
