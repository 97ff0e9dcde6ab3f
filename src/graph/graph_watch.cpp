// Graph: runs that must not take longer than their ptask's deadline, or than a terminated graph may.
#include <chrono>
#include <thread>

#include "base/clock.hpp"
#include "graph/graph.hpp"

namespace yoke::graph {

namespace {

constexpr std::uint64_t stuck_grace_ns = 1'000'000'000;  // between a graph's failure and giving up the device
constexpr unsigned runs_ahead_max = 1024;                // more than any capacity that serves a purpose asks for
constexpr std::uint64_t look_at_pace_ns = 1'000'000;

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

// Whether another run may be queued, after so many without letting the lock go. Capacities bound how far a graph is
// ahead of its device, but for datablocks that nobody waits for: a ptask that makes all its inputs before a predicate
// that drops all its outputs would go on for ever, with the graph's lock. So the lock is let go now and then, and where
// the device has not done half of what was queued, so much longer.
bool Graph::may_launch(unsigned launched) {
    if (launched == runs_ahead_max) {
        host_.deadline(now_ns());
        return false;
    }
    if (runs_since_pace_ < runs_ahead_max / 2) {
        ++runs_since_pace_;
        return true;
    }
    if (pace_ && !pace_->reached()) {
        host_.deadline(now_ns() + look_at_pace_ns);
        return false;
    }
    auto fence = queue_->mark();
    if (!fence) {
        fail_with(fmt::format("graph {} cannot be paced: {}", name(), fence.error().message));
        return false;
    }
    queued_ = true;
    pace_ = std::move(*fence);
    runs_since_pace_ = 1;
    return true;
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
    const std::string object = run.ptask->definition.name;
    runs_.clear();
    host_.stuck(object, why);
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
            return host_.stuck(name(), fmt::format("graph {} is terminated and a kernel of it still runs after {} ms",
                                                   name(), limits_.terminate_grace_ns / 1'000'000));
        }
        std::this_thread::sleep_for(nap);
    }
}

}  // namespace yoke::graph
