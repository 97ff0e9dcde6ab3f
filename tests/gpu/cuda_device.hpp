// For tests of the CUDA device by itself: the device with a queue, kernels in every form, and ends to wait for.
#pragma once

#include <condition_variable>
#include <cstring>
#include <mutex>
#include <random>

#include "device/cpu/test_device.hpp"
#include "device/cuda/cuda_device.hpp"
#include "device/cuda/driver.hpp"
#include "device/cuda/nvrtc.hpp"

namespace yoke::device {

inline constexpr std::size_t items = 64U * 1024U;
inline constexpr std::size_t bytes = items * sizeof(std::uint32_t);

inline constexpr const char* opencl_source = R"(
kernel void mix(global const uint* in, global uint* out, uint n) {
    size_t i = get_global_id(0);
    uint x = in[i];
    for (uint k = 0; k < 200; ++k) x = x * 1664525u + n;
    out[i] = x;
}
kernel void where(global uint* out) {
    size_t i = get_global_id(0) + get_global_size(0) * get_global_id(1);
    out[i] = (uint)(get_group_id(1) * get_num_groups(0) + get_group_id(0) + get_global_offset(0));
}
kernel void turn(global const uint* in, global uint* out) {
    local uint part[64];
    size_t l = get_local_id(0);
    part[l] = in[get_global_id(0)];
    barrier(CLK_LOCAL_MEM_FENCE);
    out[get_global_id(0)] = part[63 - l];
}
)";

inline constexpr const char* cuda_source = R"(
extern "C" __global__ void mix(const unsigned* in, unsigned* out, unsigned n) {
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    unsigned x = in[i];
    for (unsigned k = 0; k < 200; ++k) x = x * 1664525u + n;
    out[i] = x;
}
template <int times> __device__ unsigned by(unsigned x) { return x * times; }
__global__ void scale(const unsigned* in, unsigned* out) {
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    out[i] = by<3>(in[i]);
}
__global__ void sum(const unsigned* a, const unsigned* b, unsigned* out) {
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    out[i] = a[i] + b[i];
}
__device__ unsigned long long clock_ns() {
    unsigned long long now;
    asm volatile("mov.u64 %0, %globaltimer;" : "=l"(now));
    return now;
}
__global__ void clocks(unsigned long long* out, unsigned long long ns) {
    unsigned long long begin = clock_ns();
    while (clock_ns() - begin < ns) {
    }
    out[0] = begin;
    out[1] = clock_ns();
}
__global__ void deep(unsigned* out, unsigned n) {
    volatile unsigned depot[1024];
    for (unsigned k = 0; k < 1024; ++k) depot[k] = k + threadIdx.x;
    out[blockIdx.x * blockDim.x + threadIdx.x] = depot[n % 1024];
}
)";

inline constexpr const char* ptx_source = R"(
.version 8.0
.target sm_75
.address_size 64
.visible .entry plus(.param .u64 in, .param .u64 out, .param .u32 n) {
    .reg .b32 %r<6>;
    .reg .b64 %rd<6>;
    ld.param.u64 %rd1, [in];
    ld.param.u64 %rd2, [out];
    ld.param.u32 %r1, [n];
    mov.u32 %r2, %ctaid.x;
    mov.u32 %r3, %ntid.x;
    mov.u32 %r4, %tid.x;
    mad.lo.u32 %r2, %r2, %r3, %r4;
    mul.wide.u32 %rd3, %r2, 4;
    add.u64 %rd1, %rd1, %rd3;
    add.u64 %rd2, %rd2, %rd3;
    ld.global.u32 %r5, [%rd1];
    add.u32 %r5, %r5, %r1;
    st.global.u32 [%rd2], %r5;
    ret;
}
)";

inline std::uint32_t mixed(std::uint32_t x, std::uint32_t n) {
    for (unsigned k = 0; k < 200; ++k) {
        x = x * 1664525U + n;
    }
    return x;
}

class Latch final : public Done {
   public:
    void done(int status) noexcept override {
        const std::lock_guard lock(mutex_);
        status_ = status;
        ++calls_;
        changed_.notify_all();
    }
    int wait() {
        std::unique_lock lock(mutex_);
        EXPECT_TRUE(changed_.wait_for(lock, std::chrono::seconds(60), [this] { return calls_ > 0; }));
        EXPECT_EQ(calls_, 1);
        return status_;
    }

    [[nodiscard]] bool over() {
        const std::lock_guard lock(mutex_);
        return calls_ > 0;
    }

   private:
    std::mutex mutex_;
    std::condition_variable changed_;
    int calls_ = 0;
    int status_ = 1;
};

using Words = std::vector<std::uint32_t>;

class CudaDeviceTest : public testing::Test {
   protected:
    void SetUp() override {
        device_ = open_test_device(test_cache());
        ASSERT_NE(device_, nullptr);
        auto queue = device_->create_queue();
        ASSERT_TRUE(queue) << queue.error().message;
        queue_ = std::move(*queue);
    }

    // The device once more, with other lanes.
    void use(const cuda::LanePlan& plan) {
        queue_.reset();
        auto spawner = start_spawner();
        ASSERT_TRUE(spawner);
        cuda::Options options{.spawner = std::move(*spawner), .cache_directory = test_cache(), .lanes = plan};
        auto device = cuda::open_cuda_device(options);
        ASSERT_TRUE(device) << device.error().message;
        device_ = std::move(*device);
        auto queue = device_->create_queue();
        ASSERT_TRUE(queue) << queue.error().message;
        queue_ = std::move(*queue);
    }

    std::unique_ptr<Buffer> buffer(std::size_t size = bytes) {
        auto made = device_->allocate(size);
        EXPECT_TRUE(made);
        return std::move(*made);
    }

    Result<std::unique_ptr<Kernel>> compile(const std::string& form, const std::string& source,
                                            const std::string& function, std::size_t global = items,
                                            std::size_t local = 0) {
        Program program;
        program.form = form;
        program.source = source;
        program.source_name = "test";
        program.function = function;
        program.geometry.global = {global, 1, 1};
        program.geometry.local = {local, local == 0 ? 0U : 1U, local == 0 ? 0U : 1U};
        return device_->compile(program, log_);
    }

    Words run(Kernel& kernel, const Words& in, const std::vector<std::uint32_t>& constants) {
        const auto from = buffer();
        const auto to = buffer();
        std::vector<Argument> arguments{{from.get(), {}}, {to.get(), {}}};
        for (const std::uint32_t& constant : constants) {
            arguments.push_back({nullptr, {reinterpret_cast<const std::uint8_t*>(&constant), sizeof constant}});
        }
        Words out(items, 0xa5a5'a5a5U);
        Latch written;
        Latch read;
        EXPECT_TRUE(queue_->write(*from, reinterpret_cast<const std::byte*>(in.data()), bytes, written));
        const Status launched = queue_->launch(kernel, arguments, never_);
        EXPECT_TRUE(launched) << launched.error().message;
        EXPECT_TRUE(queue_->read(*to, reinterpret_cast<std::byte*>(out.data()), bytes, read));
        EXPECT_TRUE(queue_->flush());
        EXPECT_EQ(written.wait(), 0);
        EXPECT_EQ(read.wait(), 0);
        return out;
    }

    static Words words(std::uint32_t seed) {
        Words values(items);
        std::mt19937 random(seed);
        for (std::uint32_t& value : values) {
            value = static_cast<std::uint32_t>(random());
        }
        return values;
    }

    class Never final : public Done {
       public:
        void done(int status) noexcept override { ADD_FAILURE() << "a launch failed with " << status; }
    };

    Never never_;
    std::unique_ptr<Device> device_;
    std::unique_ptr<Queue> queue_;
    std::string log_;
};

}  // namespace yoke::device
