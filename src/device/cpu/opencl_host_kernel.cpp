// Packs a call into the block that OpenCL copies for a native kernel; see opencl_host_kernel.hpp. The block has a fixed
// size, so that queuing allocates nothing here.
#include "device/cpu/opencl_host_kernel.hpp"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "device/cpu/opencl_buffer.hpp"

namespace yoke::device {

namespace {

constexpr std::size_t arguments_max = 64;
constexpr std::size_t constant_bytes_max = 1024;  // of all; as OpenCL promises for kernels

}  // namespace

struct OpenclHostKernel::Call {
    const OpenclHostKernel* kernel = nullptr;
    Done* failed = nullptr;
    std::array<std::size_t, 3> global{};
    std::size_t count = 0;
    std::array<std::byte*, arguments_max> memory{};         // of buffers; null for a constant
    std::array<std::size_t, arguments_max> bytes{};         // of each
    std::array<std::byte, constant_bytes_max> constants{};  // one behind the other
};

void CL_CALLBACK OpenclHostKernel::run(void* block) {
    static_assert(std::is_trivially_copyable_v<Call>);
    Call& call = *static_cast<Call*>(block);
    std::array<HostArgument, arguments_max> arguments;
    std::size_t constants = 0;
    for (std::size_t i = 0; i < call.count; ++i) {
        if (call.memory[i] != nullptr) {
            arguments[i] = {call.memory[i], call.bytes[i]};
        } else {
            arguments[i] = {call.constants.data() + constants, call.bytes[i]};
            constants += call.bytes[i];
        }
    }
    Geometry geometry = call.kernel->geometry_;
    geometry.global = call.global;
    if (const int status = call.kernel->function_({arguments.data(), call.count}, geometry); status != 0) {
        call.failed->done(status);
    }
}

Status OpenclHostKernel::enqueue(cl_command_queue queue, std::span<const Argument> arguments, Done& failed,
                                 const std::array<std::size_t, 3>* global, cl_event& event) const {
    if (arguments.size() != parameters_.size() || arguments.size() > arguments_max) {
        return fail(EINVAL, "the function takes {} arguments, not {}", parameters_.size(), arguments.size());
    }
    Call call;
    call.kernel = this;
    call.failed = &failed;
    call.global = global != nullptr ? *global : geometry_.global;
    call.count = arguments.size();
    std::size_t constants = 0;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const Argument& argument = arguments[i];
        if (argument.buffer != nullptr) {
            // NOLINTNEXTLINE(cppcoreguidelines-pro-type-static-cast-downcast): buffers of this device are OpenclBuffers
            call.memory[i] = static_cast<const OpenclBuffer*>(argument.buffer)->host();
            call.bytes[i] = argument.buffer->bytes();
        } else {
            if (argument.constant.size() > constant_bytes_max - constants) {
                return fail(E2BIG, "the function's constants have more than {} bytes", constant_bytes_max);
            }
            std::memcpy(call.constants.data() + constants, argument.constant.data(), argument.constant.size());
            constants += argument.constant.size();
            call.bytes[i] = argument.constant.size();
        }
    }
    const cl_int status = ::clEnqueueNativeKernel(queue, &OpenclHostKernel::run, &call, sizeof call, 0, nullptr,
                                                  nullptr, 0, nullptr, &event);
    if (status != CL_SUCCESS) {
        return fail_opencl(status, "cannot queue a function");
    }
    return {};
}

}  // namespace yoke::device
