// What waits for what, and the words that tell the ends; see cuda_queue.hpp.
#include "device/cuda/cuda_queue.hpp"

#include <utility>
#include <vector>

#include "device/cuda/cuda_host_kernel.hpp"
#include "device/cuda/cuda_kernel.hpp"

namespace yoke::device::cuda {
namespace {

const CudaBuffer& mine(const Buffer& buffer) {
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-static-cast-downcast): buffers of this device are CudaBuffers
    return static_cast<const CudaBuffer&>(buffer);
}

class CudaFence final : public Fence {
   public:
    explicit CudaFence(const Context& context) : context_(context) {}
    ~CudaFence() override {
        for (CUevent event : events_) {
            context_.driver->cuEventDestroy(event);
        }
    }
    Status record(CUstream stream) {
        CUevent event = nullptr;
        if (auto made =
                check(context_.driver->cuEventCreate(&event, CU_EVENT_DISABLE_TIMING), "an event cannot be had");
            !made) {
            return made;
        }
        events_.push_back(event);
        return check(context_.driver->cuEventRecord(event, stream), "an event cannot be recorded");
    }
    [[nodiscard]] const std::vector<CUevent>& events() const { return events_; }
    [[nodiscard]] bool reached() const override {
        context_.make_current();
        bool all = true;
        for (CUevent event : events_) {
            const CUresult result = context_.driver->cuEventQuery(event);
            if (result != CUDA_SUCCESS && result != CUDA_ERROR_NOT_READY) {
                lost(check(result, "a command of a graph failed on the device").error());
            }
            all = all && result == CUDA_SUCCESS;
        }
        return all;
    }
    void wait() const override {
        context_.make_current();
        for (CUevent event : events_) {
            if (auto waited = check(context_.driver->cuEventSynchronize(event), "a command of a graph failed");
                !waited) {
                lost(waited.error());
            }
        }
    }

   private:
    const Context& context_;
    std::vector<CUevent> events_;
};

void raise(Positions& needed, const Positions& more) {
    for (std::size_t lane = 0; lane < lanes; ++lane) {
        needed[lane] = std::max(needed[lane], more[lane]);
    }
}

}  // namespace

CudaQueue::CudaQueue(const Context& context, Watcher& watcher)
    : context_(context), watcher_(watcher), progress_(std::make_shared<Progress>()) {}

Result<std::unique_ptr<CudaQueue>> CudaQueue::create(const Context& context, Watcher& watcher) {
    std::unique_ptr<CudaQueue> queue(new CudaQueue(context, watcher));
    if (auto prepared = queue->prepare(); !prepared) {
        return tl::unexpected(prepared.error());
    }
    return queue;
}

Status CudaQueue::prepare() {
    const Driver& api = *use().driver;
    std::array<CUstream, lanes> streams{};
    for (std::size_t i = 0; i < lanes; ++i) {
        Lane& lane = lanes_[i];
        Status done = check(api.cuStreamCreateWithPriority(&lane.stream, CU_STREAM_NON_BLOCKING, 0),
                            "a stream of the device cannot be had");
        for (Lane::Mark& mark : lane.marks) {
            done =
                done ? check(api.cuEventCreate(&mark.event, CU_EVENT_DISABLE_TIMING), "an event cannot be had") : done;
        }
        if (!done) {
            return done;
        }
        streams[i] = lane.stream;
    }
    auto post = watcher_.enter(progress_, streams);
    if (!post) {
        return tl::unexpected(post.error());
    }
    post_ = *post;
    return {};
}

CudaQueue::~CudaQueue() {
    if (post_ != nullptr) {
        finish();
        watcher_.leave(post_);
    }
    const Driver& api = *use().driver;
    for (const Lane& lane : lanes_) {
        for (const Lane::Mark& mark : lane.marks) {
            if (mark.event != nullptr) {
                api.cuEventDestroy(mark.event);
            }
        }
        if (lane.stream != nullptr) {
            api.cuStreamDestroy(lane.stream);
        }
    }
}

const Context& CudaQueue::use() const {
    context_.make_current();
    return context_;
}

// Marks the place behind the lane's last command.
Status CudaQueue::record(Lane& lane) {
    const std::size_t next = (lane.newest + 1) % events_per_lane;
    if (auto recorded =
            check(context_.driver->cuEventRecord(lane.marks[next].event, lane.stream), "an event cannot be recorded");
        !recorded) {
        return recorded;
    }
    lane.marks[next].position = lane.queued;
    lane.newest = next;
    return {};
}

// Everything queued in `name` from here on waits for the commands of other lanes that are named.
Status CudaQueue::follow(LaneName name, const Positions& needed) {
    Lane& lane = lanes_[name];
    for (std::size_t i = 0; i < lanes; ++i) {
        if (i == name || needed[i] <= lane.waits[i] ||
            progress_->ended[i].load(std::memory_order_acquire) >= needed[i]) {
            continue;
        }
        Lane& other = lanes_[i];
        if (other.marks[other.newest].position < needed[i]) {
            if (auto recorded = record(other); !recorded) {
                return recorded;
            }
        }
        // The oldest mark that is not before the command: what was queued behind it need not be waited for.
        std::size_t chosen = other.newest;
        for (std::size_t back = 1; back < events_per_lane; ++back) {
            const std::size_t older = (other.newest + events_per_lane - back) % events_per_lane;
            if (other.marks[older].position < needed[i]) {
                break;
            }
            chosen = older;
        }
        if (auto waits = check(context_.driver->cuStreamWaitEvent(lane.stream, other.marks[chosen].event, 0),
                               "a stream of the device cannot wait for another");
            !waits) {
            return waits;
        }
        lane.waits[i] = other.marks[chosen].position;
    }
    return {};
}

// Has the lane's word written behind its last command.
Status CudaQueue::announce(LaneName name, Done* done) {
    Lane& lane = lanes_[name];
    if (auto written = check(context_.driver->cuStreamWriteValue32(lane.stream, Watcher::word_of(*post_, name),
                                                                   static_cast<std::uint32_t>(lane.queued), 0),
                             "the end of a command cannot be told");
        !written) {
        // The command itself is under way and must not be reported as refused.
        lost(written.error());
    }
    lane.announced = lane.queued;
    watcher_.expect(*post_, name, lane.queued, lane.waits, done);
    return {};
}

Status CudaQueue::write(Buffer& to, const std::byte* from, std::size_t bytes, Done& done) {
    const CudaBuffer& buffer = mine(to);
    if (bytes > buffer.bytes()) {
        return fail(EINVAL, "cannot write {} bytes to a buffer of {}", bytes, buffer.bytes());
    }
    const Driver& api = *use().driver;
    if (auto follows = follow(lane_in, buffer.used(progress_)); !follows) {
        return follows;
    }
    Lane& lane = lanes_[lane_in];
    if (bytes > 0) {
        if (auto copied =
                check(api.cuMemcpyHtoDAsync(buffer.address(), from, bytes, lane.stream), "cannot copy to the device");
            !copied) {
            return copied;
        }
    }
    ++lane.queued;
    buffer.note_written(lane_in, lane.queued);
    if (auto recorded = record(lane); !recorded) {
        lost(recorded.error());
    }
    return announce(lane_in, &done);
}

Status CudaQueue::read(const Buffer& from, std::byte* to, std::size_t bytes, Done& done) {
    const CudaBuffer& buffer = mine(from);
    if (bytes > buffer.bytes()) {
        return fail(EINVAL, "cannot read {} bytes from a buffer of {}", bytes, buffer.bytes());
    }
    const Driver& api = *use().driver;
    if (auto follows = follow(lane_out, buffer.writers(progress_)); !follows) {
        return follows;
    }
    Lane& lane = lanes_[lane_out];
    if (bytes > 0) {
        if (auto copied =
                check(api.cuMemcpyDtoHAsync(to, buffer.address(), bytes, lane.stream), "cannot copy from the device");
            !copied) {
            return copied;
        }
    }
    ++lane.queued;
    buffer.note_read(lane_out, lane.queued);
    if (auto recorded = record(lane); !recorded) {
        lost(recorded.error());
    }
    return announce(lane_out, &done);
}

Status CudaQueue::copy(Buffer& to, const Buffer& from, std::size_t bytes) {
    const CudaBuffer& target = mine(to);
    const CudaBuffer& source = mine(from);
    if (bytes > target.bytes() || bytes > source.bytes()) {
        return fail(EINVAL, "cannot copy {} bytes from a buffer of {} to one of {}", bytes, source.bytes(),
                    target.bytes());
    }
    const Driver& api = *use().driver;
    Positions needed = target.used(progress_);
    raise(needed, source.writers(progress_));
    if (auto follows = follow(lane_run, needed); !follows) {
        return follows;
    }
    Lane& lane = lanes_[lane_run];
    if (auto copied = check(api.cuMemcpyDtoDAsync(target.address(), source.address(), bytes, lane.stream),
                            "cannot copy on the device");
        !copied) {
        return copied;
    }
    ++lane.queued;
    source.note_read(lane_run, lane.queued);
    target.note_written(lane_run, lane.queued);
    return {};
}

Status CudaQueue::launch(Kernel& kernel_base, std::span<const Argument> arguments, Done& failed,
                         const std::array<std::size_t, 3>* global) {
    const Driver& api = *use().driver;
    auto* const function = dynamic_cast<CudaHostKernel*>(&kernel_base);
    Positions needed{};
    for (const Argument& argument : arguments) {
        if (argument.buffer != nullptr) {
            raise(needed, mine(*argument.buffer).used(progress_));
        }
    }
    if (auto follows = follow(lane_run, needed); !follows) {
        return follows;
    }
    Lane& lane = lanes_[lane_run];
    if (function != nullptr) {
        if (auto called = function->enqueue(lane.stream, arguments, failed, global); !called) {
            return called;
        }
    } else {
        // NOLINTNEXTLINE(cppcoreguidelines-pro-type-static-cast-downcast): all others are CudaKernels
        auto& kernel = static_cast<CudaKernel&>(kernel_base);
        auto bound = kernel.bind(arguments);
        if (!bound) {
            return tl::unexpected(bound.error());
        }
        const CudaKernel::Grid grid = kernel.grid(global);
        if (auto launched = check(
                api.cuLaunchKernel(kernel.function(), grid.blocks[0], grid.blocks[1], grid.blocks[2], grid.threads[0],
                                   grid.threads[1], grid.threads[2], 0, lane.stream, *bound, nullptr),
                "a kernel cannot be launched");
            !launched) {
            return launched;
        }
    }
    ++lane.queued;
    for (const Argument& argument : arguments) {
        if (argument.buffer != nullptr) {
            mine(*argument.buffer).note_written(lane_run, lane.queued);
        }
    }
    return {};
}

Result<std::shared_ptr<Fence>> CudaQueue::mark() {
    context_.make_current();
    auto fence = std::make_shared<CudaFence>(context_);
    for (std::size_t i = 0; i < lanes; ++i) {
        if (progress_->ended[i].load(std::memory_order_acquire) >= lanes_[i].queued) {
            continue;
        }
        if (auto recorded = fence->record(lanes_[i].stream); !recorded) {
            return tl::unexpected(recorded.error());
        }
    }
    return fence;
}

Status CudaQueue::wait(const Fence& fence) {
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-static-cast-downcast): fences of this device are CudaFences
    const auto& events = static_cast<const CudaFence&>(fence).events();
    context_.make_current();
    for (const Lane& lane : lanes_) {
        for (CUevent event : events) {
            if (auto waits = check(context_.driver->cuStreamWaitEvent(lane.stream, event, 0),
                                   "a stream of the device cannot wait for another");
                !waits) {
                return waits;
            }
        }
    }
    return {};
}

// The driver hands commands over at once; that the last kernel has ended is worth a word, since it lets buffers rest.
Status CudaQueue::flush() {
    const Lane& lane = lanes_[lane_run];
    if (lane.announced == lane.queued) {
        return {};
    }
    context_.make_current();
    return announce(lane_run, nullptr);
}

bool CudaQueue::idle(const Buffer& buffer) const {
    return mine(buffer).rests_in(progress_);
}

void CudaQueue::finish() {
    context_.make_current();
    for (std::size_t i = 0; i < lanes; ++i) {
        if (auto ended = check(context_.driver->cuStreamSynchronize(lanes_[i].stream), "a command of a graph failed");
            !ended) {
            lost(ended.error());
        }
    }
    watcher_.drain(*post_);
    for (std::size_t i = 0; i < lanes; ++i) {
        progress_->advance(i, lanes_[i].queued);
    }
}

}  // namespace yoke::device::cuda
