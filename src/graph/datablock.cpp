// References, shelves of free blocks by size, and the account's budget; see datablock.hpp. A buffer is taken again as
// soon as possible, while it is in the cache, on a device with lanes by the lane that used it; a small one for a push
// as late as possible, so that it rests and can be written without a command.
#include "graph/datablock.hpp"

#include <algorithm>

namespace yoke::graph {

namespace {

constexpr std::size_t looked_at = 8;                  // blocks of a shelf: what one pass of a chain gives back
constexpr std::uint64_t small_bytes = 64UL * 1024UL;  // more than this is copied by a command, and wants a warm cache

}  // namespace

bool Budget::reserve(std::uint64_t bytes) {
    std::uint64_t seen = reserved.load();
    while (bytes <= bytes_max && seen <= bytes_max - bytes) {
        if (reserved.compare_exchange_weak(seen, seen + bytes)) {
            return true;
        }
    }
    return false;
}

void BlockRef::reset() {
    Block* const block = std::exchange(block_, nullptr);
    if (block != nullptr && block->references.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        block->home->give_back(block);
    }
}

DatablockPool::Shelf& DatablockPool::shelf_of(std::uint64_t bytes) {
    const auto found =
        std::find_if(shelves_.begin(), shelves_.end(), [bytes](const Shelf& shelf) { return shelf.bytes == bytes; });
    if (found != shelves_.end()) {
        return *found;
    }
    shelves_.push_back({bytes, {}});
    return shelves_.back();
}

Result<BlockRef> DatablockPool::lend(Block* block) {
    for (const Block::Use& use : block->abroad) {
        if (auto waits = queue_->wait(*use.fence); !waits) {
            shelf_of(block->buffer->bytes()).free.push_front(block);
            return tl::unexpected(waits.error());
        }
    }
    block->abroad.clear();
    live_.fetch_add(1, std::memory_order_relaxed);
    budget_.datablocks.fetch_add(1, std::memory_order_relaxed);
    return BlockRef(block);
}

Result<BlockRef> DatablockPool::allocate(std::uint64_t bytes) {
    auto buffer = device_.allocate(bytes);
    if (!buffer) {
        return tl::unexpected(buffer.error());
    }
    blocks_.push_back(std::make_unique<Block>());
    Block* const block = blocks_.back().get();
    block->buffer = std::move(*buffer);
    block->home = this;
    bytes_ += bytes;
    return lend(block);
}

Result<BlockRef> DatablockPool::latest(Shelf& shelf) {
    Block* const block = shelf.free.back();
    shelf.free.pop_back();
    return lend(block);
}

// The block that was used longest ago, if nothing uses it any more; else a new one.
Result<BlockRef> DatablockPool::oldest(Shelf& shelf, std::uint64_t bytes_max) {
    Block* const block = shelf.free.front();
    if ((!block->abroad.empty() || !queue_->idle(*block->buffer)) && bytes_ + shelf.bytes <= bytes_max) {
        return allocate(shelf.bytes);
    }
    shelf.free.pop_front();
    return lend(block);
}

// Of the blocks used last, the first that a command behind `input` may write at once. Null: there is none.
Block* DatablockPool::behind(Shelf& shelf, const device::Buffer& input) {
    for (std::size_t i = 0; i < std::min(looked_at, shelf.free.size()); ++i) {
        const auto place = shelf.free.end() - 1 - static_cast<std::ptrdiff_t>(i);
        Block* const block = *place;
        if (block->abroad.empty() && queue_->idle_behind(*block->buffer, input)) {
            shelf.free.erase(place);
            return block;
        }
    }
    return nullptr;
}

Result<BlockRef> DatablockPool::take(std::uint64_t bytes, std::uint64_t bytes_max, const device::Buffer* input) {
    const std::lock_guard lock(mutex_);
    Shelf& shelf = shelf_of(bytes);
    if (shelf.free.empty()) {
        return allocate(bytes);
    }
    if (Block* const block = device_.overlaps() && input != nullptr ? behind(shelf, *input) : nullptr;
        block != nullptr) {
        return lend(block);
    }
    return device_.overlaps() ? oldest(shelf, bytes_max) : latest(shelf);
}

Result<BlockRef> DatablockPool::take_rested(std::uint64_t bytes, std::uint64_t bytes_max) {
    const std::lock_guard lock(mutex_);
    Shelf& shelf = shelf_of(bytes);
    if (shelf.free.empty()) {
        return allocate(bytes);
    }
    return bytes > small_bytes && !device_.overlaps() ? latest(shelf) : oldest(shelf, bytes_max);
}

void DatablockPool::send_abroad(const BlockRef& block) {
    const std::lock_guard lock(mutex_);
    if (!block.get()->keep) {
        block.get()->keep = shared_from_this();
    }
}

void DatablockPool::note_use(const BlockRef& ref, const device::Queue& queue, std::shared_ptr<device::Fence> fence) {
    Block& block = *ref.get();
    const std::lock_guard lock(block.home->mutex_);
    for (Block::Use& use : block.abroad) {
        if (use.queue == &queue) {
            use.fence = std::move(fence);
            return;
        }
    }
    block.abroad.push_back({&queue, std::move(fence)});
}

void DatablockPool::give_back(Block* block) {
    std::shared_ptr<DatablockPool> keep;  // the pool may end here, behind its lock
    std::unique_ptr<Block> dead;
    {
        const std::lock_guard lock(mutex_);
        keep = std::move(block->keep);
        live_.fetch_sub(1, std::memory_order_relaxed);
        budget_.datablocks.fetch_sub(1, std::memory_order_relaxed);
        if (!closed_) {
            shelf_of(block->buffer->bytes()).free.push_back(block);
            return;
        }
        const auto found = std::find_if(blocks_.begin(), blocks_.end(),
                                        [block](const std::unique_ptr<Block>& own) { return own.get() == block; });
        dead = std::move(*found);
        blocks_.erase(found);
    }
    for (const Block::Use& use : dead->abroad) {
        use.fence->wait();
    }
}

void DatablockPool::close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    for (const Shelf& shelf : shelves_) {
        for (const Block* const block : shelf.free) {
            for (const Block::Use& use : block->abroad) {
                use.fence->wait();
            }
            std::erase_if(blocks_, [block](const std::unique_ptr<Block>& own) { return own.get() == block; });
        }
    }
    shelves_.clear();
}

std::uint64_t DatablockPool::allocated() const {
    const std::lock_guard lock(mutex_);
    return blocks_.size();
}

}  // namespace yoke::graph
