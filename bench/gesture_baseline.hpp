// The gesture pipeline by plain OpenCL, as a program for itself alone would do it: write, all kernels, read on one
// in-order queue, a number of frames in flight, waiting for the oldest. Frames share the buffers between kernels, which
// the order of the queue permits.
#pragma once

#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "gesture/pipeline.hpp"
#include "opencl_baseline.hpp"

namespace yoke::bench {

class GestureBaseline {
   public:
    // `options`: as given to the compiler for the graph's kernels.
    GestureBaseline(const gesture::Pipeline& pipeline, const char* options, std::size_t in_flight)
        : pipeline_(pipeline), slots_(in_flight) {
        cl_platform_id platform = nullptr;
        opencl_must(::clGetPlatformIDs(1, &platform, nullptr), "platform");
        opencl_must(::clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device_, nullptr), "device");
        cl_int status = CL_SUCCESS;
        context_ = ::clCreateContext(nullptr, 1, &device_, nullptr, nullptr, &status);
        opencl_must(status, "context");
        queue_ = ::clCreateCommandQueue(context_, device_, 0, &status);
        opencl_must(status, "queue");
        for (const auto& [name, shape] : pipeline_.buffers) {
            memory_[name] = ::clCreateBuffer(context_, CL_MEM_READ_WRITE, shape.bytes(), nullptr, &status);
            opencl_must(status, "buffer");
        }
        for (const gesture::Step& step : pipeline_.steps) {
            build(step, options);
        }
    }
    GestureBaseline(const GestureBaseline&) = delete;
    GestureBaseline& operator=(const GestureBaseline&) = delete;
    ~GestureBaseline() {
        for (cl_kernel kernel : kernels_) {
            ::clReleaseKernel(kernel);
        }
        for (const auto& [file, program] : programs_) {
            ::clReleaseProgram(program);
        }
        for (const auto& [name, memory] : memory_) {
            ::clReleaseMemObject(memory);
        }
        ::clReleaseCommandQueue(queue_);
        ::clReleaseContext(context_);
    }

    // Puts so many frames through, in turn those given, and returns the events.
    std::vector<gesture::Event> run(const std::vector<std::vector<std::uint16_t>>& frames, std::size_t count) {
        std::vector<gesture::Event> events;
        for (std::size_t i = 0; i < count + slots_.size(); ++i) {
            Slot& slot = slots_[i % slots_.size()];
            if (slot.done != nullptr) {
                opencl_must(::clWaitForEvents(1, &slot.done), "wait");
                ::clReleaseEvent(slot.done);
                slot.done = nullptr;
                events.push_back(slot.event);
            }
            if (i < count) {
                submit(slot, frames[i % frames.size()]);
            }
        }
        return events;
    }

   private:
    struct Slot {
        gesture::Event event;
        cl_event done = nullptr;
    };

    void build(const gesture::Step& step, const char* options) {
        cl_program& program = programs_[step.file + " " + step.options];
        cl_int status = CL_SUCCESS;
        if (program == nullptr) {
            std::ifstream stream(std::string(YOKE_GESTURE_DIR "/") + step.file);
            const std::string text{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
            const char* source = text.c_str();
            program = ::clCreateProgramWithSource(context_, 1, &source, nullptr, &status);
            opencl_must(status, "program");
            opencl_must(
                ::clBuildProgram(program, 1, &device_, (step.options + " " + options).c_str(), nullptr, nullptr),
                "build");
        }
        kernels_.push_back(::clCreateKernel(program, step.function.c_str(), &status));
        opencl_must(status, "kernel");
        for (cl_uint i = 0; i < step.arguments.size(); ++i) {
            const gesture::Argument& argument = step.arguments[i];
            if (argument.access == gesture::Access::Constant) {
                opencl_must(::clSetKernelArg(kernels_.back(), i, argument.bytes.size(), argument.bytes.data()),
                            "argument");
            } else {
                opencl_must(::clSetKernelArg(kernels_.back(), i, sizeof(cl_mem), &memory_.at(argument.buffer)),
                            "argument");
            }
        }
    }

    void submit(Slot& slot, const std::vector<std::uint16_t>& frame) {
        opencl_must(::clEnqueueWriteBuffer(queue_, memory_.at("frame"), CL_FALSE, 0, frame.size() * sizeof frame[0],
                                           frame.data(), 0, nullptr, nullptr),
                    "write");
        for (std::size_t k = 0; k < kernels_.size(); ++k) {
            const gesture::Step& step = pipeline_.steps[k];
            const std::array<std::size_t, 2> local{step.local, 1};
            opencl_must(::clEnqueueNDRangeKernel(queue_, kernels_[k], 2, nullptr, step.geometry.data(),
                                                 step.local == 0 ? nullptr : local.data(), 0, nullptr, nullptr),
                        "launch");
        }
        opencl_must(::clEnqueueReadBuffer(queue_, memory_.at("event"), CL_FALSE, 0, sizeof slot.event, &slot.event, 0,
                                          nullptr, &slot.done),
                    "read");
        opencl_must(::clFlush(queue_), "flush");
    }

    gesture::Pipeline pipeline_;
    std::vector<Slot> slots_;
    cl_device_id device_ = nullptr;
    cl_context context_ = nullptr;
    cl_command_queue queue_ = nullptr;
    std::map<std::string, cl_program> programs_;
    std::map<std::string, cl_mem> memory_;
    std::vector<cl_kernel> kernels_;
};

}  // namespace yoke::bench
