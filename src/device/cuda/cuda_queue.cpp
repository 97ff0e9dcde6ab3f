// What waits for what, and the words that tell the ends; see cuda_queue.hpp.
#include "device/cuda/cuda_queue.hpp"

#include <algorithm>
#include <mutex>
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

CudaQueue::CudaQueue(const Context& context, const LanePlan& plan, Watcher& watcher)
    : context_(context),
      plan_{.copies = std::clamp<std::uint32_t>(plan.copies, 1, copy_lanes_max),
            .kernels = std::clamp<std::uint32_t>(plan.kernels, 1, run_lanes_max),
            .fork = plan.fork,
            .steps = plan.steps,
            .fork_steps = plan.fork_steps,
            .lead = plan.lead,
            .reuse = plan.reuse},
      watcher_(watcher),
      progress_(std::make_shared<Progress>()) {
    for (std::size_t i = 0; i < lanes; ++i) {
        lanes_.push_back(std::make_unique<Lane>(context));
    }
}

Result<std::unique_ptr<CudaQueue>> CudaQueue::create(const Context& context, const LanePlan& plan, Watcher& watcher) {
    std::unique_ptr<CudaQueue> queue(new CudaQueue(context, plan, watcher));
    auto post = watcher.enter(queue->progress_);
    if (!post) {
        return tl::unexpected(post.error());
    }
    queue->post_ = *post;
    for (const LaneName name : {lane_in, lane_run, lane_out}) {  // every graph needs one of each
        if (auto opened = queue->open(name); !opened) {
            return tl::unexpected(opened.error());
        }
    }
    return queue;
}

// Gives a lane its stream when it is needed first, and with the second lane for kernels all of those: the driver deals
// out the hardware's queues in turn, and streams that share one wait for each other.
Status CudaQueue::open(LaneName name) {
    if (lanes_[name]->stream != nullptr) {
        return {};
    }
    if (name <= lane_run) {
        return open_one(name);
    }
    static std::mutex in_turn;  // of all queues
    const std::lock_guard lock(in_turn);
    Status done;
    for (LaneName each = lane_run + 1; each < lane_run + plan_.kernels; ++each) {
        done = done && lanes_[each]->stream == nullptr ? open_one(each) : done;
    }
    return done;
}

Status CudaQueue::open_one(LaneName name) {
    Lane& lane = *lanes_[name];
    const Driver& api = *use().driver;
    Status done = check(api.cuStreamCreateWithPriority(&lane.stream, CU_STREAM_NON_BLOCKING, 0),
                        "a stream of the device cannot be had");
    for (Mark& mark : lane.marks) {
        done = done ? check(api.cuEventCreate(&mark.event, CU_EVENT_DISABLE_TIMING), "an event cannot be had") : done;
    }
    if (!done) {
        return done;
    }
    watcher_.open_lane(*post_, name, lane.stream);
    if (!fenced_) {
        return {};
    }
    // Fences that the other lanes have waited for hold for this one too.
    done = record(*lanes_[lane_in]);
    return done ? check(api.cuStreamWaitEvent(lane.stream, lanes_[lane_in]->marks[lanes_[lane_in]->newest].event, 0),
                        "a stream of the device cannot wait for another")
                : done;
}

CudaQueue::~CudaQueue() {
    if (post_ != nullptr) {
        finish();
        watcher_.leave(post_);
    }
    const Driver& api = *use().driver;
    for (const auto& lane : lanes_) {
        for (const Mark& mark : lane->marks) {
            if (mark.event != nullptr) {
                api.cuEventDestroy(mark.event);
            }
        }
        if (lane->stream != nullptr) {
            api.cuStreamDestroy(lane->stream);
        }
    }
}

const Context& CudaQueue::use() const {
    context_.make_current();
    return context_;
}

std::uint64_t CudaQueue::open_commands(LaneName name) const {
    const std::uint64_t ended = progress_->ended[name].load(std::memory_order_acquire);
    const std::uint64_t queued = lanes_[name]->queued;
    return queued > ended ? queued - ended : 0;
}

LaneName CudaQueue::least_busy(LaneName first, std::size_t count) const {
    LaneName best = first;
    for (LaneName name = first + 1; name < first + count && open_commands(best) > 0; ++name) {
        best = open_commands(name) < open_commands(best) ? name : best;
    }
    return best;
}

// Where a kernel goes that has to wait for these commands.
LaneName CudaQueue::lane_of(const Positions& needed) const {
    LaneName behind = lanes;
    for (LaneName name = lane_run; name < lane_run + plan_.kernels; ++name) {
        if (needed[name] <= progress_->ended[name].load(std::memory_order_acquire)) {
            continue;
        }
        if (needed[name] == lanes_[name]->queued) {
            return name;
        }
        behind = behind == lanes ? name : behind;
    }
    const bool forks = behind == lanes || (plan_.fork && pace_ != Pace::by_step);
    const LaneName other = forks ? least_busy(lane_run, plan_.kernels) : behind;
    return behind == lanes || open_commands(other) == 0 ? other : behind;
}

// Hands over what is held back in the lane.
Status CudaQueue::submit(Lane& lane) {
    return lane.step.submit(lane.stream);
}

Status CudaQueue::submit_all() {
    Status done;
    for (const auto& lane : lanes_) {
        if (auto submitted = submit(*lane); !submitted && done) {
            done = submitted;
        }
    }
    return done;
}

// Marks the place behind the lane's last command.
Status CudaQueue::record(Lane& lane) {
    if (auto submitted = submit(lane); !submitted) {
        return submitted;
    }
    const std::size_t next = (lane.newest + 1) % events_per_lane;
    Mark& mark = lane.marks[next];
    if (auto recorded = check(context_.driver->cuEventRecord(mark.event, lane.stream), "an event cannot be recorded");
        !recorded) {
        return recorded;
    }
    mark.position = lane.queued;
    mark.covers = lane.waits;
    lane.newest = next;
    return {};
}

// Everything queued in `name` from here on waits for the commands of other lanes that are named.
Status CudaQueue::follow(LaneName name, const Positions& needed) {
    Lane& lane = *lanes_[name];
    for (LaneName i = 0; i < lanes; ++i) {
        if (i == name || needed[i] <= lane.waits[i] ||
            progress_->ended[i].load(std::memory_order_acquire) >= needed[i]) {
            continue;
        }
        Lane& other = *lanes_[i];
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
        if (auto submitted = submit(lane); !submitted) {  // what is held back need not wait
            return submitted;
        }
        const Mark& mark = other.marks[chosen];
        if (auto waits = check(context_.driver->cuStreamWaitEvent(lane.stream, mark.event, 0),
                               "a stream of the device cannot wait for another");
            !waits) {
            return waits;
        }
        raise(lane.waits, mark.covers);
        lane.waits[i] = std::max(lane.waits[i], mark.position);
    }
    return {};
}

// Has the lane's word written behind its last command.
Status CudaQueue::announce(LaneName name, Done* done) {
    Lane& lane = *lanes_[name];
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
    const LaneName name = least_busy(lane_in, plan_.copies);
    Status ready = open(name);
    ready = ready ? follow(name, buffer.used(progress_)) : ready;
    if (!ready) {
        return ready;
    }
    Lane& lane = *lanes_[name];
    if (bytes > 0) {
        if (auto copied =
                check(api.cuMemcpyHtoDAsync(buffer.address(), from, bytes, lane.stream), "cannot copy to the device");
            !copied) {
            return copied;
        }
    }
    ++lane.queued;
    buffer.note_written(name, lane.queued);
    if (auto recorded = record(lane); !recorded) {
        lost(recorded.error());
    }
    return announce(name, &done);
}

Status CudaQueue::read(const Buffer& from, std::byte* to, std::size_t bytes, Done& done) {
    const CudaBuffer& buffer = mine(from);
    if (bytes > buffer.bytes()) {
        return fail(EINVAL, "cannot read {} bytes from a buffer of {}", bytes, buffer.bytes());
    }
    const Driver& api = *use().driver;
    const LaneName name = least_busy(lane_out, plan_.copies);
    Status ready = open(name);
    ready = ready ? follow(name, buffer.writers(progress_)) : ready;
    if (!ready) {
        return ready;
    }
    Lane& lane = *lanes_[name];
    if (bytes > 0) {
        if (auto copied =
                check(api.cuMemcpyDtoHAsync(to, buffer.address(), bytes, lane.stream), "cannot copy from the device");
            !copied) {
            return copied;
        }
    }
    ++lane.queued;
    buffer.note_read(name, lane.queued);
    if (auto recorded = record(lane); !recorded) {
        lost(recorded.error());
    }
    return announce(name, &done);
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
    const LaneName name = lane_of(needed);
    Status ready = open(name);
    ready = ready ? follow(name, needed) : ready;
    Lane& lane = *lanes_[name];
    ready = ready ? submit(lane) : ready;
    if (!ready) {
        return ready;
    }
    if (auto copied = check(api.cuMemcpyDtoDAsync(target.address(), source.address(), bytes, lane.stream),
                            "cannot copy on the device");
        !copied) {
        return copied;
    }
    ++lane.queued;
    source.note_read(name, lane.queued);
    target.note_written(name, lane.queued);
    return {};
}

// Decides once for all until the next flush whether kernels are held back: while others keep the device busy, nothing
// is lost by waiting for the rest of a step.
void CudaQueue::choose_pace() {
    if (pace_ == Pace::undecided) {
        bool busy = false;
        for (LaneName name = lane_run; name < lane_run + plan_.kernels; ++name) {
            busy = busy || open_commands(name) > 0;
        }
        pace_ = busy && plan_.steps ? Pace::by_step : Pace::at_once;
        ahead_ = 0;
    }
}

// Which kernels of the lane's step the next one must follow.
void CudaQueue::find_earlier(LaneName name, std::span<const Argument> arguments) {
    const Lane& lane = *lanes_[name];
    const std::uint64_t before = lane.queued - lane.step.size();  // the last command that is not of the step
    earlier_.clear();
    if (!plan_.fork_steps) {
        if (!lane.step.empty()) {
            earlier_.push_back(static_cast<std::uint32_t>(lane.step.size() - 1));
        }
        return;
    }
    for (const Argument& argument : arguments) {
        if (argument.buffer == nullptr) {
            continue;
        }
        const CudaBuffer& buffer = mine(*argument.buffer);
        const std::uint64_t written = buffer.written_in(name);
        const std::uint64_t read = buffer.read_in(name);
        if (argument.written && read > written && read > before) {
            // There may be several that read it, of which only the last is known: behind all.
            earlier_.clear();
            for (std::uint32_t all = 0; all < lane.step.size(); ++all) {
                earlier_.push_back(all);
            }
            return;
        }
        if (written > before) {
            earlier_.push_back(static_cast<std::uint32_t>(written - before - 1));
        }
    }
    std::sort(earlier_.begin(), earlier_.end());
    earlier_.erase(std::unique(earlier_.begin(), earlier_.end()), earlier_.end());
}

// Launches a kernel in a lane or holds it back.
Status CudaQueue::run(LaneName name, CudaKernel& kernel, std::span<const Argument> arguments,
                      const std::array<std::size_t, 3>* global) {
    Lane& lane = *lanes_[name];
    auto bound = kernel.bind(arguments);
    if (!bound) {
        return tl::unexpected(bound.error());
    }
    const CudaKernel::Grid grid = kernel.grid(global);
    if (pace_ == Pace::by_step && (ahead_ >= plan_.lead || !lane.step.empty())) {
        find_earlier(name, arguments);
        lane.step.hold(kernel, grid, *bound, earlier_);
        return {};
    }
    ++ahead_;
    return check(context_.driver->cuLaunchKernel(kernel.function(), grid.blocks[0], grid.blocks[1], grid.blocks[2],
                                                 grid.threads[0], grid.threads[1], grid.threads[2], 0, lane.stream,
                                                 *bound, nullptr),
                 "a kernel cannot be launched");
}

Status CudaQueue::launch(Kernel& kernel, std::span<const Argument> arguments, Done& failed,
                         const std::array<std::size_t, 3>* global) {
    context_.make_current();
    auto* const function = dynamic_cast<CudaHostKernel*>(&kernel);
    const auto writes = [function](const Argument& argument) {
        return argument.written || function != nullptr;  // a function's buffers are all copied back
    };
    Positions needed{};
    for (const Argument& argument : arguments) {
        if (argument.buffer != nullptr) {
            const CudaBuffer& buffer = mine(*argument.buffer);
            raise(needed, writes(argument) ? buffer.used(progress_) : buffer.writers(progress_));
        }
    }
    choose_pace();
    // A function has memory of its own that its launches share, so all of them are in one lane.
    const LaneName name = function != nullptr ? lane_run : lane_of(needed);
    Status ready = open(name);
    ready = ready ? follow(name, needed) : ready;
    Lane& lane = *lanes_[name];
    if (function != nullptr) {
        ready = ready ? submit(lane) : ready;
        ready = ready ? function->enqueue(lane.stream, arguments, failed, global) : ready;
    } else {
        // NOLINTNEXTLINE(cppcoreguidelines-pro-type-static-cast-downcast): all others are CudaKernels
        ready = ready ? run(name, static_cast<CudaKernel&>(kernel), arguments, global) : ready;
    }
    if (!ready) {
        return ready;
    }
    ++lane.queued;
    for (const Argument& argument : arguments) {
        if (argument.buffer != nullptr && writes(argument)) {
            mine(*argument.buffer).note_written(name, lane.queued);
        } else if (argument.buffer != nullptr) {
            mine(*argument.buffer).note_read(name, lane.queued);
        }
    }
    return {};
}

Result<std::shared_ptr<Fence>> CudaQueue::mark() {
    context_.make_current();
    if (auto submitted = submit_all(); !submitted) {
        return tl::unexpected(submitted.error());
    }
    auto fence = std::make_shared<CudaFence>(context_);
    for (LaneName name = 0; name < lanes; ++name) {
        if (open_commands(name) == 0) {
            continue;
        }
        if (auto recorded = fence->record(lanes_[name]->stream); !recorded) {
            return tl::unexpected(recorded.error());
        }
    }
    return fence;
}

Status CudaQueue::wait(const Fence& fence) {
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-static-cast-downcast): fences of this device are CudaFences
    const auto& events = static_cast<const CudaFence&>(fence).events();
    context_.make_current();
    Status done = events.empty() ? Status() : submit_all();
    for (const auto& lane : lanes_) {
        for (CUevent event : events) {
            done = done && lane->stream != nullptr ? check(context_.driver->cuStreamWaitEvent(lane->stream, event, 0),
                                                           "a stream of the device cannot wait for another")
                                                   : done;
        }
    }
    fenced_ = fenced_ || !events.empty();
    return done;
}

// The driver hands commands over at once; that the last kernel has ended is worth a word, since it lets buffers rest.
Status CudaQueue::flush() {
    context_.make_current();
    pace_ = Pace::undecided;
    if (auto submitted = submit_all(); !submitted) {
        return submitted;
    }
    for (LaneName name = lane_run; name < lanes; ++name) {
        if (lanes_[name]->announced == lanes_[name]->queued) {
            continue;
        }
        if (auto announced = announce(name, nullptr); !announced) {
            return announced;
        }
    }
    return {};
}

bool CudaQueue::idle(const Buffer& buffer) const {
    return mine(buffer).rests_in(progress_);
}

// What only the lane of the input still uses is free for what goes there next.
bool CudaQueue::idle_behind(const Buffer& buffer, const Buffer& input) const {
    return mine(buffer).rests_in(progress_, plan_.reuse && !plan_.fork ? mine(input).written_by(progress_) : lanes);
}

void CudaQueue::finish() {
    context_.make_current();
    Status ended = submit_all();
    for (const auto& lane : lanes_) {
        if (ended && lane->stream != nullptr) {
            ended = check(context_.driver->cuStreamSynchronize(lane->stream), "a command of a graph failed");
        }
    }
    if (!ended) {
        lost(ended.error());
    }
    watcher_.drain(*post_);
    for (LaneName name = 0; name < lanes; ++name) {
        progress_->advance(name, lanes_[name]->queued);
    }
}

}  // namespace yoke::device::cuda
