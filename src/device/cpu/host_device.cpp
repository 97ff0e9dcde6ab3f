// A device of plain host functions, for tests of the graph runtime under ThreadSanitizer, which PoCL does not bear;
// see host_device.hpp. Its queue is a thread of its own, so that races would be real ones.
#include "device/cpu/host_device.hpp"

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <new>
#include <thread>
#include <utility>
#include <variant>

#include "base/text.hpp"

namespace yoke::device {

namespace {

constexpr int fresh_pattern = 0xa5;

class HostBuffer final : public Buffer {
   public:
    HostBuffer(std::unique_ptr<std::byte[]> memory, std::size_t bytes) : memory_(std::move(memory)), bytes_(bytes) {}
    [[nodiscard]] std::size_t bytes() const override { return bytes_; }
    [[nodiscard]] std::byte* data() const { return memory_.get(); }

   private:
    std::unique_ptr<std::byte[]> memory_;
    std::size_t bytes_;
};

class HostKernel final : public Kernel {
   public:
    HostKernel(std::vector<Parameter> parameters, HostFunction function, const Geometry& geometry)
        : parameters_(std::move(parameters)), function_(std::move(function)), geometry_(geometry) {}
    [[nodiscard]] const std::vector<Parameter>& parameters() const override { return parameters_; }
    [[nodiscard]] const Geometry& geometry() const { return geometry_; }
    [[nodiscard]] int run(std::span<const HostArgument> arguments, const Geometry& geometry) const {
        return function_(arguments, geometry);
    }

   private:
    std::vector<Parameter> parameters_;
    HostFunction function_;
    Geometry geometry_;
};

struct Copy {
    std::byte* to = nullptr;
    const std::byte* from = nullptr;
    std::size_t bytes = 0;
    Done* done = nullptr;  // null: between buffers
};

struct Launch {
    const HostKernel* kernel = nullptr;
    std::vector<HostArgument> arguments;
    std::vector<std::vector<std::byte>> constants;
    Geometry geometry;
    Done* failed = nullptr;
};

// Reached once by the queue that it was made for.
class HostFence final : public Fence, public std::enable_shared_from_this<HostFence> {
   public:
    void reach() const {
        {
            const std::lock_guard lock(mutex_);
            reached_ = true;
        }
        changed_.notify_all();
    }
    [[nodiscard]] bool reached() const override {
        const std::lock_guard lock(mutex_);
        return reached_;
    }
    void wait() const override {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return reached_; });
    }

   private:
    mutable std::mutex mutex_;
    mutable std::condition_variable changed_;
    mutable bool reached_ = false;
};

struct Reach {
    std::shared_ptr<const HostFence> fence;
};

struct Wait {
    std::shared_ptr<const HostFence> fence;
};

class HostQueue final : public Queue {
   public:
    HostQueue() : thread_([this] { serve(); }) {}
    ~HostQueue() override {
        {
            const std::lock_guard lock(mutex_);
            ending_ = true;
        }
        changed_.notify_all();
        thread_.join();  // after all commands
    }

    Status write(Buffer& to, const std::byte* from, std::size_t bytes, Done& done) override {
        // NOLINTNEXTLINE(cppcoreguidelines-pro-type-static-cast-downcast): buffers of this device are HostBuffers
        const auto& buffer = static_cast<const HostBuffer&>(to);
        if (bytes > buffer.bytes()) {
            return fail(EINVAL, "cannot write {} bytes to a buffer of {}", bytes, buffer.bytes());
        }
        add(Copy{buffer.data(), from, bytes, &done});
        return {};
    }

    Status read(const Buffer& from, std::byte* to, std::size_t bytes, Done& done) override {
        // NOLINTNEXTLINE(cppcoreguidelines-pro-type-static-cast-downcast): buffers of this device are HostBuffers
        const auto& buffer = static_cast<const HostBuffer&>(from);
        if (bytes > buffer.bytes()) {
            return fail(EINVAL, "cannot read {} bytes from a buffer of {}", bytes, buffer.bytes());
        }
        add(Copy{to, buffer.data(), bytes, &done});
        return {};
    }

    Status copy(Buffer& to, const Buffer& from, std::size_t bytes) override {
        // NOLINTBEGIN(cppcoreguidelines-pro-type-static-cast-downcast): buffers of this device are HostBuffers
        const auto& target = static_cast<const HostBuffer&>(to);
        const auto& source = static_cast<const HostBuffer&>(from);
        // NOLINTEND(cppcoreguidelines-pro-type-static-cast-downcast)
        if (bytes > std::min(source.bytes(), target.bytes())) {
            return fail(EINVAL, "cannot copy {} bytes from a buffer of {} to one of {}", bytes, source.bytes(),
                        target.bytes());
        }
        add(Copy{target.data(), source.data(), bytes, nullptr});
        return {};
    }

    Result<std::shared_ptr<Fence>> mark() override {
        auto fence = std::make_shared<HostFence>();
        add(Reach{fence});
        return fence;
    }

    Status wait(const Fence& fence) override {
        // NOLINTNEXTLINE(cppcoreguidelines-pro-type-static-cast-downcast): fences of this device are HostFences
        add(Wait{static_cast<const HostFence&>(fence).shared_from_this()});
        return {};
    }

    Status launch(Kernel& kernel_base, std::span<const Argument> arguments, Done& failed,
                  const std::array<std::size_t, 3>* global) override {
        // NOLINTNEXTLINE(cppcoreguidelines-pro-type-static-cast-downcast): kernels of this device are HostKernels
        auto& kernel = static_cast<HostKernel&>(kernel_base);
        if (arguments.size() != kernel.parameters().size()) {
            return fail(EINVAL, "the function takes {} arguments, not {}", kernel.parameters().size(),
                        arguments.size());
        }
        Launch launch;
        launch.kernel = &kernel;
        launch.failed = &failed;
        launch.geometry = kernel.geometry();
        if (global != nullptr) {
            launch.geometry.global = *global;
        }
        for (const Argument& argument : arguments) {
            if (argument.buffer != nullptr) {
                // NOLINTNEXTLINE(cppcoreguidelines-pro-type-static-cast-downcast): as above
                const auto& buffer = static_cast<const HostBuffer&>(*argument.buffer);
                launch.arguments.emplace_back(buffer.data(), buffer.bytes());
            } else {
                const auto bytes = std::as_bytes(argument.constant);
                std::vector<std::byte>& copy = launch.constants.emplace_back(bytes.begin(), bytes.end());
                launch.arguments.emplace_back(copy);  // moving a vector leaves its memory where it is
            }
        }
        add(std::move(launch));
        return {};
    }

    Status flush() override { return {}; }

    // Copies are commands here, always.
    [[nodiscard]] bool idle(const Buffer& /*buffer*/) const override { return true; }

    void finish() override {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return commands_.empty() && !busy_; });
    }

   private:
    using Command = std::variant<Copy, Launch, Reach, Wait>;

    void add(Command command) {
        {
            const std::lock_guard lock(mutex_);
            commands_.push_back(std::move(command));
        }
        changed_.notify_all();
    }

    static void run(const Command& command) {
        if (const auto* const copy = std::get_if<Copy>(&command)) {
            if (copy->bytes > 0) {
                std::memcpy(copy->to, copy->from, copy->bytes);
            }
            if (copy->done != nullptr) {
                copy->done->done(0);
            }
        } else if (const auto* const reach = std::get_if<Reach>(&command)) {
            reach->fence->reach();
        } else if (const auto* const wait = std::get_if<Wait>(&command)) {
            wait->fence->wait();
        } else {
            const auto& launch = std::get<Launch>(command);
            if (const int status = launch.kernel->run(launch.arguments, launch.geometry); status != 0) {
                launch.failed->done(status);
            }
        }
    }

    void serve() {
        std::unique_lock lock(mutex_);
        while (true) {
            changed_.wait(lock, [this] { return !commands_.empty() || ending_; });
            if (commands_.empty()) {
                return;
            }
            const Command command = std::move(commands_.front());
            commands_.pop_front();
            busy_ = true;
            lock.unlock();
            run(command);
            lock.lock();
            busy_ = false;
            changed_.notify_all();
        }
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Command> commands_;
    bool busy_ = false;
    bool ending_ = false;
    std::thread thread_;  // last: it uses the members above
};

}  // namespace

HostDevice::HostDevice() = default;
HostDevice::~HostDevice() = default;

void HostDevice::add(const std::string& name, std::vector<Parameter> parameters, HostFunction function) {
    const std::lock_guard lock(mutex_);
    functions_[name] = std::make_shared<const Entry>(Entry{std::move(parameters), std::move(function)});
}

Result<std::unique_ptr<Buffer>> HostDevice::allocate(std::size_t bytes) {
    std::unique_ptr<std::byte[]> memory(new (std::nothrow) std::byte[bytes]);
    if (!memory) {
        return fail(ENOMEM, "cannot allocate {} bytes on the device", bytes);
    }
    std::memset(memory.get(), fresh_pattern, bytes);
    return std::make_unique<HostBuffer>(std::move(memory), bytes);
}

Result<std::unique_ptr<Queue>> HostDevice::create_queue() {
    return std::make_unique<HostQueue>();
}

Result<std::unique_ptr<Kernel>> HostDevice::host_kernel(std::vector<Parameter> parameters, HostFunction function,
                                                        const Geometry& geometry) {
    return std::make_unique<HostKernel>(std::move(parameters), std::move(function), geometry);
}

Result<std::unique_ptr<Kernel>> HostDevice::compile(const Program& program, std::string& log) {
    log.clear();
    const std::lock_guard lock(mutex_);
    const auto found = functions_.find(program.function);
    if (found == functions_.end()) {
        return fail(EINVAL, "there is no host function \"{}\"; add it before it is used", printable(program.function));
    }
    return std::make_unique<HostKernel>(found->second->parameters, found->second->function, program.geometry);
}

}  // namespace yoke::device
