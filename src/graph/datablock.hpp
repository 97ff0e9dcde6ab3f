// Datablocks: device buffers that travel along channels, what is said of them, and the pool that they return to.
//
// MODEL. A datablock is counted by reference; when nobody refers to it, its buffer goes back to its graph's pool and is
// given out again for a datablock of the same size. That is safe while the device still works on it, because every
// command of a graph goes through one in-order queue: whatever uses the buffer next is queued behind.
//
// ABROAD. A datablock may be moved to another graph, whose queue then uses the buffer too. Each use abroad leaves a
// fence (note_use()), for which the home queue waits before it lends the buffer again. A datablock abroad keeps its
// pool alive; a pool whose graph is gone frees what comes back.
//
// LOCKS. A pool has a lock of its own, held for a few instructions, since datablocks come back from other graphs too.
// A Datablock in a channel belongs to that channel's graph.
//
// TRADE-OFF. A channel reserves memory for all that it can hold when it is opened (Budget), though buffers are
// allocated when first needed. So a graph that was opened does not run out of its account's memory in the middle of a
// stream.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
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

// A buffer and who has used it.
struct Block {
    struct Use {
        const device::Queue* queue = nullptr;
        std::shared_ptr<device::Fence> fence;
    };
    std::unique_ptr<device::Buffer> buffer;
    DatablockPool* home = nullptr;
    std::atomic<std::uint32_t> references{0};
    std::vector<Use> abroad;              // the last use by each queue that is not home's; under the pool's lock
    std::shared_ptr<DatablockPool> keep;  // once it has been abroad; under the pool's lock
};

class BlockRef {
   public:
    BlockRef() = default;
    explicit BlockRef(Block* block) : block_(block) { block_->references.fetch_add(1, std::memory_order_relaxed); }
    BlockRef(BlockRef&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
    BlockRef& operator=(BlockRef&& other) noexcept {
        if (this != &other) {
            reset();
            block_ = std::exchange(other.block_, nullptr);
        }
        return *this;
    }
    BlockRef(const BlockRef&) = delete;
    BlockRef& operator=(const BlockRef&) = delete;
    ~BlockRef() { reset(); }

    [[nodiscard]] BlockRef share() const { return block_ != nullptr ? BlockRef(block_) : BlockRef(); }
    // Nobody else refers to it, nor can begin to: only who has a reference can share it.
    [[nodiscard]] bool exclusive() const { return block_->references.load(std::memory_order_acquire) == 1; }
    [[nodiscard]] explicit operator bool() const { return block_ != nullptr; }
    [[nodiscard]] device::Buffer& buffer() const { return *block_->buffer; }
    [[nodiscard]] DatablockPool* home() const { return block_->home; }
    [[nodiscard]] Block* get() const { return block_; }
    void reset();

   private:
    Block* block_ = nullptr;
};

// What a channel holds: the block, how much of it counts, and the control signals that travel with it.
struct Datablock {
    BlockRef block;  // none: without content (YOKE_SIGNAL_DROP)
    std::uint64_t bytes = 0;
    std::array<std::uint64_t, 3> extent{};
    std::uint8_t signals = 0;
    bool passed = false;                   // by the predicate at its channel's destination
    std::shared_ptr<device::Fence> ready;  // of another graph's queue: to be waited for before the first use

    [[nodiscard]] Datablock share() const { return {block.share(), bytes, extent, signals, passed, ready}; }
    void reset() { *this = Datablock(); }
};

class DatablockPool : public std::enable_shared_from_this<DatablockPool> {
   public:
    // The queue is home; it is waited with and must stay until close().
    DatablockPool(device::Device& device, device::Queue& queue, Budget& budget)
        : device_(device), queue_(&queue), budget_(budget) {}
    DatablockPool(const DatablockPool&) = delete;
    DatablockPool& operator=(const DatablockPool&) = delete;
    ~DatablockPool() = default;

    // A block of `bytes`, its content undefined: for a kernel to fill, the one used last, which caches still hold;
    // where copies run beside kernels, one that the kernel need not wait for, given an `input` of its, or one that the
    // queue has ended using. As long as the pool has less than `bytes_max` another is allocated for that. Errors of the
    // device.
    Result<BlockRef> take(std::uint64_t bytes, std::uint64_t bytes_max, const device::Buffer* input = nullptr);
    // For the host to fill: if it is small, or copies run beside kernels, one that the queue has ended using, so that
    // no command is needed and none waits. `bytes_max` as above.
    Result<BlockRef> take_rested(std::uint64_t bytes, std::uint64_t bytes_max);
    // A block of this pool leaves its graph.
    void send_abroad(const BlockRef& block);
    // `queue`, not home, uses the block until `fence`.
    static void note_use(const BlockRef& block, const device::Queue& queue, std::shared_ptr<device::Fence> fence);
    // The graph is gone and its queue idle: frees the buffers, those abroad when they come back.
    void close();

    [[nodiscard]] std::uint64_t live() const { return live_.load(std::memory_order_relaxed); }
    [[nodiscard]] std::uint64_t allocated() const;  // buffers

   private:
    friend class BlockRef;
    void give_back(Block* block);

    struct Shelf {
        std::uint64_t bytes = 0;
        std::deque<Block*> free;  // the one used last at the back
    };
    Shelf& shelf_of(std::uint64_t bytes);
    Result<BlockRef> allocate(std::uint64_t bytes);
    Result<BlockRef> latest(Shelf& shelf);
    Block* behind(Shelf& shelf, const device::Buffer& input);
    Result<BlockRef> oldest(Shelf& shelf, std::uint64_t bytes_max);
    Result<BlockRef> lend(Block* block);

    device::Device& device_;
    device::Queue* queue_;
    Budget& budget_;
    std::atomic<std::uint64_t> live_{0};

    mutable std::mutex mutex_;  // of all below
    std::vector<std::unique_ptr<Block>> blocks_;
    std::vector<Shelf> shelves_;  // a graph has few sizes
    std::uint64_t bytes_ = 0;     // of all buffers
    bool closed_ = false;
};

}  // namespace yoke::graph
