// The CUDA device as the executive uses it: its kernels, pinned memory, and the table of keys.
//
// PROBLEM. Calls that free or unpin memory wait for every kernel of the context to end, and the resident kernel never
// does. So memory of the device is taken once, keys are places in a table, and unpinning is left to moments when the
// resident kernel is parked. An error of a running kernel spoils the whole context: the worker ends, and its clients
// repeat their calls at the next one.
#pragma once

#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "device/cuda/driver.hpp"
#include "executive/cuda/kernels.hpp"
#include "executive/host/session.hpp"

namespace yoke::executive::cuda {

namespace driver = device::cuda;

// Pinned host memory that only the worker and the device know.
template <typename T>
struct Pinned {
    T* host = nullptr;
    T* device = nullptr;
};

class Device {
   public:
    static Result<std::unique_ptr<Device>> open(const Limits& limits);
    Device(const Device&) = delete;
    Device& operator=(const Device&) = delete;
    ~Device() = default;  // the context goes with the process

    void must(CUresult result, const char* what) const {
        if (result != CUDA_SUCCESS) {
            driver::lost(driver::check(result, what).error());
        }
    }
    [[nodiscard]] const driver::Driver& api() const { return *context_->driver; }
    [[nodiscard]] const driver::Context& context() const { return *context_; }

    // Pins memory for the device. ENOMEM and others; `pinned` is set where it must be unpinned in the end all the same.
    Result<std::uint8_t*> pin(std::byte* memory, std::size_t bytes, bool& pinned) const;
    // Only while no kernel is resident.
    void unpin(std::byte* memory) const { must(api().cuMemHostUnregister(memory), "memory cannot be unpinned"); }
    template <typename T>
    Result<Pinned<T>> allocate_pinned(std::size_t count) const {
        void* host = nullptr;
        CUdeviceptr at = 0;
        Status done = driver::check(api().cuMemHostAlloc(&host, count * sizeof(T), CU_MEMHOSTALLOC_DEVICEMAP),
                                    "pinned memory cannot be had");
        done =
            done ? driver::check(api().cuMemHostGetDevicePointer(&at, host, 0), "pinned memory has no address") : done;
        if (!done) {
            return tl::unexpected(done.error());
        }
        std::uninitialized_value_construct_n(static_cast<T*>(host), count);
        return Pinned<T>{static_cast<T*>(host), driver::pointer_to<T>(at)};
    }
    Result<CUdeviceptr> allocate(std::size_t bytes) const;
    Result<CUstream> create_stream(int priority) const;

    // A place in the table of keys, wiped on the device when the last holder lets go. Null: the table is full.
    struct KeyPlace {
        KeyPlace(Device* owner, std::uint32_t number) : device(owner), place(number) {}
        KeyPlace(const KeyPlace&) = delete;
        KeyPlace& operator=(const KeyPlace&) = delete;
        ~KeyPlace() { device->wipe_key(place); }
        Device* device;
        std::uint32_t place;
    };
    std::shared_ptr<KeyPlace> put_key(const Key& key);
    [[nodiscard]] const Key* keys() const { return driver::pointer_to<const Key>(keys_); }

    CUfunction nsk = nullptr;
    CUfunction bulk = nullptr;
    CUfunction bulk_begin = nullptr;
    CUfunction bulk_tag = nullptr;
    CUfunction read_clock = nullptr;
    std::uint32_t cycles_per_us = 1000;  // at the highest clock
    int priority_high = 0;
    int priority_low = 0;

   private:
    Device() = default;
    Status load_kernels(const void* code);
    void wipe_key(std::uint32_t place);

    const driver::Context* context_ = nullptr;
    std::mutex key_mutex_;
    CUstream key_stream_ = nullptr;
    CUdeviceptr keys_ = 0;
    Pinned<Key> key_staging_;
    std::vector<std::uint32_t> free_places_;
};

// What the device keeps with a session. Guarded by the mutex of the resident kernel's keeper, but for pinning.
struct Side final : DeviceSide {
    explicit Side(const std::atomic<const Device*>& owner) : device(owner) {}
    void before_transfer(Session& session) noexcept override;

    const std::atomic<const Device*>& device;  // null: not open
    std::atomic<bool> transfers{false};        // pinned for transfers, or refused
    std::mutex pinning;
    bool pinned = false;
    bool arena_pinned = false;  // also where the status page was refused
    bool status_pinned = false;
    std::atomic<bool> refused{false};  // could not be pinned: served by the host. Read without `pinning`
    std::uint8_t* arena = nullptr;
    std::uint8_t* status = nullptr;

    std::vector<KeyName> names;  // keys_per_ring, empty without keys
    std::mutex key_mutex;        // of keys
    std::map<std::uint32_t, std::shared_ptr<Device::KeyPlace>> keys;

    bool away = false;       // the ring is lent
    std::uint32_t slot = 0;  // away: which of the device's rings
    std::uint32_t attachment = 0;
    std::uint64_t watched = 0;  // position whose completion may be waited for
    Report seen{};              // counted so far in this attachment
};

inline Side& side_of(Session& session) {
    return static_cast<Side&>(*session.device);
}

// Pins a session's memory unless that was done. False: the device refuses it.
bool pin_session(const Device& device, Session& session);

}  // namespace yoke::executive::cuda
