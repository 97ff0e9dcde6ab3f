// What every device must do: the same tests on each.
#include "device/device.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <numeric>

#include "device/cpu/host_device.hpp"
#include "device/cpu/test_device.hpp"

namespace yoke::device {
namespace {

constexpr const char* source = R"(
kernel void scale(global const int* in, global int* out, int factor) {
    size_t i = get_global_id(0) + get_global_size(0) * get_global_id(1);
    out[i] = in[i] * factor;
}
)";

int host_scale(std::span<const HostArgument> arguments, const Geometry& geometry) {
    int factor = 0;
    std::memcpy(&factor, arguments[2].data(), sizeof factor);
    const auto* const in = reinterpret_cast<const int*>(arguments[0].data());
    auto* const out = reinterpret_cast<int*>(arguments[1].data());
    for (std::size_t i = 0; i < geometry.global[0] * geometry.global[1]; ++i) {
        out[i] = in[i] * factor;
    }
    return 0;
}

struct Counter final : Done {
    void done(int status) noexcept override {
        const std::lock_guard lock(mutex);
        ++calls;
        last = status;
        changed.notify_all();
    }
    void wait_for(int count) {
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return calls >= count; });
    }
    std::mutex mutex;
    std::condition_variable changed;
    int calls = 0;
    int last = 0;
};

class DeviceTest : public testing::TestWithParam<const char*> {
   protected:
    void SetUp() override {
        if (std::string(GetParam()) == "host") {
            auto host = std::make_unique<HostDevice>();
            host->add("scale",
                      {{Parameter::Kind::buffer, 0, "in", "int*"},
                       {Parameter::Kind::buffer, 0, "out", "int*"},
                       {Parameter::Kind::constant, 4, "factor", "int"}},
                      host_scale);
            device_ = std::move(host);
        } else {
            device_ = open_test_device(test_cache());
        }
        ASSERT_NE(device_, nullptr);
        queue_ = *device_->create_queue();
    }

    std::unique_ptr<Kernel> compile(std::size_t width, std::size_t height = 1) {
        std::string log;
        auto kernel = device_->compile({source, "scale.cl", "scale", "", {{width, height, 1}, {}}}, log);
        EXPECT_TRUE(kernel) << kernel.error().message;
        return kernel ? std::move(*kernel) : nullptr;
    }

    static std::span<const std::byte> bytes(const std::vector<int>& v) { return std::as_bytes(std::span(v)); }

    std::unique_ptr<Device> device_;
    std::unique_ptr<Queue> queue_;
};

TEST_P(DeviceTest, SaysWhatItIs) {
    EXPECT_FALSE(device_->name().empty());
    EXPECT_FALSE(device_->description().empty());
}

TEST_P(DeviceTest, RunsInTheOrderOfItsQueue) {
    constexpr std::size_t items = 1000;
    constexpr int rounds = 50;
    auto kernel = compile(items);
    ASSERT_NE(kernel, nullptr);
    auto a = *device_->allocate(items * sizeof(int));
    auto b = *device_->allocate(items * sizeof(int));
    EXPECT_EQ(a->bytes(), items * sizeof(int));
    std::vector<std::vector<int>> in(rounds, std::vector<int>(items));
    std::vector<std::vector<int>> out(rounds, std::vector<int>(items));
    std::vector<int> factors(rounds);
    Counter written;
    Counter read;
    Counter failed;
    for (int r = 0; r < rounds; ++r) {  // the same buffers again and again: only order makes the results right
        const auto round = static_cast<std::size_t>(r);
        std::iota(in[round].begin(), in[round].end(), r);
        factors[round] = r - 7;
        ASSERT_TRUE(queue_->write(*a, bytes(in[round]).data(), a->bytes(), written));
        const std::array<Argument, 3> arguments{
            Argument{a.get(), {}}, Argument{b.get(), {}},
            Argument{nullptr, {reinterpret_cast<const std::uint8_t*>(&factors[round]), sizeof(int)}}};
        ASSERT_TRUE(queue_->launch(*kernel, arguments, failed));
        ASSERT_TRUE(queue_->read(*b, reinterpret_cast<std::byte*>(out[round].data()), b->bytes(), read));
    }
    ASSERT_TRUE(queue_->flush());
    read.wait_for(rounds);
    queue_->finish();
    EXPECT_EQ(written.calls, rounds);
    EXPECT_EQ(read.calls, rounds);
    EXPECT_EQ(failed.calls, 0);
    EXPECT_EQ(read.last, 0);
    for (std::size_t r = 0; r < rounds; ++r) {
        for (std::size_t i = 0; i < items; ++i) {
            ASSERT_EQ(out[r][i], in[r][i] * factors[r]) << "round " << r << " item " << i;
        }
    }
}

// Whatever order their buffers were made in.
TEST_P(DeviceTest, AFunctionOfTheProcessGetsItsBuffersInTheOrderOfItsArguments) {
    constexpr int rounds = 20;
    const Parameter parameter{Parameter::Kind::buffer, 0, "", ""};
    auto kernel = device_->host_kernel(
        {parameter, parameter, parameter},
        [](std::span<const HostArgument> arguments, const Geometry& /*geometry*/) {
            std::copy(arguments[0].begin(), arguments[0].end(), arguments[1].begin());
            std::copy(arguments[0].rbegin(), arguments[0].rend(), arguments[2].begin());
            return 0;
        },
        Geometry{});
    ASSERT_TRUE(kernel) << kernel.error().message;
    std::array<std::unique_ptr<Buffer>, 3> buffers;
    for (auto& buffer : buffers) {
        buffer = *device_->allocate(3 * sizeof(int));
    }
    std::array<std::size_t, 3> order{0, 1, 2};
    std::vector<std::array<std::vector<int>, 2>> out(rounds, {std::vector<int>(3), std::vector<int>(3)});
    std::vector<std::vector<int>> in;
    Counter done;
    for (int r = 0; r < rounds; ++r) {
        in.push_back({r, r, 1000 + r});
    }
    for (std::size_t r = 0; r < rounds; ++r, std::next_permutation(order.begin(), order.end())) {
        Buffer& from = *buffers[order[0]];
        ASSERT_TRUE(queue_->write(from, bytes(in[r]).data(), from.bytes(), done));
        const std::array<Argument, 3> arguments{Argument{&from, {}}, Argument{buffers[order[1]].get(), {}},
                                                Argument{buffers[order[2]].get(), {}}};
        ASSERT_TRUE(queue_->launch(**kernel, arguments, done));
        for (std::size_t k = 0; k < 2; ++k) {
            ASSERT_TRUE(queue_->read(*buffers[order[k + 1]], reinterpret_cast<std::byte*>(out[r][k].data()),
                                     from.bytes(), done));
        }
    }
    ASSERT_TRUE(queue_->flush());
    done.wait_for(3 * rounds);
    queue_->finish();
    for (std::size_t r = 0; r < rounds; ++r) {
        EXPECT_EQ(out[r][0], in[r]) << "round " << r;
        std::vector<std::byte> reversed(bytes(in[r]).rbegin(), bytes(in[r]).rend());
        EXPECT_TRUE(std::equal(reversed.begin(), reversed.end(), bytes(out[r][1]).begin())) << "round " << r;
    }
}

TEST_P(DeviceTest, FinishWaitsForEveryDone) {
    auto buffer = *device_->allocate(1 << 20);
    std::vector<std::byte> memory(1 << 20);
    for (int round = 0; round < 20; ++round) {
        Counter counter;
        for (int i = 0; i < 5; ++i) {
            ASSERT_TRUE(queue_->write(*buffer, memory.data(), memory.size(), counter));
        }
        queue_->finish();
        EXPECT_EQ(counter.calls, 5);
    }
}

TEST_P(DeviceTest, DestructionWaitsForEveryDone) {
    auto buffer = *device_->allocate(1 << 20);
    std::vector<std::byte> memory(1 << 20);
    Counter counter;
    for (int i = 0; i < 5; ++i) {
        ASSERT_TRUE(queue_->write(*buffer, memory.data(), memory.size(), counter));
    }
    queue_.reset();
    EXPECT_EQ(counter.calls, 5);
}

TEST_P(DeviceTest, KnowsTheParametersOfAKernel) {
    auto kernel = compile(16, 4);
    ASSERT_NE(kernel, nullptr);
    ASSERT_EQ(kernel->parameters().size(), 3U);
    EXPECT_EQ(kernel->parameters()[0].kind, Parameter::Kind::buffer);
    EXPECT_EQ(kernel->parameters()[2].kind, Parameter::Kind::constant);
    EXPECT_EQ(kernel->parameters()[2].bytes, 4U);
    EXPECT_EQ(kernel->parameters()[2].name, "factor");
}

TEST_P(DeviceTest, RefusesAFunctionThatThereIsNot) {
    std::string log;
    const auto kernel = device_->compile({source, "scale.cl", "scales", "", {}}, log);
    ASSERT_FALSE(kernel);
    EXPECT_EQ(kernel.error().code, EINVAL);
    EXPECT_NE(kernel.error().message.find("scales"), std::string::npos) << kernel.error().message;
}

TEST_P(DeviceTest, RefusesTheWrongNumberOfArguments) {
    auto kernel = compile(16);
    ASSERT_NE(kernel, nullptr);
    auto a = *device_->allocate(64);
    const std::array<Argument, 2> arguments{Argument{a.get(), {}}, Argument{a.get(), {}}};
    Counter failed;
    const auto launched = queue_->launch(*kernel, arguments, failed);
    ASSERT_FALSE(launched);
    EXPECT_EQ(launched.error().code, EINVAL);
    EXPECT_EQ(failed.calls, 0);
}

TEST_P(DeviceTest, RefusesACopyLargerThanTheBuffer) {
    auto a = *device_->allocate(64);
    std::vector<std::byte> memory(128);
    Counter counter;
    EXPECT_FALSE(queue_->write(*a, memory.data(), memory.size(), counter));
    EXPECT_FALSE(queue_->read(*a, memory.data(), memory.size(), counter));
    queue_->finish();
    EXPECT_EQ(counter.calls, 0);
}

INSTANTIATE_TEST_SUITE_P(Devices, DeviceTest, testing::Values("host", "opencl"),
                         [](const auto& device) { return std::string(device.param); });

TEST(HostDevice, TellsAFunctionThatFails) {
    HostDevice device;
    device.add("fail", {{}}, [](std::span<const HostArgument>, const Geometry&) { return -EDOM; });
    std::string log;
    auto kernel = *device.compile({"", "", "fail", "", {}}, log);
    auto queue = *device.create_queue();
    auto buffer = *device.allocate(8);
    std::array<std::byte, 8> memory{};
    Counter failed;
    Counter read;
    const std::array<Argument, 1> arguments{Argument{buffer.get(), {}}};
    ASSERT_TRUE(queue->launch(*kernel, arguments, failed));
    ASSERT_TRUE(queue->read(*buffer, memory.data(), memory.size(), read));
    read.wait_for(1);
    EXPECT_EQ(failed.calls, 1);  // told before the read's end
    EXPECT_EQ(failed.last, -EDOM);
}

}  // namespace
}  // namespace yoke::device
