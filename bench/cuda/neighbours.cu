// What does a resident executive of 1, 2 or 4 blocks cost the other kernels of its context, idle and while it serves
// calls, and what do these cost its calls? The kernels last about 50 us and come in three shapes. Then the same with a
// green context that reserves a few SMs for the executive: the others either keep the whole machine (only the executive
// is confined), or the rest of it, with grids made for all SMs or for those that are left.
#include <atomic>
#include <memory>
#include <optional>

#include "burn.cuh"
#include "measurements.hpp"
#include "partition.hpp"
#include "resident.cuh"

namespace measure {
namespace {

constexpr uint64_t kKernelNs = 50'000;

// Median over a few repeats of kernels per second, launched back to back.
double kernels_per_second(const Burn& burn, cudaStream_t stream, uint32_t kernels, int repeats = 5) {
    std::vector<double> rates;
    for (int k = 0; k < repeats; k++) {
        check(cudaStreamSynchronize(stream));
        const uint64_t begin = now_ns();
        for (uint32_t n = 0; n < kernels; n++) burn.launch(stream);
        check(cudaStreamSynchronize(stream));
        rates.push_back(kernels * 1e9 / static_cast<double>(now_ns() - begin));
    }
    std::sort(rates.begin(), rates.end());
    return rates[rates.size() / 2];
}

// Makes calls at up to 20 000 a second from its own thread.
class Caller {
   public:
    explicit Caller(Mailbox& mailbox) : mailbox_(mailbox), thread_([this] { run(); }) {}

    Json stop() {
        stop_ = true;
        thread_.join();
        return samples_.summary();
    }

   private:
    void run() {
        uint32_t random = 7;
        while (!stop_) {
            random = random * 1664525u + 1013904223u;
            spin_until(now_ns() + 20'000 + (random >> 17));
            samples_.add(mailbox_.null_call());
        }
    }

    Mailbox& mailbox_;
    Samples samples_;
    std::atomic<bool> stop_ = false;
    std::thread thread_;
};

struct Setting {
    const char* name;
    cudaStream_t executive;
    cudaStream_t neighbour;
    uint32_t sms_for_grid;
};

class Bench {
   public:
    Bench(double scale, Kind kind, uint32_t sms)
        : kind_(kind), sms_(sms), kernels_(std::max(50u, static_cast<uint32_t>(600 * scale))) {
        int least = 0, greatest = 0;
        check(cudaDeviceGetStreamPriorityRange(&least, &greatest));
        check(cudaStreamCreateWithPriority(&executive_, cudaStreamNonBlocking, greatest));
        check(cudaStreamCreateWithPriority(&neighbour_, cudaStreamNonBlocking, least));
        for (size_t s = 0; s < std::size(kShapes); s++) {
            burns_[s].emplace(ground_, kind, kShapes[s], sms, kKernelNs, neighbour_);
            alone_[s] = kernels_per_second(*burns_[s], neighbour_, kernels_);
        }
    }
    ~Bench() {
        check(cudaStreamDestroy(executive_));
        check(cudaStreamDestroy(neighbour_));
    }

    Setting shared() const { return {"one context", executive_, neighbour_, sms_}; }
    cudaStream_t neighbour() const { return neighbour_; }
    Json take() { return std::move(rows_); }

    void run(const Setting& setting, uint32_t blocks, uint32_t threads) {
        std::optional<Resident> resident;
        if (blocks > 0) resident.emplace(setting.executive, blocks, threads);
        for (size_t s = 0; s < std::size(kShapes); s++) {
            const Burn burn = burns_[s]->with_blocks(kShapes[s].blocks_per_sm * setting.sms_for_grid);
            Json row = {{"setting", setting.name},
                        {"executive_blocks", blocks},
                        {"executive_threads", threads},
                        {"grid_for_sms", setting.sms_for_grid},
                        {"kind", name_of(kind_)},
                        {"neighbour", kShapes[s].name},
                        {"alone_kernels_per_second", alone_[s]}};
            if (resident) {
                resident->launch();
                resident->mailbox().null_call();
            }
            row["work_rate_beside_idle"] = ratio(s, burn, setting.neighbour);
            if (resident) {
                Caller caller(resident->mailbox());
                row["work_rate_beside_serving"] = ratio(s, burn, setting.neighbour);
                row["call"] = caller.stop();
                resident->park();
            }
            rows_.push_back(row);
        }
    }

   private:
    // Work done per second against the same shape alone on the whole machine.
    double ratio(size_t shape, const Burn& burn, cudaStream_t stream) const {
        return kernels_per_second(burn, stream, kernels_) * burn.work() / (alone_[shape] * burns_[shape]->work());
    }

    Ground ground_;
    Kind kind_;
    uint32_t sms_;
    uint32_t kernels_;
    cudaStream_t executive_ = nullptr, neighbour_ = nullptr;
    std::optional<Burn> burns_[std::size(kShapes)];
    double alone_[std::size(kShapes)] = {};
    Json rows_ = Json::array();
};

Json try_partitions() {
    Json json = Json::array();
    for (const bool ignore : {true, false})
        for (const uint32_t sms : {1u, 2u, 4u, 8u}) {
            const uint64_t begin = now_ns();
            const Partition partition(sms, ignore);
            Json row = {{"wanted_sms", sms}, {"ignore_coscheduling", ignore}};
            if (!partition.error().empty()) row["error"] = partition.error();
            row["executive_sms"] = partition.executive_sms();
            row["rest_sms"] = partition.rest_sms();
            row["create_ns"] = now_ns() - begin;
            json.push_back(row);
        }
    return json;
}

Json beside(double scale, Kind kind, uint32_t sms) {
    Bench bench(scale, kind, sms);
    bench.run(bench.shared(), 0, 0);
    for (const uint32_t blocks : {1u, 2u, 4u}) bench.run(bench.shared(), blocks, 256);
    for (const uint32_t threads : {32u, 1024u}) bench.run(bench.shared(), 1, threads);

    const Partition partition(2, true);
    if (!partition.error().empty()) return bench.take();  // why is in the list of partitions
    const Setting confined = {"executive in a green context, others in the whole device", partition.executive(),
                              bench.neighbour(), sms};
    const Setting naive = {"green contexts, grids for all SMs", partition.executive(), partition.rest(), sms};
    const Setting fitted = {"green contexts, grids for the rest", partition.executive(), partition.rest(),
                            partition.rest_sms()};
    for (const Setting& setting : {naive, fitted}) bench.run(setting, 0, 0);
    for (const uint32_t blocks : {1u, 2u, 4u}) bench.run(fitted, blocks, 256);
    for (const Setting& setting : {confined, naive}) bench.run(setting, 1, 256);
    return bench.take();
}

}  // namespace

Json measure_neighbours(double scale) {
    int device = 0, sms = 0;
    check(cudaGetDevice(&device));
    check(cudaDeviceGetAttribute(&sms, cudaDevAttrMultiProcessorCount, device));
    Json json;
    json["partitions"] = try_partitions();
    for (const Kind kind : kKinds)
        for (const Json& row : beside(scale, kind, static_cast<uint32_t>(sms))) json["rows"].push_back(row);
    return json;
}

}  // namespace measure
