// Runs the gesture example's kernels by plain OpenCL on the first CPU or GPU, without yoke: each can be looked at by
// itself, beside a reference.
#pragma once

#ifndef CL_TARGET_OPENCL_VERSION
#define CL_TARGET_OPENCL_VERSION 120
#endif
#ifndef CL_USE_DEPRECATED_OPENCL_1_2_APIS
#define CL_USE_DEPRECATED_OPENCL_1_2_APIS
#endif
#include <CL/cl.h>

#include <cstddef>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "gesture/pipeline.hpp"

namespace yoke::test {

class GestureRunner {
   public:
    // Builds the kernels; error() tells what went wrong.
    explicit GestureRunner(const gesture::Pipeline& pipeline);
    [[nodiscard]] const std::string& error() const { return error_; }
    [[nodiscard]] const std::vector<gesture::Step>& steps() const { return steps_; }
    [[nodiscard]] std::size_t elements(const std::string& buffer) const;

    void write(const std::string& buffer, std::span<const std::byte> bytes);
    void run(const gesture::Step& step);
    template <typename T>
    std::vector<T> read(const std::string& buffer) {
        std::vector<T> values(shapes_.at(buffer).bytes() / sizeof(T));
        fetch(buffer, std::as_writable_bytes(std::span(values)));
        return values;
    }
    // All steps; the event. What comes in must have been written.
    gesture::Event conclude();
    // The same for a frame in buffer "frame".
    gesture::Event detect(const gesture::Depth& frame);

   private:
    template <auto release>
    struct Releaser {
        template <typename T>
        void operator()(T object) const {
            release(object);
        }
    };
    template <typename T, auto release>
    using Owned = std::unique_ptr<std::remove_pointer_t<T>, Releaser<release>>;

    void fetch(const std::string& buffer, std::span<std::byte> bytes);
    bool build(const gesture::Step& step);
    void check(cl_int status, const std::string& what);

    std::string error_;
    cl_device_id device_ = nullptr;
    Owned<cl_context, clReleaseContext> context_;
    Owned<cl_command_queue, clReleaseCommandQueue> queue_;
    std::map<std::string, Owned<cl_program, clReleaseProgram>> programs_;
    std::map<std::string, Owned<cl_kernel, clReleaseKernel>> kernels_;
    std::map<std::string, Owned<cl_mem, clReleaseMemObject>> memory_;
    std::map<std::string, gesture::Shape> shapes_;
    std::vector<gesture::Step> steps_;
};

}  // namespace yoke::test
