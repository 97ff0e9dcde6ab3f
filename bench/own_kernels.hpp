// A worker's own graph kernels, launched one after another as the graph runtime does it, at most four in the queue; for
// benchmarks of what they and the resident kernel are to each other.
//
// Some spin for a time, in whole waves of blocks; one copies memory of the device, and is bound by its bandwidth as
// filters of images are.
#pragma once

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>

#include "base/clock.hpp"
#include "device/cuda/driver.hpp"
#include "device/device.hpp"

namespace yoke::executive {

constexpr unsigned own_kernels_threads = 256;  // of a block
constexpr unsigned blocks_per_wave = 8;        // resident at a time on a multiprocessor
constexpr unsigned waves_usual = 4;

constexpr const char* own_kernels_source = R"(.version 8.0
.target sm_75
.address_size 64
.visible .entry burn(.param .u64 cycles) {
    .reg .pred %p;
    .reg .b64 %rd<5>;
    ld.param.u64 %rd1, [cycles];
    mov.u64 %rd2, %clock64;
again:
    mov.u64 %rd3, %clock64;
    sub.u64 %rd4, %rd3, %rd2;
    setp.lt.u64 %p, %rd4, %rd1;
    @%p bra again;
    ret;
}
.visible .entry sweep(.param .u64 from, .param .u64 to, .param .u64 count) {
    .reg .pred %p;
    .reg .b32 %r<9>;
    .reg .b64 %rd<9>;
    ld.param.u64 %rd1, [from];
    ld.param.u64 %rd2, [to];
    ld.param.u64 %rd3, [count];
    mov.u32 %r1, %ctaid.x;
    mov.u32 %r2, %ntid.x;
    mov.u32 %r3, %tid.x;
    mov.u32 %r4, %nctaid.x;
    mad.lo.u32 %r1, %r1, %r2, %r3;
    mul.lo.u32 %r4, %r4, %r2;
    cvt.u64.u32 %rd4, %r1;
    cvt.u64.u32 %rd5, %r4;
again:
    setp.ge.u64 %p, %rd4, %rd3;
    @%p bra done;
    shl.b64 %rd6, %rd4, 4;
    add.u64 %rd7, %rd1, %rd6;
    add.u64 %rd8, %rd2, %rd6;
    ld.global.v4.u32 {%r5, %r6, %r7, %r8}, [%rd7];
    st.global.v4.u32 [%rd8], {%r5, %r6, %r7, %r8};
    add.u64 %rd4, %rd4, %rd5;
    bra again;
done:
    ret;
}
.visible .entry nothing() { ret; }
)";

inline std::uint64_t cycles_of(const device::cuda::Context& context, double microseconds) {
    int kilohertz = 0;
    context.driver->cuDeviceGetAttribute(&kilohertz, CU_DEVICE_ATTRIBUTE_CLOCK_RATE, context.device);
    return static_cast<std::uint64_t>(microseconds * kilohertz / 1e3);
}

class OwnKernels {
   public:
    struct Shape {
        double microseconds = 0;  // of a kernel that spins
        unsigned waves = waves_usual;
        std::size_t bytes = 0;  // not 0: it copies so many
    };

    OwnKernels(device::Device& device, const Shape& shape) {
        const device::cuda::Context& context = **device::cuda::primary_context();
        device::Program program;
        program.form = "ptx";
        program.source = own_kernels_source;
        program.source_name = "own_kernels.ptx";
        program.function = shape.bytes != 0 ? "sweep" : "burn";
        program.geometry.global = {std::size_t{own_kernels_threads} * blocks_per_wave * shape.waves *
                                       static_cast<unsigned>(context.multiprocessors),
                                   1, 1};
        program.geometry.local = {own_kernels_threads, 1, 1};
        std::string log;
        kernel_ = must(device.compile(program, log));
        queue_ = must(device.create_queue());
        if (shape.bytes != 0) {
            from_ = must(device.allocate(shape.bytes));
            to_ = must(device.allocate(shape.bytes));
            number_ = shape.bytes / 16;
        } else {
            number_ = cycles_of(context, shape.microseconds / shape.waves);
        }
    }
    OwnKernels(const OwnKernels&) = delete;
    OwnKernels& operator=(const OwnKernels&) = delete;
    // To be made before, since loading code has the resident kernel leave.
    void begin() {
        over_ = false;
        count_ = 0;
        thread_ = std::thread([this] { run(); });
    }
    // Stops; kernels per second.
    double stop() {
        over_ = true;
        thread_.join();
        return static_cast<double>(count_) / seconds_;
    }

   private:
    class Ignore final : public device::Done {
       public:
        void done(int /*status*/) noexcept override {}
    };

    template <typename T>
    static T must(Result<T> made) {
        if (!made) {
            std::fprintf(stderr, "own kernels: %s\n", made.error().message.c_str());
            std::exit(1);
        }
        return std::move(*made);
    }

    void run() {
        const std::uint64_t begin = now_ns();
        const device::Argument number{nullptr, {reinterpret_cast<const std::uint8_t*>(&number_), sizeof number_}};
        std::vector<device::Argument> arguments{number};
        if (from_ != nullptr) {
            arguments = {{from_.get(), {}, false}, {to_.get(), {}}, number};
        }
        std::array<std::shared_ptr<device::Fence>, 4> fences;
        while (!over_) {
            std::shared_ptr<device::Fence>& fence = fences[count_ % fences.size()];
            if (fence) {
                fence->wait();
            }
            if (!queue_->launch(*kernel_, arguments, ignore_)) {
                break;
            }
            fence = *queue_->mark();
            ++count_;
        }
        queue_->finish();
        seconds_ = static_cast<double>(now_ns() - begin) / 1e9;
    }

    Ignore ignore_;
    std::unique_ptr<device::Buffer> from_;
    std::unique_ptr<device::Buffer> to_;
    std::unique_ptr<device::Kernel> kernel_;
    std::unique_ptr<device::Queue> queue_;
    std::uint64_t number_ = 0;  // cycles, or 16 bytes each
    std::atomic<bool> over_{false};
    std::uint64_t count_ = 0;
    double seconds_ = 1;
    std::thread thread_;
};

}  // namespace yoke::executive
