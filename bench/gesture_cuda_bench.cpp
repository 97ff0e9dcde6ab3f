// The gesture interface on a CUDA device: the graph against the same kernels driven by hand, and against four programs
// connected by pipes. One JSON document on stdout.
//
// Usage: gesture_cuda_bench FOLDER --size WIDTHxHEIGHT [--scale F] [--no-pipes]
// FOLDER: of the example (detect.cl); its kernels lie in ../kernels beside it.
//
// "graph" is the graph runtime in this process, once for each plan of lanes (src/device/cuda/lane_plan.hpp), "worker"
// is the same graph in a worker, through libyoke, as a program uses it. Rivals: baselines/by_hand.hpp and
// baselines/pipes.hpp. Throughput with eight frames in flight, latency with one; rounds take turns, so that neighbours
// in time are disturbed alike, and ratios are medians of the rounds' ratios. All must tell the same events, bit by bit.
#include <array>
#include <atomic>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <thread>

#include <nlohmann/json.hpp>
#include <yoke/yoke.hpp>

#include "baselines/by_hand.hpp"
#include "baselines/compiled.hpp"
#include "baselines/pipes.hpp"
#include "control/graph_file.hpp"
#include "daemon.hpp"
#include "device/cpu/spawner.hpp"
#include "device/cuda/cuda_device.hpp"
#include "gesture/graph.hpp"
#include "gesture/synthetic.hpp"
#include "graph/runtime.hpp"

namespace yoke::bench {
namespace {

using Json = nlohmann::json;

constexpr std::size_t in_flight = 8;

struct Plan {
    const char* name;
    cuda::LanePlan lanes;
};
// The first is the one that counts.
constexpr std::array plans{Plan{"graph", {}},
                           Plan{"eight lanes without steps", {.steps = false}},
                           Plan{"steps without kernels ahead", {.lead = 0}},
                           Plan{"steps that do not fork", {.fork_steps = false}},
                           Plan{"memory not used again by its lane", {.reuse = false}},
                           Plan{"two lanes, memory rests", {.copies = 2, .reuse = false}},
                           Plan{"two lanes per direction of copies", {.copies = 2}}};

struct Options {
    std::string folder;
    gesture::Camera camera;
    double seconds = 0.2;  // of a round of one rival, about
    std::size_t rounds = 7;
    bool pipes = true;
    std::string part;     // of the pipeline of programs: this process is it
    std::string kernels;  // folder with machine code
};

Frames rendered(const gesture::Camera& camera) {
    const gesture::Synthetic film(12, camera);
    Frames frames;
    for (std::uint64_t number = 0; number < in_flight; ++number) {
        gesture::Truth truth;
        frames.push_back(film.frame(number * 10, truth));
    }
    return frames;
}

// Something that puts frames through, from its own slots in turn.
struct Rival {
    std::string name;
    std::function<void(std::size_t frames, std::size_t depth)> run;
    std::function<gesture::Event(std::size_t slot)> told;
    useconds_t rest_us = 0;  // before the next one's turn
};

// The graph runtime in this process.
class InProcess {
   public:
    explicit InProcess(device::Device& device) : runtime_(must(graph::Runtime::create(device, {}))) {
        must(runtime_->open_graph(1, "/gesture"));
    }
    // @first: the ptask that is compiled first, so that several graphs made at the same time share the work.
    void open(const Options& options, const gesture::Pipeline& pipeline, const Frames& frames, std::size_t first) {
        context().make_current();
        const std::string text =
            gesture::graph_file("/gesture", pipeline, "", {{"frame", {"frames", ""}}, {"event", {"events", ""}}});
        const auto definition = must(control::parse_graph(text, "gesture.toml", options.folder));
        for (const auto& port : definition.ports) {
            must(runtime_->open_port(1, port));
        }
        for (std::size_t k = 0; k < definition.ptasks.size(); ++k) {
            must(runtime_->open_ptask(1, definition.ptasks[(first + k) % definition.ptasks.size()]));
        }
        for (const auto& channel : definition.channels) {
            const auto opened = must(runtime_->open_channel(1, channel));
            if (opened.channel != 0) {
                (channel.source ? out_ : in_) = opened.channel;
            }
        }
        must(runtime_->run_graph(1, definition.name));
        for (std::size_t i = 0; i < in_flight; ++i) {
            flights_.push_back(std::make_unique<Flight>(frames[i]));
        }
    }
    void run(std::size_t frames, std::size_t depth) {
        for (std::size_t i = 0; i < frames; ++i) {
            if (i >= depth) {
                flights_[(i - depth) % in_flight]->wait();
            }
            flights_[i % in_flight]->submit(*runtime_, in_, out_);
        }
        for (const auto& flight : flights_) {
            flight->wait();
        }
    }
    [[nodiscard]] gesture::Event told(std::size_t slot) const { return *flights_[slot]->event; }

   private:
    struct Flight final : graph::TransferSink {
        explicit Flight(const std::vector<std::uint16_t>& content) {
            void* memory = nullptr;
            bytes = content.size() * sizeof content[0];
            must(api().cuMemHostAlloc(&memory, bytes + sizeof(gesture::Event), 0));
            frame = static_cast<std::byte*>(memory);
            event = reinterpret_cast<gesture::Event*>(frame + bytes);
            std::memcpy(frame, content.data(), bytes);
        }
        void complete(const graph::Transfer& transfer, const yoke_completion& completion) noexcept override {
            if (completion.status != 0) {
                die(fmt::format("a transfer ended with {}", completion.status));
            }
            if (transfer.data != frame) {
                busy.store(false, std::memory_order_release);
            }
        }
        void submit(graph::Runtime& runtime, std::uint32_t in, std::uint32_t out) {
            busy.store(true, std::memory_order_relaxed);
            runtime.push(transfer(in, frame, bytes));
            runtime.pull(transfer(out, reinterpret_cast<std::byte*>(event), sizeof *event));
        }
        graph::Transfer transfer(std::uint32_t channel, std::byte* data, std::size_t length) {
            graph::Transfer t;
            t.sink = this;
            t.channel = channel;
            t.session = 1;
            t.data = data;
            t.length = static_cast<std::uint32_t>(length);
            return t;
        }
        void wait() const {
            while (busy.load(std::memory_order_acquire)) {
                __builtin_ia32_pause();
            }
        }
        std::byte* frame = nullptr;
        gesture::Event* event = nullptr;
        std::size_t bytes = 0;
        std::atomic<bool> busy{false};
    };

    std::unique_ptr<graph::Runtime> runtime_;
    std::uint32_t in_ = 0;
    std::uint32_t out_ = 0;
    std::vector<std::unique_ptr<Flight>> flights_;
};

yoke_options wide_arena() {
    yoke_options options{};
    options.arena_bytes = 64U << 20U;
    return options;
}

// The same graph in a worker. A frame goes from the arena, where a camera would have put it.
class InWorker {
   public:
    InWorker(const Options& options, const gesture::Pipeline& pipeline, const Frames& frames)
        : session_(wide_arena()), graph_(await_device(session_), "/gesture") {
        gesture::open_pipeline(session_.get(), "/gesture", pipeline, options.folder);
        in_ = graph_.channel("frames", "", gesture::outer_port(pipeline, "frame"), in_flight);
        out_ = graph_.channel("events", gesture::outer_port(pipeline, "event"), "", in_flight);
        for (const auto& frame : frames) {
            const auto bytes = std::as_bytes(std::span(frame));
            slots_.push_back({session_.alloc(bytes.size()), session_.alloc(sizeof(gesture::Event))});
            std::copy(bytes.begin(), bytes.end(), slots_.back().frame.data());
        }
        graph_.run();
    }
    void run(std::size_t frames, std::size_t depth) {
        for (std::size_t i = 0; i < frames; ++i) {
            if (i >= depth) {
                end(slots_[(i - depth) % slots_.size()]);
            }
            submit(slots_[i % slots_.size()]);
        }
        for (Slot& slot : slots_) {
            end(slot);
        }
    }
    [[nodiscard]] gesture::Event told(std::size_t slot) { return slots_[slot].event.as<gesture::Event>()[0]; }
    [[nodiscard]] int where() const { return where_; }

   private:
    struct Slot {
        Buffer frame;
        Buffer event;
        yoke_ticket push = 0;
        yoke_ticket pull = 0;
    };

    static Session& await_device(Session& session) {
        for (int tries = 0; tries < 300; ++tries) {
            const Json list = Daemon::ask(R"({"op": "list"})");
            for (const auto& device : list.value("devices", Json::array())) {
                if (device.value("name", "") == "cuda" && device.value("state", "") != "opening") {
                    return session;
                }
            }
            ::usleep(100'000);
        }
        die("the worker has opened no CUDA device: " + Daemon::ask(R"({"op": "list"})").dump());
    }
    void succeed(int status) const {
        if (status < 0) {
            die(yoke_error(session_.get()));
        }
    }
    void end(Slot& slot) {
        for (yoke_ticket* const ticket : {&slot.push, &slot.pull}) {
            if (*ticket != 0) {
                const auto result = session_.wait(std::exchange(*ticket, 0));
                succeed(result ? result->status : -ETIME);
                where_ = result->where;
            }
        }
    }
    void submit(Slot& slot) {
        succeed(yoke_submit_push(session_.get(), in_, slot.frame.data(), slot.frame.size(), 0, 0, nullptr, nullptr,
                                 &slot.push));
        succeed(yoke_submit_pull(session_.get(), out_, slot.event.data(), slot.event.size(), 0, nullptr, nullptr,
                                 &slot.pull));
    }

    Session session_;
    Graph graph_;
    std::uint32_t in_ = 0;
    std::uint32_t out_ = 0;
    std::vector<Slot> slots_;
    int where_ = -1;
};

// Every rival in turn, all rounds. Times per frame, µs, and how much faster the first is than each.
Json race(const std::vector<Rival>& rivals, std::size_t depth, const Options& options) {
    std::vector<std::size_t> frames;
    std::vector<std::vector<double>> times(rivals.size());
    for (const Rival& rival : rivals) {
        rival.run(4 * in_flight, depth);
        const double one = seconds([&] { rival.run(4 * in_flight, depth); }) / (4.0 * in_flight);
        frames.push_back(std::max<std::size_t>(4 * in_flight, static_cast<std::size_t>(options.seconds / one)));
        rival.run(frames.back() / 2, depth);
    }
    for (std::size_t round = 0; round < options.rounds; ++round) {
        for (std::size_t r = 0; r < rivals.size(); ++r) {
            times[r].push_back(seconds([&] { rivals[r].run(frames[r], depth); }) / static_cast<double>(frames[r]));
            ::usleep(rivals[r].rest_us);
        }
    }
    Json result;
    for (std::size_t r = 0; r < rivals.size(); ++r) {
        std::vector<double> ratios;
        for (std::size_t round = 0; round < options.rounds; ++round) {
            ratios.push_back(times[r][round] / times[0][round]);
        }
        const auto [least, most] = std::minmax_element(times[r].begin(), times[r].end());
        result[rivals[r].name] = {{"us", median(times[r]) * 1e6},
                                  {"least_us", *least * 1e6},
                                  {"most_us", *most * 1e6},
                                  {"graph_is_faster_by", median(ratios)}};
    }
    return result;
}

double best_of(const Json& result, bool only_graph) {
    double best = 1e30;
    for (std::size_t w = 0; w < ByHand::names.size(); ++w) {
        if (!only_graph || ByHand::ways[w] == ByHand::Way::graph) {
            best = std::min(best, result.at(ByHand::names[w]).at("graph_is_faster_by").get<double>());
        }
    }
    return best;
}

// Frames a second of the four programs, in turn with the graph.
Json pipes(const std::vector<std::string>& command, const Rival& graph, const Options& options) {
    std::vector<double> theirs;
    std::vector<double> ours;
    std::vector<double> ratios;
    bool equal = true;
    for (int round = 0; round < 3; ++round) {
        {
            const Pipes programs(command);
            for (std::size_t i = 0; i < 2 * in_flight; ++i) {
                const gesture::Event event = programs.next();
                const gesture::Event wanted = graph.told(i % in_flight);
                equal = equal && std::memcmp(&event, &wanted, sizeof event) == 0;
            }
            std::size_t count = 0;
            const std::uint64_t begin = now_ns();
            for (; count < 32 || now_ns() - begin < 1'000'000'000; ++count) {
                static_cast<void>(programs.next());
            }
            theirs.push_back(static_cast<double>(now_ns() - begin) / 1e9 / static_cast<double>(count));
        }
        const double one = seconds([&] { graph.run(4 * in_flight, in_flight); }) / (4.0 * in_flight);
        const std::size_t frames = std::max<std::size_t>(in_flight, static_cast<std::size_t>(options.seconds / one));
        ours.push_back(seconds([&] { graph.run(frames, in_flight); }) / static_cast<double>(frames));
        ratios.push_back(theirs.back() / ours.back());
    }
    return {{"frames_per_second", 1 / median(theirs)},
            {"of", graph.name},
            {"its_frames_per_second", 1 / median(ours)},
            {"ratio", median(ratios)},
            {"equal", equal}};
}

Json measure(const Options& options, const std::string& program) {
    std::vector<Fd> spawners;
    for (std::size_t i = 0; i < plans.size(); ++i) {
        spawners.push_back(must(device::start_spawner()));  // before there are threads
    }
    const Daemon daemon;
    const gesture::Pipeline pipeline = gesture::gesture_pipeline(options.camera);
    const Frames frames = rendered(options.camera);
    std::vector<std::unique_ptr<device::Device>> devices;
    std::vector<std::unique_ptr<InProcess>> graphs(plans.size());
    std::vector<Rival> rivals;
    for (std::size_t i = 0; i < plans.size(); ++i) {
        cuda::Options each{.spawner = std::move(spawners[i]), .cache_directory = {}, .lanes = plans[i].lanes};
        devices.push_back(must(cuda::open_cuda_device(each)));
        graphs[i] = std::make_unique<InProcess>(*devices[i]);
    }
    {
        std::vector<std::jthread> opening;
        for (std::size_t i = 0; i < plans.size(); ++i) {
            opening.emplace_back(
                [&, i] { graphs[i]->open(options, pipeline, frames, i * pipeline.steps.size() / plans.size()); });
        }
    }
    for (std::size_t i = 0; i < plans.size(); ++i) {
        InProcess* const graph = graphs[i].get();
        rivals.push_back({plans[i].name, [graph](std::size_t count, std::size_t depth) { graph->run(count, depth); },
                          [graph](std::size_t slot) { return graph->told(slot); }});
    }
    const std::vector<Compiled> kernels = compile(pipeline, options.folder);
    ByHand by_hand(pipeline, 0, pipeline.steps.size(), kernels, "frame", "event", in_flight);
    for (std::size_t i = 0; i < in_flight; ++i) {
        std::memcpy(by_hand.in(i).data(), frames[i].data(), by_hand.in(i).size());
    }
    const auto hand_told = [&](std::size_t slot) {
        gesture::Event event;
        std::memcpy(&event, by_hand.out(slot).data(), sizeof event);
        return event;
    };
    for (std::size_t w = 0; w < ByHand::ways.size(); ++w) {
        rivals.push_back({ByHand::names[w],
                          [&, w](std::size_t count, std::size_t depth) { by_hand.run(ByHand::ways[w], count, depth); },
                          hand_told});
    }
    Json json{{"device", devices[0]->description()}, {"width", options.camera.width}, {"height", options.camera.height},
              {"kernels", pipeline.steps.size()},    {"in_flight", in_flight},        {"rounds", options.rounds}};
    json["throughput"] = race(rivals, in_flight, options);
    json["throughput"]["against_the_best"] = best_of(json["throughput"], false);
    // With one frame in flight the plans differ in nothing that counts.
    std::vector<Rival> few(rivals.begin() + plans.size(), rivals.end());
    few.insert(few.begin(), rivals[0]);
    json["latency"] = race(few, 1, options);
    json["latency"]["of_the_cuda_graph"] = 1 / best_of(json["latency"], true);
    // The worker has a context of its own, which takes time slices until it has nothing to do for a while.
    InWorker worker(options, pipeline, frames);
    rivals.push_back({"worker", [&](std::size_t count, std::size_t depth) { worker.run(count, depth); },
                      [&](std::size_t slot) { return worker.told(slot); }, 200'000});
    const std::vector<Rival> three{rivals[0], rivals[rivals.size() - 2], rivals.back()};
    json["worker_throughput"] = race(three, in_flight, options);
    json["worker_latency"] = race(three, 1, options);
    json["worker_ran_on_cuda"] = worker.where() == YOKE_WHERE_CUDA;
    std::size_t hands = 0;
    bool equal = true;
    for (std::size_t slot = 0; slot < in_flight; ++slot) {
        const gesture::Event first = rivals[0].told(slot);
        hands += first.radius > 0 ? 1 : 0;
        for (const Rival& rival : rivals) {
            const gesture::Event event = rival.told(slot);
            equal = equal && std::memcmp(&event, &first, sizeof event) == 0;
        }
    }
    json["equal"] = equal;
    json["hands_found"] = fmt::format("{} of {}", hands, in_flight);
    if (options.pipes) {
        const std::string folder = daemon.directory() + "/kernels";
        std::filesystem::create_directory(folder);
        save(kernels, folder);
        const std::vector<std::string> command{
            program,     options.folder, "--size", fmt::format("{}x{}", options.camera.width, options.camera.height),
            "--kernels", folder,         "--part"};
        json["pipes"] = pipes(command, rivals.back(), options);
    }
    return json;
}

bool parse_size(const std::string& text, gesture::Camera& camera) {
    const std::size_t x = text.find('x');
    std::size_t width = 0;
    std::size_t height = 0;
    if (x == std::string::npos || std::from_chars(text.data(), text.data() + x, width).ec != std::errc() ||
        std::from_chars(text.data() + x + 1, text.data() + text.size(), height).ec != std::errc() || width == 0 ||
        height == 0) {
        return false;
    }
    // The same lens before a larger chip.
    const double larger = static_cast<double>(width) / static_cast<double>(camera.width);
    camera.focal_x *= larger;
    camera.focal_y *= larger;
    camera.centre_x *= larger;
    camera.centre_y *= static_cast<double>(height) / static_cast<double>(camera.height);
    camera.width = width;
    camera.height = height;
    return true;
}

bool parse(int argc, char** argv, Options& options) {
    bool sized = false;
    for (int i = 1; i < argc; ++i) {
        const std::string argument = argv[i];
        const bool more = i + 1 < argc;
        if (argument == "--no-pipes") {
            options.pipes = false;
        } else if (argument == "--size" && more) {
            sized = parse_size(argv[++i], options.camera);
        } else if (argument == "--scale" && more) {
            const double scale = std::atof(argv[++i]);
            options.seconds = std::max(0.02, 0.2 * scale);
            options.rounds = static_cast<std::size_t>(std::max(5.0, 7 * scale));
        } else if (argument == "--part" && more) {
            options.part = argv[++i];
        } else if (argument == "--kernels" && more) {
            options.kernels = argv[++i];
        } else if (argument.starts_with("--") || !options.folder.empty()) {
            return false;
        } else {
            options.folder = argument;
        }
    }
    return sized && !options.folder.empty();
}

}  // namespace
}  // namespace yoke::bench

int main(int argc, char** argv) {
    using namespace yoke::bench;
    Options options;
    if (!parse(argc, argv, options)) {
        std::fprintf(stderr, "usage: gesture_cuda_bench FOLDER --size WIDTHxHEIGHT [--scale F] [--no-pipes]\n");
        return 2;
    }
    ::signal(SIGPIPE, SIG_IGN);
    ::setenv("CUDA_DEVICE_MAX_CONNECTIONS", "32", 0);  // as a worker has them
    if (options.part == "camera") {
        pipe_camera(rendered(options.camera));
    } else if (!options.part.empty()) {
        pipe_filter(gesture::gesture_pipeline(options.camera), options.kernels, options.part == "xform");
    } else {
        std::printf("%s\n", measure(options, argv[0]).dump(2).c_str());
    }
    return 0;
}
