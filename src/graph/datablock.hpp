// Datablocks: device buffers that travel along channels, and the pool that they return to.
//
// MODEL. A datablock is counted by reference; when nobody refers to it, its buffer goes back to its graph's pool and is
// given out again for a datablock of the same size. That is safe while the device still works on it, because every
// command of a graph goes through one in-order queue: whatever uses the buffer next is queued behind.
//
// Pool and references belong to one graph and are used under its lock only.
//
// TRADE-OFF. A channel reserves memory for all that it can hold when it is opened (Budget), though buffers are
// allocated when first needed. So a graph that was opened does not run out of its account's memory in the middle of a
// stream.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "device/device.hpp"

namespace yoke::graph {

// What all graphs of the account share: device memory, and the number of objects.
struct Budget {
    std::uint64_t bytes_max = 0;
    std::atomic<std::uint64_t> reserved{0};
    std::atomic<std::uint64_t> datablocks{0};  // that exist
    std::atomic<std::uint32_t> objects{0};     // ptasks, ports and channels

    // Adds to what is reserved, unless that would be more than bytes_max.
    bool reserve(std::uint64_t bytes);
    void release(std::uint64_t bytes) { reserved.fetch_sub(bytes); }
};

class DatablockPool;

struct Datablock {
    std::unique_ptr<device::Buffer> buffer;
    DatablockPool* pool = nullptr;
    std::uint32_t references = 0;
};

class DatablockRef {
   public:
    DatablockRef() = default;
    explicit DatablockRef(Datablock* block) : block_(block) { ++block_->references; }
    DatablockRef(DatablockRef&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
    DatablockRef& operator=(DatablockRef&& other) noexcept {
        if (this != &other) {
            reset();
            block_ = std::exchange(other.block_, nullptr);
        }
        return *this;
    }
    DatablockRef(const DatablockRef&) = delete;
    DatablockRef& operator=(const DatablockRef&) = delete;
    ~DatablockRef() { reset(); }

    [[nodiscard]] explicit operator bool() const { return block_ != nullptr; }
    [[nodiscard]] device::Buffer& buffer() const { return *block_->buffer; }
    void reset();

   private:
    Datablock* block_ = nullptr;
};

class DatablockPool {
   public:
    DatablockPool(device::Device& device, Budget& budget) : device_(device), budget_(budget) {}
    DatablockPool(const DatablockPool&) = delete;
    DatablockPool& operator=(const DatablockPool&) = delete;
    ~DatablockPool() = default;

    // A datablock of `bytes`, its content undefined: for a kernel to fill, the one used last, which caches still hold.
    // Errors of the device.
    Result<DatablockRef> take(std::uint64_t bytes);
    // For the host to fill: if it is small, one that `queue` has ended using, so that no command is needed. As long as
    // the pool has less than `bytes_max` another is allocated for that.
    Result<DatablockRef> take_rested(std::uint64_t bytes, const device::Queue& queue, std::uint64_t bytes_max);
    // Frees the buffers. No datablock may exist, and the device must be done with all.
    void clear();

    [[nodiscard]] std::uint64_t live() const { return live_; }
    [[nodiscard]] std::uint64_t allocated() const { return blocks_.size(); }  // buffers

   private:
    friend class DatablockRef;
    void give_back(Datablock* block);

    struct Shelf {
        std::uint64_t bytes = 0;
        std::deque<Datablock*> free;  // the one used last at the back
    };
    Shelf& shelf_of(std::uint64_t bytes);
    Result<DatablockRef> allocate(std::uint64_t bytes);
    DatablockRef lend(Datablock* block);

    device::Device& device_;
    Budget& budget_;
    std::vector<std::unique_ptr<Datablock>> blocks_;
    std::vector<Shelf> shelves_;  // a graph has few sizes
    std::uint64_t live_ = 0;
    std::uint64_t bytes_ = 0;  // of all buffers
};

}  // namespace yoke::graph
