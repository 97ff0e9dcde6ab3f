// A device executes ptasks: it has memory, compiled programs and an in-order queue per graph.
//
// The graph runtime knows devices only through this interface. Operations on a queue are asynchronous and ordered;
// nothing blocks but finish(). Buffers are opaque: on the CPU device they are OpenCL memory objects or plain memory, on
// a CUDA device addresses.
//
// A Device may be used by any thread at any time. Of a Queue and of a Kernel, the runtime that owns them serialises the
// use. A buffer may be used again as soon as the last command that needs it has been queued, by commands of that queue.
//
// TRADE-OFF. Ends of commands are reported through a plain interface, not through std::function: nothing is allocated
// per command.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
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

// One argument of a launch: a buffer, or the bytes of a constant, which the launch copies.
struct Argument {
    Buffer* buffer = nullptr;
    std::span<const std::uint8_t> constant;
    bool written = true;  // the kernel may write to the buffer; else it may run beside others that read it
};

struct Geometry {
    std::array<std::size_t, 3> global{1, 1, 1};
    std::array<std::size_t, 3> local{0, 0, 0};  // zeros: the device chooses

    friend bool operator==(const Geometry&, const Geometry&) = default;
};

// What a kernel function says about one of its parameters.
struct Parameter {
    enum class Kind : std::uint8_t { unknown, buffer, constant, other };  // other: local memory, images: not for ports
    Kind kind = Kind::unknown;
    std::size_t bytes = 0;     // constant: its size; 0: unknown
    std::string name;          // "" when unknown
    std::string type;          // as written in the source, "" when unknown
    std::string element = {};  // buffer: element type of what it points to, as in a template; "" when unknown
    bool read_only = false;    // buffer: the kernel only reads it
};

class Kernel {
   public:
    Kernel() = default;
    Kernel(const Kernel&) = delete;
    Kernel& operator=(const Kernel&) = delete;
    virtual ~Kernel() = default;
    [[nodiscard]] virtual const std::vector<Parameter>& parameters() const = 0;
};

struct Program {
    std::string source;
    std::string source_name;
    std::string function;
    std::string options;
    Geometry geometry;            // what it is compiled for and launched with, at most
    std::string form = "opencl";  // what the source is; see Device::accepts()
};

// Memory as a host function sees it: a buffer's, or a constant's bytes (not to be written).
using HostArgument = std::span<std::byte>;
// Runs over the whole geometry at once. Returns 0 or -errno.
using HostFunction = std::function<int(std::span<const HostArgument> arguments, const Geometry& geometry)>;

// A point in a queue, reached when everything queued before it has ended.
class Fence {
   public:
    Fence() = default;
    Fence(const Fence&) = delete;
    Fence& operator=(const Fence&) = delete;
    virtual ~Fence() = default;
    [[nodiscard]] virtual bool reached() const = 0;
    // Returns when it is reached.
    virtual void wait() const = 0;
};

// Is told the end of a command: 0 or -errno. Called once, on a thread of the device, or on the caller's before the
// command's function returns with success; must not block and must not use the queue.
class Done {
   public:
    Done() = default;
    Done(const Done&) = delete;
    Done& operator=(const Done&) = delete;
    virtual void done(int status) noexcept = 0;

   protected:
    ~Done() = default;
};

class Queue {
   public:
    Queue() = default;
    Queue(const Queue&) = delete;
    Queue& operator=(const Queue&) = delete;
    virtual ~Queue() = default;  // waits for all commands
    // Copies from or to host memory; the host range must stay until `done` has been called. When an error is returned,
    // nothing was queued and `done` is not called.
    virtual Status write(Buffer& to, const std::byte* from, std::size_t bytes, Done& done) = 0;
    virtual Status read(const Buffer& from, std::byte* to, std::size_t bytes, Done& done) = 0;
    // Copies the first `bytes` of one buffer to another, on the device. The buffers differ.
    virtual Status copy(Buffer& to, const Buffer& from, std::size_t bytes) = 0;
    // Runs a kernel after everything queued before it, over the geometry it was compiled for, or over less: `global`,
    // where it is given, is rounded up to whole work-groups and is never more than that. `failed` is called only if it
    // fails after having been queued, at the latest before the `done` of the next read is; it must stay as long as the
    // queue.
    virtual Status launch(Kernel& kernel, std::span<const Argument> arguments, Done& failed,
                          const std::array<std::size_t, 3>* global = nullptr) = 0;
    // A point behind everything queued so far; flushes. It may be waited for by other queues of the device.
    virtual Result<std::shared_ptr<Fence>> mark() = 0;
    // Everything queued from here on begins when `fence`, of any queue of this device, is reached.
    virtual Status wait(const Fence& fence) = 0;
    // Hands what was queued to the device.
    virtual Status flush() = 0;
    // Whether no command that has not ended uses the buffer. A short write to such a buffer may be done at once.
    [[nodiscard]] virtual bool idle(const Buffer& buffer) const = 0;
    // Whether a command that reads `input` may write `buffer` without waiting longer for it than for `input`.
    [[nodiscard]] virtual bool idle_behind(const Buffer& buffer, const Buffer& /*input*/) const { return idle(buffer); }
    // Returns when every command has ended and every `done` has returned.
    virtual void finish() = 0;
};

class Device {
   public:
    Device() = default;
    Device(const Device&) = delete;
    Device& operator=(const Device&) = delete;
    virtual ~Device() = default;
    [[nodiscard]] virtual std::string name() const = 0;  // "cpu"
    // Whether copies run beside kernels: then a buffer that nothing uses is better than one that is still in a cache.
    [[nodiscard]] virtual bool overlaps() const { return false; }
    [[nodiscard]] virtual std::string description() const = 0;  // "pthread-... (Portable Computing Language 3.1)"
    virtual Result<std::unique_ptr<Buffer>> allocate(std::size_t bytes) = 0;
    virtual Result<std::unique_ptr<Queue>> create_queue() = 0;
    // Whether compile() takes programs of this form: "opencl", "cuda", "ptx", "cubin".
    [[nodiscard]] virtual bool accepts(const std::string& form) const = 0;
    // A kernel that is a function of this process, which must be allowed to run on any thread; it is handed the memory
    // of its buffers. ENOTSUP: the device cannot call back in the order of a queue.
    virtual Result<std::unique_ptr<Kernel>> host_kernel(std::vector<Parameter> parameters, HostFunction function,
                                                        const Geometry& geometry) = 0;
    // Compiles in a separate process (cpu/compiler.hpp); takes up to seconds. ENOEXEC with the compiler's messages,
    // ETIME and ENOMEM at its limits; `log` gets warnings. EINVAL: geometry or function that the program cannot have.
    virtual Result<std::unique_ptr<Kernel>> compile(const Program& program, std::string& log) = 0;
};

}  // namespace yoke::device
