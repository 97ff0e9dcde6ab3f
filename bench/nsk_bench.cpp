// The express and bulk lanes of a CUDA device, from client processes, in one JSON document (stdout).
//
// Usage: nsk_bench [--scale F] [--host] [--parts express,many_clients,bulk,stages]
//   --host: the same by the host's threads, as a baseline; without `stages`
//   stages: what is left of a call when its input, its output or its fence are left out, and its stages by the device's
//   clock; the kernels of these rows are builds for measurements, whose answers are wrong (left_out.cuh says which)
//
// Clients are processes of their own (clients.hpp). The copy rates of the same run are measured with the driver alone,
// and stand beside what is bounded by them.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "clients.hpp"
#include "device/cuda/driver.hpp"

extern "C" const unsigned char yoke_kernels_input[];
extern "C" const unsigned char yoke_kernels_output[];
extern "C" const unsigned char yoke_kernels_fence[];
extern "C" const unsigned char yoke_kernels_early_input[];
extern "C" const unsigned char yoke_kernels_clocks[];

namespace yoke::executive {
namespace {

double scale = 1.0;
std::string parts = "express,many_clients,bulk,stages";
bool on_host = false;  // the same by the host's threads, as a baseline

std::uint64_t scaled(double calls) {
    return static_cast<std::uint64_t>(calls * scale);
}

Task echo_task() {
    Task task;
    task.in_bytes = task.out_bytes = 4096;
    return task;
}

Task ecb_task() {
    Task task = echo_task();
    task.service = YOKE_SERVICE_AES_ECB;
    task.key_bytes = 16;
    return task;
}

Task xts_task() {
    Task task = echo_task();
    task.service = YOKE_SERVICE_AES_XTS;
    task.params = true;
    task.xts.unit = 4096;
    task.key_bytes = 64;
    return task;
}

Json express(Bench& bench) {
    Json rows = Json::array();
    const auto series = [&](const char* what, std::size_t rings, Task task) {
        // One client measures; the others keep their rings hot.
        std::vector<Task> tasks(rings, task);
        for (std::size_t i = 1; i < rings; ++i) {
            tasks[i].in_bytes = 0;
            tasks[i].out_bytes = 0;
            tasks[i].service = YOKE_SERVICE_ECHO;
            tasks[i].key_bytes = 0;
            tasks[i].params = false;
            tasks[i].pause_ns = 100'000;
            tasks[i].calls = std::max<std::uint64_t>(1, task.calls / 60);
            tasks[i].pauses_asleep = rings > std::thread::hardware_concurrency();
        }
        Json row = bench.run(tasks);
        const Statistics& first = bench.shared_->results[0];
        row["what"] = what;
        row["hot_rings"] = rings;
        row["median_us"] = first.median_us;
        row["p99_us"] = first.p99_us;
        row["p999_us"] = first.p999_us;
        row["max_us"] = first.max_us;
        row["first_on_device"] = first.on_device;
        row["first_calls"] = first.calls;
        rows.push_back(row);
    };
    Task null;
    null.calls = scaled(100'000);
    Task echo = null;
    echo.in_bytes = echo.out_bytes = 4096;
    series("null", 1, null);
    series("echo 4 KiB", 1, echo);
    Task paused = null;
    paused.pause_ns = 5'000;
    series("null, 5 us between calls", 1, paused);
    Task aes = ecb_task();
    aes.calls = null.calls;
    series("aes-128-ecb 4 KiB", 1, aes);
    Task xts = xts_task();
    xts.calls = null.calls;
    series("aes-256-xts 4 KiB", 1, xts);
    Task sleeping = echo;
    sleeping.spin_ns = 0;
    sleeping.calls = scaled(10'000);
    series("echo 4 KiB, client sleeps at once", 1, sleeping);
    Task slow = echo;
    slow.calls = scaled(20'000);
    slow.pause_ns = 100'000;
    series("echo 4 KiB, 10 000 calls/s", 1, slow);
    const auto processors = static_cast<std::size_t>(std::thread::hardware_concurrency());
    for (const std::size_t rings : {std::size_t{8}, std::size_t{16}, std::size_t{64}}) {
        if (rings <= 4 * processors) {
            series("null", rings, null);
            series("echo 4 KiB", rings, echo);
        }
    }
    return rows;
}

// One row for each build of the kernels and each call.
Json stages() {
    Json rows = Json::array();
    const std::pair<const char*, const void*> builds[] = {{"nothing", nullptr},
                                                          {"input", yoke_kernels_input},
                                                          {"output", yoke_kernels_output},
                                                          {"fence", yoke_kernels_fence},
                                                          {"early input", yoke_kernels_early_input},
                                                          {"nothing; clocks", yoke_kernels_clocks}};
    Task null;
    const std::pair<const char*, Task> calls[] = {{"null", null},
                                                  {"echo 4 KiB", echo_task()},
                                                  {"aes-128-ecb 4 KiB", ecb_task()},
                                                  {"aes-256-xts 4 KiB", xts_task()}};
    for (const auto& [left_out, code] : builds) {
        Bench bench;
        Limits limits;
        limits.cuda = true;
        limits.bulk_threads = 2;
        limits.device_code = code;
        if (!bench.open(limits)) {
            rows.push_back({{"left_out", left_out}, {"error", bench.json["error"]}});
            continue;
        }
        for (const auto& [what, call] : calls) {
            Task task = call;
            task.calls = scaled(60'000);
            task.compares = false;
            task.clocks = code == yoke_kernels_clocks;
            Json row = bench.run({task});
            row["left_out"] = left_out;
            row["what"] = what;
            if (code == yoke_kernels_clocks) {
                const Statistics& told = bench.shared_->results[0];
                row["median_cycles"] = {{"judged", told.judged}, {"loaded", told.loaded}, {"stored", told.stored}};
            }
            rows.push_back(row);
        }
        Task task = echo_task();
        task.depth = 16;
        task.calls = scaled(60'000);
        Json row = bench.run(std::vector<Task>(16, task));
        row["left_out"] = left_out;
        row["what"] = "echo 4 KiB, 16 clients, depth 16";
        rows.push_back(row);
    }
    return rows;
}

Json many(Bench& bench) {
    Json rows = Json::array();
    for (const std::size_t clients :
         {std::size_t{1}, std::size_t{4}, std::size_t{8}, std::size_t{14}, std::size_t{16}}) {
        Task task;
        task.in_bytes = task.out_bytes = 4096;
        task.depth = 16;
        task.calls = scaled(100'000);
        Json row = bench.run(std::vector<Task>(clients, task));
        row["what"] = "echo 4 KiB, depth 16";
        rows.push_back(row);
    }
    return rows;
}

Json bulk_row(Bench& bench, const char* what, Task task) {
    task.ring = YOKE_RING_BULK;
    Json row = bench.run({task}, 600U << 20);
    row["what"] = what;
    row["call_bytes"] = task.in_bytes;
    row["depth"] = task.depth;
    return row;
}

Json bulk(Bench& bench) {
    Json rows = Json::array();
    for (const auto& [bytes, depth] : {std::pair{4U << 20, 16U}, std::pair{16U << 20, 8U}, std::pair{64U << 20, 2U}}) {
        for (const auto& [what, call] : {std::pair{"echo", echo_task()}, std::pair{"aes-128-ecb", ecb_task()},
                                         std::pair{"aes-256-xts", xts_task()}}) {
            Task task = call;
            task.in_bytes = task.out_bytes = bytes;
            task.depth = depth;
            task.calls = std::max<std::uint64_t>(scaled(16e9 / bytes), 2 * depth);
            rows.push_back(bulk_row(bench, what, task));
        }
    }
    for (const auto& [bytes, depth] :
         {std::pair{16U << 20, 16U}, std::pair{256U << 20, 1U}, std::pair{128U << 20, 2U}}) {
        Task task;
        task.service = YOKE_SERVICE_SHA256;
        task.params = true;
        task.sha.message = 4096;
        task.in_bytes = bytes;
        task.out_bytes = bytes / 128;
        task.depth = depth;
        task.calls = std::max<std::uint64_t>(scaled(24e9 / bytes), 2 * depth);
        rows.push_back(bulk_row(bench, "sha256 of 4 KiB pages", task));
    }
    return rows;
}

// The link's limit, by the driver alone: on memory that the driver pinned, and on pages as an arena has them.
Json copies() {
    auto context = device::cuda::primary_context();
    const device::cuda::Driver& api = *(*context)->driver;
    (*context)->make_current();
    constexpr std::size_t bytes = 64U << 20;
    constexpr int rounds = 40;
    void* pinned[2] = {};
    CUdeviceptr memory[2] = {};
    CUstream stream[2] = {};
    for (int i = 0; i < 2; ++i) {
        api.cuMemHostAlloc(&pinned[i], bytes, 0);
        api.cuMemAlloc(&memory[i], bytes);
        api.cuStreamCreate(&stream[i], CU_STREAM_NON_BLOCKING);
    }
    auto fd = create_sealed_memfd("copies", 2 * bytes);
    auto arena = Mapping::map(*fd, 2 * bytes, true);
    std::memset(arena->data(), 1, 2 * bytes);
    api.cuMemHostRegister(arena->data(), 2 * bytes, CU_MEMHOSTREGISTER_DEVICEMAP);
    const auto rate = [&](std::array<void*, 2> host, bool in, bool out, std::size_t piece) {
        const std::uint64_t begin = now_ns();
        for (int r = 0; r < rounds; ++r) {
            for (std::size_t at = 0; at < bytes; at += piece) {
                if (in) {
                    api.cuMemcpyHtoDAsync(memory[0] + at, static_cast<char*>(host[0]) + at, piece, stream[0]);
                }
                if (out) {
                    api.cuMemcpyDtoHAsync(static_cast<char*>(host[1]) + at, memory[1] + at, piece, stream[1]);
                }
            }
        }
        api.cuStreamSynchronize(stream[0]);
        api.cuStreamSynchronize(stream[1]);
        return static_cast<double>(bytes) * rounds / static_cast<double>(now_ns() - begin);
    };
    Json json;
    const std::array<void*, 2> of_driver{pinned[0], pinned[1]};
    const std::array<void*, 2> of_arena{arena->data(), arena->data() + bytes};
    rate(of_driver, true, true, bytes);
    json = {{"in_gb_per_s", rate(of_driver, true, false, bytes)},
            {"out_gb_per_s", rate(of_driver, false, true, bytes)},
            {"both_gb_per_s_each", rate(of_driver, true, true, bytes)}};
    rate(of_arena, true, true, bytes);
    json["arena"] = {{"in_gb_per_s", rate(of_arena, true, false, bytes)},
                     {"out_gb_per_s", rate(of_arena, false, true, bytes)},
                     {"both_gb_per_s_each", rate(of_arena, true, true, bytes)},
                     {"both_in_pieces_of_8_mib_gb_per_s_each", rate(of_arena, true, true, 8U << 20)},
                     {"both_in_pieces_of_2_mib_gb_per_s_each", rate(of_arena, true, true, 2U << 20)}};
    api.cuMemHostUnregister(arena->data());
    for (int i = 0; i < 2; ++i) {
        api.cuMemFreeHost(pinned[i]);
        api.cuMemFree(memory[i]);
        api.cuStreamDestroy(stream[i]);
    }
    return json;
}

int run() {
    Bench bench;
    Limits limits;
    limits.cuda = !on_host;
    limits.bulk_threads = on_host ? 0 : 2;
    if (!bench.open(limits)) {
        std::printf("%s\n", bench.json.dump(2).c_str());
        return 0;
    }
    bench.json["processors"] = std::thread::hardware_concurrency();
    if (!on_host) {
        bench.json["copies_before"] = copies();
    }
    const auto section = [&](const char* name, const auto& measure) {
        if (parts.find(name) != std::string::npos) {
            std::fprintf(stderr, "nsk_bench: %s\n", name);
            bench.json[name] = measure();
        }
    };
    section("express", [&] { return express(bench); });
    section("many_clients", [&] { return many(bench); });
    section("bulk", [&] { return bulk(bench); });
    ::sleep(2);
    const double cpu = cpu_seconds();
    ::sleep(2);
    bench.json["idle_worker_cores"] = (cpu_seconds() - cpu) / 2;
    const DeviceReport report = bench.executive_->device();
    bench.json["resident_when_idle"] = report.resident;
    bench.json["launches"] = report.launches;
    bench.json["attachments"] = report.attachments;
    if (!on_host) {
        bench.json["copies_after"] = copies();
    }
    bench.executive_.reset();
    if (!on_host) {
        section("stages", stages);
    }
    std::printf("%s\n", bench.json.dump(2).c_str());
    return 0;
}

}  // namespace
}  // namespace yoke::executive

int main(int argc, char** argv) {
    for (int i = 1; i < argc; ++i) {
        if (std::strcmp(argv[i], "--scale") == 0 && i + 1 < argc) {
            yoke::executive::scale = std::atof(argv[++i]);
        } else if (std::strcmp(argv[i], "--host") == 0) {
            yoke::executive::on_host = true;
        } else if (std::strcmp(argv[i], "--parts") == 0 && i + 1 < argc) {
            yoke::executive::parts = argv[++i];
        } else {
            std::fprintf(stderr, "usage: nsk_bench [--scale F] [--host] [--parts LIST]\n");
            return 2;
        }
    }
    return yoke::executive::run();
}
