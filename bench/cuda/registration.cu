// Sessions come and go while a kernel is resident, and each brings memory to register. Which calls of the driver wait
// for the kernel to end, and which other calls then wait behind them? Every call runs in a thread of its own; one that
// has not returned after a grace period counts as blocked, and the kernel is parked to let it go. Meanwhile a client
// makes calls.
#include <atomic>
#include <functional>
#include <memory>
#include <thread>

#include "measurements.hpp"
#include "resident.cuh"

namespace measure {
namespace {

constexpr uint64_t kGraceNs = 200'000'000u;
constexpr uint64_t kFarNs = 15'000'000'000u;  // the resident kernel ends by itself

class Attempt {
   public:
    explicit Attempt(std::function<void()> work)
        : begin_(now_ns()), thread_([this, work = std::move(work)] {
              work();
              end_ = now_ns();
          }) {}
    ~Attempt() { thread_.join(); }

    bool ended_by(uint64_t deadline_ns) const {
        while (end_ == 0 && now_ns() < deadline_ns) std::this_thread::yield();
        return end_ != 0;
    }
    uint64_t wait() const {
        ended_by(now_ns() + kFarNs * 2);
        return end_ - begin_;
    }

   private:
    uint64_t begin_;
    std::atomic<uint64_t> end_ = 0;
    std::thread thread_;
};

struct Bench {
    static constexpr int kProbes = 4;

    cudaStream_t executive = nullptr, side[kProbes] = {};  // no probe waits in a stream behind another
    std::unique_ptr<Resident> resident;
    void* device_memory = nullptr;
    std::unique_ptr<Arena> arena = std::make_unique<Arena>(1 << 20);

    Bench() {
        int least = 0, greatest = 0;
        check(cudaDeviceGetStreamPriorityRange(&least, &greatest));
        check(cudaStreamCreateWithPriority(&executive, cudaStreamNonBlocking, greatest));
        for (cudaStream_t& stream : side) check(cudaStreamCreateWithPriority(&stream, cudaStreamNonBlocking, least));
        check(cudaMalloc(&device_memory, 1 << 20));
        resident = std::make_unique<Resident>(executive, 1, 32, kFarNs);
        other_ = std::make_unique<Resident>(side[1], 1, 32, kFarNs);
    }
    ~Bench() {
        resident.reset();
        other_.reset();
        check(cudaFree(device_memory));
        check(cudaStreamDestroy(executive));
        for (cudaStream_t stream : side) check(cudaStreamDestroy(stream));
    }

    void start() {
        resident->launch();
        resident->mailbox().null_call();
    }

    // The calls that a worker makes beside its resident kernel.
    std::vector<std::pair<const char*, std::function<void()>>> probes() {
        return {{"cudaMemcpyAsync and wait",
                 [this] {
                     check(cudaMemcpyAsync(device_memory, arena->host<void>(), 65536, cudaMemcpyHostToDevice, side[0]));
                     check(cudaStreamSynchronize(side[0]));
                 }},
                {"launch and wait",
                 [this] {
                     other_->mailbox().submit({{kPark}});
                     other_->launch();
                     other_->mailbox().wait();
                     check(cudaStreamSynchronize(side[1]));
                 }},
                {"cudaMallocAsync, cudaFreeAsync",
                 [this] {
                     void* p = nullptr;
                     check(cudaMallocAsync(&p, 1 << 20, side[2]));
                     check(cudaFreeAsync(p, side[2]));
                     check(cudaStreamSynchronize(side[2]));
                 }},
                {"cudaEventRecord and wait", [this] {
                     cudaEvent_t event;
                     check(cudaEventCreate(&event));
                     check(cudaEventRecord(event, side[3]));
                     check(cudaEventSynchronize(event));
                     check(cudaEventDestroy(event));
                 }}};
    }

   private:
    std::unique_ptr<Resident> other_;
};

Json churn_alone(size_t bytes, int rounds) {
    SharedMemory memory(bytes);
    Samples on, off;
    for (int k = 0; k < rounds; k++) {
        const uint64_t begin = now_ns();
        check(cudaHostRegister(memory.base(), bytes, cudaHostRegisterMapped | cudaHostRegisterPortable));
        const uint64_t middle = now_ns();
        check(cudaHostUnregister(memory.base()));
        on.add(middle - begin);
        off.add(now_ns() - middle);
    }
    return {{"bytes", bytes}, {"register", on.summary()}, {"unregister", off.summary()}};
}

// Calls of a client while another thread registers @bytes again and again and nothing is unregistered.
Json register_beside_calls(Bench& bench, size_t bytes, int rounds) {
    std::vector<std::unique_ptr<SharedMemory>> pieces;
    for (int k = 0; k < rounds; k++) pieces.push_back(std::make_unique<SharedMemory>(bytes));
    bench.start();
    Samples quiet, during, on;
    for (int k = 0; k < 20000; k++) quiet.add(bench.resident->mailbox().null_call());
    std::atomic<bool> done = false;
    std::thread churn([&] {
        for (auto& piece : pieces) {
            const uint64_t begin = now_ns();
            check(cudaHostRegister(piece->base(), bytes, cudaHostRegisterMapped | cudaHostRegisterPortable));
            on.add(now_ns() - begin);
        }
        done = true;
    });
    while (!done) during.add(bench.resident->mailbox().null_call());
    churn.join();
    bench.resident->park();
    for (auto& piece : pieces) check(cudaHostUnregister(piece->base()));
    return {{"bytes", bytes},
            {"register", on.summary()},
            {"calls_before", quiet.summary()},
            {"calls_during", during.summary()}};
}

// Starts one blocking candidate, then each probe behind it, and notes who came back before the kernel was parked.
Json who_waits(Bench& bench, const char* name, const std::function<void()>& first, bool expect_register) {
    bench.start();
    Json json = {{"first_call", name}};
    SharedMemory extra(1 << 20);
    {
        Attempt candidate(first);
        const bool returned = candidate.ended_by(now_ns() + kGraceNs);
        json["returned_while_resident"] = returned;
        json["calls_meanwhile"] = [&] {
            Samples calls;
            for (int k = 0; k < 20000; k++) calls.add(bench.resident->mailbox().null_call());
            return calls.summary();
        }();
        std::vector<std::pair<const char*, std::unique_ptr<Attempt>>> attempts;
        Json behind = Json::array();
        for (auto& [what, work] : bench.probes()) {
            attempts.emplace_back(what, std::make_unique<Attempt>(work));
            behind.push_back({{"call", what}, {"returned", attempts.back().second->ended_by(now_ns() + kGraceNs)}});
        }
        if (expect_register) {
            attempts.emplace_back("cudaHostRegister", std::make_unique<Attempt>([&] {
                                      check(cudaHostRegister(extra.base(), extra.bytes(),
                                                             cudaHostRegisterMapped | cudaHostRegisterPortable));
                                  }));
            behind.push_back(
                {{"call", "cudaHostRegister"}, {"returned", attempts.back().second->ended_by(now_ns() + kGraceNs)}});
        }
        bench.resident->park();
        json["first_call_ns"] = candidate.wait();
        for (size_t k = 0; k < attempts.size(); k++) behind[k]["ns"] = attempts[k].second->wait();
        json["calls_behind_it"] = behind;
    }
    if (expect_register) check(cudaHostUnregister(extra.base()));
    return json;
}

// The way around: park, unregister, relaunch. How long is the express ring without service?
Json park_to_unregister(Bench& bench, size_t bytes, int rounds) {
    Samples gap;
    SharedMemory memory(bytes);
    bench.start();
    for (int k = 0; k < rounds; k++) {
        check(cudaHostRegister(memory.base(), bytes, cudaHostRegisterMapped | cudaHostRegisterPortable));
        const uint64_t begin = now_ns();
        bench.resident->park();
        check(cudaHostUnregister(memory.base()));
        bench.start();
        gap.add(now_ns() - begin);
    }
    bench.resident->park();
    return {{"bytes", bytes}, {"gap", gap.summary()}};
}

}  // namespace

Json measure_registration(double scale) {
    Bench bench;
    const int rounds = std::max(3, static_cast<int>(50 * scale));
    Json json;
    for (const size_t bytes : {size_t{1} << 16, size_t{1} << 20, size_t{1} << 24, size_t{1} << 28})
        json["alone"].push_back(churn_alone(bytes, bytes > (1u << 24) ? 3 : rounds));
    for (const size_t bytes : {size_t{1} << 20, size_t{1} << 24})
        json["register_beside_calls"].push_back(register_beside_calls(bench, bytes, rounds));

    SharedMemory registered(1 << 20);
    auto do_register = [&] {
        check(
            cudaHostRegister(registered.base(), registered.bytes(), cudaHostRegisterMapped | cudaHostRegisterPortable));
    };
    void* victim = nullptr;
    check(cudaMalloc(&victim, 1 << 20));
    json["who_waits"].push_back(who_waits(
        bench, "none", [] {}, true));
    json["who_waits"].push_back(who_waits(bench, "cudaHostRegister", do_register, true));
    json["who_waits"].push_back(who_waits(
        bench, "cudaHostUnregister", [&] { check(cudaHostUnregister(registered.base())); }, true));
    json["who_waits"].push_back(who_waits(
        bench, "cudaFree", [&] { check(cudaFree(victim)); }, true));
    for (const size_t bytes : {size_t{1} << 20, size_t{1} << 24})
        json["park_to_unregister"].push_back(park_to_unregister(bench, bytes, rounds));
    return json;
}

}  // namespace measure
