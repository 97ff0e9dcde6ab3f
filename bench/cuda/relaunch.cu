// A parked executive is relaunched while other kernels of its context keep the device busy: how long until its first
// answer, and how fast are the next? Blocks that run are not interrupted, so where they fill the machine the wait is
// for the first of them to end; and a warp that came late to a busy SM may find its issue slots taken. Three settings:
// the executive's stream at the highest priority and the neighbours' at the lowest; both the same; and two SMs set
// aside in a green context.
#include <optional>

#include "burn.cuh"
#include "measurements.hpp"
#include "partition.hpp"
#include "resident.cuh"

namespace measure {
namespace {

constexpr int kNextCalls = 10;

struct Setting {
    const char* name;
    cudaStream_t executive;
    cudaStream_t neighbour;
    uint32_t sms;
};

struct Streams {
    cudaStream_t executive = nullptr, neighbour = nullptr, equal = nullptr;

    Streams() {
        int least = 0, greatest = 0;
        check(cudaDeviceGetStreamPriorityRange(&least, &greatest));
        check(cudaStreamCreateWithPriority(&executive, cudaStreamNonBlocking, greatest));
        check(cudaStreamCreateWithPriority(&neighbour, cudaStreamNonBlocking, least));
        check(cudaStreamCreateWithPriority(&equal, cudaStreamNonBlocking, greatest));
    }
    ~Streams() {
        for (cudaStream_t stream : {executive, neighbour, equal}) check(cudaStreamDestroy(stream));
    }
};

Json relaunch(Resident& resident, uint64_t rounds, uint64_t spread_ns) {
    Samples first_answer(rounds), launch_call(rounds), next_calls(rounds * kNextCalls), park(rounds);
    uint32_t random = 99;
    for (uint64_t k = 0; k < rounds; k++) {
        random = random * 1664525u + 1013904223u;
        spin_until(now_ns() + 20'000 + spread_ns * (random >> 16) / 65536);
        const uint64_t begin = now_ns();
        resident.mailbox().submit({{kCall}});
        resident.launch();
        const uint64_t launched = now_ns();
        resident.mailbox().wait();
        first_answer.add(now_ns() - begin);
        launch_call.add(launched - begin);
        for (int n = 0; n < kNextCalls; n++) next_calls.add(resident.mailbox().null_call());
        const uint64_t parking = now_ns();
        resident.park();
        park.add(now_ns() - parking);
    }
    return {{"first_answer", first_answer.summary()},
            {"launch_call", launch_call.summary()},
            {"next_ten_calls", next_calls.summary()},
            {"park_and_synchronize", park.summary()}};
}

uint64_t rounds_for(uint64_t duration_ns, double scale) {
    const double rounds = duration_ns < 1'000'000 ? 1000 : duration_ns < 10'000'000 ? 500 : 120;
    return std::max<uint64_t>(3, static_cast<uint64_t>(rounds * scale));
}

}  // namespace

Json measure_relaunch(double scale) {
    const Streams streams;
    const Ground ground;
    const Partition partition(2, true);
    int device = 0, sms = 0;
    check(cudaGetDevice(&device));
    check(cudaDeviceGetAttribute(&sms, cudaDevAttrMultiProcessorCount, device));
    const auto all = static_cast<uint32_t>(sms);
    std::vector<Setting> settings = {{"priorities", streams.executive, streams.neighbour, all},
                                     {"equal priorities", streams.executive, streams.equal, all}};
    Json json = Json::array();
    if (partition.error().empty())
        settings.push_back({"green contexts", partition.executive(), partition.rest(), partition.rest_sms()});
    else
        json.push_back({{"setting", "green contexts"}, {"error", partition.error()}});

    for (const Setting& setting : settings) {
        Resident resident(setting.executive, 1, 256);
        Json alone = {{"setting", setting.name}, {"neighbour", "none"}};
        alone.update(relaunch(resident, static_cast<uint64_t>(3000 * scale), 10'000));
        json.push_back(alone);
        for (const Kind kind : kKinds)
            for (const uint64_t duration_ns : {50'000u, 1'000'000u, 10'000'000u})
                for (const Shape& shape : kShapes) {
                    const Burn burn(ground, kind, shape, setting.sms, duration_ns, setting.neighbour);
                    const Feeder feeder(burn, setting.neighbour);
                    Json row = {{"setting", setting.name},
                                {"neighbour", shape.name},
                                {"kind", name_of(kind)},
                                {"neighbour_kernel_ns", burn.measured_ns()}};
                    row.update(relaunch(resident, rounds_for(duration_ns, scale), duration_ns));
                    json.push_back(row);
                }
    }
    return json;
}

}  // namespace measure
