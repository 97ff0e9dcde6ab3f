// Copies, launches and their ends on one in-order queue; see opencl_queue.hpp. Records of copies are pooled. A small
// write to a resting buffer that the host can reach is made at once by the caller: cheaper than a command.
#include "device/cpu/opencl_queue.hpp"

#include <algorithm>
#include <cstring>

#include "base/log.hpp"
#include "device/cpu/opencl_buffer.hpp"
#include "device/cpu/opencl_host_kernel.hpp"
#include "device/cpu/opencl_kernel.hpp"

namespace yoke::device {

namespace {

constexpr std::size_t direct_bytes_max = 64UL * 1024UL;  // some microseconds of copying: less than a command costs

OpenclBuffer& mine(Buffer& buffer) {
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-static-cast-downcast): buffers of this device are OpenclBuffers
    return static_cast<OpenclBuffer&>(buffer);
}

const OpenclBuffer& mine(const Buffer& buffer) {
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-static-cast-downcast): as above
    return static_cast<const OpenclBuffer&>(buffer);
}

class OpenclFence final : public Fence {
   public:
    explicit OpenclFence(OpenclOwned<cl_event> event) : event_(std::move(event)) {}
    [[nodiscard]] cl_event event() const { return event_.get(); }
    [[nodiscard]] bool reached() const override {
        cl_int status = CL_QUEUED;
        ::clGetEventInfo(event_.get(), CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status, nullptr);
        return status <= CL_COMPLETE;
    }
    void wait() const override {
        cl_event event = event_.get();
        ::clWaitForEvents(1, &event);
    }

   private:
    OpenclOwned<cl_event> event_;
};

}  // namespace

OpenclQueue::Record* OpenclQueue::take_record(Done& done) {
    Record* record = nullptr;
    {
        const std::lock_guard lock(mutex_);
        if (free_.empty()) {
            records_.push_back(std::make_unique<Record>());
            free_.reserve(records_.size());  // so that giving back never allocates
            record = records_.back().get();
        } else {
            record = free_.back();
            free_.pop_back();
        }
        ++in_flight_;
    }
    record->queue = this;
    record->done = &done;
    record->number = ++queued_;
    record->launches.swap(launches_);
    return record;
}

void OpenclQueue::give_back(Record* record) {
    const std::lock_guard lock(mutex_);
    free_.push_back(record);
    if (--in_flight_ == 0) {
        idle_.notify_all();
    }
}

void OpenclQueue::report_launches(std::vector<Launch>& launches) {
    for (const Launch& launch : launches) {
        cl_int status = CL_COMPLETE;
        ::clGetEventInfo(launch.event.get(), CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status, nullptr);
        if (status < 0) {
            launch.failed->done(-errno_of_opencl(status));
        }
    }
    launches.clear();
}

void CL_CALLBACK OpenclQueue::on_end(cl_event /*event*/, cl_int status, void* pointer) {
    auto* const record = static_cast<Record*>(pointer);
    std::atomic<std::uint64_t>& ended = record->queue->ended_;
    std::uint64_t seen = ended.load();
    while (seen < record->number && !ended.compare_exchange_weak(seen, record->number)) {
    }
    report_launches(record->launches);
    record->done->done(status < 0 ? -errno_of_opencl(status) : 0);
    record->queue->give_back(record);
}

// Has the record told when the event ends; where that cannot be had, waits.
void OpenclQueue::watch(cl_event raw_event, Record* record) {
    const OpenclOwned<cl_event> event(raw_event);
    if (::clSetEventCallback(event.get(), CL_COMPLETE, &OpenclQueue::on_end, record) == CL_SUCCESS) {
        return;
    }
    log_warning(Topic::device, "OpenCL platform refuses an event callback; waiting instead");
    cl_int status = ::clWaitForEvents(1, &raw_event);
    if (status == CL_SUCCESS) {
        status = CL_COMPLETE;
    }
    on_end(event.get(), status, record);
}

void OpenclQueue::used(const OpenclBuffer& buffer, std::uint64_t number) const {
    buffer.last_queue = this;
    buffer.last_use = number;
}

bool OpenclQueue::idle(const Buffer& buffer) const {
    const OpenclBuffer& own = mine(buffer);
    return own.last_queue == nullptr || (own.last_queue == this && own.last_use <= ended_.load());
}

Status OpenclQueue::write(Buffer& to, const std::byte* from, std::size_t bytes, Done& done) {
    OpenclBuffer& buffer = mine(to);
    if (buffer.host() != nullptr && bytes <= std::min(direct_bytes_max, buffer.bytes()) && idle(to)) {
        std::memcpy(buffer.host(), from, bytes);
        done.done(0);
        return {};
    }
    Record* const record = take_record(done);
    cl_event event = nullptr;
    const cl_int status =
        ::clEnqueueWriteBuffer(queue_.get(), buffer.memory(), CL_FALSE, 0, bytes, from, 0, nullptr, &event);
    if (status != CL_SUCCESS) {
        record->launches.swap(launches_);
        give_back(record);
        return fail_opencl(status, "cannot copy to the device");
    }
    used(buffer, record->number);
    watch(event, record);
    return {};
}

Status OpenclQueue::read(const Buffer& from, std::byte* to, std::size_t bytes, Done& done) {
    Record* const record = take_record(done);
    cl_event event = nullptr;
    const cl_int status =
        ::clEnqueueReadBuffer(queue_.get(), mine(from).memory(), CL_FALSE, 0, bytes, to, 0, nullptr, &event);
    if (status != CL_SUCCESS) {
        record->launches.swap(launches_);
        give_back(record);
        return fail_opencl(status, "cannot copy from the device");
    }
    used(mine(from), record->number);
    watch(event, record);
    return {};
}

Status OpenclQueue::copy(Buffer& to, const Buffer& from, std::size_t bytes) {
    const cl_int status =
        ::clEnqueueCopyBuffer(queue_.get(), mine(from).memory(), mine(to).memory(), 0, 0, bytes, 0, nullptr, nullptr);
    if (status != CL_SUCCESS) {
        return fail_opencl(status, "cannot copy on the device");
    }
    ++queued_;
    used(mine(from), queued_);
    used(mine(to), queued_);
    return {};
}

void OpenclQueue::launched(cl_event event, std::span<const Argument> arguments, Done& failed) {
    launches_.push_back({OpenclOwned<cl_event>(event), &failed});
    ++queued_;
    for (const Argument& argument : arguments) {
        if (argument.buffer != nullptr) {
            used(mine(*argument.buffer), queued_);
        }
    }
}

Status OpenclQueue::launch(Kernel& kernel_base, std::span<const Argument> arguments, Done& failed,
                           const std::array<std::size_t, 3>* global) {
    if (const auto* const host = dynamic_cast<const OpenclHostKernel*>(&kernel_base)) {
        return launch_host(*host, arguments, failed, global);
    }
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-static-cast-downcast): all others of this device are OpenclKernels
    auto& kernel = static_cast<OpenclKernel&>(kernel_base);
    if (auto set = kernel.set_arguments(arguments); !set) {
        return set;
    }
    Geometry geometry = kernel.geometry();
    if (global != nullptr) {
        for (std::size_t d = 0; d < 3; ++d) {
            const std::size_t groups = ((*global)[d] + geometry.local[d] - 1) / geometry.local[d];
            geometry.global[d] = std::min(geometry.global[d], std::max<std::size_t>(groups, 1) * geometry.local[d]);
        }
    }
    cl_event event = nullptr;
    const cl_int status = ::clEnqueueNDRangeKernel(queue_.get(), kernel.handle(), 3, nullptr, geometry.global.data(),
                                                   geometry.local.data(), 0, nullptr, &event);
    if (status != CL_SUCCESS) {
        return fail_opencl(status, "cannot launch a kernel");
    }
    launched(event, arguments, failed);
    return {};
}

Status OpenclQueue::launch_host(const OpenclHostKernel& kernel, std::span<const Argument> arguments, Done& failed,
                                const std::array<std::size_t, 3>* global) {
    cl_event event = nullptr;
    if (auto queued = kernel.enqueue(queue_.get(), arguments, failed, global, event); !queued) {
        return queued;
    }
    launched(event, arguments, failed);
    return {};
}

Result<std::shared_ptr<Fence>> OpenclQueue::mark() {
    cl_event event = nullptr;
    const cl_int status = ::clEnqueueMarkerWithWaitList(queue_.get(), 0, nullptr, &event);
    if (status != CL_SUCCESS) {
        return fail_opencl(status, "cannot mark a place in a queue");
    }
    auto fence = std::make_shared<OpenclFence>(OpenclOwned<cl_event>(event));
    if (auto flushed = flush(); !flushed) {  // or who waits would wait for ever
        return tl::unexpected(flushed.error());
    }
    return fence;
}

Status OpenclQueue::wait(const Fence& fence) {
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-static-cast-downcast): fences of this device are OpenclFences
    cl_event event = static_cast<const OpenclFence&>(fence).event();
    const cl_int status = ::clEnqueueBarrierWithWaitList(queue_.get(), 1, &event, nullptr);
    if (status != CL_SUCCESS) {
        return fail_opencl(status, "cannot wait for another queue");
    }
    return {};
}

Status OpenclQueue::flush() {
    const cl_int status = ::clFlush(queue_.get());
    if (status != CL_SUCCESS) {
        return fail_opencl(status, "cannot hand commands to the device");
    }
    return {};
}

void OpenclQueue::finish() {
    ::clFinish(queue_.get());
    ended_.store(queued_);
    report_launches(launches_);
    std::unique_lock lock(mutex_);
    idle_.wait(lock, [this] { return in_flight_ == 0; });
}

}  // namespace yoke::device
