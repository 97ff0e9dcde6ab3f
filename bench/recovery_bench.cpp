// How soon a session is served again after kill -9 of its worker, and how soon yoked answers again after its own.
//
//   worker/waiting_call   a call is in flight when the worker is killed: until its right result is there
//   worker/next_call      nothing is in flight: until the first call made afterwards has its right result from the next
//                         worker
//   yoked/answer          until a client that starts the next yoked on demand has its answer
//
// Each kill is one sample; reported are the median, the fastest and the slowest of them, in milliseconds. yoked
// restarts a worker at once after its first death and later with a growing pause, which these figures are not about: it
// is configured to pause one millisecond.
#include <signal.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>
#include <nlohmann/json.hpp>

#include <yoke/yoke.hpp>

#include "base/clock.hpp"
#include "daemon.hpp"

namespace {

using yoke::bench::Daemon;

constexpr int kills = 25;
constexpr std::size_t bytes = 65536;

[[noreturn]] void die(const std::string& what) {
    std::fprintf(stderr, "recovery_bench: %s\n", what.c_str());
    std::_Exit(1);
}

struct Bench {
    Daemon daemon{"[supervision]\nsuspects_max = 1000000\nbackoff_first_ms = 1\nbackoff_max_ms = 1\n"};
    yoke::Session session;
    yoke::Buffer in = session.alloc(bytes);
    yoke::Buffer out = session.alloc(bytes);

    void prepare() {
        std::memset(in.data(), 0x5a, bytes);
        std::memset(out.data(), 0, bytes);
    }
    [[nodiscard]] yoke::Call echo() { return yoke::Call(YOKE_SERVICE_ECHO, in, out).place(YOKE_PLACE_WORKER); }
    void kill_worker() {
        session.call(echo());  // there is a worker, and the session knows it
        if (::kill(static_cast<pid_t>(session.info().worker_pid), SIGKILL) != 0) {
            die("the worker cannot be killed");
        }
    }
    void check() {
        if (std::memcmp(in.data(), out.data(), bytes) != 0) {
            die("a wrong result");
        }
    }
};

Bench& bench() {
    static Bench shared;
    return shared;
}

void report(benchmark::State& state, const std::function<std::uint64_t()>& sample) {
    std::vector<double> ms;
    for (int k = 0; k < kills; k++) {
        ms.push_back(static_cast<double>(sample()) * 1e-6);
    }
    std::sort(ms.begin(), ms.end());
    for (auto _ : state) {
        state.SetIterationTime(ms[ms.size() / 2] * 1e-3);
    }
    state.counters["median_ms"] = ms[ms.size() / 2];
    state.counters["min_ms"] = ms.front();
    state.counters["max_ms"] = ms.back();
}

// Stops all threads of the worker, so that a call made now waits for sure.
void stop(pid_t worker) {
    ::kill(worker, SIGSTOP);
    const std::string tasks = "/proc/" + std::to_string(worker) + "/task";
    for (const auto& thread : std::filesystem::directory_iterator(tasks)) {
        for (std::string line; line.find(") T ") == std::string::npos;) {
            std::ifstream stat(thread.path() / "stat");
            std::getline(stat, line);
        }
    }
}

void waiting_call(benchmark::State& state) {
    Bench& b = bench();
    report(state, [&] {
        b.session.call(b.echo());
        const auto worker = static_cast<pid_t>(b.session.info().worker_pid);
        stop(worker);
        b.prepare();
        const yoke_ticket ticket = b.session.submit(b.echo());
        const std::uint64_t begin = yoke::now_ns();
        ::kill(worker, SIGKILL);
        const auto result = b.session.wait(ticket, yoke::forever);
        const std::uint64_t took = yoke::now_ns() - begin;
        if (!result || result->status != 0 || static_cast<pid_t>(b.session.info().worker_pid) == worker) {
            die("a call that waited was not repeated");
        }
        b.check();
        return took;
    });
}

void next_call(benchmark::State& state) {
    Bench& b = bench();
    report(state, [&] {
        b.kill_worker();
        const std::uint64_t begin = yoke::now_ns();
        b.prepare();
        b.session.call(b.echo());
        const std::uint64_t took = yoke::now_ns() - begin;
        b.check();
        return took;
    });
}

void yoked_answer(benchmark::State& state) {
    Bench& b = bench();
    report(state, [&] {
        b.session.call(b.echo());
        const auto status = Daemon::ask(R"({"op": "status"})", true);
        if (!status.is_object()) {
            die("yoked does not answer");
        }
        const std::uint64_t begin = yoke::now_ns();
        ::kill(status["pid"].get<pid_t>(), SIGKILL);
        while (true) {
            const auto list = Daemon::ask(R"({"op": "list", "kind": "sessions"})", true);
            if (list.is_object() && list["sessions"].size() == 1) {
                break;
            }
        }
        return yoke::now_ns() - begin;
    });
}

BENCHMARK(waiting_call)->Name("worker/waiting_call")->UseManualTime()->Iterations(1)->Unit(benchmark::kMillisecond);
BENCHMARK(next_call)->Name("worker/next_call")->UseManualTime()->Iterations(1)->Unit(benchmark::kMillisecond);
BENCHMARK(yoked_answer)->Name("yoked/answer")->UseManualTime()->Iterations(1)->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
