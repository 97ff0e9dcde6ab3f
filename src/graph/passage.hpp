// A transfer that the device is working on: told its end by the device, it completes the transfer and is used again.
//
// LOCKS. The device may tell the end on the thread that queues the copy, which holds the graph's lock. So all that
// happens here takes only the lock of the passages, which is held while nothing else is called.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "device/device.hpp"
#include "graph/runtime.hpp"

namespace yoke::graph {

class Passages;

class Passage final : public device::Done {
   public:
    explicit Passage(Passages& owner) : owner_(owner) {}
    void done(int status) noexcept override;

    Transfer transfer;
    yoke_completion completion{};  // as it will be if all goes well
    std::uint64_t begun_ns = 0;
    bool busy = false;

   private:
    Passages& owner_;
};

// The passages of one graph.
class Passages {
   public:
    // `failed`: set by whoever learns that the graph's work on the device is void; transfers then end with EIO.
    explicit Passages(const std::atomic<bool>& failed) : failed_(failed) {}

    Passage& take(const Transfer& transfer);
    // For a passage that was taken and not given to the device.
    void give_back(Passage& passage);
    // Waits until the device holds no transfer of `session`.
    void wait_for(std::uint32_t session);
    [[nodiscard]] std::size_t in_flight() const;

   private:
    friend class Passage;
    const std::atomic<bool>& failed_;
    mutable std::mutex mutex_;
    std::condition_variable returned_;
    std::vector<std::unique_ptr<Passage>> all_;
    std::vector<Passage*> free_;
};

}  // namespace yoke::graph
