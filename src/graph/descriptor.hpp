// Descriptor datablocks: what another datablock is, as a datablock of its own: u64 bytes, then three extents.
//
// They are written by the runtime. The copy to the device needs its bytes until it has ended, so they lie in records
// that are used again.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "device/device.hpp"

namespace yoke::graph {

inline constexpr std::size_t descriptor_bytes = 4 * sizeof(std::uint64_t);

class DescriptorWrite final : public device::Done {
   public:
    void done(int /*status*/) noexcept override { busy.store(false, std::memory_order_release); }

    std::array<std::uint64_t, 4> words{};
    std::atomic<bool> busy{false};
};

class DescriptorWrites {
   public:
    // A record that is not in use; to be given to the queue, or marked as not busy again.
    DescriptorWrite& take() {
        for (const auto& write : all_) {
            if (!write->busy.load(std::memory_order_acquire)) {
                write->busy.store(true, std::memory_order_relaxed);
                return *write;
            }
        }
        all_.push_back(std::make_unique<DescriptorWrite>());
        all_.back()->busy.store(true, std::memory_order_relaxed);
        return *all_.back();
    }

   private:
    std::vector<std::unique_ptr<DescriptorWrite>> all_;
};

}  // namespace yoke::graph
