// Two empty kernels behind each other by plain OpenCL, as a program without yoke would do it: write, kernel, kernel,
// read on one in-order queue, a number of datablocks in flight, waiting for the oldest.
#pragma once

#ifndef CL_TARGET_OPENCL_VERSION
#define CL_TARGET_OPENCL_VERSION 120
#endif
#ifndef CL_USE_DEPRECATED_OPENCL_1_2_APIS
#define CL_USE_DEPRECATED_OPENCL_1_2_APIS
#endif
#include <CL/cl.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace yoke::bench {

inline constexpr std::size_t datablock_items = 1024;
inline constexpr std::size_t datablock_bytes = datablock_items * 4;
inline constexpr const char* empty_kernel_source = "kernel void pass(global const float* in, global float* out) {}\n";
inline constexpr const char* empty_kernel_function = "pass";

inline void opencl_must(cl_int status, const char* what) {
    if (status != CL_SUCCESS) {
        std::fprintf(stderr, "%s: OpenCL error %d\n", what, status);
        std::exit(1);
    }
}

class OpenclBaseline {
   public:
    // `local`: the work-group size of both kernels.
    OpenclBaseline(cl_device_id device, std::size_t local, std::size_t in_flight) : local_(local), slots_(in_flight) {
        cl_int status = CL_SUCCESS;
        context_ = ::clCreateContext(nullptr, 1, &device, nullptr, nullptr, &status);
        opencl_must(status, "context");
        queue_ = ::clCreateCommandQueue(context_, device, 0, &status);
        opencl_must(status, "queue");
        const char* source = empty_kernel_source;
        program_ = ::clCreateProgramWithSource(context_, 1, &source, nullptr, &status);
        opencl_must(status, "program");
        opencl_must(::clBuildProgram(program_, 1, &device, "", nullptr, nullptr), "build");
        for (cl_kernel& kernel : kernels_) {
            kernel = ::clCreateKernel(program_, empty_kernel_function, &status);
            opencl_must(status, "kernel");
        }
        for (Slot& slot : slots_) {
            slot.in.resize(datablock_bytes);
            slot.out.resize(datablock_bytes);
            for (cl_mem& memory : slot.memory) {
                memory = ::clCreateBuffer(context_, CL_MEM_READ_WRITE, datablock_bytes, nullptr, &status);
                opencl_must(status, "buffer");
            }
        }
    }
    OpenclBaseline(const OpenclBaseline&) = delete;
    OpenclBaseline& operator=(const OpenclBaseline&) = delete;
    ~OpenclBaseline() {
        for (Slot& slot : slots_) {
            for (cl_mem memory : slot.memory) {
                ::clReleaseMemObject(memory);
            }
        }
        for (cl_kernel kernel : kernels_) {
            ::clReleaseKernel(kernel);
        }
        ::clReleaseProgram(program_);
        ::clReleaseCommandQueue(queue_);
        ::clReleaseContext(context_);
    }

    // Puts `datablocks` through and returns when all have come back.
    void run(std::size_t datablocks) {
        for (std::size_t i = 0; i < datablocks + slots_.size(); ++i) {
            Slot& slot = slots_[i % slots_.size()];
            if (slot.event != nullptr) {
                opencl_must(::clWaitForEvents(1, &slot.event), "wait");
                ::clReleaseEvent(slot.event);
                slot.event = nullptr;
            }
            if (i < datablocks) {
                submit(slot);
            }
        }
    }

   private:
    struct Slot {
        std::vector<std::uint8_t> in;
        std::vector<std::uint8_t> out;
        std::array<cl_mem, 3> memory{};
        cl_event event = nullptr;
    };

    void submit(Slot& slot) {
        opencl_must(::clEnqueueWriteBuffer(queue_, slot.memory[0], CL_FALSE, 0, datablock_bytes, slot.in.data(), 0,
                                           nullptr, nullptr),
                    "write");
        for (std::size_t k = 0; k < kernels_.size(); ++k) {
            opencl_must(::clSetKernelArg(kernels_[k], 0, sizeof(cl_mem), &slot.memory[k]), "argument");
            opencl_must(::clSetKernelArg(kernels_[k], 1, sizeof(cl_mem), &slot.memory[k + 1]), "argument");
            const std::size_t global = datablock_items;
            opencl_must(
                ::clEnqueueNDRangeKernel(queue_, kernels_[k], 1, nullptr, &global, &local_, 0, nullptr, nullptr),
                "launch");
        }
        opencl_must(::clEnqueueReadBuffer(queue_, slot.memory[2], CL_FALSE, 0, datablock_bytes, slot.out.data(), 0,
                                          nullptr, &slot.event),
                    "read");
        opencl_must(::clFlush(queue_), "flush");
    }

    std::size_t local_;
    std::vector<Slot> slots_;
    cl_context context_ = nullptr;
    cl_command_queue queue_ = nullptr;
    cl_program program_ = nullptr;
    std::array<cl_kernel, 2> kernels_{};
};

}  // namespace yoke::bench
