// Memory of a CUDA device with what its queue must know of it: which commands use it.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

#include "device/cuda/memory_pool.hpp"
#include "device/device.hpp"

namespace yoke::device::cuda {

// The lanes of a queue (cuda_queue.hpp): some for copies in, some for copies out, the others for kernels.
using LaneName = std::size_t;
inline constexpr std::size_t copy_lanes_max = 2;  // per direction: while one is between two copies, the other copies
inline constexpr std::size_t run_lanes_max = 8;   // datablocks of a chain in flight that still make kernels overlap
inline constexpr LaneName lane_in = 0;
inline constexpr LaneName lane_out = lane_in + copy_lanes_max;
inline constexpr LaneName lane_run = lane_out + copy_lanes_max;
inline constexpr std::size_t lanes = lane_run + run_lanes_max;
using Positions = std::array<std::uint64_t, lanes>;  // a command of each lane

// How far the lanes of a queue have come. Outlives the queue where buffers still name it.
struct Progress {
    std::array<std::atomic<std::uint64_t>, lanes> ended{};  // all commands up to this one have ended

    void advance(std::size_t lane, std::uint64_t position) {
        std::uint64_t seen = ended[lane].load(std::memory_order_relaxed);
        while (seen < position && !ended[lane].compare_exchange_weak(seen, position, std::memory_order_release)) {
        }
    }
    [[nodiscard]] bool reached(const Positions& positions) const {
        for (std::size_t lane = 0; lane < lanes; ++lane) {
            if (ended[lane].load(std::memory_order_acquire) < positions[lane]) {
                return false;
            }
        }
        return true;
    }
};

class CudaBuffer final : public Buffer {
   public:
    CudaBuffer(std::shared_ptr<MemoryPool> pool, CUdeviceptr address, std::size_t bytes)
        : pool_(std::move(pool)), address_(address), bytes_(bytes) {}
    ~CudaBuffer() override {
        std::unique_ptr<Rest> rest;
        if (progress_ != nullptr && !progress_->reached(used())) {
            rest = std::make_unique<CommandsEnded>(progress_, used());
        }
        pool_->give_back(address_, bytes_, std::move(rest));
    }
    [[nodiscard]] std::size_t bytes() const override { return bytes_; }
    [[nodiscard]] CUdeviceptr address() const { return address_; }

    // What a command of `queue` that reads the buffer has to wait for, or one that writes it.
    [[nodiscard]] const Positions& writers(const std::shared_ptr<Progress>& queue) const {
        adopt(queue);
        return written_;
    }
    [[nodiscard]] Positions used(const std::shared_ptr<Progress>& queue) const {
        adopt(queue);
        return used();
    }
    // Those that have read it since it was written last, if any have, and who wrote it, in this lane.
    [[nodiscard]] std::uint64_t read_in(LaneName lane) const { return read_[lane]; }
    [[nodiscard]] std::uint64_t written_in(LaneName lane) const { return written_[lane]; }
    void note_read(LaneName lane, std::uint64_t position) const { read_[lane] = position; }
    void note_written(LaneName lane, std::uint64_t position) const { written_[lane] = position; }
    // Whether nothing of `queue` uses it any more, but for commands of one lane, and nothing of another queue has used
    // it since.
    [[nodiscard]] bool rests_in(const std::shared_ptr<Progress>& queue, LaneName but = lanes) const {
        if (progress_ != queue || progress_ == nullptr) {
            return progress_ == nullptr;
        }
        Positions open = used();
        if (but < lanes) {
            open[but] = 0;
        }
        return queue->reached(open);
    }
    // The lane for kernels whose command wrote it last and has not ended, or `lanes`.
    [[nodiscard]] LaneName written_by(const std::shared_ptr<Progress>& queue) const {
        for (LaneName lane = lane_run; progress_ == queue && lane < lanes; ++lane) {
            if (written_[lane] > queue->ended[lane].load(std::memory_order_acquire)) {
                return lane;
            }
        }
        return lanes;
    }

   private:
    class CommandsEnded final : public Rest {
       public:
        CommandsEnded(std::shared_ptr<Progress> progress, const Positions& positions)
            : progress_(std::move(progress)), positions_(positions) {}
        [[nodiscard]] bool ended() const override { return progress_->reached(positions_); }

       private:
        std::shared_ptr<Progress> progress_;
        Positions positions_;
    };

    [[nodiscard]] Positions used() const {
        Positions both{};
        for (std::size_t lane = 0; lane < lanes; ++lane) {
            both[lane] = std::max(read_[lane], written_[lane]);
        }
        return both;
    }
    // A buffer that comes from another queue comes behind a fence; its old commands mean nothing here.
    void adopt(const std::shared_ptr<Progress>& queue) const {
        if (progress_ != queue) {
            progress_ = queue;
            read_ = {};
            written_ = {};
        }
    }

    std::shared_ptr<MemoryPool> pool_;
    CUdeviceptr address_;
    std::size_t bytes_;
    mutable std::shared_ptr<Progress> progress_;  // of the queue that used it last
    mutable Positions read_{};
    mutable Positions written_{};
};

}  // namespace yoke::device::cuda
