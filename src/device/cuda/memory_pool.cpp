// Classes of sizes, and what happens when the device is full; see memory_pool.hpp.
#include "device/cuda/memory_pool.hpp"

#include <algorithm>
#include <bit>

#include "device/cuda/quiet.hpp"

namespace yoke::device::cuda {
namespace {

constexpr std::size_t least_bytes = 256;  // the driver's own alignment

bool rests(const std::unique_ptr<Rest>& rest) {
    return rest == nullptr || rest->ended();
}

}  // namespace

std::size_t MemoryPool::class_of(std::size_t bytes) {
    if (bytes <= least_bytes) {
        return least_bytes;
    }
    const std::size_t step = std::max(std::bit_floor(bytes - 1) / 4, std::size_t{1});
    return (bytes + step - 1) / step * step;
}

MemoryPool::~MemoryPool() {
    context_.make_current();
    trim();
}

void MemoryPool::trim() {
    std::vector<std::pair<std::size_t, CUdeviceptr>> resting;
    {
        const std::lock_guard lock(mutex_);
        for (auto& [bytes, blocks] : free_) {
            std::erase_if(blocks, [&resting, size = bytes](const Free& free) {
                const bool gone = rests(free.rest);
                if (gone) {
                    resting.emplace_back(size, free.block);
                }
                return gone;
            });
        }
    }
    const Quiet quiet;
    for (const auto& [bytes, block] : resting) {
        if (context_.driver->cuMemFree(block) != CUDA_SUCCESS) {
            const std::lock_guard lock(mutex_);
            free_[bytes].push_back({block, nullptr});
        }
    }
}

bool MemoryPool::take_free(std::size_t size, CUdeviceptr& block) {
    const std::lock_guard lock(mutex_);
    std::vector<Free>& blocks = free_[size];
    const auto found = std::find_if(blocks.begin(), blocks.end(), [](const Free& free) { return rests(free.rest); });
    if (found == blocks.end()) {
        return false;
    }
    block = found->block;
    blocks.erase(found);
    return true;
}

Result<CUdeviceptr> MemoryPool::take(std::size_t bytes) {
    if (bytes > SIZE_MAX / 2) {
        return fail(ENOMEM, "cannot allocate {} bytes on the device", bytes);
    }
    const std::size_t size = class_of(bytes);
    context_.make_current();
    CUdeviceptr block = 0;
    if (take_free(size, block)) {
        return block;
    }
    CUresult result = context_.driver->cuMemAlloc(&block, size);
    if (result == CUDA_ERROR_OUT_OF_MEMORY) {
        const std::lock_guard lock(trimming_);
        trim();
        result = context_.driver->cuMemAlloc(&block, size);
    }
    if (auto done = check(result, "cannot allocate memory on the device"); !done) {
        return fail(done.error().code, "cannot allocate {} bytes on the device: {}", bytes, done.error().message);
    }
    return block;
}

void MemoryPool::give_back(CUdeviceptr block, std::size_t bytes, std::unique_ptr<Rest> rest) {
    const std::lock_guard lock(mutex_);
    free_[class_of(bytes)].push_back({block, std::move(rest)});
}

}  // namespace yoke::device::cuda
