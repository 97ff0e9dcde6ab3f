// See runner.hpp. One in-order queue; every transfer waits.
#include "gesture/runner.hpp"

#include <array>
#include <fstream>
#include <iterator>

namespace yoke::test {

GestureRunner::GestureRunner(const gesture::Pipeline& pipeline) : shapes_(pipeline.buffers), steps_(pipeline.steps) {
    cl_platform_id platform = nullptr;
    check(::clGetPlatformIDs(1, &platform, nullptr), "platform");
    check(::clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device_, nullptr), "device");
    cl_int status = CL_SUCCESS;
    context_.reset(::clCreateContext(nullptr, 1, &device_, nullptr, nullptr, &status));
    check(status, "context");
    queue_.reset(::clCreateCommandQueue(context_.get(), device_, 0, &status));
    check(status, "queue");
    for (const auto& [name, shape] : shapes_) {
        memory_[name].reset(::clCreateBuffer(context_.get(), CL_MEM_READ_WRITE, shape.bytes(), nullptr, &status));
        check(status, name);
    }
    for (const gesture::Step& step : steps_) {
        if (!error_.empty() || !build(step)) {
            return;
        }
    }
}

std::size_t GestureRunner::elements(const std::string& buffer) const {
    const auto& extent = shapes_.at(buffer).extent;
    return extent[0] * extent[1];
}

bool GestureRunner::build(const gesture::Step& step) {
    cl_int status = CL_SUCCESS;
    auto& program = programs_[step.file + " " + step.options];
    if (!program) {
        std::ifstream stream(std::string(YOKE_GESTURE_DIR "/") + step.file);
        const std::string text{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
        const char* source = text.c_str();
        program.reset(::clCreateProgramWithSource(context_.get(), 1, &source, nullptr, &status));
        check(status, step.file);
        if (::clBuildProgram(program.get(), 1, &device_, step.options.c_str(), nullptr, nullptr) != CL_SUCCESS) {
            std::string log(65536, '\0');
            ::clGetProgramBuildInfo(program.get(), device_, CL_PROGRAM_BUILD_LOG, log.size(), log.data(), nullptr);
            error_ = step.file + ": " + log.c_str();
            return false;
        }
    }
    kernels_[step.name].reset(::clCreateKernel(program.get(), step.function.c_str(), &status));
    check(status, step.function);
    return error_.empty();
}

void GestureRunner::check(cl_int status, const std::string& what) {
    if (status != CL_SUCCESS && error_.empty()) {
        error_ = what + ": OpenCL error " + std::to_string(status);
    }
}

void GestureRunner::write(const std::string& buffer, std::span<const std::byte> bytes) {
    check(::clEnqueueWriteBuffer(queue_.get(), memory_.at(buffer).get(), CL_TRUE, 0, bytes.size(), bytes.data(), 0,
                                 nullptr, nullptr),
          buffer);
}

void GestureRunner::fetch(const std::string& buffer, std::span<std::byte> bytes) {
    check(::clEnqueueReadBuffer(queue_.get(), memory_.at(buffer).get(), CL_TRUE, 0, bytes.size(), bytes.data(), 0,
                                nullptr, nullptr),
          buffer);
}

void GestureRunner::run(const gesture::Step& step) {
    cl_kernel kernel = kernels_.at(step.name).get();
    for (cl_uint i = 0; i < step.arguments.size(); ++i) {
        const gesture::Argument& argument = step.arguments[i];
        if (argument.access == gesture::Access::Constant) {
            check(::clSetKernelArg(kernel, i, argument.bytes.size(), argument.bytes.data()), step.name);
        } else {
            cl_mem memory = memory_.at(argument.buffer).get();
            check(::clSetKernelArg(kernel, i, sizeof memory, &memory), step.name);
        }
    }
    const std::array<std::size_t, 2> local{step.local, 1};
    check(::clEnqueueNDRangeKernel(queue_.get(), kernel, 2, nullptr, step.geometry.data(),
                                   step.local == 0 ? nullptr : local.data(), 0, nullptr, nullptr),
          step.name);
}

gesture::Event GestureRunner::detect(const gesture::Depth& frame) {
    write("frame", std::as_bytes(std::span(frame)));
    return conclude();
}

gesture::Event GestureRunner::conclude() {
    for (const gesture::Step& step : steps_) {
        run(step);
    }
    gesture::Event event;
    fetch("event", std::as_writable_bytes(std::span(&event, 1)));
    return event;
}

}  // namespace yoke::test

#ifdef __SANITIZE_ADDRESS__
// What PoCL and LLVM leave behind where they compile, which they do in this process when their cache is empty.
extern "C" __attribute__((visibility("default"))) const char* __lsan_default_suppressions();
const char* __lsan_default_suppressions() {
    return "leak:libpocl\nleak:libLLVM\nleak:libclang\n";
}
#endif
