// The CUDA device by itself: forms of kernels, functions of the process, fences, mistakes.
#include "cuda_device.hpp"

namespace yoke::device {
namespace {

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
