// A queue on a CUDA device: in order as far as anybody can see, with copies that run beside kernels and kernels beside
// each other.
//
// MODEL. Lanes, each a stream: for copies in, for copies out, and for kernels (and copies on the device). Commands of a
// lane are numbered. A buffer knows, for each lane, the last command that wrote it and the last that read it; a command
// waits, by events, for those of other lanes that it depends on and for nothing else. So a datablock travels while a
// kernel works on another, in both directions at once, and kernels of different datablocks run side by side.
//
// A kernel goes into the lane of what it depends on, so that a chain needs no events; what depends on no kernel begins
// in the lane with the least to do. Where kernels are already under way, further ones are held back until they are
// needed or flushed, and handed over together (step.hpp), but for the first few, which keep their lane busy meanwhile;
// an idle device gets each at once.
//
// ENDS. After every copy its lane writes the copy's number into a word of host memory, which the device's watcher
// (watcher.hpp) reads: asking the driver for each event would cost more than most copies take.
//
// HOST MEMORY. Copies from and to memory that is not pinned make the caller wait: the driver takes such memory over in
// pieces. A session's arena is pinned.
//
// TRADE-OFF. What a kernel writes is what the launch says: one that writes to a buffer that it said it reads disturbs
// its own graph. A command that fails while it runs spoils the context: the worker ends then (driver.hpp: lost()), and
// its graphs are restarted.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "device/cuda/cuda_buffer.hpp"
#include "device/cuda/driver.hpp"
#include "device/cuda/lane_plan.hpp"
#include "device/cuda/step.hpp"
#include "device/cuda/watcher.hpp"
#include "device/device.hpp"

namespace yoke::device::cuda {

class CudaQueue final : public Queue {
   public:
    static Result<std::unique_ptr<CudaQueue>> create(const Context& context, const LanePlan& plan, Watcher& watcher);
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
    [[nodiscard]] bool idle_behind(const Buffer& buffer, const Buffer& input) const override;
    void finish() override;

   private:
    static constexpr std::size_t events_per_lane = 16;

    struct Mark {
        CUevent event = nullptr;
        std::uint64_t position = 0;  // everything up to this command
        Positions covers{};          // and up to these of the other lanes
    };
    struct Lane {
        explicit Lane(const Context& context) : step(context) {}
        CUstream stream = nullptr;    // none: the lane has not been needed yet
        std::uint64_t queued = 0;     // number of the last command, held back or handed over
        Positions waits{};            // commands of the other lanes that everything queued here waits for
        std::uint64_t announced = 0;  // the last command whose number is, or will be, written to the lane's word
        std::array<Mark, events_per_lane> marks{};  // the newest is at `newest`
        std::size_t newest = 0;
        Step step;  // what is held back; the last ones of the lane
    };
    enum class Pace : std::uint8_t { undecided, at_once, by_step };

    CudaQueue(const Context& context, const LanePlan& plan, Watcher& watcher);
    Status open(LaneName name);
    Status open_one(LaneName name);
    [[nodiscard]] std::uint64_t open_commands(LaneName name) const;
    [[nodiscard]] LaneName least_busy(LaneName first, std::size_t count) const;
    [[nodiscard]] LaneName lane_of(const Positions& needed) const;
    void choose_pace();
    Status follow(LaneName name, const Positions& needed);
    Status record(Lane& lane);
    Status announce(LaneName name, Done* done);
    Status submit(Lane& lane);
    Status submit_all();
    Status run(LaneName name, CudaKernel& kernel, std::span<const Argument> arguments,
               const std::array<std::size_t, 3>* global);
    void find_earlier(LaneName name, std::span<const Argument> arguments);
    [[nodiscard]] const Context& use() const;

    const Context& context_;
    LanePlan plan_;
    Watcher& watcher_;
    Watcher::Post* post_ = nullptr;
    std::vector<std::unique_ptr<Lane>> lanes_;
    std::shared_ptr<Progress> progress_;
    bool fenced_ = false;                 // lanes have waited for fences
    Pace pace_ = Pace::undecided;         // of kernels until the next flush
    std::uint32_t ahead_ = 0;             // kernels since then that were not held back
    std::vector<std::uint32_t> earlier_;  // of a step: what the next kernel must follow
};

}  // namespace yoke::device::cuda
