// A buffer of the OpenCL device.
//
// Where the device has fine-grained shared virtual memory, as CPUs do, the buffer is made of it: then the host may read
// and write it between commands without mapping it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "device/cpu/opencl.hpp"
#include "device/device.hpp"

namespace yoke::device {

struct SharedMemoryFree {
    cl_context context = nullptr;
    void operator()(std::byte* memory) const { ::clSVMFree(context, memory); }
};
using SharedMemory = std::unique_ptr<std::byte, SharedMemoryFree>;

class OpenclBuffer final : public Buffer {
   public:
    OpenclBuffer(SharedMemory shared, OpenclOwned<cl_mem> memory, std::size_t bytes)
        : shared_(std::move(shared)), memory_(std::move(memory)), bytes_(bytes) {}
    [[nodiscard]] std::size_t bytes() const override { return bytes_; }
    [[nodiscard]] cl_mem memory() const { return memory_.get(); }
    // The buffer's memory as the host sees it; null where it must not.
    [[nodiscard]] std::byte* host() const { return shared_.get(); }

    // The last command that uses it: its queue, null for none yet, and its number there.
    mutable const void* last_queue = nullptr;
    mutable std::uint64_t last_use = 0;

   private:
    SharedMemory shared_;
    OpenclOwned<cl_mem> memory_;  // released first
    std::size_t bytes_;
};

}  // namespace yoke::device
