// The device and the graph runtime on it, opened when the first session comes, beside everything else.
//
// Opening an OpenCL platform takes a good part of a second and may fail; services need neither. So it happens on a
// thread of the pool, once; a graph request waits for it, and where it failed says why.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "control/message.hpp"
#include "device/device.hpp"
#include "graph/runtime.hpp"

namespace yoke::worker {

// Whether calls and graphs go to a CUDA device where there is one: everywhere yoke was built with it, unless
// YOKE_DEVICE says `cpu`.
[[nodiscard]] bool wants_cuda();
// For tests: whether the resident kernel is to serve the service that fails (YOKE_DEVICE_FAULTS=1), with which a client
// can end this worker.
[[nodiscard]] bool wants_device_faults();

class Engine {
   public:
    // `spawner`: what start_spawner() gave, or why it gave nothing. `uses_cuda`: a CUDA device is taken if there is
    // one.
    Engine(Result<Fd> spawner, bool uses_cuda) : spawner_(std::move(spawner)), uses_cuda_(uses_cuda) {}
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;
    ~Engine() = default;

    // Where ptasks' services get keys from; before open().
    void lend_keys(graph::KeyLender lender) { lender_ = std::move(lender); }
    // Opens device and runtime unless that has been done; `limits` count the first time. Blocks. Any thread. ENODEV and
    // others, with the remedy.
    Result<graph::Runtime*> open(const graph::Limits& limits);
    // The runtime if it is open, else null. Any thread, never blocks.
    [[nodiscard]] graph::Runtime* runtime() const noexcept { return ready_.load(std::memory_order_acquire); }
    // Records for the inventory. Never blocks for long.
    [[nodiscard]] control::Json devices() const;

   private:
    Status open_once(const graph::Limits& limits);
    Result<std::unique_ptr<device::Device>> open_device();

    std::mutex opening_;
    Result<Fd> spawner_;
    const bool uses_cuda_;
    graph::KeyLender lender_;
    std::unique_ptr<device::Device> device_;
    std::unique_ptr<graph::Runtime> runtime_;
    std::atomic<graph::Runtime*> ready_{nullptr};
    mutable std::mutex outcome_mutex_;
    std::optional<Status> outcome_;  // of open_once
};

}  // namespace yoke::worker
