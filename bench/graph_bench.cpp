// A graph of two empty ptasks against the same kernels enqueued by plain OpenCL, same device, same kind of queue.
//
// Both are measured in turns within one run, some thousand datablocks at a time, and the ratio is the median of the
// rounds' ratios: on a machine that does other things too, neighbours in time are disturbed alike.
//
//   throughput_ratio   datablocks per second of the graph over those of plain OpenCL, 8 in flight; at least 0.85 is
//   wanted graph_us, opencl_us    time per datablock
// With one in flight the same numbers are the latency of push + two ptasks + pull.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <vector>

#include "device/cpu/opencl.hpp"
#include "device/cpu/opencl_device.hpp"
#include "device/cpu/spawner.hpp"
#include "graph/runtime.hpp"
#include "opencl_baseline.hpp"

namespace yoke::bench {
namespace {

template <typename T>
T must(Result<T> result) {
    if (!result) {
        std::fprintf(stderr, "graph_bench: %s\n", result.error().message.c_str());
        std::exit(1);
    }
    return std::move(*result);
}

void must(const Status& status) {
    if (!status) {
        std::fprintf(stderr, "graph_bench: %s\n", status.error().message.c_str());
        std::exit(1);
    }
}

constexpr std::size_t local_size = 256;

// A place for one datablock in flight: its push and its pull.
class Slot final : public graph::TransferSink {
   public:
    Slot() : in_(datablock_bytes), out_(datablock_bytes) {}

    void complete(const graph::Transfer& transfer, const yoke_completion& completion) noexcept override {
        if (completion.status != 0) {
            std::fprintf(stderr, "graph_bench: a transfer ended with %d\n", completion.status);
            std::_Exit(1);
        }
        if (transfer.data == out_.data()) {
            {
                const std::lock_guard lock(mutex_);
                busy_ = false;
            }
            free_.notify_one();
        }
    }

    void submit(graph::Runtime& runtime, std::uint32_t in, std::uint32_t out) {
        {
            const std::lock_guard lock(mutex_);
            busy_ = true;
        }
        runtime.push(transfer(in, in_));
        runtime.pull(transfer(out, out_));
    }

    // Sleeps at once, as clWaitForEvents does.
    void wait() {
        std::unique_lock lock(mutex_);
        free_.wait(lock, [this] { return !busy_; });
    }

   private:
    graph::Transfer transfer(std::uint32_t channel, std::vector<std::byte>& memory) {
        graph::Transfer t;
        t.sink = this;
        t.channel = channel;
        t.session = 1;
        t.data = memory.data();
        t.length = datablock_bytes;
        return t;
    }

    std::vector<std::byte> in_;
    std::vector<std::byte> out_;
    std::mutex mutex_;
    std::condition_variable free_;
    bool busy_ = false;
};

class TwoPtasks {
   public:
    TwoPtasks(device::Device& device, std::size_t in_flight)
        : runtime_(must(graph::Runtime::create(device, {}))), slots_(in_flight) {
        must(runtime_->open_graph(1, "/bench"));
        for (const std::string ptask : {"/bench/a", "/bench/b"}) {
            must(runtime_->open_port(1, {ptask + ":in", control::Direction::in, {"f32", {datablock_items, 1, 1}, 0}}));
            must(
                runtime_->open_port(1, {ptask + ":out", control::Direction::out, {"f32", {datablock_items, 1, 1}, 0}}));
            must(runtime_->open_ptask(
                1, {ptask,
                    {empty_kernel_source, "pass.cl", empty_kernel_function, "", {}, {local_size, 1, 1}},
                    {{"in", {}}, {"out", {}}}}));
        }
        in_ = must(runtime_->open_channel(1, {"/bench/in", std::nullopt, "/bench/a:in", 8})).channel;
        must(runtime_->open_channel(1, {"/bench/inner", "/bench/a:out", "/bench/b:in", 8}));
        out_ = must(runtime_->open_channel(1, {"/bench/out", "/bench/b:out", std::nullopt, 8})).channel;
        must(runtime_->run_graph(1, "/bench"));
    }

    void run(std::size_t datablocks) {
        for (std::size_t i = 0; i < datablocks + slots_.size(); ++i) {
            Slot& slot = slots_[i % slots_.size()];
            slot.wait();
            if (i < datablocks) {
                slot.submit(*runtime_, in_, out_);
            }
        }
    }

   private:
    std::unique_ptr<graph::Runtime> runtime_;
    std::uint32_t in_ = 0;
    std::uint32_t out_ = 0;
    std::vector<Slot> slots_;
};

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

template <typename Run>
double seconds(Run run) {
    const auto begin = std::chrono::steady_clock::now();
    run();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

device::Device& the_device() {
    static const std::unique_ptr<device::Device> device = [] {
        device::OpenclOptions options;
        options.spawner = must(device::start_spawner());
        return must(device::open_opencl_device(std::move(options)));
    }();
    return *device;
}

void two_ptasks(benchmark::State& state) {
    const auto in_flight = static_cast<std::size_t>(state.range(0));
    const std::size_t datablocks = in_flight == 1 ? 500 : 2000;
    TwoPtasks graph(the_device(), in_flight);
    const device::OpenclTarget target = must(device::find_opencl_target(""));
    OpenclBaseline plain(target.device, local_size, in_flight);
    graph.run(datablocks);
    plain.run(datablocks);
    std::vector<double> graph_times;
    std::vector<double> plain_times;
    std::vector<double> ratios;
    for (auto _ : state) {
        const double plain_time = seconds([&] { plain.run(datablocks); });
        const double graph_time = seconds([&] { graph.run(datablocks); });
        graph_times.push_back(graph_time / static_cast<double>(datablocks) * 1e6);
        plain_times.push_back(plain_time / static_cast<double>(datablocks) * 1e6);
        ratios.push_back(plain_time / graph_time);
        state.SetIterationTime(graph_time);
    }
    state.counters["throughput_ratio"] = median(ratios);
    state.counters["graph_us"] = median(graph_times);
    state.counters["opencl_us"] = median(plain_times);
    state.SetItemsProcessed(static_cast<std::int64_t>(static_cast<std::size_t>(state.iterations()) * datablocks));
}

BENCHMARK(two_ptasks)
    ->ArgName("in_flight")
    ->Arg(8)
    ->Arg(1)
    ->Iterations(21)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace yoke::bench

BENCHMARK_MAIN();
