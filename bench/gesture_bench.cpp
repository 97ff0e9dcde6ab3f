// Frames a second of the gesture interface as one graph, through a worker, against the same kernels with the same flags
// enqueued by plain OpenCL in this process.
//
// Both are measured in turns within one run, some frames at a time, and the ratio is the median of the rounds' ratios:
// on a machine that does other things too, neighbours in time are disturbed alike. Frames are rendered beforehand; both
// must tell the same of them, byte for byte.
//
// frames_ratio: frames a second of the graph over those of plain OpenCL, 4 in flight; at least 0.95 is wanted.
// ratio_least and ratio_most: the rounds' ratios without the lowest and the highest tenth of them.
// graph_ms and opencl_ms: time per frame, medians; with one in flight that is the time from frame in to event out.
//
// What a ratio is worth is its spread over many short rounds, so there are more of them rather than longer ones:
// gesture_bench --rounds N --frames N.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <yoke/yoke.hpp>

#include "daemon.hpp"
#include "gesture/graph.hpp"
#include "gesture/synthetic.hpp"
#include "gesture_baseline.hpp"

namespace yoke::bench {
namespace {

using Frames = std::vector<std::vector<std::uint16_t>>;

[[noreturn]] void die(const std::string& what) {
    std::fprintf(stderr, "gesture_bench: %s\n", what.c_str());
    std::_Exit(1);
}

// gesture.toml, with a number of frames in flight. A frame goes from the arena, where a camera would have put it.
class GestureGraph {
   public:
    GestureGraph(Session& session, const gesture::Pipeline& pipeline, const Frames& frames, std::size_t in_flight)
        : session_(session), graph_(Graph::load(session, YOKE_GESTURE_DIR "/gesture.toml")), slots_(in_flight) {
        in_ = graph_.channel("frames", "", gesture::outer_port(pipeline, "frame"));
        out_ = graph_.channel("events", gesture::outer_port(pipeline, "event"), "");
        for (const auto& frame : frames) {
            const auto bytes = std::as_bytes(std::span(frame));
            frames_.push_back(session.alloc(bytes.size()));
            std::copy(bytes.begin(), bytes.end(), frames_.back().data());
        }
        for (Slot& slot : slots_) {
            slot.event = session.alloc(sizeof(gesture::Event));
        }
        graph_.run();
    }

    std::vector<gesture::Event> run(std::size_t count) {
        std::vector<gesture::Event> events;
        for (std::size_t i = 0; i < count + slots_.size(); ++i) {
            Slot& slot = slots_[i % slots_.size()];
            if (i >= slots_.size()) {
                end(slot.push);
                end(slot.pull);
                events.push_back(slot.event.as<gesture::Event>()[0]);
            }
            if (i < count) {
                submit(slot, frames_[i % frames_.size()]);
            }
        }
        return events;
    }

   private:
    struct Slot {
        Buffer event;
        yoke_ticket push = 0;
        yoke_ticket pull = 0;
    };
    void must(int status) const {
        if (status < 0) {
            die(yoke_error(session_.get()));
        }
    }
    void end(yoke_ticket ticket) {
        const auto result = session_.wait(ticket);
        must(result ? result->status : -ETIME);
    }
    void submit(Slot& slot, const Buffer& frame) {
        must(yoke_submit_push(session_.get(), in_, frame.data(), frame.size(), 0, 0, nullptr, nullptr, &slot.push));
        must(yoke_submit_pull(session_.get(), out_, slot.event.data(), slot.event.size(), 0, nullptr, nullptr,
                              &slot.pull));
    }

    Session& session_;
    Graph graph_;
    std::uint32_t in_ = 0;
    std::uint32_t out_ = 0;
    std::vector<Buffer> frames_;
    std::vector<Slot> slots_;
};

// The value that this part of them does not exceed.
double quantile(std::vector<double> values, double part) {
    std::sort(values.begin(), values.end());
    return values[static_cast<std::size_t>(std::lround(part * static_cast<double>(values.size() - 1)))];
}

template <typename Run>
double seconds(Run run) {
    const auto begin = std::chrono::steady_clock::now();
    run();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

Frames rendered() {
    const gesture::Synthetic film(12, {});
    Frames frames;
    for (std::uint64_t number = 0; number < 100; number += 10) {
        gesture::Truth truth;
        frames.push_back(film.frame(number, truth));
    }
    return frames;
}

// @frames_wanted: in a round, with several in flight; with one there are half as many.
void gesture_frames(benchmark::State& state, std::size_t frames_wanted) {
    const auto in_flight = static_cast<std::size_t>(state.range(0));
    const std::size_t count = in_flight == 1 ? (frames_wanted + 1) / 2 : frames_wanted;
    static const Frames frames = rendered();
    static Daemon daemon;
    const gesture::Pipeline pipeline = gesture::gesture_pipeline(gesture::Camera{});
    Session session;
    GestureGraph graph(session, pipeline, frames, in_flight);
    GestureBaseline plain(pipeline, "-cl-kernel-arg-info", in_flight);
    const auto told = graph.run(count);
    const auto wanted = plain.run(frames, count);
    if (std::memcmp(told.data(), wanted.data(), count * sizeof(gesture::Event)) != 0) {
        die("the graph and plain OpenCL tell different events");
    }
    std::vector<double> graph_times;
    std::vector<double> plain_times;
    std::vector<double> ratios;
    for (auto _ : state) {
        const double plain_time = seconds([&] { plain.run(frames, count); });
        const double graph_time = seconds([&] { graph.run(count); });
        graph_times.push_back(graph_time / static_cast<double>(count) * 1e3);
        plain_times.push_back(plain_time / static_cast<double>(count) * 1e3);
        ratios.push_back(plain_time / graph_time);
        state.SetIterationTime(graph_time);
    }
    state.counters["frames_ratio"] = quantile(ratios, 0.5);
    state.counters["ratio_least"] = quantile(ratios, 0.1);
    state.counters["ratio_most"] = quantile(ratios, 0.9);
    state.counters["graph_ms"] = quantile(graph_times, 0.5);
    state.counters["opencl_ms"] = quantile(plain_times, 0.5);
    state.SetItemsProcessed(static_cast<std::int64_t>(static_cast<std::size_t>(state.iterations()) * count));
}

struct Options {
    std::size_t rounds = 25;
    std::size_t frames = 20;  // of a round with several in flight
};

// "--name=N" or "--name N" of what Google Benchmark has left over.
Options options_of(int count, char** arguments) {
    Options options;
    for (int k = 1; k < count; ++k) {
        std::string name = arguments[k];
        const std::size_t equals = name.find('=');
        const std::string text = equals != std::string::npos ? name.substr(equals + 1)
                                 : k + 1 < count             ? arguments[++k]
                                                             : "nothing";
        name.resize(std::min(equals, name.size()));
        if (name != "--rounds" && name != "--frames") {
            die("option " + name + " is not known; there are --rounds, --frames and those of Google Benchmark");
        }
        std::size_t& value = name == "--rounds" ? options.rounds : options.frames;
        const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (code != std::errc() || end != text.data() + text.size() || value == 0 || value > 100'000) {
            die(name + " is " + text + "; give a number from 1 to 100000");
        }
    }
    return options;
}

}  // namespace
}  // namespace yoke::bench

int main(int count, char** arguments) {
    benchmark::Initialize(&count, arguments);
    const yoke::bench::Options options = yoke::bench::options_of(count, arguments);
    benchmark::RegisterBenchmark("gesture_frames", yoke::bench::gesture_frames, options.frames)
        ->ArgName("in_flight")
        ->Arg(4)
        ->Arg(1)
        ->Iterations(static_cast<benchmark::IterationCount>(options.rounds))
        ->UseManualTime()
        ->Unit(benchmark::kMillisecond);
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
}
