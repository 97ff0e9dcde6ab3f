// What the rings cost, as ratios within one run: two processes share memory and are both awake.
//
//   ping_pong   one word bounces between the two processes: the floor, two cache-line transfers
//   round_trip  a null entry and its completion through ring::Producer and ring::Consumer
//   executive   a null echo call through the whole executive: validation, service, clocks, cost model
//
// All three are timed in turn, in short rounds, so that a change of the machine's clock or a noisy neighbour hits all
// of them alike; each benchmark reports its time per round trip in the fastest tenth of the rounds between two
// cores, and its ratio to that of ping_pong.
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>

#include "base/clock.hpp"
#include "base/memory.hpp"
#include "executive/executive.hpp"
#include "ring/consumer.hpp"
#include "ring/futex.hpp"
#include "ring/layout.hpp"
#include "ring/producer.hpp"

namespace {

using namespace yoke;

constexpr unsigned rounds = 201;
constexpr unsigned trips_per_round = 2000;
constexpr double shared_core_ns = 100;  // a bounce within one core takes about 40 ns, between two 150 and more

enum Kind { ping_pong, round_trip, full_executive, kinds };

// Words of the bare ping-pong, each on a pair of lines of its own, and the command for the other process.
struct Words {
    alignas(256) std::uint32_t ping;
    alignas(256) std::uint32_t pong;
    alignas(256) std::uint32_t command;  // Kind whose turn it is
};

[[noreturn]] void die(const char* what) {
    std::perror(what);
    std::_Exit(1);
}

template <typename T>
T need(Result<T> result) {
    if (!result) {
        std::fprintf(stderr, "%s\n", result.error().message.c_str());
        std::_Exit(1);
    }
    return std::move(*result);
}

// A session's memory, mapped by both processes.
struct SessionPair {
    executive::SessionMemory worker;
    ring::ClientView client;

    explicit SessionPair() {
        worker.layout = need(ring::make_layout({.arena_bytes = 4U << 20}));
        const Fd arena = need(create_sealed_memfd("arena", worker.layout.arena_bytes));
        const Fd status = need(create_sealed_memfd("status", worker.layout.status_bytes));
        worker.arena = need(Mapping::map(arena, worker.layout.arena_bytes, true));
        worker.status = need(Mapping::map(status, worker.layout.status_bytes, true));
        worker.bell.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
        client = {worker.arena.data(), worker.status.data(), worker.layout, worker.bell.get()};
    }
};

void pin(unsigned index) {
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    ::sched_getaffinity(0, sizeof(allowed), &allowed);
    for (unsigned cpu = 0, n = 0; cpu < CPU_SETSIZE; ++cpu) {
        if (CPU_ISSET(cpu, &allowed) && n++ == index) {
            cpu_set_t one;
            CPU_ZERO(&one);
            CPU_SET(cpu, &one);
            ::sched_setaffinity(0, sizeof(one), &one);
        }
    }
}

// The process that answers: whichever of the three is commanded.
[[noreturn]] void answer(Words& words, SessionPair& bare, SessionPair& full) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    pin(1);
    const ring::WorkerView view{bare.worker.arena.data(), bare.worker.status.data(), bare.worker.layout};
    ring::Consumer consumer(view, YOKE_RING_EXPRESS);
    const ring::ClientBell bell(view);
    std::unique_ptr<executive::Executive> executive;
    ring::Entry entry;
    std::uint32_t ping = 0;
    for (;;) {
        switch (__atomic_load_n(&words.command, __ATOMIC_ACQUIRE)) {
            case ping_pong:
                for (unsigned i = 0; i < 64; ++i) {
                    const std::uint32_t seen = yoke_load_acquire32(&words.ping);
                    if (seen != ping) {
                        ping = seen;
                        yoke_store_release32(&words.pong, seen);
                    }
                }
                break;
            case round_trip:
                for (unsigned i = 0; i < 64; ++i) {
                    if (consumer.take(entry) == ring::Take::entry) {
                        consumer.begin(entry.slot, entry.tag);
                        const yoke_completion completion{};
                        consumer.complete(entry.slot, entry.tag, completion);
                        bell.ring_if_wanted();
                    }
                }
                break;
            default:
                // The executive has threads of its own, which inherit this processor.
                if (!executive) {
                    executive = need(executive::Executive::create({.bulk_threads = 1}, nullptr));
                    need(executive->add_session(1, std::move(full.worker)).map([] { return 0; }));
                }
                static_cast<void>(ring::futex_wait(&words.command, full_executive, 0));
        }
    }
}

std::uint64_t time_ping_pong(Words& words) {
    static std::uint32_t value = 0;
    const std::uint64_t begin = now_ns();
    for (unsigned i = 0; i < trips_per_round; ++i) {
        yoke_store_release32(&words.ping, ++value);
        while (yoke_load_acquire32(&words.pong) != value) {
        }
    }
    return now_ns() - begin;
}

std::uint64_t time_ring(ring::Producer& producer, const yoke_submission& submission) {
    const std::uint64_t begin = now_ns();
    for (unsigned i = 0; i < trips_per_round; ++i) {
        const std::int64_t position = producer.submit(submission, nullptr);
        yoke_completion completion;
        if (position < 0) {
            die("the ring is full");
        }
        while (!producer.take_completion(static_cast<std::uint64_t>(position), completion)) {
        }
        if (completion.status != 0) {
            die("the call failed");
        }
    }
    return now_ns() - begin;
}

struct Measured {
    std::array<std::vector<double>, kinds> ns;  // per round trip, one element a round
};

const Measured& measure() {
    static Measured measured;
    if (!measured.ns[ping_pong].empty()) {
        return measured;
    }
    auto& words =
        *static_cast<Words*>(::mmap(nullptr, sizeof(Words), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    SessionPair bare;
    SessionPair full;
    const pid_t child = ::fork();
    if (child < 0) {
        die("fork");
    }
    if (child == 0) {
        answer(words, bare, full);
    }
    pin(0);
    ring::Producer bare_ring(bare.client, YOKE_RING_EXPRESS);
    ring::Producer full_ring(full.client, YOKE_RING_EXPRESS);
    yoke_submission submission{};
    submission.opcode = YOKE_OP_CALL;
    submission.service = YOKE_SERVICE_ECHO;
    const std::array<std::uint64_t (*)(Words&, ring::Producer&, ring::Producer&, const yoke_submission&), kinds> timed =
        {[](Words& w, ring::Producer&, ring::Producer&, const yoke_submission&) { return time_ping_pong(w); },
         [](Words&, ring::Producer& b, ring::Producer&, const yoke_submission& s) { return time_ring(b, s); },
         [](Words&, ring::Producer&, ring::Producer& f, const yoke_submission& s) { return time_ring(f, s); }};
    for (unsigned round = 0; round <= rounds; ++round) {
        for (unsigned kind = 0; kind < kinds; ++kind) {
            __atomic_store_n(&words.command, kind, __ATOMIC_RELEASE);
            static_cast<void>(ring::futex_wake(&words.command));
            ::usleep(kind == full_executive && round == 0 ? 200'000 : 200);
            const std::uint64_t ns = timed[kind](words, bare_ring, full_ring, submission);
            if (round > 0) {  // the first one warms up
                measured.ns[kind].push_back(static_cast<double>(ns) / trips_per_round);
            }
        }
    }
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    return measured;
}

// The fastest tenth of some rounds: those in which either process lost its processor say nothing about the ring.
double fastest_tenth(std::vector<double> values) {
    const auto tenth = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 10);
    std::nth_element(values.begin(), tenth, values.end());
    return *tenth;
}

// The rounds in which a line had to travel. In a virtual machine the two processors may for a while be threads of one
// core, which nothing inside shows but the ping-pong itself; then no line travels and only instructions are compared.
std::vector<std::size_t> rounds_between_cores(const Measured& measured) {
    std::vector<std::size_t> between;
    for (std::size_t i = 0; i < measured.ns[ping_pong].size(); ++i) {
        if (measured.ns[ping_pong][i] >= shared_core_ns) {
            between.push_back(i);
        }
    }
    return between;
}

void report(benchmark::State& state, Kind kind) {
    const Measured& measured = measure();
    const std::vector<std::size_t> between = rounds_between_cores(measured);
    if (between.empty()) {
        state.SkipWithError("the two processors share a core; let the benchmark run on two cores");
        return;
    }
    std::array<double, kinds> ns{};
    for (unsigned k = 0; k < kinds; ++k) {
        std::vector<double> values;
        for (const std::size_t i : between) {
            values.push_back(measured.ns[k][i]);
        }
        ns[k] = fastest_tenth(std::move(values));
    }
    for ([[maybe_unused]] auto _ : state) {
        state.SetIterationTime(ns[kind] * 1e-9);
    }
    state.counters["ratio_to_ping_pong"] = ns[kind] / ns[ping_pong];
    state.counters["rounds"] = static_cast<double>(between.size());
    state.counters["trips_per_round"] = trips_per_round;
}

int register_all() {
    for (const auto& [name, kind] : {std::pair{"ring/ping_pong", ping_pong}, std::pair{"ring/round_trip", round_trip},
                                     std::pair{"ring/executive_null_echo", full_executive}}) {
        benchmark::RegisterBenchmark(name, [k = kind](benchmark::State& state) { report(state, k); })
            ->UseManualTime()
            ->Iterations(1)
            ->Unit(benchmark::kNanosecond);
    }
    return 0;
}

const int registered = register_all();

}  // namespace

BENCHMARK_MAIN();
