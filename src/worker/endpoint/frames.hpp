// Memory for the datablocks of one endpoint: page-aligned, present, and locked where the limit permits, so that a
// device can read it and a camera's driver can write it (V4L2_MEMORY_USERPTR).
#pragma once

#include <cstddef>
#include <span>
#include <utility>

#include "base/error.hpp"

namespace yoke::worker {

class Frames {
   public:
    Frames() = default;
    // `count` frames of `bytes`, rounded up to whole pages. ENOMEM.
    static Result<Frames> allocate(unsigned count, std::size_t bytes);
    Frames(Frames&& other) noexcept
        : memory_(std::exchange(other.memory_, nullptr)), step_(other.step_), count_(other.count_) {}
    Frames& operator=(Frames&& other) noexcept;
    Frames(const Frames&) = delete;
    Frames& operator=(const Frames&) = delete;
    ~Frames();

    [[nodiscard]] unsigned count() const { return count_; }
    // The whole frame, to the end of its last page.
    [[nodiscard]] std::span<std::byte> at(unsigned index) const { return {memory_ + index * step_, step_}; }

   private:
    std::byte* memory_ = nullptr;
    std::size_t step_ = 0;
    unsigned count_ = 0;
};

}  // namespace yoke::worker
