// References, shelves of free buffers by size, and the account's budget; see datablock.hpp. A buffer is taken again as
// soon as possible, while it is in the cache; a small one for a push as late as possible, so that it rests and can be
// written without a command.
#include "graph/datablock.hpp"

#include <algorithm>

namespace yoke::graph {

namespace {

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

void DatablockRef::reset() {
    Datablock* const block = std::exchange(block_, nullptr);
    if (block != nullptr && --block->references == 0) {
        block->pool->give_back(block);
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

DatablockRef DatablockPool::lend(Datablock* block) {
    ++live_;
    budget_.datablocks.fetch_add(1, std::memory_order_relaxed);
    return DatablockRef(block);
}

Result<DatablockRef> DatablockPool::allocate(std::uint64_t bytes) {
    auto buffer = device_.allocate(bytes);
    if (!buffer) {
        return tl::unexpected(buffer.error());
    }
    blocks_.push_back(std::make_unique<Datablock>());
    Datablock* const block = blocks_.back().get();
    block->buffer = std::move(*buffer);
    block->pool = this;
    bytes_ += bytes;
    return lend(block);
}

Result<DatablockRef> DatablockPool::take(std::uint64_t bytes) {
    Shelf& shelf = shelf_of(bytes);
    if (shelf.free.empty()) {
        return allocate(bytes);
    }
    Datablock* const block = shelf.free.back();
    shelf.free.pop_back();
    return lend(block);
}

Result<DatablockRef> DatablockPool::take_rested(std::uint64_t bytes, const device::Queue& queue,
                                                std::uint64_t bytes_max) {
    Shelf& shelf = shelf_of(bytes);
    if (bytes > small_bytes || shelf.free.empty()) {
        return take(bytes);
    }
    Datablock* const oldest = shelf.free.front();
    if (!queue.idle(*oldest->buffer) && bytes_ + bytes <= bytes_max) {
        return allocate(bytes);
    }
    shelf.free.pop_front();
    return lend(oldest);
}

void DatablockPool::give_back(Datablock* block) {
    shelf_of(block->buffer->bytes()).free.push_back(block);
    --live_;
    budget_.datablocks.fetch_sub(1, std::memory_order_relaxed);
}

void DatablockPool::clear() {
    shelves_.clear();
    blocks_.clear();
    bytes_ = 0;
}

}  // namespace yoke::graph
