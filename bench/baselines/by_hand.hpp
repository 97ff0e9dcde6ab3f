// A pipeline of kernels on a CUDA device as one would write it by hand for that pipeline alone, in the four usual ways:
//
//   synchronous   one stream, one datablock at a time
//   streams       a stream for each datablock in flight
//   ping-pong     streams for copies in, kernels and copies out, joined by events; buffers for each datablock in flight
//   CUDA graph    copy, kernels and copy captured and instantiated once for each datablock in flight
//
// No handicaps: pinned memory, waits that spin, everything allocated and instantiated beforehand, buffers for every
// datablock in flight, nothing checked that a careful program would not check.
#pragma once

#include <array>
#include <cstring>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "baselines/compiled.hpp"
#include "baselines/cuda.hpp"
#include "gesture/pipeline.hpp"

namespace yoke::bench {

class ByHand {
   public:
    enum class Way { synchronous, streams, ping_pong, graph };
    static constexpr std::array ways{Way::synchronous, Way::streams, Way::ping_pong, Way::graph};
    static constexpr std::array names{"synchronous", "streams", "ping-pong", "CUDA graph"};

    // @first and @last: of the pipeline's steps; @kernels: of those. @in and @out: buffers that are copied.
    ByHand(const gesture::Pipeline& pipeline, std::size_t first, std::size_t last, const std::vector<Compiled>& kernels,
           const std::string& in, const std::string& out, std::size_t slots)
        : slots_(slots) {
        context().make_current();
        for (std::size_t k = first; k < last; ++k) {
            kernels_.push_back(load(pipeline.steps[k], kernels[k - first]));
        }
        for (CUstream* stream : {&in_, &run_, &out_}) {
            must(api().cuStreamCreateWithPriority(stream, CU_STREAM_NON_BLOCKING, 0));
        }
        for (Slot& slot : slots_) {
            prepare(slot, pipeline, first, last, in, out);
        }
    }
    ByHand(const ByHand&) = delete;
    ByHand& operator=(const ByHand&) = delete;
    ~ByHand() {
        for (Slot& slot : slots_) {
            wait(slot);
            for (const auto& [name, memory] : slot.memory) {
                api().cuMemFree(memory);
            }
            api().cuMemFreeHost(slot.in.data());
            api().cuMemFreeHost(slot.out.data());
        }
    }

    // Pinned memory of a slot, for what goes in and what comes out.
    [[nodiscard]] std::span<std::byte> in(std::size_t slot) const { return slots_[slot].in; }
    [[nodiscard]] std::span<std::byte> out(std::size_t slot) const { return slots_[slot].out; }

    // Puts so many datablocks through, from the slots in turn, `depth` of them in flight.
    void run(Way way, std::size_t count, std::size_t depth) {
        depth = way == Way::synchronous ? 1 : std::min(depth, slots_.size());
        for (std::size_t i = 0; i < count; ++i) {
            if (i >= depth) {
                wait(slots_[(i - depth) % slots_.size()]);
            }
            submit(way, slots_[i % slots_.size()]);
        }
        for (Slot& slot : slots_) {
            wait(slot);
        }
    }

   private:
    struct Kernel {
        CUfunction function = nullptr;
        std::array<unsigned, 2> blocks{};
        std::array<unsigned, 2> threads{};
        const gesture::Step* step = nullptr;
    };
    struct Slot {
        std::span<std::byte> in;
        std::span<std::byte> out;
        CUdeviceptr from = 0;
        CUdeviceptr to = 0;
        std::map<std::string, CUdeviceptr> memory;
        std::vector<std::vector<void*>> values;  // of each kernel
        CUstream stream = nullptr;
        CUevent copied_in = nullptr;
        CUevent computed = nullptr;
        CUevent done = nullptr;
        CUgraphExec graph = nullptr;
        bool used = false;
    };

    static Kernel load(const gesture::Step& step, const Compiled& compiled) {
        const cuda::Image image = must(cuda::image_from_untrusted(compiled.image));
        CUlibrary library = nullptr;
        CUkernel kernel = nullptr;
        must(api().cuLibraryLoadData(&library, image.code.data(), nullptr, nullptr, 0, nullptr, nullptr, 0));
        must(api().cuLibraryGetKernel(&kernel, library, image.symbol.c_str()));
        Kernel loaded;
        must(api().cuKernelGetFunction(&loaded.function, kernel));
        loaded.step = &step;
        for (std::size_t d = 0; d < 2; ++d) {
            loaded.threads[d] = static_cast<unsigned>(compiled.local[d]);
            loaded.blocks[d] = static_cast<unsigned>((step.geometry[d] - 1) / compiled.local[d] + 1);
        }
        return loaded;
    }
    static std::span<std::byte> pinned(std::size_t bytes) {
        void* memory = nullptr;
        must(api().cuMemHostAlloc(&memory, bytes, 0));
        std::memset(memory, 0xa5, bytes);
        return {static_cast<std::byte*>(memory), bytes};
    }
    static void wait(Slot& slot) {
        if (slot.used) {
            must(api().cuEventSynchronize(slot.done));  // spins: the context's default
            slot.used = false;
        }
    }

    void prepare(Slot& slot, const gesture::Pipeline& pipeline, std::size_t first, std::size_t last,
                 const std::string& in, const std::string& out) {
        slot.in = pinned(pipeline.buffers.at(in).bytes());
        slot.out = pinned(pipeline.buffers.at(out).bytes());
        for (std::size_t k = first; k < last; ++k) {
            auto& values = slot.values.emplace_back();
            for (const gesture::Argument& argument : pipeline.steps[k].arguments) {
                if (argument.access == gesture::Access::Constant) {
                    values.push_back(const_cast<std::byte*>(argument.bytes.data()));  // the driver reads it only
                    continue;
                }
                CUdeviceptr& memory = slot.memory[argument.buffer];
                if (memory == 0) {
                    must(api().cuMemAlloc(&memory, pipeline.buffers.at(argument.buffer).bytes()));
                }
                values.push_back(&memory);
            }
        }
        slot.from = slot.memory.at(in);
        slot.to = slot.memory.at(out);
        must(api().cuStreamCreateWithPriority(&slot.stream, CU_STREAM_NON_BLOCKING, 0));
        for (CUevent* event : {&slot.copied_in, &slot.computed, &slot.done}) {
            must(api().cuEventCreate(event, CU_EVENT_DISABLE_TIMING));
        }
        must(api().cuStreamBeginCapture(slot.stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
        queue(slot, slot.stream, slot.stream, slot.stream, false);
        CUgraph graph = nullptr;
        must(api().cuStreamEndCapture(slot.stream, &graph));
        must(api().cuGraphInstantiateWithFlags(&slot.graph, graph, 0));
    }

    void queue(Slot& slot, CUstream in, CUstream run, CUstream out, bool joined) {
        must(api().cuMemcpyHtoDAsync(slot.from, slot.in.data(), slot.in.size(), in));
        if (joined) {
            must(api().cuEventRecord(slot.copied_in, in));
            must(api().cuStreamWaitEvent(run, slot.copied_in, 0));
        }
        for (std::size_t k = 0; k < kernels_.size(); ++k) {
            const Kernel& kernel = kernels_[k];
            must(api().cuLaunchKernel(kernel.function, kernel.blocks[0], kernel.blocks[1], 1, kernel.threads[0],
                                      kernel.threads[1], 1, 0, run, slot.values[k].data(), nullptr));
        }
        if (joined) {
            must(api().cuEventRecord(slot.computed, run));
            must(api().cuStreamWaitEvent(out, slot.computed, 0));
        }
        must(api().cuMemcpyDtoHAsync(slot.out.data(), slot.to, slot.out.size(), out));
    }

    void submit(Way way, Slot& slot) {
        CUstream last = slot.stream;
        switch (way) {
            case Way::synchronous:
            case Way::streams:
                queue(slot, slot.stream, slot.stream, slot.stream, false);
                break;
            case Way::ping_pong:
                queue(slot, in_, run_, out_, true);
                last = out_;
                break;
            case Way::graph:
                must(api().cuGraphLaunch(slot.graph, slot.stream));
                break;
        }
        must(api().cuEventRecord(slot.done, last));
        slot.used = true;
    }

    std::vector<Kernel> kernels_;
    std::vector<Slot> slots_;
    CUstream in_ = nullptr;
    CUstream run_ = nullptr;
    CUstream out_ = nullptr;
};

}  // namespace yoke::bench
