// What the resident kernel and other kernels are to each other, in one JSON document (stdout).
//
// Usage: beside_bench [--scale F] [--neighbour]
//
// Express calls of a client process while graph kernels of the same worker fill the device, with a launch at high
// priority beside the same kernels as what there would be without a resident kernel; what those kernels lose to a
// resident kernel of their own context; and what another process's kernels lose to a worker that is parked, resident
// without calls, or serving 10 000 calls a second (--neighbour: only this, for a run under MPS). Kernels spin for a
// time, in blocks that fill the device four times over.
#include <unistd.h>

#include <array>
#include <cstdio>
#include <thread>

#include "clients.hpp"
#include "device/cpu/spawner.hpp"
#include "device/cuda/cuda_device.hpp"
#include "gpu_use.hpp"
#include "own_kernels.hpp"

namespace yoke::executive {
namespace {

double scale = 1.0;
const GpuUse gpu_use;

struct Code {
    CUfunction burn = nullptr;
    CUfunction nothing = nullptr;
};

Code load(const device::cuda::Context& context) {
    CUlibrary library = nullptr;
    CUkernel burn = nullptr;
    CUkernel nothing = nullptr;
    context.make_current();
    context.driver->cuLibraryLoadData(&library, own_kernels_source, nullptr, nullptr, 0, nullptr, nullptr, 0);
    context.driver->cuLibraryGetKernel(&burn, library, "burn");
    context.driver->cuLibraryGetKernel(&nothing, library, "nothing");
    return {reinterpret_cast<CUfunction>(burn), reinterpret_cast<CUfunction>(nothing)};
}

Json high_priority_launches(const Code& code, std::uint64_t count) {
    const device::cuda::Context& context = **device::cuda::primary_context();
    const device::cuda::Driver& api = *context.driver;
    context.make_current();
    int low = 0;
    int high = 0;
    CUstream stream = nullptr;
    api.cuCtxGetStreamPriorityRange(&low, &high);
    api.cuStreamCreateWithPriority(&stream, CU_STREAM_NON_BLOCKING, high);
    std::vector<double> samples;
    for (std::uint64_t i = 0; i < count; ++i) {
        const std::uint64_t begin = now_ns();
        api.cuLaunchKernel(code.nothing, 1, 1, 1, 32, 1, 1, 0, stream, nullptr, nullptr);
        api.cuStreamSynchronize(stream);
        samples.push_back(static_cast<double>(now_ns() - begin) / 1e3);
    }
    api.cuStreamDestroy(stream);
    std::sort(samples.begin(), samples.end());
    const auto at = [&samples](double part) {
        return samples[std::min(samples.size() - 1,
                                static_cast<std::size_t>(part * static_cast<double>(samples.size())))];
    };
    return {{"launches", count}, {"median_us", at(0.5)}, {"p99_us", at(0.99)}, {"p999_us", at(0.999)}};
}

Json own_kernels(Bench& bench, device::Device& device, const Code& code) {
    Json rows = Json::array();
    for (const double microseconds : {0.0, 50.0, 1000.0, 10'000.0}) {
        std::unique_ptr<OwnKernels> kernels;
        if (microseconds > 0) {
            kernels = std::make_unique<OwnKernels>(device, OwnKernels::Shape{.microseconds = microseconds});
            kernels->begin();
        }
        Json row{{"kernels_us", microseconds}};
        for (const std::uint32_t bytes : {0U, 4096U}) {
            Task task;
            task.in_bytes = task.out_bytes = bytes;
            task.calls = static_cast<std::uint64_t>(100'000 * scale);
            row[bytes == 0 ? "null" : "echo 4 KiB"] = bench.run({task});
        }
        row["launch at high priority"] = high_priority_launches(code, static_cast<std::uint64_t>(2000 * scale) + 10);
        row["kernels_per_s"] = kernels ? kernels->stop() : 0.0;
        rows.push_back(row);
    }
    return rows;
}

// What graph kernels of a context lose to the resident kernel in it: kernels per second, alone and beside it.
Json footprint(Bench& bench, device::Device& device) {
    std::vector<std::pair<const char*, std::unique_ptr<OwnKernels>>> shapes;
    const auto add = [&](const char* what, const OwnKernels::Shape& shape) {
        shapes.emplace_back(what, std::make_unique<OwnKernels>(device, shape));
    };
    add("50 us, four waves", {.microseconds = 50});
    add("1 ms, four waves", {.microseconds = 1000});
    add("50 us, exactly one wave", {.microseconds = 50, .waves = 1});
    add("copies of 64 MiB within the device", {.bytes = 64U << 20});
    const auto all = [&](const char* worker, const auto& meanwhile) {
        Json row{{"worker", worker}, {"resident", bench.executive_->device().resident}};
        for (const auto& [what, kernels] : shapes) {
            kernels->begin();
            meanwhile();
            row[what] = kernels->stop();
        }
        row["resident_at_the_end"] = bench.executive_->device().resident;
        return row;
    };
    const auto wait = [] { ::usleep(static_cast<useconds_t>(400'000 * scale) + 50'000); };
    Limits limits;
    limits.cuda = true;
    limits.bulk_threads = 2;
    Task task;
    task.in_bytes = task.out_bytes = 4096;
    task.calls = static_cast<std::uint64_t>(60'000 * scale) + 1000;
    Json rows = Json::array();
    if (!bench.open(limits)) {
        return rows;
    }
    all("", wait);  // warm-up
    rows.push_back(all("parked", wait));
    rows.push_back(all("serving as fast as it can", [&] { bench.run({task}); }));
    limits.device_idle_ns = 60'000'000'000;  // keeps the ring, and so the kernel
    if (bench.open(limits)) {
        bench.add(4U << 20);
        bench.run_processes({task});
        rows.push_back(all("resident without calls", wait));
        bench.clear();
    }
    limits.device_idle_ns = Limits().device_idle_ns;
    if (bench.open(limits)) {
        rows.push_back(all("parked, at the end", wait));
    }
    return rows;
}

// Another process with a context of its own. Asked for a duration, it answers with the kernels that it did per second.
class Neighbour {
   public:
    Neighbour() {
        if (::pipe(ask_.data()) != 0 || ::pipe(answer_.data()) != 0) {
            std::exit(1);
        }
        child_ = ::fork();
        if (child_ == 0) {
            ::close(ask_[1]);
            serve();
        }
        ::close(ask_[0]);
    }
    Neighbour(const Neighbour&) = delete;
    Neighbour& operator=(const Neighbour&) = delete;
    ~Neighbour() {
        ::close(ask_[1]);
        ::waitpid(child_, nullptr, 0);
    }
    void begin(double microseconds) const {
        if (::write(ask_[1], &microseconds, sizeof microseconds) != sizeof microseconds) {
            std::exit(1);
        }
    }
    [[nodiscard]] double end() const {
        double rate = 0;
        return ::read(answer_[0], &rate, sizeof rate) == sizeof rate ? rate : 0.0;
    }

   private:
    [[noreturn]] void serve() const {
        auto found = device::cuda::primary_context();
        if (!found) {
            ::_exit(1);
        }
        const device::cuda::Context& context = **found;
        const device::cuda::Driver& api = *context.driver;
        const Code code = load(context);
        CUstream stream = nullptr;
        std::array<CUevent, 4> events{};
        api.cuStreamCreateWithPriority(&stream, CU_STREAM_NON_BLOCKING, 0);
        for (CUevent& event : events) {
            api.cuEventCreate(&event, CU_EVENT_DISABLE_TIMING);
        }
        double microseconds = 0;
        while (::read(ask_[0], &microseconds, sizeof microseconds) == sizeof microseconds) {
            std::uint64_t cycles = cycles_of(context, microseconds / waves_usual);
            void* arguments[] = {&cycles};
            const unsigned blocks = blocks_per_wave * waves_usual * static_cast<unsigned>(context.multiprocessors);
            std::uint64_t count = 0;
            const std::uint64_t begin = now_ns();
            const auto length = static_cast<std::uint64_t>(2e9 * scale) + 300'000'000;
            while (now_ns() - begin < length) {
                api.cuEventSynchronize(events[count % events.size()]);
                api.cuLaunchKernel(code.burn, blocks, 1, 1, own_kernels_threads, 1, 1, 0, stream, arguments, nullptr);
                api.cuEventRecord(events[count % events.size()], stream);
                ++count;
            }
            api.cuStreamSynchronize(stream);
            const double rate = static_cast<double>(count) / (static_cast<double>(now_ns() - begin) / 1e9);
            if (::write(answer_[1], &rate, sizeof rate) != sizeof rate) {
                break;
            }
        }
        ::_exit(0);
    }

    std::array<int, 2> ask_{};
    std::array<int, 2> answer_{};
    pid_t child_ = 0;
};

Json neighbours(const Neighbour& neighbour, Bench& bench) {
    Json rows = Json::array();
    Limits limits;
    limits.cuda = true;
    limits.bulk_threads = 2;
    const auto both = [&](const char* what, const auto& meanwhile) {
        Json row{{"worker", what}};
        for (const double microseconds : {50.0, 1000.0}) {
            neighbour.begin(microseconds);
            Json calls = meanwhile();
            row[microseconds < 100 ? "kernels_of_50_us_per_s" : "kernels_of_1_ms_per_s"] = neighbour.end();
            if (!calls.is_null()) {
                row[microseconds < 100 ? "calls_beside_50_us" : "calls_beside_1_ms"] = calls;
            }
        }
        rows.push_back(row);
    };
    const auto nothing = [] { return Json(); };
    // The first kernels of a process find clocks low, code not loaded, and perhaps a process before this one that ends.
    const std::optional<unsigned> before = gpu_use.processes();
    both("none, warm-up", nothing);
    rows.back()["processes_on_the_device"] = before ? Json(*before) : Json();
    both("none", nothing);
    both("none, again", nothing);
    if (!bench.open(limits)) {
        return rows;
    }
    ::usleep(200'000);
    both("parked", nothing);
    const auto serve = [&bench](std::uint64_t pause_ns) {
        return [&bench, pause_ns] {
            Task task;
            task.in_bytes = task.out_bytes = 4096;
            task.pause_ns = pause_ns;
            task.calls =
                static_cast<std::uint64_t>((2e9 * scale + 100'000'000) / static_cast<double>(pause_ns + 10'000));
            return bench.run({task});
        };
    };
    both("serving 10 000 calls/s", serve(90'000));
    both("serving as fast as it can", serve(1));
    limits.device_idle_ns = 60'000'000'000;  // keeps the ring, and so the kernel
    if (bench.open(limits)) {
        Task task;
        task.calls = 20'000;
        bench.add(4U << 20);
        bench.run_processes({task});
        both("resident without calls", nothing);
        bench.clear();
    }
    bench.executive_.reset();  // its context stays
    both("none, at the end", nothing);
    return rows;
}

int run(bool only_neighbour) {
    const Neighbour neighbour;  // before this process has opened the driver
    auto spawner = device::start_spawner();
    if (!spawner) {
        std::fprintf(stderr, "beside_bench: %s\n", spawner.error().message.c_str());
        return 1;
    }
    Bench bench;
    bench.json["neighbour"] = neighbours(neighbour, bench);
    if (!only_neighbour && !bench.json.contains("error")) {
        device::cuda::Options options{.spawner = std::move(*spawner), .cache_directory = {}};
        auto device = device::cuda::open_cuda_device(options);
        Limits limits;
        limits.cuda = true;
        if (!device || !bench.open(limits)) {
            return 1;
        }
        const Code code = load(**device::cuda::primary_context());
        bench.json["own_kernels"] = own_kernels(bench, **device, code);
        bench.json["footprint"] = footprint(bench, **device);
        bench.executive_.reset();
    }
    std::printf("%s\n", bench.json.dump(2).c_str());
    return 0;
}

}  // namespace
}  // namespace yoke::executive

int main(int argc, char** argv) {
    bool only_neighbour = false;
    for (int i = 1; i < argc; ++i) {
        if (std::strcmp(argv[i], "--scale") == 0 && i + 1 < argc) {
            yoke::executive::scale = std::atof(argv[++i]);
        } else if (std::strcmp(argv[i], "--neighbour") == 0) {
            only_neighbour = true;
        } else {
            std::fprintf(stderr, "usage: beside_bench [--scale F] [--neighbour]\n");
            return 2;
        }
    }
    return yoke::executive::run(only_neighbour);
}
