// What a worker costs that has nothing to do, and beside it one under load: the GPU's use, processor time and wake-ups,
// in one JSON document (stdout).
//
// Usage: idle_bench [--seconds N] [--scale F]
//
// A private yoked and its worker, programs of their own as everywhere. Load is echoes of 4 KiB by a client that spins.
// Then the client goes to sleep, the resident kernel parks, and nobody asks for anything; after two seconds, so that
// the library's last sample period is over, all is measured for the rest.
#include <signal.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <nlohmann/json.hpp>

#include <yoke/yoke.hpp>

#include "daemon.hpp"
#include "gpu_use.hpp"

namespace {

using Json = nlohmann::json;
using yoke::bench::Daemon;
using Clock = std::chrono::steady_clock;

[[noreturn]] void die(const std::string& what) {
    std::fprintf(stderr, "idle_bench: %s\n", what.c_str());
    std::exit(1);
}

// By a process so far; wake-ups of the threads that it still has.
struct Used {
    double seconds = 0;
    std::uint64_t wake_ups = 0;
};

Used used_by(pid_t process) {
    Used used;
    clockid_t clock{};
    timespec time{};
    if (::clock_getcpuclockid(process, &clock) == 0 && ::clock_gettime(clock, &time) == 0) {
        used.seconds = static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
    }
    std::error_code gone;
    for (const auto& thread : std::filesystem::directory_iterator("/proc/" + std::to_string(process) + "/task", gone)) {
        std::ifstream status(thread.path() / "status");
        for (std::string word; status >> word;) {
            if (word == "voluntary_ctxt_switches:") {
                std::uint64_t switches = 0;
                status >> switches;
                used.wake_ups += switches;
            }
        }
    }
    return used;
}

// While `work` goes on until the time is over; it is asked again and again.
template <typename Work>
Json watch(const yoke::GpuUse& gpu, pid_t worker, double seconds, const Work& work) {
    Json percent = Json::array();
    const Used before = used_by(worker);
    const auto begin = Clock::now();
    const auto elapsed = [&] { return std::chrono::duration<double>(Clock::now() - begin).count(); };
    double next = 0.5;
    while (elapsed() < seconds) {
        work();
        if (elapsed() >= next) {
            const auto now = gpu.percent();
            percent.push_back(now ? Json(*now) : Json());
            next += 0.5;
        }
    }
    const Used after = used_by(worker);
    return {{"seconds", elapsed()},
            {"gpu_percent", percent},
            {"worker_cpu_s", after.seconds - before.seconds},
            {"worker_cores", (after.seconds - before.seconds) / elapsed()},
            {"worker_wake_ups_per_s", static_cast<double>(after.wake_ups - before.wake_ups) / elapsed()}};
}

Json device() {
    const Json list = Daemon::ask(R"({"op": "list"})");
    for (const Json& each : list.value("devices", Json::array())) {
        if (each["name"] == "cuda") {
            return each;
        }
    }
    return nullptr;
}

int run(double seconds) {
    using std::chrono::milliseconds;
    const Daemon daemon;
    const yoke::GpuUse gpu;
    yoke::Session session;
    yoke::Buffer in = session.alloc(4096);
    yoke::Buffer out = session.alloc(4096);
    const yoke::Call echo = yoke::Call(YOKE_SERVICE_ECHO, in, out).place(YOKE_PLACE_WORKER);
    std::uint64_t calls = 0;
    std::uint64_t on_kernel = 0;
    const auto call = [&] {
        const bool on_nsk = session.call(echo).where == YOKE_WHERE_NSK;
        ++calls;
        on_kernel += on_nsk ? 1 : 0;
    };
    const auto has_device = [] {
        const Json found = device();
        return !found.is_null() && (found["state"] == "opening" || found["state"] == "open");
    };
    for (const auto end = Clock::now() + std::chrono::seconds(30); on_kernel == 0 && Clock::now() < end;) {
        call();
        if (calls % 1000 == 0 && !has_device()) {
            break;  // the figures of a machine without a device
        }
    }
    const auto worker = static_cast<pid_t>(session.info().worker_pid);
    Json json{{"device", device()}};
    calls = on_kernel = 0;
    json["load"] = watch(gpu, worker, seconds, call);
    json["load"]["calls"] = calls;
    json["load"]["on_kernel"] = on_kernel;
    const auto rest = [] { std::this_thread::sleep_for(milliseconds(100)); };
    const auto idle = [&] {
        std::this_thread::sleep_for(std::chrono::seconds(2));
        Json figures = watch(gpu, worker, seconds, rest);
        figures["device"] = device();
        figures["same_worker"] = ::kill(worker, 0) == 0;
        return figures;
    };
    json["idle"] = idle();
    std::printf("%s\n", json.dump(2).c_str());
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    double seconds = 5;
    double scale = 1;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (std::strcmp(argv[i], "--seconds") == 0) {
            seconds = std::atof(argv[i + 1]);
        } else if (std::strcmp(argv[i], "--scale") == 0) {
            scale = std::atof(argv[i + 1]);
        } else {
            std::fprintf(stderr, "usage: idle_bench [--seconds N] [--scale F]\n");
            return 2;
        }
    }
    try {
        return run(std::max(1.0, seconds * scale));
    } catch (const yoke::error& failed) {
        die(failed.what());
    }
}
