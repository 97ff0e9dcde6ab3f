// The express thread: polls the express rings of all hot sessions and runs small calls to their end, one after the
// other.
//
// No hand-off, no lock, no system call while both sides are awake. It also writes the heartbeats: every heartbeat_awake
// while rings are hot, every heartbeat_idle while all are cold, never without sessions; an idle worker costs one short
// wake-up a second.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>

#include "cost/model.hpp"
#include "executive/host/poller.hpp"

namespace yoke::executive {

// What a part of a round of heartbeats reports.
struct Beat {
    std::size_t sessions = 0;
    bool round_done = false;
};

class ExpressThread {
   public:
    static constexpr std::uint64_t heartbeat_awake_ns = 100'000'000;
    static constexpr std::uint64_t heartbeat_idle_ns = 1'000'000'000;
    static constexpr unsigned lane = 0;

    // `beat` is called on the thread until the round is done.
    ExpressThread(Poller& poller, StreamSink* sink, cost::Models& costs, std::function<Beat(std::uint64_t)> beat)
        : poller_(poller), sink_(sink), costs_(costs), beat_(std::move(beat)) {}
    // Before start(): rings with `device_after` calls behind each other are offered to it.
    void use(Accelerator* device, std::uint32_t device_after) {
        device_ = device;
        device_after_ = device_after;
    }
    ExpressThread(const ExpressThread&) = delete;
    ExpressThread& operator=(const ExpressThread&) = delete;
    ~ExpressThread() { stop(); }

    Status start();
    void stop();

   private:
    void run();
    bool poll_hot(std::uint64_t& now);
    std::uint64_t serve(Session& session);
    bool lend(Session& session, std::uint64_t now);
    void sleep();

    Poller& poller_;
    StreamSink* const sink_;
    cost::Models& costs_;
    Accelerator* device_ = nullptr;
    std::uint32_t device_after_ = 0;
    const std::function<Beat(std::uint64_t)> beat_;
    std::uint64_t next_beat_ns_ = 0;
    // The entry and the call that are served: here so that nothing large is set up anew for each.
    ring::Entry entry_;
    CheckedCall call_;
    std::atomic<bool> stopping_{false};
    std::thread thread_;
};

}  // namespace yoke::executive
