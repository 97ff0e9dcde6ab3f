#include "graph/datablock.hpp"

#include <algorithm>

namespace yoke::graph {

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

Result<DatablockRef> DatablockPool::take(std::uint64_t bytes) {
    Shelf& shelf = shelf_of(bytes);
    Datablock* block = nullptr;
    if (shelf.free.empty()) {
        auto buffer = device_.allocate(bytes);
        if (!buffer) {
            return tl::unexpected(buffer.error());
        }
        blocks_.push_back(std::make_unique<Datablock>());
        block = blocks_.back().get();
        block->buffer = std::move(*buffer);
        block->pool = this;
    } else {
        block = shelf.free.back();
        shelf.free.pop_back();
    }
    ++live_;
    budget_.datablocks.fetch_add(1, std::memory_order_relaxed);
    return DatablockRef(block);
}

void DatablockPool::give_back(Datablock* block) {
    shelf_of(block->buffer->bytes()).free.push_back(block);
    --live_;
    budget_.datablocks.fetch_sub(1, std::memory_order_relaxed);
}

void DatablockPool::clear() {
    shelves_.clear();
    blocks_.clear();
}

}  // namespace yoke::graph
