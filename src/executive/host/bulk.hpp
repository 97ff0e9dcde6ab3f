// The bulk threads: one at a time holds the lead, polls the bulk rings and decides whose chunks come next; all execute.
//
// PROBLEM. A call of one chunk must not pay for a hand-off between threads (25 to 31 us), a call of many should use
// them all, and a chunk of a second must not keep others from being taken.
//
// MODEL. Leader and followers. Whoever holds the lead owns the hot rings, the calls that wait and the fair queue,
// without any lock besides the lead itself. It takes entries, asks the fair queue for a session, takes a grant (a run
// of chunks) for itself and executes it. When more work waits, or when its grant is long, it gives the lead up before
// it executes, and wakes a follower if what waits is worth a wake-up; else it keeps the lead. Followers spin briefly,
// then sleep. A thread sleeps only while another one holds the lead; a thread that has executed asks for the lead
// again; so rings are never left alone for longer than one grant.
//
// TRADE-OFF. If every thread executes a chunk that cannot be divided (CBC, one long message), new calls wait for the
// first one to end: threads are never added.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "cost/model.hpp"
#include "executive/host/poller.hpp"
#include "sched/fair_queue.hpp"

namespace yoke::executive {

// Padded on purpose: followers spin on words whose lines nobody else may write.
class BulkThreads {  // NOLINT(clang-analyzer-optin.performance.Padding)
   public:
    static constexpr unsigned first_lane = 1;

    BulkThreads(Poller& poller, StreamSink* sink, cost::Models& costs, unsigned threads, std::uint64_t spin_ns,
                std::uint32_t sessions_max);
    BulkThreads(const BulkThreads&) = delete;
    BulkThreads& operator=(const BulkThreads&) = delete;
    ~BulkThreads() { stop(); }

    // Before start(): calls are offered to it first.
    void use(Accelerator* device) { device_ = device; }
    Status start();
    void stop();
    // The device has executed a call. Any thread.
    void call_done(Session& session, BulkCall& call, int status, std::uint64_t begun_ns) noexcept;
    // After Poller::remove(): returns when no thread executes chunks of the session.
    void await_executing(Session& session);

   private:
    // A run of chunks of one call, for one thread.
    struct Grant {
        Session* session = nullptr;
        BulkCall* call = nullptr;
        std::uint32_t first = 0;
        std::uint32_t count = 0;
        bool give_up_lead = false;
        bool wake_follower = false;
    };

    void run(unsigned lane);
    void follow();
    void wake_follower();

    // With the lead:
    bool schedule(Grant& grant);
    void take_entries(std::uint64_t now);
    bool take_entry(Session& session, std::uint64_t now);
    void enqueue(Session& session, BulkCall& call, std::uint64_t now);
    bool next_grant(Grant& grant);
    BulkCall* next_call(Session& session);
    void stop_granting(Session& session, BulkCall& call);
    void forget(Session& session);
    void set_lead(std::uint32_t value);

    // Without:
    void execute(const Grant& grant, unsigned lane);
    void finish(Session& session, BulkCall& call);
    void leave_executing(Session& session);

    Poller& poller_;
    StreamSink* const sink_;
    Accelerator* device_ = nullptr;
    cost::Models& costs_;        // of whole calls, published
    cost::Models thread_costs_;  // of one thread: what a grant takes
    const std::uint64_t spin_ns_;

    // Lead.
    sched::FairQueue queue_;
    std::vector<Session*> flows_;   // by flow
    std::uint64_t backlog_ns_ = 0;  // expected time of what is left to grant
    std::uint64_t next_look_ns_ = 0;
    std::size_t poll_from_ = 0;

    // 0: free; 1: somebody schedules or executes a short grant; 2: somebody polls and finds nothing.
    alignas(64) std::atomic<std::uint32_t> lead_{0};
    // Changes when a follower is wanted; futex.
    alignas(64) std::atomic<std::uint32_t> turn_{0};
    std::atomic<std::uint32_t> sleepers_{0};
    std::atomic<bool> stopping_{false};

    std::atomic<std::uint32_t> removers_{0};
    std::mutex removal_mutex_;
    std::condition_variable executed_;
    std::vector<std::thread> threads_;
};

}  // namespace yoke::executive
