// The lanes of a queue on a CUDA device: however many there are, commands mean what they would one after the other; and
// what does not depend on each other runs at the same time.
#include "cuda_device.hpp"

namespace yoke::device {
namespace {

// Random commands on few buffers, against what they mean one after the other.
class CudaLanesTest : public CudaDeviceTest, public testing::WithParamInterface<cuda::LanePlan> {};

INSTANTIATE_TEST_SUITE_P(Plans, CudaLanesTest,
                         testing::Values(cuda::LanePlan{.kernels = 1, .steps = false},
                                         cuda::LanePlan{.copies = 2, .steps = false},
                                         cuda::LanePlan{.copies = 2, .kernels = 4, .fork = true, .lead = 0},
                                         cuda::LanePlan{.fork_steps = false, .lead = 2}, cuda::LanePlan{.lead = 0},
                                         cuda::LanePlan{}));

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

// Memory that copies need not wait for.
class Pinned {
   public:
    explicit Pinned(std::size_t count) {
        const auto context = cuda::primary_context();
        void* memory = nullptr;
        if (context && ((*context)->make_current(), (*context)->driver->cuMemHostAlloc(&memory, count, 0)) == 0) {
            bytes_ = {static_cast<std::byte*>(memory), count};
        }
    }
    Pinned(const Pinned&) = delete;
    Pinned& operator=(const Pinned&) = delete;
    ~Pinned() {
        if (bytes_.data() != nullptr) {
            (*cuda::primary_context())->driver->cuMemFreeHost(bytes_.data());
        }
    }
    [[nodiscard]] std::span<std::byte> get() const { return bytes_; }

   private:
    std::span<std::byte> bytes_;
};

// Kernels that do not depend on each other run at the same time, by the device's own clock, and copies in both
// directions beside them.
TEST_F(CudaDeviceTest, IndependentKernelsAndCopiesOverlap) {
    constexpr std::uint64_t kernel_ns = 50'000'000;
    auto kernel = compile("cuda", cuda_source, "clocks", 1, 1);
    ASSERT_TRUE(kernel) << kernel.error().message;
    const Argument time{nullptr, {reinterpret_cast<const std::uint8_t*>(&kernel_ns), sizeof kernel_ns}};
    using Clocks = std::array<std::uint64_t, 2>;  // begin, end
    struct Run {
        std::unique_ptr<Buffer> block;
        Pinned memory{sizeof(Clocks)};
        Latch read;
        [[nodiscard]] Clocks clocks() const {
            Clocks clocks{};
            std::memcpy(clocks.data(), memory.get().data(), sizeof clocks);
            return clocks;
        }
    };
    std::array<Run, 3> runs;
    const auto input = buffer();
    const auto output = buffer();
    const Words content = words(5);
    const Pinned in(bytes);
    const Pinned out(bytes);
    ASSERT_EQ(in.get().size(), bytes);
    ASSERT_EQ(out.get().size(), bytes);
    std::memcpy(in.get().data(), content.data(), bytes);
    std::memset(out.get().data(), 0xa5, bytes);
    Latch written;
    ASSERT_TRUE(queue_->write(*output, in.get().data(), bytes, written));
    EXPECT_EQ(written.wait(), 0);
    for (Run& run : runs) {
        ASSERT_EQ(run.memory.get().size(), sizeof(Clocks));
        run.block = buffer(sizeof(Clocks));
        const std::vector<Argument> arguments{{run.block.get(), {}}, time};
        ASSERT_TRUE(queue_->launch(**kernel, arguments, never_));
    }
    for (Run& run : runs) {
        ASSERT_TRUE(queue_->read(*run.block, run.memory.get().data(), sizeof(Clocks), run.read));
    }
    ASSERT_TRUE(queue_->flush());
    Latch there;
    ASSERT_TRUE(queue_->write(*input, in.get().data(), bytes, there));
    ASSERT_TRUE(queue_->flush());
    EXPECT_EQ(there.wait(), 0);
    EXPECT_FALSE(runs[0].read.over()) << "a copy in ended before the kernels that were queued before it";
    for (Run& run : runs) {
        EXPECT_EQ(run.read.wait(), 0);
        EXPECT_GE(run.clocks()[1] - run.clocks()[0], kernel_ns);
    }
    for (const Run& run : runs) {
        EXPECT_LT(run.clocks()[0], runs[0].clocks()[1]) << "begins before the first has ended";
        EXPECT_LT(runs[0].clocks()[0], run.clocks()[1]);
    }
    // A copy out beside a kernel: what is read was there before the kernel began.
    const Run& last = runs[0];
    const std::vector<Argument> again{{last.block.get(), {}}, time};
    ASSERT_TRUE(queue_->launch(**kernel, again, never_));
    ASSERT_TRUE(queue_->flush());
    Latch copied;
    ASSERT_TRUE(queue_->read(*output, out.get().data(), bytes, copied));
    ASSERT_TRUE(queue_->flush());
    EXPECT_EQ(copied.wait(), 0);
    EXPECT_EQ(std::memcmp(out.get().data(), content.data(), bytes), 0);
    EXPECT_FALSE(queue_->idle(*last.block)) << "the kernel still runs";
    Latch ended;
    ASSERT_TRUE(queue_->read(*last.block, last.memory.get().data(), sizeof(Clocks), ended));
    EXPECT_EQ(ended.wait(), 0);
}

// What only one lane still uses may be written there at once, and nowhere else.
TEST_F(CudaDeviceTest, MemoryIsFreeToTheLaneThatUsesIt) {
    constexpr std::uint64_t kernel_ns = 50'000'000;
    auto kernel = compile("cuda", cuda_source, "clocks", 1, 1);
    ASSERT_TRUE(kernel) << kernel.error().message;
    const Argument time{nullptr, {reinterpret_cast<const std::uint8_t*>(&kernel_ns), sizeof kernel_ns}};
    const Pinned out(bytes);
    ASSERT_EQ(out.get().size(), bytes);
    const auto fresh = buffer();
    const std::array blocks{buffer(), buffer()};
    for (const auto& block : blocks) {
        const std::vector<Argument> arguments{{block.get(), {}}, time};
        ASSERT_TRUE(queue_->launch(**kernel, arguments, never_));
    }
    ASSERT_TRUE(queue_->flush());
    EXPECT_FALSE(queue_->idle(*blocks[0]));
    EXPECT_TRUE(queue_->idle_behind(*blocks[0], *blocks[0]));
    EXPECT_FALSE(queue_->idle_behind(*blocks[0], *blocks[1]));
    EXPECT_TRUE(queue_->idle_behind(*fresh, *blocks[1]));
    EXPECT_FALSE(queue_->idle_behind(*blocks[1], *fresh));
    Latch read;
    ASSERT_TRUE(queue_->read(*blocks[0], out.get().data(), bytes, read));
    EXPECT_FALSE(queue_->idle_behind(*blocks[0], *blocks[0])) << "a copy out still reads it";
    queue_->finish();
    EXPECT_EQ(read.wait(), 0);
    EXPECT_TRUE(queue_->idle_behind(*blocks[0], *blocks[1]));
}

}  // namespace
}  // namespace yoke::device
