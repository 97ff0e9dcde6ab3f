// The depth graph on the CUDA device against the same two kernels driven by hand, in one JSON document (stdout).
//
// Usage: graph_cuda_bench DEPTH_TOML [--scale F]
//
// The rivals have no handicap: the same machine code and work-groups, pinned memory, spinning waits, and of each the
// best number of slots is not tuned but generous (four). synchronous: one stream, one frame at a time; streams: a
// stream for each slot; ping-pong: streams for copies in, kernels and copies out, joined by events; CUDA graph: copy,
// kernels and copy instantiated once for each slot. Throughput with eight frames in flight, latency with one. Rounds
// take turns, so that neighbours in time are disturbed alike; ratios are medians of the rounds'. Every rival's last
// frame is compared with the graph's. "plans" are the graph with other lanes (src/device/cuda/lane_plan.hpp).
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <vector>

#include <nlohmann/json.hpp>

#include "baselines/cuda.hpp"
#include "control/graph_file.hpp"
#include "device/cpu/spawner.hpp"
#include "device/cuda/cuda_build.hpp"
#include "device/cuda/cuda_device.hpp"
#include "device/cuda/image.hpp"
#include "graph/runtime.hpp"

namespace yoke::bench {
namespace {

using Json = nlohmann::json;

constexpr std::size_t slots = 4;
constexpr std::size_t in_flight = 8;

struct Size {
    std::size_t width = 0;
    std::size_t height = 0;
    [[nodiscard]] std::size_t pixels() const { return width * height; }
    [[nodiscard]] std::size_t in_bytes() const { return pixels() * 2; }
    [[nodiscard]] std::size_t out_bytes() const { return pixels() * 16; }
};

// Pinned memory of one frame that goes in and one that comes out.
struct Frame {
    explicit Frame(const Size& size) {
        void* memory = nullptr;
        must(api().cuMemHostAlloc(&memory, size.in_bytes(), 0));
        in = static_cast<std::uint16_t*>(memory);
        must(api().cuMemHostAlloc(&memory, size.out_bytes(), 0));
        out = static_cast<float*>(memory);
        for (std::size_t i = 0; i < size.pixels(); ++i) {
            in[i] = static_cast<std::uint16_t>(i % 53 == 0 ? 0 : 8000 + (i * 2654435761U >> 20U) % 64 + i % size.width);
        }
        std::memset(out, 0xa5, size.out_bytes());
    }
    Frame(const Frame&) = delete;
    Frame& operator=(const Frame&) = delete;
    ~Frame() {
        api().cuMemFreeHost(in);
        api().cuMemFreeHost(out);
    }
    std::uint16_t* in = nullptr;
    float* out = nullptr;
};

control::GraphDefinition definition_of(const std::string& path, const Size& size) {
    std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    std::string toml = text.str();
    const std::string old = "[640, 480]";
    const std::string now = fmt::format("[{}, {}]", size.width, size.height);
    for (std::size_t at = toml.find(old); at != std::string::npos; at = toml.find(old, at + now.size())) {
        toml.replace(at, old.size(), now);
    }
    return must(control::parse_graph(toml, path, std::filesystem::path(path).parent_path().string()));
}

// Push and pull of one frame through the graph.
class Flight final : public graph::TransferSink {
   public:
    explicit Flight(const Size& size) : frame(size) {}
    void complete(const graph::Transfer& transfer, const yoke_completion& completion) noexcept override {
        if (completion.status != 0) {
            std::fprintf(stderr, "graph_cuda_bench: a transfer ended with %d\n", completion.status);
            std::_Exit(1);
        }
        if (transfer.data == reinterpret_cast<std::byte*>(frame.out)) {
            busy_.store(false, std::memory_order_release);
        }
    }
    void submit(graph::Runtime& runtime, std::uint32_t in, std::uint32_t out, const Size& size) {
        busy_.store(true, std::memory_order_relaxed);
        runtime.push(transfer(in, reinterpret_cast<std::byte*>(frame.in), size.in_bytes()));
        runtime.pull(transfer(out, reinterpret_cast<std::byte*>(frame.out), size.out_bytes()));
    }
    void wait() const {
        while (busy_.load(std::memory_order_acquire)) {
            __builtin_ia32_pause();
        }
    }
    Frame frame;

   private:
    graph::Transfer transfer(std::uint32_t channel, std::byte* data, std::size_t bytes) {
        graph::Transfer t;
        t.sink = this;
        t.channel = channel;
        t.session = 1;
        t.data = data;
        t.length = static_cast<std::uint32_t>(bytes);
        return t;
    }
    std::atomic<bool> busy_{false};
};

class Yoke {
   public:
    Yoke(device::Device& device, const control::GraphDefinition& definition, const Size& size)
        : size_(size), runtime_(must(graph::Runtime::create(device, {}))) {
        must(runtime_->open_graph(1, definition.name));
        for (const auto& port : definition.ports) {
            must(runtime_->open_port(1, port));
        }
        for (const auto& ptask : definition.ptasks) {
            must(runtime_->open_ptask(1, ptask));
        }
        for (const auto& channel : definition.channels) {
            const auto opened = must(runtime_->open_channel(1, channel));
            if (opened.channel != 0) {
                (channel.source ? out_ : in_) = opened.channel;
            }
        }
        must(runtime_->run_graph(1, definition.name));
        for (std::size_t i = 0; i < in_flight; ++i) {
            flights_.push_back(std::make_unique<Flight>(size));
        }
    }
    void run(std::size_t frames, std::size_t depth) {
        for (std::size_t i = 0; i < frames + depth; ++i) {
            Flight& flight = *flights_[i % depth];
            flight.wait();
            if (i < frames) {
                flight.submit(*runtime_, in_, out_, size_);
            }
        }
    }
    [[nodiscard]] const float* last() const { return flights_[0]->frame.out; }

   private:
    Size size_;
    std::unique_ptr<graph::Runtime> runtime_;
    std::uint32_t in_ = 0;
    std::uint32_t out_ = 0;
    std::vector<std::unique_ptr<Flight>> flights_;
};

// The two kernels with their arguments, as one would write it by hand.
class ByHand {
   public:
    enum class Way { synchronous, streams, ping_pong, graph };

    ByHand(const control::GraphDefinition& definition, const Size& size) : size_(size) {
        for (std::size_t k = 0; k < 2; ++k) {
            const control::PtaskDefinition& ptask = definition.ptasks[k];
            device::CompileRequest request;
            request.platform = cuda::platform_prefix + context().architecture;
            request.program.source = ptask.kernel.source;
            request.program.source_name = ptask.kernel.source_name;
            request.program.function = ptask.kernel.function;
            request.program.options = ptask.kernel.options;
            request.program.geometry.global = {size.width, size.height, 1};
            const device::BuiltBinary built = must(cuda::build_cuda(request));
            const cuda::Image image = must(cuda::image_from_untrusted(built.bytes));
            CUlibrary library = nullptr;
            CUkernel kernel = nullptr;
            must(api().cuLibraryLoadData(&library, image.code.data(), nullptr, nullptr, 0, nullptr, nullptr, 0));
            must(api().cuLibraryGetKernel(&kernel, library, image.symbol.c_str()));
            kernels_[k] = reinterpret_cast<CUfunction>(kernel);
            locals_[k] = built.answer.local;
            for (const auto& argument : ptask.arguments) {
                if (!argument.port) {
                    constants_[k].push_back(argument.constant);
                }
            }
        }
        for (Slot& slot : slots_) {
            slot.frame = std::make_unique<Frame>(size);
            must(api().cuMemAlloc(&slot.in, size.in_bytes()));
            must(api().cuMemAlloc(&slot.smooth, size.pixels() * 4));
            must(api().cuMemAlloc(&slot.out, size.out_bytes()));
            must(api().cuStreamCreateWithPriority(&slot.stream, CU_STREAM_NON_BLOCKING, 0));
            for (CUevent* event : {&slot.copied_in, &slot.computed, &slot.done}) {
                must(api().cuEventCreate(event, CU_EVENT_DISABLE_TIMING));
            }
            must(api().cuStreamBeginCapture(slot.stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
            frame_on(slot, slot.stream, slot.stream, slot.stream, false);
            CUgraph graph = nullptr;
            must(api().cuStreamEndCapture(slot.stream, &graph));
            must(api().cuGraphInstantiateWithFlags(&slot.graph, graph, 0));
        }
        for (CUstream* stream : {&in_, &run_, &out_}) {
            must(api().cuStreamCreateWithPriority(stream, CU_STREAM_NON_BLOCKING, 0));
        }
    }

    void run(Way way, std::size_t frames, std::size_t depth) {
        depth = way == Way::synchronous ? 1 : std::min(depth, slots);
        for (std::size_t i = 0; i < frames; ++i) {
            Slot& slot = slots_[i % depth];
            wait(slot);
            switch (way) {
                case Way::synchronous:
                case Way::streams:
                    frame_on(slot, slot.stream, slot.stream, slot.stream, false);
                    must(api().cuEventRecord(slot.done, slot.stream));
                    break;
                case Way::ping_pong:
                    frame_on(slot, in_, run_, out_, true);
                    must(api().cuEventRecord(slot.done, out_));
                    break;
                case Way::graph:
                    must(api().cuGraphLaunch(slot.graph, slot.stream));
                    must(api().cuEventRecord(slot.done, slot.stream));
                    break;
            }
            slot.used = true;
        }
        for (Slot& slot : slots_) {
            wait(slot);
        }
    }
    [[nodiscard]] const float* last() const { return slots_[0].frame->out; }

   private:
    struct Slot {
        std::unique_ptr<Frame> frame;
        CUdeviceptr in = 0;
        CUdeviceptr smooth = 0;
        CUdeviceptr out = 0;
        CUstream stream = nullptr;
        CUevent copied_in = nullptr;
        CUevent computed = nullptr;
        CUevent done = nullptr;
        CUgraphExec graph = nullptr;
        bool used = false;
    };

    static void wait(Slot& slot) {
        if (slot.used) {
            must(api().cuEventSynchronize(slot.done));  // spins: the context's default
            slot.used = false;
        }
    }
    void launch(std::size_t k, CUdeviceptr from, CUdeviceptr to, CUstream stream) {
        std::vector<void*> values{&from, &to};
        for (auto& constant : constants_[k]) {
            values.push_back(constant.data());
        }
        const auto& local = locals_[k];
        must(api().cuLaunchKernel(kernels_[k], static_cast<unsigned>(size_.width / local[0]),
                                  static_cast<unsigned>(size_.height / local[1]), 1, static_cast<unsigned>(local[0]),
                                  static_cast<unsigned>(local[1]), 1, 0, stream, values.data(), nullptr));
    }
    void frame_on(Slot& slot, CUstream in, CUstream run, CUstream out, bool joined) {
        must(api().cuMemcpyHtoDAsync(slot.in, slot.frame->in, size_.in_bytes(), in));
        if (joined) {
            must(api().cuEventRecord(slot.copied_in, in));
            must(api().cuStreamWaitEvent(run, slot.copied_in, 0));
        }
        launch(0, slot.in, slot.smooth, run);
        launch(1, slot.smooth, slot.out, run);
        if (joined) {
            must(api().cuEventRecord(slot.computed, run));
            must(api().cuStreamWaitEvent(out, slot.computed, 0));
        }
        must(api().cuMemcpyDtoHAsync(slot.frame->out, slot.out, size_.out_bytes(), out));
    }

    Size size_;
    std::array<CUfunction, 2> kernels_{};
    std::array<std::array<std::size_t, 3>, 2> locals_{};
    std::array<std::vector<std::vector<std::uint8_t>>, 2> constants_;
    std::array<Slot, slots> slots_;
    CUstream in_ = nullptr;
    CUstream run_ = nullptr;
    CUstream out_ = nullptr;
};

struct Plan {
    const char* name;
    cuda::LanePlan lanes;
};
// The first is the one that counts.
constexpr std::array plans{Plan{"graph", {}},
                           Plan{"one lane for kernels", {.kernels = 1, .steps = false, .reuse = false}},
                           Plan{"memory not used again by its lane", {.reuse = false}},
                           Plan{"two lanes per direction of copies", {.copies = 2}}};

using Devices = std::vector<std::unique_ptr<device::Device>>;

Json compare(const Devices& devices, const std::string& path, const Size& size, double scale) {
    const control::GraphDefinition definition = definition_of(path, size);
    std::vector<std::unique_ptr<Yoke>> graphs;
    for (const auto& device : devices) {
        graphs.push_back(std::make_unique<Yoke>(*device, definition, size));
    }
    Yoke& yoke = *graphs[0];
    ByHand by_hand(definition, size);
    constexpr std::array ways{ByHand::Way::synchronous, ByHand::Way::streams, ByHand::Way::ping_pong,
                              ByHand::Way::graph};
    constexpr std::array names{"synchronous", "streams", "ping-pong", "CUDA graph"};
    const auto frames =
        static_cast<std::size_t>(std::max(20.0, 400 * scale * 307'200 / static_cast<double>(size.pixels())));
    const auto rounds = static_cast<std::size_t>(std::max(3.0, 11 * scale));
    Json row{{"width", size.width}, {"height", size.height}, {"frames_a_round", frames}, {"rounds", rounds}};
    for (const bool latency : {false, true}) {
        const std::size_t depth = latency ? 1 : in_flight;
        std::vector<double> ours;
        std::array<std::vector<double>, plans.size()> others;
        std::array<std::vector<double>, ways.size()> theirs;
        for (const auto& graph : graphs) {
            graph->run(frames / 4 + in_flight, depth);
        }
        for (std::size_t round = 0; round < rounds; ++round) {
            ours.push_back(seconds([&] { yoke.run(frames, depth); }));
            for (std::size_t p = 1; p < graphs.size(); ++p) {
                others[p].push_back(seconds([&] { graphs[p]->run(frames, depth); }));
            }
            for (std::size_t w = 0; w < ways.size(); ++w) {
                theirs[w].push_back(seconds([&] { by_hand.run(ways[w], frames, depth); }));
            }
        }
        Json& part = row[latency ? "latency" : "throughput"];
        const auto per_frame = [frames](const std::vector<double>& times) {
            return median(times) / static_cast<double>(frames) * 1e6;
        };
        part["graph_us"] = per_frame(ours);
        for (std::size_t p = 1; p < graphs.size(); ++p) {
            part["plans_us"][plans[p].name] = per_frame(others[p]);
        }
        double best = 1e30;
        for (std::size_t w = 0; w < ways.size(); ++w) {
            std::vector<double> ratios;
            for (std::size_t round = 0; round < rounds; ++round) {
                ratios.push_back(theirs[w][round] / ours[round]);
            }
            part[names[w]] = {{"us", per_frame(theirs[w])}, {"graph_is_faster_by", median(ratios)}};
            best = std::min(best, median(ratios));
        }
        part["against_the_best"] = best;
    }
    row["equal"] = std::memcmp(yoke.last(), by_hand.last(), size.out_bytes()) == 0;
    return row;
}

}  // namespace
}  // namespace yoke::bench

int main(int argc, char** argv) {
    using namespace yoke::bench;
    double scale = 1;
    if (argc == 4 && std::strcmp(argv[2], "--scale") == 0) {
        scale = std::atof(argv[3]);
    } else if (argc != 2) {
        std::fprintf(stderr, "usage: graph_cuda_bench DEPTH_TOML [--scale F]\n");
        return 2;
    }
    ::setenv("CUDA_DEVICE_MAX_CONNECTIONS", "32", 0);  // as a worker has them
    std::vector<yoke::Fd> spawners;
    for (std::size_t i = 0; i < plans.size(); ++i) {
        spawners.push_back(must(yoke::device::start_spawner()));  // before there are threads
    }
    Devices devices;
    for (std::size_t i = 0; i < plans.size(); ++i) {
        cuda::Options options{.spawner = std::move(spawners[i]), .cache_directory = {}, .lanes = plans[i].lanes};
        devices.push_back(must(cuda::open_cuda_device(options)));
    }
    Json json{{"device", devices[0]->description()}};
    for (const Size& size : {Size{640, 480}, Size{1280, 720}, Size{1920, 1080}}) {
        json["depth graph"].push_back(compare(devices, argv[1], size, scale));
    }
    std::printf("%s\n", json.dump(2).c_str());
    return 0;
}
