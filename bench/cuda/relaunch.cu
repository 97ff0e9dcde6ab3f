// A parked executive is relaunched while other kernels of its context keep the device busy: how long until its first
// answer? Its stream has the highest priority, the neighbours' the lowest; for comparison once without priorities. The
// neighbours' blocks are not interrupted, so where they fill the machine the wait is for the first of them to end.
#include <memory>

#include "burn.cuh"
#include "measurements.hpp"
#include "resident.cuh"

namespace measure {
namespace {

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

Json relaunch(Resident& resident, const char* neighbour, uint64_t rounds, uint64_t spread_ns) {
    Samples first_answer(rounds), launch_call(rounds), next_call(rounds), park(rounds);
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
        next_call.add(resident.mailbox().null_call());
        const uint64_t parking = now_ns();
        resident.park();
        park.add(now_ns() - parking);
    }
    return {{"neighbour", neighbour},
            {"first_answer", first_answer.summary()},
            {"launch_call", launch_call.summary()},
            {"next_call", next_call.summary()},
            {"park_and_synchronize", park.summary()}};
}

}  // namespace

Json measure_relaunch(double scale) {
    Streams streams;
    int device = 0, sms = 0;
    check(cudaGetDevice(&device));
    check(cudaDeviceGetAttribute(&sms, cudaDevAttrMultiProcessorCount, device));
    Resident resident(streams.executive, 1, 256);
    Json json = Json::array();
    json.push_back(relaunch(resident, "none", static_cast<uint64_t>(5000 * scale), 10'000));
    for (const uint64_t duration_ns : {50'000u, 1'000'000u, 10'000'000u}) {
        const auto rounds = static_cast<uint64_t>((duration_ns < 10'000'000 ? 1000 : 300) * scale);
        for (const Shape& shape : kShapes) {
            const Burn burn(shape, static_cast<uint32_t>(sms), duration_ns, streams.neighbour);
            for (const bool priorities : {true, false}) {
                if (!priorities && shape.blocks_per_sm == kShapes[0].blocks_per_sm) continue;
                const Feeder feeder(burn, priorities ? streams.neighbour : streams.equal);
                Json row = relaunch(resident, shape.name, rounds, duration_ns);
                row["neighbour_kernel_ns"] = burn.measured_ns();
                row["priorities"] = priorities;
                json.push_back(row);
            }
        }
    }
    return json;
}

}  // namespace measure
