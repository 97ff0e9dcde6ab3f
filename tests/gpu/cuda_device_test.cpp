// The CUDA device by itself: order of commands over three lanes, forms of kernels, fences, mistakes.
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <random>

#include "device/cpu/test_device.hpp"
#include "device/cuda/cuda_device.hpp"
#include "device/cuda/driver.hpp"
#include "device/cuda/nvrtc.hpp"

namespace yoke::device {
namespace {

constexpr std::size_t items = 64U * 1024U;
constexpr std::size_t bytes = items * sizeof(std::uint32_t);

constexpr const char* opencl_source = R"(
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

constexpr const char* cuda_source = R"(
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

constexpr const char* ptx_source = R"(
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

std::uint32_t mixed(std::uint32_t x, std::uint32_t n) {
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

TEST_F(CudaDeviceTest, SaysWhatItIs) {
    EXPECT_EQ(device_->name(), "cuda");
    EXPECT_NE(device_->description().find("CUDA"), std::string::npos);
    for (const char* form : {"opencl", "cuda", "ptx", "cubin"}) {
        EXPECT_TRUE(device_->accepts(form));
    }
    EXPECT_FALSE(device_->accepts("spirv"));
    EXPECT_EQ(compile("spirv", "x", "f").error().code, ENOTSUP);
}

TEST_F(CudaDeviceTest, RunsOpenclC) {
    auto kernel = compile("opencl", opencl_source, "mix");
    ASSERT_TRUE(kernel) << kernel.error().message;
    ASSERT_EQ((*kernel)->parameters().size(), 3U);
    EXPECT_EQ((*kernel)->parameters()[0].kind, Parameter::Kind::buffer);
    EXPECT_EQ((*kernel)->parameters()[2].kind, Parameter::Kind::constant);
    EXPECT_EQ((*kernel)->parameters()[2].bytes, 4U);
    const Words in = words(1);
    const Words out = run(**kernel, in, {7});
    for (std::size_t i = 0; i < items; ++i) {
        ASSERT_EQ(out[i], mixed(in[i], 7)) << i;
    }
}

TEST_F(CudaDeviceTest, OpenclCKnowsItsGroupsAndItsLocalMemory) {
    auto turn = compile("opencl", opencl_source, "turn", items, 64);
    ASSERT_TRUE(turn) << turn.error().message;
    const Words in = words(2);
    const Words out = run(**turn, in, {});
    for (std::size_t i = 0; i < items; ++i) {
        ASSERT_EQ(out[i], in[i / 64 * 64 + 63 - i % 64]) << i;
    }
    Program program;
    program.source = opencl_source;
    program.source_name = "test";
    program.function = "where";
    program.geometry.global = {256, items / 256, 1};
    program.geometry.local = {32, 4, 1};
    auto where = device_->compile(program, log_);
    ASSERT_TRUE(where) << where.error().message;
    const auto to = buffer();
    const std::vector<Argument> arguments{{to.get(), {}}};
    Words groups(items);
    Latch read;
    ASSERT_TRUE(queue_->launch(**where, arguments, never_));
    ASSERT_TRUE(queue_->read(*to, reinterpret_cast<std::byte*>(groups.data()), bytes, read));
    ASSERT_TRUE(queue_->flush());
    EXPECT_EQ(read.wait(), 0);
    for (std::size_t i = 0; i < items; ++i) {
        ASSERT_EQ(groups[i], (i / 256 / 4) * 8 + i % 256 / 32) << i;
    }
}

TEST_F(CudaDeviceTest, RunsCudaCppPtxAndMachineCode) {
    const Words in = words(3);
    auto mix = compile("cuda", cuda_source, "mix", items, 256);
    ASSERT_TRUE(mix) << mix.error().message;
    const Words out = run(**mix, in, {9});
    for (std::size_t i = 0; i < items; ++i) {
        ASSERT_EQ(out[i], mixed(in[i], 9)) << i;
    }
    auto scale = compile("cuda", cuda_source, "scale", items, 128);
    ASSERT_TRUE(scale) << scale.error().message;
    EXPECT_EQ(run(**scale, in, {})[77], in[77] * 3);
    auto plus = compile("ptx", ptx_source, "plus");
    ASSERT_TRUE(plus) << plus.error().message;
    EXPECT_EQ(run(**plus, in, {5})[items - 1], in[items - 1] + 5);
    auto code = cuda::compile_cuda(cuda_source, "test.cu", "mix", "", (*cuda::primary_context())->architecture);
    ASSERT_TRUE(code) << code.error().message;
    auto cubin = compile("cubin", std::string(code->code.begin(), code->code.end()), code->symbol);
    ASSERT_TRUE(cubin) << cubin.error().message;
    EXPECT_EQ(run(**cubin, in, {9}), out);
}

TEST_F(CudaDeviceTest, RunsKernelsWithMuchLocalMemory) {
    auto deep = compile("cuda", cuda_source, "deep", 1024, 128);
    ASSERT_TRUE(deep) << deep.error().message;
    const auto to = buffer();
    const std::uint32_t n = 1000;
    const std::vector<Argument> arguments{{to.get(), {}},
                                          {nullptr, {reinterpret_cast<const std::uint8_t*>(&n), sizeof n}}};
    Words out(1024);
    Latch read;
    ASSERT_TRUE(queue_->launch(**deep, arguments, never_));
    ASSERT_TRUE(queue_->read(*to, reinterpret_cast<std::byte*>(out.data()), 4096, read));
    ASSERT_TRUE(queue_->flush());
    EXPECT_EQ(read.wait(), 0);
    for (std::uint32_t i = 0; i < 1024; ++i) {
        ASSERT_EQ(out[i], 1000 + i % 128);
    }
}

TEST_F(CudaDeviceTest, TellsMistakes) {
    auto typo = compile("cuda", "__global__ void f(int* p) { *p = q; }", "f");
    ASSERT_FALSE(typo);
    EXPECT_EQ(typo.error().code, ENOEXEC);
    EXPECT_NE(typo.error().message.find("\"q\""), std::string::npos) << typo.error().message;
    EXPECT_EQ(compile("cuda", cuda_source, "nothing").error().code, EINVAL);
    EXPECT_EQ(compile("opencl", opencl_source, "nothing").error().code, EINVAL);
    EXPECT_EQ(compile("opencl", "kernel void f(global int* p) { *p = q; }", "f").error().code, ENOEXEC);
    EXPECT_EQ(compile("ptx", ptx_source, "nothing").error().code, EINVAL);
    EXPECT_EQ(compile("ptx", "nonsense", "f").error().code, ENOEXEC);
    EXPECT_EQ(compile("cubin", "nonsense", "f").error().code, ENOEXEC);
    EXPECT_EQ(compile("cuda", cuda_source, "mix", items, 2048).error().code, EINVAL);
    auto kernel = compile("cuda", cuda_source, "mix");
    ASSERT_TRUE(kernel);
    const auto block = buffer();
    const std::uint16_t small = 1;
    const std::vector<Argument> few{{block.get(), {}}};
    EXPECT_EQ(queue_->launch(**kernel, few, never_).error().code, EINVAL);
    const std::vector<Argument> narrow{
        {block.get(), {}}, {block.get(), {}}, {nullptr, {reinterpret_cast<const std::uint8_t*>(&small), sizeof small}}};
    EXPECT_EQ(queue_->launch(**kernel, narrow, never_).error().code, EINVAL);
    Latch unused;
    EXPECT_EQ(queue_->read(*block, nullptr, bytes + 1, unused).error().code, EINVAL);
    EXPECT_EQ(device_->allocate(std::size_t{1} << 50).error().code, ENOMEM);
}

// Random commands on few buffers, against what they mean one after the other.
class CudaLanesTest : public CudaDeviceTest, public testing::WithParamInterface<cuda::LanePlan> {};

INSTANTIATE_TEST_SUITE_P(Plans, CudaLanesTest,
                         testing::Values(cuda::LanePlan{.copies = 1, .kernels = 1, .fork = false, .steps = false},
                                         cuda::LanePlan{.copies = 2, .kernels = 8, .fork = false, .steps = false},
                                         cuda::LanePlan{.copies = 2, .kernels = 4, .fork = true, .steps = true},
                                         cuda::LanePlan{.copies = 1, .kernels = 8, .fork = false, .steps = true}));

TEST_P(CudaLanesTest, RandomCommandsKeepTheirOrder) {
    constexpr std::size_t buffers = 6;
    use(GetParam());
    auto kernel = compile("cuda", cuda_source, "mix", items, 256);
    ASSERT_TRUE(kernel) << kernel.error().message;
    for (std::uint32_t seed = 1; seed <= 20; ++seed) {
        std::mt19937 random(seed);
        const auto pick = [&random](std::size_t count) { return static_cast<std::size_t>(random() % count); };
        std::vector<std::unique_ptr<Buffer>> memory;
        std::vector<std::uint32_t> model(buffers);  // all words of a buffer are the same function of the first
        std::vector<std::unique_ptr<Words>> host;
        std::vector<std::pair<std::uint32_t, Words*>> reads;
        std::vector<std::unique_ptr<Latch>> latches;
        std::vector<bool> written(buffers, false);
        for (std::size_t i = 0; i < buffers; ++i) {
            memory.push_back(buffer());
        }
        for (unsigned step = 0; step < 240; ++step) {
            const std::size_t a = pick(buffers);
            const std::size_t b = (a + 1 + pick(buffers - 1)) % buffers;
            const unsigned kind = pick(3) > 0 ? 1 : static_cast<unsigned>(pick(4));  // mostly kernels
            if (kind == 0 || !written[a]) {
                model[a] = static_cast<std::uint32_t>(random());
                written[a] = true;
                host.push_back(std::make_unique<Words>(items, model[a]));
                latches.push_back(std::make_unique<Latch>());
                ASSERT_TRUE(queue_->write(*memory[a], reinterpret_cast<const std::byte*>(host.back()->data()), bytes,
                                          *latches.back()));
            } else if (kind == 1) {
                const std::vector<Argument> arguments{
                    {memory[a].get(), {}, pick(4) == 0},
                    {memory[b].get(), {}},
                    {nullptr, {reinterpret_cast<const std::uint8_t*>(&step), sizeof step}}};
                ASSERT_TRUE(queue_->launch(**kernel, arguments, never_));
                model[b] = mixed(model[a], step);
                written[b] = true;
            } else if (kind == 2) {
                ASSERT_TRUE(queue_->copy(*memory[b], *memory[a], bytes));
                model[b] = model[a];
                written[b] = true;
            } else {
                host.push_back(std::make_unique<Words>(items, 0));
                latches.push_back(std::make_unique<Latch>());
                reads.emplace_back(model[a], host.back().get());
                ASSERT_TRUE(queue_->read(*memory[a], reinterpret_cast<std::byte*>(host.back()->data()), bytes,
                                         *latches.back()));
            }
            if (pick(16) == 0) {
                ASSERT_TRUE(queue_->flush());
            }
        }
        queue_->finish();
        for (const auto& latch : latches) {
            ASSERT_EQ(latch->wait(), 0);
        }
        for (const auto& [value, read] : reads) {
            for (std::size_t i = 0; i < items; i += 997) {
                ASSERT_EQ((*read)[i], value) << "seed " << seed << " word " << i;
            }
        }
        for (const auto& block : memory) {
            EXPECT_TRUE(queue_->idle(*block));
        }
    }
}

// The same kernels again and again on changing buffers, several datablocks in flight: what steps are made for. Two of
// them depend on one and not on each other, and another on both.
TEST_P(CudaLanesTest, StepsThatRepeatRunAsTheirKernelsWould) {
    use(GetParam());
    auto kernel = compile("cuda", cuda_source, "mix", items, 256);
    ASSERT_TRUE(kernel) << kernel.error().message;
    auto sum = compile("cuda", cuda_source, "sum", items, 256);
    ASSERT_TRUE(sum) << sum.error().message;
    struct Flight {
        std::array<std::unique_ptr<Buffer>, 5> memory;
        Words in;
        Words out;
        std::uint32_t n = 0;
        std::unique_ptr<Latch> written;
        std::unique_ptr<Latch> read;
    };
    std::array<Flight, 5> flights;
    const auto check = [](Flight& flight) {
        ASSERT_EQ(flight.written->wait(), 0);
        ASSERT_EQ(flight.read->wait(), 0);
        const std::uint32_t first = mixed(flight.in[0], flight.n);
        const std::uint32_t wanted = mixed(mixed(first, 1) + mixed(first, 2), 3);
        for (std::size_t i = 0; i < items; i += 509) {
            ASSERT_EQ(flight.out[i], wanted);
        }
    };
    for (std::uint32_t round = 0; round < 400; ++round) {
        Flight& flight = flights[round % flights.size()];
        if (flight.read) {
            ASSERT_NO_FATAL_FAILURE(check(flight));
        } else {
            flight.out.resize(items);
            for (auto& block : flight.memory) {
                block = buffer();
            }
        }
        flight.n = round;
        flight.in.assign(items, round * 77);
        std::fill(flight.out.begin(), flight.out.end(), 0xa5a5'a5a5U);
        flight.written = std::make_unique<Latch>();
        flight.read = std::make_unique<Latch>();
        auto& memory = flight.memory;
        std::rotate(memory.begin(), memory.begin() + 1 + round % 2, memory.end());
        ASSERT_TRUE(
            queue_->write(*memory[0], reinterpret_cast<const std::byte*>(flight.in.data()), bytes, *flight.written));
        const auto launch = [&](std::size_t from, std::size_t to, std::uint32_t n) {
            const std::vector<Argument> arguments{{memory[from].get(), {}, false},
                                                  {memory[to].get(), {}},
                                                  {nullptr, {reinterpret_cast<const std::uint8_t*>(&n), sizeof n}}};
            ASSERT_TRUE(queue_->launch(**kernel, arguments, never_));
        };
        launch(0, 1, round);
        launch(1, 2, 1);
        launch(1, 3, 2);
        const std::vector<Argument> both{
            {memory[2].get(), {}, false}, {memory[3].get(), {}, false}, {memory[1].get(), {}}};
        ASSERT_TRUE(queue_->launch(**sum, both, never_));
        launch(1, 4, 3);
        ASSERT_TRUE(queue_->read(*memory[4], reinterpret_cast<std::byte*>(flight.out.data()), bytes, *flight.read));
        ASSERT_TRUE(queue_->flush());
    }
    for (Flight& flight : flights) {
        ASSERT_NO_FATAL_FAILURE(check(flight));
    }
}

// Kernels that do not depend on each other run at the same time, by the device's own clock, and copies in both
// directions beside them.
TEST_F(CudaDeviceTest, IndependentKernelsAndCopiesOverlap) {
    constexpr std::uint64_t kernel_ns = 50'000'000;
    auto kernel = compile("cuda", cuda_source, "clocks", 1, 1);
    ASSERT_TRUE(kernel) << kernel.error().message;
    const Argument time{nullptr, {reinterpret_cast<const std::uint8_t*>(&kernel_ns), sizeof kernel_ns}};
    constexpr std::size_t both = 2 * sizeof(std::uint64_t);
    struct Run {
        std::unique_ptr<Buffer> block;
        std::array<std::uint64_t, 2> clocks{};  // begin, end
        Latch read;
    };
    std::array<Run, 3> runs;
    const auto input = buffer();
    const auto output = buffer();
    const Words in = words(5);
    Words out(items);
    Latch written;
    Latch copied;
    ASSERT_TRUE(queue_->write(*output, reinterpret_cast<const std::byte*>(in.data()), bytes, written));
    EXPECT_EQ(written.wait(), 0);
    for (Run& run : runs) {
        run.block = buffer(both);
        const std::vector<Argument> arguments{{run.block.get(), {}}, time};
        ASSERT_TRUE(queue_->launch(**kernel, arguments, never_));
    }
    for (Run& run : runs) {
        ASSERT_TRUE(queue_->read(*run.block, reinterpret_cast<std::byte*>(run.clocks.data()), both, run.read));
    }
    ASSERT_TRUE(queue_->flush());
    Latch there;
    ASSERT_TRUE(queue_->write(*input, reinterpret_cast<const std::byte*>(in.data()), bytes, there));
    ASSERT_TRUE(queue_->flush());
    EXPECT_EQ(there.wait(), 0);
    EXPECT_FALSE(runs[0].read.over()) << "a copy in ended before the kernels that were queued before it";
    for (Run& run : runs) {
        EXPECT_EQ(run.read.wait(), 0);
        EXPECT_GE(run.clocks[1] - run.clocks[0], kernel_ns);
    }
    for (const Run& run : runs) {
        EXPECT_LT(run.clocks[0], runs[0].clocks[1]) << "begins before the first has ended";
        EXPECT_LT(runs[0].clocks[0], run.clocks[1]);
    }
    // A copy out beside a kernel: what is read was there before the kernel began.
    Run& last = runs[0];
    const std::vector<Argument> again{{last.block.get(), {}}, time};
    ASSERT_TRUE(queue_->launch(**kernel, again, never_));
    ASSERT_TRUE(queue_->flush());
    ASSERT_TRUE(queue_->read(*output, reinterpret_cast<std::byte*>(out.data()), bytes, copied));
    Latch ended;
    ASSERT_TRUE(queue_->flush());
    EXPECT_EQ(copied.wait(), 0);
    EXPECT_EQ(out, in);
    EXPECT_FALSE(queue_->idle(*last.block)) << "the kernel still runs";
    ASSERT_TRUE(queue_->read(*last.block, reinterpret_cast<std::byte*>(last.clocks.data()), both, ended));
    EXPECT_EQ(ended.wait(), 0);
}

TEST_F(CudaDeviceTest, CallsFunctionsOfThisProcessInOrder) {
    auto mix = compile("cuda", cuda_source, "mix", items, 256);
    const Parameter block{Parameter::Kind::buffer, 0, "x", "uint*"};
    const Parameter number{Parameter::Kind::constant, 4, "n", "uint"};
    auto add = device_->host_kernel({block, number},
                                    [](std::span<const HostArgument> arguments, const Geometry& geometry) {
                                        std::uint32_t n = 0;
                                        std::memcpy(&n, arguments[1].data(), sizeof n);
                                        for (std::size_t i = 0; i < geometry.global[0]; ++i) {
                                            std::uint32_t x = 0;
                                            std::memcpy(&x, arguments[0].data() + 4 * i, sizeof x);
                                            x += n;
                                            std::memcpy(arguments[0].data() + 4 * i, &x, sizeof x);
                                        }
                                        return n == 13 ? -EDOM : 0;
                                    },
                                    {{items, 1, 1}, {0, 0, 0}});
    ASSERT_TRUE(mix && add);
    const auto a = buffer();
    const auto b = buffer();
    for (std::uint32_t round = 0; round < 20; ++round) {
        const Words in(items, round);
        Words out(items);
        Latch written;
        Latch read;
        Latch failed;
        const Argument n{nullptr, {reinterpret_cast<const std::uint8_t*>(&round), sizeof round}};
        ASSERT_TRUE(queue_->write(*a, reinterpret_cast<const std::byte*>(in.data()), bytes, written));
        const std::vector<Argument> to_host{{a.get(), {}}, n};
        ASSERT_TRUE(queue_->launch(**add, to_host, failed));
        const std::vector<Argument> to_device{{a.get(), {}}, {b.get(), {}}, n};
        ASSERT_TRUE(queue_->launch(**mix, to_device, never_));
        ASSERT_TRUE(queue_->read(*b, reinterpret_cast<std::byte*>(out.data()), bytes, read));
        EXPECT_EQ(read.wait(), 0);
        EXPECT_EQ(written.wait(), 0);
        if (round == 13) {
            EXPECT_EQ(failed.wait(), -EDOM);
        }
        ASSERT_EQ(out[items - 1], mixed(2 * round, round));
        queue_->finish();
    }
    const std::vector<Argument> few{{a.get(), {}}};
    EXPECT_EQ(queue_->launch(**add, few, never_).error().code, EINVAL);
}

TEST_F(CudaDeviceTest, FencesOrderQueues) {
    auto kernel = compile("cuda", cuda_source, "mix", items, 256);
    ASSERT_TRUE(kernel) << kernel.error().message;
    auto second = device_->create_queue();
    ASSERT_TRUE(second);
    const auto a = buffer();
    const auto b = buffer();
    const std::uint32_t n = 11;
    const Argument constant{nullptr, {reinterpret_cast<const std::uint8_t*>(&n), sizeof n}};
    for (std::uint32_t round = 0; round < 50; ++round) {
        const Words in(items, round);
        Words out(items);
        Latch written;
        Latch read;
        ASSERT_TRUE(queue_->write(*a, reinterpret_cast<const std::byte*>(in.data()), bytes, written));
        const std::vector<Argument> there{{a.get(), {}}, {b.get(), {}}, constant};
        ASSERT_TRUE(queue_->launch(**kernel, there, never_));
        auto fence = queue_->mark();
        ASSERT_TRUE(fence);
        ASSERT_TRUE((*second)->wait(**fence));
        const std::vector<Argument> back{{b.get(), {}}, {a.get(), {}}, constant};
        ASSERT_TRUE((*second)->launch(**kernel, back, never_));
        ASSERT_TRUE((*second)->read(*a, reinterpret_cast<std::byte*>(out.data()), bytes, read));
        auto other = (*second)->mark();
        ASSERT_TRUE(other);
        ASSERT_TRUE(queue_->wait(**other));
        EXPECT_EQ(read.wait(), 0);
        EXPECT_EQ(written.wait(), 0);
        (*other)->wait();
        EXPECT_TRUE((*fence)->reached());
        ASSERT_EQ(out[items / 2], mixed(mixed(round, n), n));
    }
}

}  // namespace
}  // namespace yoke::device
