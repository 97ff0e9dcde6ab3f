// A queue on a CUDA device: in order as far as anybody can see, with copies that run beside kernels.
//
// MODEL. Three lanes, each a stream: copies in, kernels (and copies on the device), copies out. Commands of a lane are
// numbered. A buffer knows, for each lane, the last command that wrote it and the last that read it; a command waits,
// by events, for those of the other lanes that it depends on and for nothing else. So a datablock travels while a
// kernel works on another, in both directions at once.
//
// ENDS. After every copy its lane writes the copy's number into a word of host memory, which the device's watcher
// (watcher.hpp) reads: asking the driver for each event would cost more than most copies take.
//
// TRADE-OFF. What a kernel writes is not known, so every buffer that it gets counts as written. A command that fails
// while it runs spoils the context: the worker ends then (driver.hpp: lost()), and its graphs are restarted.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "device/cuda/cuda_buffer.hpp"
#include "device/cuda/driver.hpp"
#include "device/cuda/watcher.hpp"
#include "device/device.hpp"

namespace yoke::device::cuda {

class CudaQueue final : public Queue {
   public:
    static Result<std::unique_ptr<CudaQueue>> create(const Context& context, Watcher& watcher);
    ~CudaQueue() override;

    Status write(Buffer& to, const std::byte* from, std::size_t bytes, Done& done) override;
    Status read(const Buffer& from, std::byte* to, std::size_t bytes, Done& done) override;
    Status copy(Buffer& to, const Buffer& from, std::size_t bytes) override;
    Status launch(Kernel& kernel, std::span<const Argument> arguments, Done& failed,
                  const std::array<std::size_t, 3>* global = nullptr) override;
    Result<std::shared_ptr<Fence>> mark() override;
    Status wait(const Fence& fence) override;
    Status flush() override;
    [[nodiscard]] bool idle(const Buffer& buffer) const override;
    void finish() override;

   private:
    static constexpr std::size_t events_per_lane = 16;

    struct Lane {
        CUstream stream = nullptr;
        std::uint64_t queued = 0;     // number of the last command
        Positions waits{};            // commands of the other lanes that everything queued here waits for
        std::uint64_t announced = 0;  // the last command whose number is, or will be, written to the lane's word
        struct Mark {
            CUevent event = nullptr;
            std::uint64_t position = 0;  // everything up to this command
        };
        std::array<Mark, events_per_lane> marks{};  // the newest is at `newest`
        std::size_t newest = 0;
    };

    explicit CudaQueue(const Context& context, Watcher& watcher);
    Status prepare();
    Status follow(LaneName lane, const Positions& needed);
    Status record(Lane& lane);
    Status announce(LaneName lane, Done* done);
    [[nodiscard]] const Context& use() const;

    const Context& context_;
    Watcher& watcher_;
    Watcher::Post* post_ = nullptr;
    std::array<Lane, lanes> lanes_{};
    std::shared_ptr<Progress> progress_;
};

}  // namespace yoke::device::cuda
