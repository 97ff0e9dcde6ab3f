// An in-order OpenCL command queue that tells the ends of copies and the failures of launches.
//
// MODEL. Each copy has an event with a callback; the record that the callback gets is pooled. A launch has an event
// without callback: that would cost a few microseconds each. The copy queued next takes the launches' events along and
// looks at them when it ends; since the queue is in order they have ended by then.
//
// SHORT WRITES. A command costs more than copying a few kilobytes. Where the host may touch a buffer
// (opencl_buffer.hpp) that no queued command uses, a short write is a copy on the caller's thread. Commands are
// numbered, and a buffer knows the number of the last one that uses it; the end of a copy says that everything up to
// its number has ended.
//
// PoCL runs callbacks on the thread that ended the command, or on the caller's when the command has already ended, so
// the pool's lock is never held while OpenCL is called.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include "device/cpu/opencl.hpp"
#include "device/device.hpp"

namespace yoke::device {

class OpenclBuffer;
class OpenclHostKernel;

class OpenclQueue final : public Queue {
   public:
    explicit OpenclQueue(OpenclOwned<cl_command_queue> queue) : queue_(std::move(queue)) {}
    ~OpenclQueue() override { finish(); }

    Status write(Buffer& to, const std::byte* from, std::size_t bytes, Done& done) override;
    Status read(const Buffer& from, std::byte* to, std::size_t bytes, Done& done) override;
    Status copy(Buffer& to, const Buffer& from, std::size_t bytes) override;
    Status launch(Kernel& kernel, std::span<const Argument> arguments, Done& failed,
                  const std::array<std::size_t, 3>* global) override;
    Result<std::shared_ptr<Fence>> mark() override;
    Status wait(const Fence& fence) override;
    Status flush() override;
    [[nodiscard]] bool idle(const Buffer& buffer) const override;
    void finish() override;

   private:
    struct Launch {
        OpenclOwned<cl_event> event;
        Done* failed = nullptr;
    };
    struct Record {
        OpenclQueue* queue = nullptr;
        Done* done = nullptr;
        std::uint64_t number = 0;      // of the command
        std::vector<Launch> launches;  // queued before this copy and after the one before
    };

    Status launch_host(const OpenclHostKernel& kernel, std::span<const Argument> arguments, Done& failed,
                       const std::array<std::size_t, 3>* global);
    void launched(cl_event event, std::span<const Argument> arguments, Done& failed);
    void used(const OpenclBuffer& buffer, std::uint64_t number) const;
    Record* take_record(Done& done);
    void give_back(Record* record);
    void watch(cl_event event, Record* record);
    static void CL_CALLBACK on_end(cl_event event, cl_int status, void* record);
    static void report_launches(std::vector<Launch>& launches);

    OpenclOwned<cl_command_queue> queue_;
    std::vector<Launch> launches_;         // not yet taken along by a copy
    std::uint64_t queued_ = 0;             // commands so far
    std::atomic<std::uint64_t> ended_{0};  // all commands up to this one have ended

    std::mutex mutex_;  // of the members below
    std::condition_variable idle_;
    std::vector<std::unique_ptr<Record>> records_;
    std::vector<Record*> free_;
    std::size_t in_flight_ = 0;
};

}  // namespace yoke::device
