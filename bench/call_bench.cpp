// What a call costs over the work that it does, through the public interface and a real worker.
//
//   caller/echo        a call in the caller against a plain memcpy of the same bytes: the price of libyoke, in ns
//   caller/aes_xts     a call in the caller against the same OpenSSL EVP loop, in ns
//   worker/aes_xts     a call in the worker against that EVP loop: rate_ratio is its throughput over the loop's
//   worker/null        an echo of nothing: the round trip through the worker, both awake
//
// Baseline and call are timed in turn, in short rounds within one run, so that a change of the machine's clock or a
// noisy neighbour hits both alike; each has memory of its own, so that neither fetches lines that the other's core has
// written. Reported are medians over the rounds. A private yoked is started for the run, in a
// directory of its own, unless YOKE_SOCKET names one.
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include <yoke/yoke.hpp>

#include "base/clock.hpp"

namespace {

using yoke::now_ns;

constexpr std::uint32_t unit_bytes = 4096;  // of a data unit: a disk's sector today
constexpr std::size_t bytes_max = 16U << 20U;

[[noreturn]] void die(const std::string& what) {
    std::fprintf(stderr, "call_bench: %s\n", what.c_str());
    std::_Exit(1);
}

// The daemon of this run, and its end.
class Daemon {
   public:
    Daemon() {
        if (::getenv("YOKE_SOCKET") != nullptr) {
            return;
        }
        directory_ = (std::filesystem::temp_directory_path() / "yoke-bench-XXXXXX").string();
        if (::mkdtemp(directory_.data()) == nullptr) {
            die("no temporary directory can be made");
        }
        ::setenv("XDG_RUNTIME_DIR", directory_.c_str(), 1);
    }
    Daemon(const Daemon&) = delete;
    Daemon& operator=(const Daemon&) = delete;
    ~Daemon() {
        if (directory_.empty()) {
            return;
        }
        char* answer = nullptr;
        const std::string socket = directory_ + "/yoke/yoke.sock";
        if (yoke_ask_daemon(socket.c_str(), 0, R"({"op": "shutdown"})", &answer) == 0) {
            std::free(answer);
        }
        for (int tries = 0; std::filesystem::exists(socket) && tries < 500; tries++) {
            ::usleep(10'000);
        }
        std::error_code ignored;
        std::filesystem::remove_all(directory_, ignored);
    }

   private:
    std::string directory_;
};

// What all benchmarks share: a session, a key in both forms, and memory.
struct Bench {
    Daemon daemon;
    yoke::Session session{yoke_options{nullptr, 80U << 20U, 0, 0, 0}};
    yoke::Buffer in = session.alloc(bytes_max);
    yoke::Buffer out = session.alloc(bytes_max);
    yoke::Buffer baseline_in = session.alloc(bytes_max);
    yoke::Buffer baseline_out = session.alloc(bytes_max);
    std::array<std::byte, 64> key_bytes{};
    std::unique_ptr<yoke::Key> key;
    std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)> context{EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free};
    yoke_params_aes_xts params{};

    Bench() {
        for (std::size_t k = 0; k < key_bytes.size(); k++) {
            key_bytes[k] = static_cast<std::byte>(k * 7 + 1);
        }
        for (yoke::Buffer* memory : {&in, &out, &baseline_in, &baseline_out}) {
            std::memset(memory->data(), 0x5a, memory->size());
        }
        key = std::make_unique<yoke::Key>(session.key(YOKE_SERVICE_AES_XTS, key_bytes));
        params.unit = unit_bytes;
        const auto* raw = reinterpret_cast<const unsigned char*>(key_bytes.data());
        if (EVP_EncryptInit_ex(context.get(), EVP_aes_256_xts(), nullptr, raw, nullptr) != 1) {
            die("OpenSSL has no AES-256-XTS");
        }
    }

    // The loop that anybody would write.
    void evp_loop(std::size_t bytes) {
        std::array<unsigned char, 16> tweak{};
        const auto* from = reinterpret_cast<const unsigned char*>(baseline_in.data());
        auto* to = reinterpret_cast<unsigned char*>(baseline_out.data());
        for (std::size_t done = 0; done < bytes; done += unit_bytes) {
            const std::uint64_t unit = done / unit_bytes;
            std::memcpy(tweak.data(), &unit, sizeof(unit));
            int written = 0;
            const int length = static_cast<int>(std::min<std::size_t>(unit_bytes, bytes - done));
            if (EVP_EncryptInit_ex(context.get(), nullptr, nullptr, nullptr, tweak.data()) != 1 ||
                EVP_EncryptUpdate(context.get(), to + done, &written, from + done, length) != 1) {
                die("OpenSSL failed");
            }
        }
    }

    yoke_call call(std::uint16_t service, std::size_t bytes, yoke_place place) {
        yoke_call call{};
        call.service = service;
        call.place = static_cast<std::uint8_t>(place);
        call.in = in.data();
        call.in_length = bytes;
        call.out = out.data();
        call.out_length = bytes;
        if (service == YOKE_SERVICE_AES_XTS) {
            call.key = key->get();
            call.params = &params;
        }
        return call;
    }

    void run(const yoke_call& call) {
        if (yoke_call_sync(session.get(), &call, nullptr) != 0) {
            die(yoke_error(session.get()));
        }
    }
};

Bench& bench() {
    static Bench shared;
    return shared;
}

double median(std::vector<double> values) {
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

struct Pair {
    std::vector<double> baseline_ns;
    std::vector<double> call_ns;

    [[nodiscard]] double ratio() const {
        std::vector<double> ratios;
        for (std::size_t k = 0; k < call_ns.size(); k++) {
            ratios.push_back(baseline_ns[k] / call_ns[k]);
        }
        return median(ratios);
    }
};

// Times both in turn; a round takes about five milliseconds of each, whatever they cost.
Pair side_by_side(const std::function<void()>& baseline, const std::function<void()>& call) {
    constexpr std::uint64_t round_ns = 5'000'000;
    constexpr int rounds = 51;
    const auto timed = [](const std::function<void()>& work, std::uint64_t repeats) {
        const std::uint64_t begin = now_ns();
        for (std::uint64_t k = 0; k < repeats; k++) {
            work();
        }
        return static_cast<double>(now_ns() - begin) / static_cast<double>(repeats);
    };
    const auto repeats_for = [&](const std::function<void()>& work) {
        timed(work, 3);
        const double ns = timed(work, 5);
        return static_cast<std::uint64_t>(std::clamp(static_cast<double>(round_ns) / ns, 1.0, 100'000.0));
    };
    const std::uint64_t baseline_repeats = repeats_for(baseline);
    const std::uint64_t call_repeats = repeats_for(call);
    Pair pair;
    for (int round = 0; round < rounds; round++) {
        pair.baseline_ns.push_back(timed(baseline, baseline_repeats));
        pair.call_ns.push_back(timed(call, call_repeats));
    }
    return pair;
}

void report(benchmark::State& state, const Pair& pair, std::size_t bytes) {
    const double call_ns = median(pair.call_ns);
    for (auto _ : state) {
        state.SetIterationTime(call_ns * 1e-9);
    }
    state.counters["baseline_ns"] = median(pair.baseline_ns);
    state.counters["over_baseline_ns"] = call_ns - median(pair.baseline_ns);
    state.counters["rate_ratio"] = pair.ratio();
    if (bytes != 0) {
        state.SetBytesProcessed(static_cast<std::int64_t>(bytes) * static_cast<std::int64_t>(state.iterations()));
    }
}

void caller_echo(benchmark::State& state) {
    const auto bytes = static_cast<std::size_t>(state.range(0));
    Bench& b = bench();
    const yoke_call call = b.call(YOKE_SERVICE_ECHO, bytes, YOKE_PLACE_CALLER);
    report(state,
           side_by_side(
               [&] {
                   std::memcpy(b.baseline_out.data(), b.baseline_in.data(), bytes);
                   benchmark::ClobberMemory();
               },
               [&] { b.run(call); }),
           bytes);
}

void caller_aes(benchmark::State& state) {
    const auto bytes = static_cast<std::size_t>(state.range(0));
    Bench& b = bench();
    const yoke_call call = b.call(YOKE_SERVICE_AES_XTS, bytes, YOKE_PLACE_CALLER);
    report(state, side_by_side([&] { b.evp_loop(bytes); }, [&] { b.run(call); }), bytes);
}

void worker_aes(benchmark::State& state) {
    const auto bytes = static_cast<std::size_t>(state.range(0));
    Bench& b = bench();
    const yoke_call call = b.call(YOKE_SERVICE_AES_XTS, bytes, YOKE_PLACE_WORKER);
    report(state, side_by_side([&] { b.evp_loop(bytes); }, [&] { b.run(call); }), bytes);
}

void worker_null(benchmark::State& state) {
    Bench& b = bench();
    const yoke_call here = b.call(YOKE_SERVICE_ECHO, 0, YOKE_PLACE_CALLER);
    const yoke_call there = b.call(YOKE_SERVICE_ECHO, 0, YOKE_PLACE_WORKER);
    report(state, side_by_side([&] { b.run(here); }, [&] { b.run(there); }), 0);
}

BENCHMARK(caller_echo)->Name("caller/echo")->Arg(64)->Arg(4096)->UseManualTime()->Iterations(1);
BENCHMARK(caller_aes)->Name("caller/aes_xts")->Arg(64)->Arg(4096)->Arg(1 << 20)->UseManualTime()->Iterations(1);
BENCHMARK(worker_null)->Name("worker/null")->UseManualTime()->Iterations(1);
BENCHMARK(worker_aes)
    ->Name("worker/aes_xts")
    ->Arg(16 << 10)
    ->Arg(64 << 10)
    ->Arg(1 << 20)
    ->Arg(16 << 20)
    ->UseManualTime()
    ->Iterations(1)
    ->Unit(benchmark::kMicrosecond);

}  // namespace

BENCHMARK_MAIN();
