// Clients of an executive in processes of their own, and what their calls took; for benchmarks.
//
// Each client maps a session's arena as a program linked with libyoke does; the executive runs in this process as it
// does in a worker. Every answer of a latency series of echoes is compared with what was sent.
#pragma once

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstdlib>

#include <nlohmann/json.hpp>

#include "executive/session_fixture.hpp"

namespace yoke::executive {

using Json = nlohmann::json;

struct Statistics {
    std::uint64_t calls;
    std::uint64_t on_device;
    std::uint64_t wrong;
    double seconds;
    double median_us;
    double p99_us;
    double p999_us;
    double max_us;
    // Median cycles from an entry's being seen, of tasks that ask for clocks: only kernels built to tell theirs fill
    // these.
    double judged;
    double loaded;
    double stored;
};

// What a client process does.
struct Task {
    std::uint16_t service = YOKE_SERVICE_ECHO;
    std::uint32_t in_bytes = 0;
    std::uint32_t out_bytes = 0;
    std::uint32_t key = 0;
    std::size_t key_bytes = 0;
    bool params = false;
    yoke_params_aes_xts xts{};
    yoke_params_sha256 sha{};
    unsigned ring = YOKE_RING_EXPRESS;
    unsigned depth = 1;
    bool compares = true;  // echoes at depth 1
    std::uint64_t calls = 0;
    std::uint64_t spin_ns = 1'000'000;
    std::uint64_t pause_ns = 0;  // between calls
    bool pauses_asleep = false;  // leaves the processor to others meanwhile
    bool clocks = false;         // the kernel tells its clocks in completions
};

inline yoke_submission submission_of(const TestClient& client, const Task& task, unsigned place) {
    const std::uint64_t in_room = (task.in_bytes + 4095ULL) / 4096 * 4096;
    const std::uint64_t out_room = (task.out_bytes + 4095ULL) / 4096 * 4096;
    yoke_submission s{};
    s.opcode = YOKE_OP_CALL;
    s.service = task.service;
    s.flags = task.params ? YOKE_FLAG_PARAMS : 0;
    s.object = task.key;
    s.in_offset = client.layout().data + place * (in_room + out_room);
    s.out_offset = s.in_offset + in_room;
    s.in_length = task.in_bytes;
    s.out_length = task.out_bytes;
    return s;
}

inline const void* params_of(const Task& task) {
    return task.service == YOKE_SERVICE_SHA256 ? static_cast<const void*>(&task.sha) : &task.xts;
}

// Medians, since a stage that a call did not have has a time of nothing, from which its beginning was taken off.
inline double median_of(std::vector<std::uint32_t>& values) {
    if (values.empty()) {
        return 0;
    }
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

// In the client's process.
inline void run_task(TestClient& client, const Task& task, std::vector<std::uint32_t>& samples, Statistics& result) {
    result = {};
    std::vector<std::uint64_t> positions(task.depth);
    std::vector<std::uint64_t> begun(task.depth);
    std::uint64_t submitted = 0;
    std::uint64_t done = 0;
    samples.clear();
    std::array<std::vector<std::uint32_t>, 3> clocks;
    for (auto& clock : clocks) {
        clock.reserve(task.clocks ? task.calls : 0);
    }
    const bool compares = task.compares && task.service == YOKE_SERVICE_ECHO && task.depth == 1;
    const std::uint64_t start = now_ns();
    while (done < task.calls) {
        while (submitted < task.calls && submitted - done < task.depth) {
            const auto place = static_cast<unsigned>(submitted % task.depth);
            const yoke_submission s = submission_of(client, task, place);
            if (compares && task.in_bytes != 0) {
                auto* words = reinterpret_cast<std::uint64_t*>(client.view().arena + s.in_offset);
                for (std::uint32_t i = 0; i < task.in_bytes / 8; i += 8) {
                    words[i] = submitted * 0x9e3779b97f4a7c15ULL + i;
                }
            }
            if (task.pause_ns != 0) {
                const std::uint64_t until = now_ns() + task.pause_ns;
                if (task.pauses_asleep) {
                    ::usleep(static_cast<useconds_t>(task.pause_ns / 1000));
                }
                while (now_ns() < until) {
                    ring::cpu_relax();
                }
            }
            begun[place] = now_ns();
            const std::int64_t position = client.producer(task.ring).submit(s, task.params ? params_of(task) : nullptr);
            if (position < 0) {
                break;
            }
            positions[place] = static_cast<std::uint64_t>(position);
            ++submitted;
        }
        const auto place = static_cast<unsigned>(done % task.depth);
        yoke_completion completion{};
        if (!client.wait(task.ring, positions[place], completion, task.spin_ns)) {
            ++result.wrong;
            break;
        }
        samples.push_back(static_cast<std::uint32_t>(std::min<std::uint64_t>(now_ns() - begun[place], UINT32_MAX)));
        if (task.clocks) {
            clocks[0].push_back(static_cast<std::uint32_t>(completion.detail >> 32));
            clocks[1].push_back(static_cast<std::uint32_t>(completion.sequence));
            clocks[2].push_back(static_cast<std::uint32_t>(completion.sequence >> 32));
        }
        result.on_device += completion.where == YOKE_WHERE_NSK || completion.where == YOKE_WHERE_CUDA ? 1 : 0;
        const yoke_submission s = submission_of(client, task, place);
        if (completion.status != 0 ||
            (compares &&
             std::memcmp(client.view().arena + s.in_offset, client.view().arena + s.out_offset, task.in_bytes) != 0)) {
            ++result.wrong;
        }
        ++done;
    }
    result.seconds = static_cast<double>(now_ns() - start) / 1e9;
    result.calls = done;
    result.judged = median_of(clocks[0]);
    result.loaded = median_of(clocks[1]);
    result.stored = median_of(clocks[2]);
    std::sort(samples.begin(), samples.end());
    const auto at = [&](double part) {
        return samples.empty()
                   ? 0.0
                   : samples[std::min(samples.size() - 1,
                                      static_cast<std::size_t>(part * static_cast<double>(samples.size())))] /
                         1e3;
    };
    result.median_us = at(0.5);
    result.p99_us = at(0.99);
    result.p999_us = at(0.999);
    result.max_us = at(1.0);
}

inline double cpu_seconds() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

struct Shared {
    std::atomic<int> ready;
    std::atomic<int> go;
    Statistics results[64];
};

class Bench {
   public:
    Bench() {
        void* page = ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        shared_ = new (page) Shared{};
    }

    bool open(const Limits& limits) {
        executive_.reset();
        auto executive = Executive::create(limits, nullptr);
        if (!executive) {
            json["error"] = executive.error().message;
            return false;
        }
        executive_ = std::move(*executive);
        while (executive_->device().state == "opening") {
            ::usleep(1000);
        }
        const DeviceReport report = executive_->device();
        json["device"] = report.description;
        if (!limits.cuda) {
            return true;
        }
        if (report.state != "open") {
            json["error"] = report.error;
        }
        return report.state == "open";
    }

    TestClient& add(std::uint64_t arena_bytes) {
        clients_.push_back(std::make_unique<TestClient>(
            ring::Geometry{.arena_bytes = arena_bytes, .express_slots = 64, .bulk_slots = 64}));
        const auto id = static_cast<SessionId>(++last_id_);
        ids_.push_back(id);
        static_cast<void>(executive_->add_session(id, clients_.back()->take_worker_side()));
        return *clients_.back();
    }
    std::uint32_t key(std::size_t client, std::uint16_t service, std::size_t bytes) {
        std::vector<std::byte> raw(bytes);
        for (std::size_t i = 0; i < bytes; ++i) {
            raw[i] = static_cast<std::byte>(i * 17 + 3);
        }
        auto made = executive_->add_key(ids_[client], *service::find(service), raw);
        return made ? *made : 0;
    }
    // The views in child processes go with those; here only the executive's side ends.
    void clear() {
        for (const SessionId id : ids_) {
            executive_->remove_session(id);
        }
        ids_.clear();
        clients_.clear();
    }

    // Task i in a process of its own with a fresh session. Returns the sum of a row's figures.
    Json run(std::vector<Task> tasks, std::uint64_t arena_bytes = 4U << 20) {
        for (std::size_t i = 0; i < tasks.size(); ++i) {
            add(arena_bytes);
            tasks[i].key = tasks[i].key_bytes == 0 ? 0 : key(i, tasks[i].service, tasks[i].key_bytes);
        }
        Json row = run_processes(tasks);
        clear();
        return row;
    }

    Json run_processes(const std::vector<Task>& tasks) {
        shared_->ready = 0;
        shared_->go = 0;
        std::vector<pid_t> children;
        for (std::size_t i = 0; i < tasks.size(); ++i) {
            const pid_t child = ::fork();
            if (child == 0) {
                std::vector<std::uint32_t> samples;
                samples.reserve(tasks[i].calls + 1);
                Task warm_up = tasks[i];
                warm_up.calls = std::min<std::uint64_t>(2000, std::max<std::uint64_t>(warm_up.calls / 10, 1));
                Statistics warmed{};
                run_task(*clients_[i], warm_up, samples, warmed);
                ++shared_->ready;
                while (shared_->go == 0) {
                    // Calls keep the rings hot until all are ready.
                    warm_up.calls = 8;
                    run_task(*clients_[i], warm_up, samples, warmed);
                }
                run_task(*clients_[i], tasks[i], samples, shared_->results[i]);
                ::_exit(0);
            }
            children.push_back(child);
        }
        const std::uint64_t give_up = now_ns() + 20'000'000'000U;
        while (shared_->ready != static_cast<int>(tasks.size())) {
            ::usleep(100);
            if (now_ns() > give_up) {
                for (const pid_t child : children) {
                    ::kill(child, SIGKILL);
                    ::waitpid(child, nullptr, 0);
                }
                return {{"error", "the clients did not get ready"}, {"ready", shared_->ready.load()}};
            }
        }
        const double cpu = cpu_seconds();
        const std::uint64_t begin = now_ns();
        shared_->go = 1;
        for (const pid_t child : children) {
            ::waitpid(child, nullptr, 0);
        }
        const double seconds = static_cast<double>(now_ns() - begin) / 1e9;
        Json row;
        std::uint64_t calls = 0;
        std::uint64_t on_device = 0;
        std::uint64_t wrong = 0;
        double rate = 0;
        double least = 1e30;
        double most = 0;
        std::vector<double> medians;
        double p99 = 0;
        double p999 = 0;
        for (std::size_t i = 0; i < tasks.size(); ++i) {
            const Statistics& r = shared_->results[i];
            calls += r.calls;
            on_device += r.on_device;
            wrong += r.wrong;
            const double own = static_cast<double>(r.calls) / r.seconds;
            rate += own;
            least = std::min(least, own);
            most = std::max(most, own);
            medians.push_back(r.median_us);
            p99 = std::max(p99, r.p99_us);
            p999 = std::max(p999, r.p999_us);
        }
        std::sort(medians.begin(), medians.end());
        row["clients"] = tasks.size();
        row["calls"] = calls;
        row["on_device"] = on_device;
        row["wrong"] = wrong;
        row["median_us"] = medians[medians.size() / 2];
        row["worst_p99_us"] = p99;
        row["worst_p999_us"] = p999;
        row["calls_per_s"] = rate;
        row["gigabytes_per_s_in"] = rate * tasks[0].in_bytes / 1e9;
        row["slowest_to_fastest"] = least / most;
        row["worker_cores"] = (cpu_seconds() - cpu) / seconds;
        return row;
    }

    Json json;

    std::unique_ptr<Executive> executive_;
    std::vector<std::unique_ptr<TestClient>> clients_;
    std::vector<SessionId> ids_;
    SessionId last_id_ = 0;
    Shared* shared_;
};

}  // namespace yoke::executive
