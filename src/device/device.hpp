// A device executes ptasks: it has memory, compiled programs and an in-order queue per graph.
//
// The graph runtime knows devices only through this interface. Operations on a queue are asynchronous and ordered;
// nothing blocks but finish(). Buffers are opaque: on the CPU device they are OpenCL memory objects or plain memory, on a
// CUDA device addresses. Not thread-safe per object: the runtime that owns a queue serialises its use.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/error.hpp"

namespace yoke::device {

class Buffer {
   public:
    Buffer() = default;
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    virtual ~Buffer() = default;
    [[nodiscard]] virtual std::size_t bytes() const = 0;
};

// One argument of a launch: a buffer, or the bytes of a constant.
struct Argument {
    Buffer* buffer = nullptr;
    std::vector<std::uint8_t> constant;
};

struct Geometry {
    std::array<std::size_t, 3> global{1, 1, 1};
    std::array<std::size_t, 3> local{0, 0, 0};  // zeros: the device chooses
};

class Kernel {
   public:
    Kernel() = default;
    Kernel(const Kernel&) = delete;
    Kernel& operator=(const Kernel&) = delete;
    virtual ~Kernel() = default;
};

struct Program {
    std::string source;
    std::string source_name;
    std::string function;
    std::string options;
    Geometry geometry;  // what it will be launched with, so that it can be compiled for it
};

using Done = std::function<void(int status)>;  // 0 or -errno; called on a thread of the device, must not block

class Queue {
   public:
    Queue() = default;
    Queue(const Queue&) = delete;
    Queue& operator=(const Queue&) = delete;
    virtual ~Queue() = default;
    // Copies from or to host memory; the host range must stay until `done` has been called.
    virtual Status write(Buffer& to, const std::byte* from, std::size_t bytes, Done done) = 0;
    virtual Status read(const Buffer& from, std::byte* to, std::size_t bytes, Done done) = 0;
    // Runs a kernel after everything queued before it. `done` may be empty.
    virtual Status launch(Kernel& kernel, const std::vector<Argument>& arguments, const Geometry& geometry, Done done) = 0;
    // Hands what was queued to the device.
    virtual Status flush() = 0;
    virtual void finish() = 0;
};

class Device {
   public:
    Device() = default;
    Device(const Device&) = delete;
    Device& operator=(const Device&) = delete;
    virtual ~Device() = default;
    [[nodiscard]] virtual std::string name() const = 0;         // "cpu"
    [[nodiscard]] virtual std::string description() const = 0;  // "pthread-... (Portable Computing Language 3.1)"
    virtual Result<std::unique_ptr<Buffer>> allocate(std::size_t bytes) = 0;
    virtual Result<std::unique_ptr<Queue>> create_queue() = 0;
    // Compiles in a separate process (see compiler.hpp). ENOEXEC with the compiler's messages; `log` gets warnings.
    virtual Result<std::unique_ptr<Kernel>> compile(const Program& program, std::string& log) = 0;
};

}  // namespace yoke::device
