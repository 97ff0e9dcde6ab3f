// Graph: runs that must not take longer than their ptask's deadline, or than a terminated graph may.
#include <chrono>
#include <thread>

#include "base/clock.hpp"
#include "graph/graph.hpp"

namespace yoke::graph {

namespace {

constexpr std::uint64_t stuck_grace_ns = 1'000'000'000;  // between a graph's failure and giving up the device

}  // namespace

void Graph::watch_run(const Ptask& ptask) {
    auto fence = queue_->mark();
    if (!fence) {
        return fail_with(fmt::format("ptask {} cannot be watched: {}", ptask.definition.name, fence.error().message));
    }
    runs_.push_back({std::move(*fence), &ptask, 0});
    if (runs_.size() == 1) {
        runs_.front().until_ns = now_ns() + ptask.definition.deadline_ns;
        host_.deadline(runs_.front().until_ns);
    }
}

// Of runs with a deadline: each is timed from when the one before it was seen to have ended. Returns when to look
// again.
std::uint64_t Graph::look_at_runs(std::uint64_t now) {
    while (!runs_.empty() && runs_.front().fence->reached()) {
        runs_.pop_front();
        if (!runs_.empty()) {
            runs_.front().until_ns = now + runs_.front().ptask->definition.deadline_ns;
        }
    }
    if (runs_.empty()) {
        return UINT64_MAX;
    }
    WatchedRun& run = runs_.front();
    if (run.until_ns > now) {
        return run.until_ns;
    }
    const std::string why = fmt::format("ptask {} has run longer than its deadline of {} ms",
                                        run.ptask->definition.name, run.ptask->definition.deadline_ns / 1'000'000);
    if (state_ != State::failed) {
        fail_with(why);
        run.until_ns = now + stuck_grace_ns;
        return run.until_ns;
    }
    runs_.clear();
    host_.stuck(why);
    return UINT64_MAX;
}

// Waits until the queue is empty, but not for a kernel that never ends. The graph is terminated: nobody queues any
// more.
void Graph::await_queue() {
    constexpr std::chrono::microseconds first_nap{20};
    constexpr std::chrono::microseconds longest_nap{5000};
    const auto fence = queue_->mark();
    const std::uint64_t until = now_ns() + limits_.terminate_grace_ns;
    for (auto nap = first_nap; fence && !(*fence)->reached(); nap = std::min(2 * nap, longest_nap)) {
        if (now_ns() >= until) {
            return host_.stuck(fmt::format("graph {} is terminated and a kernel of it still runs after {} ms", name(),
                                           limits_.terminate_grace_ns / 1'000'000));
        }
        std::this_thread::sleep_for(nap);
    }
}

}  // namespace yoke::graph
