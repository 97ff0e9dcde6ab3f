// The bulk threads and the lead; see bulk.hpp. Executing what the lead has granted is in bulk_execution.cpp.
#include "executive/host/bulk.hpp"

#include <algorithm>

#include "base/clock.hpp"
#include "executive/host/intake.hpp"
#include "executive/host/thread.hpp"
#include "ring/futex.hpp"

namespace yoke::executive {
namespace {

constexpr unsigned looks_per_clock = 16;          // empty rounds between two looks at the clock
constexpr unsigned burst = 8;                     // entries of one ring before the next ring gets its turn
constexpr std::size_t rings_per_round = 64;       // rings polled between two grants
constexpr std::uint32_t grant_chunks_max = 4;     // others look for work between grants
constexpr std::uint64_t wake_worth_ns = 60'000;   // twice what a wake-up costs
constexpr std::uint64_t short_grant_ns = 50'000;  // executed while keeping the lead

constexpr std::uint32_t lead_free = 0;
constexpr std::uint32_t lead_scheduling = 1;
constexpr std::uint32_t lead_polling = 2;

}  // namespace

BulkThreads::BulkThreads(Poller& poller, StreamSink* sink, cost::Models& costs, unsigned threads, std::uint64_t spin_ns,
                         std::uint32_t sessions_max)
    : poller_(poller),
      sink_(sink),
      costs_(costs),
      spin_ns_(spin_ns),
      queue_(sessions_max),
      flows_(sessions_max),
      threads_(threads) {}

Status BulkThreads::start() {
    for (unsigned i = 0; i < threads_.size(); ++i) {
        const std::string name = "yoke-bulk-" + std::to_string(i);
        if (Status status = start_thread(threads_[i], name.c_str(), [this, i] { run(first_lane + i); }); !status) {
            return status;
        }
    }
    return {};
}

void BulkThreads::stop() {
    stopping_.store(true, std::memory_order_seq_cst);
    turn_.fetch_add(1, std::memory_order_seq_cst);
    ring::futex_wake(reinterpret_cast<const std::uint32_t*>(&turn_));
    poller_.interrupt();
    for (std::thread& thread : threads_) {
        if (thread.joinable()) {
            thread.join();
        }
    }
}

void BulkThreads::run(unsigned lane) {
    bool leading = false;
    while (!stopping_.load(std::memory_order_acquire)) {
        if (!leading) {
            std::uint32_t free = lead_free;
            leading = lead_.compare_exchange_strong(free, lead_scheduling, std::memory_order_seq_cst);
        }
        if (!leading) {
            follow();
            continue;
        }
        Grant grant;
        if (!schedule(grant)) {
            break;  // stopping
        }
        if (grant.give_up_lead) {
            leading = false;
            lead_.store(lead_free, std::memory_order_seq_cst);
            if (grant.wake_follower) {
                wake_follower();
            }
        }
        execute(grant, lane);
    }
}

// Returns when it is worth trying to get the lead.
void BulkThreads::follow() {
    const std::uint32_t seen = turn_.load(std::memory_order_seq_cst);
    const std::uint64_t begin = now_ns();
    do {
        for (unsigned i = 0; i < looks_per_clock; ++i) {
            if (lead_.load(std::memory_order_seq_cst) == lead_free || turn_.load(std::memory_order_seq_cst) != seen ||
                stopping_.load(std::memory_order_acquire)) {
                return;
            }
            ring::cpu_relax();
        }
    } while (now_ns() - begin < spin_ns_);
    sleepers_.fetch_add(1, std::memory_order_seq_cst);
    // Whoever holds the lead now will look for work again; whoever wants more threads changes turn_ first.
    if (lead_.load(std::memory_order_seq_cst) != lead_free && !stopping_.load(std::memory_order_seq_cst)) {
        ring::futex_wait(reinterpret_cast<const std::uint32_t*>(&turn_), seen, 0);
    }
    sleepers_.fetch_sub(1, std::memory_order_seq_cst);
}

void BulkThreads::wake_follower() {
    turn_.fetch_add(1, std::memory_order_seq_cst);
    if (sleepers_.load(std::memory_order_seq_cst) > 0) {
        ring::futex_wake(reinterpret_cast<const std::uint32_t*>(&turn_), 1);
    }
}

void BulkThreads::set_lead(std::uint32_t value) {
    if (lead_.load(std::memory_order_relaxed) != value) {
        lead_.store(value, std::memory_order_seq_cst);
    }
}

// Polls until there is a grant. False: stopping.
bool BulkThreads::schedule(Grant& grant) {
    std::uint64_t now = now_ns();
    for (unsigned empty = 0;;) {
        if (stopping_.load(std::memory_order_acquire)) {
            return false;
        }
        if (poller_.has_removals()) {
            poller_.forget_removed([this](Session& session) { forget(session); });
        }
        if (now >= next_look_ns_ && !poller_.hot().empty()) {
            poller_.look_around(now);
            next_look_ns_ = now + Poller::interval_ns;
        }
        take_entries(now);
        if (next_grant(grant)) {
            set_lead(lead_scheduling);
            return true;
        }
        set_lead(lead_polling);
        if (poller_.hot().empty()) {
            poller_.wait(-1);
            now = now_ns();
            next_look_ns_ = now + Poller::interval_ns;
            continue;
        }
        ring::cpu_relax();
        if (++empty % looks_per_clock == 0) {
            now = now_ns();
        }
    }
}

void BulkThreads::take_entries(std::uint64_t now) {
    const std::size_t count = std::min(poller_.hot().size(), rings_per_round);
    for (std::size_t i = 0; i < count; ++i) {
        poll_from_ = poll_from_ + 1 < poller_.hot().size() ? poll_from_ + 1 : 0;
        Session& session = *poller_.hot()[poll_from_];
        for (unsigned n = 0; n < burst && !session.closed.load(std::memory_order_relaxed); ++n) {
            if (!take_entry(session, now)) {
                break;
            }
        }
    }
}

// False: there is nothing to take, or no room for it.
bool BulkThreads::take_entry(Session& session, std::uint64_t now) {
    ring::Consumer& ring = session.rings[YOKE_RING_BULK];
    if (!ring.pending()) {
        return false;
    }
    const auto room = std::find_if(session.calls.begin(), session.calls.end(),
                                   [](const BulkCall& call) { return call.free.load(std::memory_order_acquire); });
    if (room == session.calls.end()) {
        return false;
    }
    switch (ring.take(room->entry)) {
        case ring::Take::nothing:
            return false;
        case ring::Take::skipped:
            return true;
        case ring::Take::fault:
            session.fault(YOKE_MEMBER_SLOT);
            return false;
        case ring::Take::entry:
            break;
    }
    // The lead may have been polling for up to looks_per_clock rounds: `now` would be too early for queued_ns.
    if (lead_.load(std::memory_order_relaxed) == lead_polling) {
        now = now_ns();
    }
    if (admit(session, YOKE_RING_BULK, room->entry, now, sink_, room->call)) {
        enqueue(session, *room, now);
    }
    return true;
}

void BulkThreads::enqueue(Session& session, BulkCall& call, std::uint64_t now) {
    const service::Work& work = call.call.work;
    call.free.store(false, std::memory_order_relaxed);
    call.taken_ns = now;
    call.begun_ns = 0;
    call.on_device = false;
    call.next_chunk = 0;
    call.status.store(0, std::memory_order_relaxed);
    call.holders.store(1, std::memory_order_relaxed);
    if (work.plan.chunks == 0) {
        call.begun_ns = now;
        session.rings[YOKE_RING_BULK].begin(call.entry.slot, call.entry.tag);
        finish(session, call);
        return;
    }
    if (device_ != nullptr) {
        session.executing.fetch_add(1, std::memory_order_seq_cst);
        call.on_device = true;  // before it is taken: it may end at once
        if (device_->take(session, call)) {
            return;
        }
        call.on_device = false;
        session.executing.fetch_sub(1, std::memory_order_seq_cst);
    }
    const std::uint64_t expected = thread_costs_.expected_ns(call.call.service->id(), work.shape.in_length);
    // Four bytes a nanosecond, as host code of ciphers has it, until the service was measured.
    const std::uint64_t total = expected != ~std::uint64_t{0} ? expected : work.shape.in_length / 4;
    call.chunk_ns = total / work.plan.chunks + 1;
    call.granting = true;
    backlog_ns_ += call.chunk_ns * work.plan.chunks;
    if (session.flow == sched::FairQueue::none) {
        session.flow = queue_.add(1);
        flows_[session.flow] = &session;
    }
    if (session.calls_granting++ == 0) {
        queue_.activate(session.flow);
    }
}

bool BulkThreads::next_grant(Grant& grant) {
    for (;;) {
        const sched::FairQueue::FlowId flow = queue_.next();
        if (flow == sched::FairQueue::none) {
            return false;
        }
        Session& session = *flows_[flow];
        BulkCall& call = *next_call(session);
        const service::Work& work = call.call.work;
        int stop = call.status.load(std::memory_order_acquire);
        if (stop == 0) {
            stop = stop_reason(session, YOKE_RING_BULK, call.entry);
            int none = 0;
            call.status.compare_exchange_strong(none, stop, std::memory_order_acq_rel);
        }
        if (stop != 0) {
            stop_granting(session, call);
            if (call.holders.fetch_sub(1, std::memory_order_acq_rel) == 1) {
                finish(session, call);
            }
            continue;
        }
        const std::uint32_t left = work.plan.chunks - call.next_chunk;
        const auto shares = static_cast<std::uint32_t>(2 * threads_.size());
        grant.session = &session;
        grant.call = &call;
        grant.first = call.next_chunk;
        grant.count = std::clamp(left / shares, 1U, grant_chunks_max);
        if (call.begun_ns == 0) {
            call.begun_ns = now_ns();
            session.rings[YOKE_RING_BULK].begin(call.entry.slot, call.entry.tag);
        }
        session.executing.fetch_add(1, std::memory_order_seq_cst);
        queue_.serve(flow, call.chunk_ns * grant.count);
        backlog_ns_ -= call.chunk_ns * grant.count;
        call.next_chunk += grant.count;
        if (call.next_chunk < work.plan.chunks) {
            call.holders.fetch_add(1, std::memory_order_relaxed);
        } else {
            stop_granting(session, call);  // the last grant takes over what the lead held
        }
        const bool is_short = call.chunk_ns * grant.count <= short_grant_ns;
        grant.give_up_lead = backlog_ns_ != 0 || !is_short;
        grant.wake_follower = backlog_ns_ >= wake_worth_ns || !is_short;
        return true;
    }
}

// Of a session with calls to grant: the next one in turn.
BulkCall* BulkThreads::next_call(Session& session) {
    do {
        session.grant_from = (session.grant_from + 1) % Session::bulk_calls;
    } while (!session.calls[session.grant_from].granting);
    return &session.calls[session.grant_from];
}

void BulkThreads::stop_granting(Session& session, BulkCall& call) {
    backlog_ns_ -= call.chunk_ns * (call.call.work.plan.chunks - call.next_chunk);
    call.granting = false;
    if (--session.calls_granting == 0) {
        queue_.deactivate(session.flow);
    }
}

// The session is being removed: what was not granted is dropped.
void BulkThreads::forget(Session& session) {
    for (BulkCall& call : session.calls) {
        if (call.granting) {
            stop_granting(session, call);
            if (call.holders.fetch_sub(1, std::memory_order_acq_rel) == 1) {
                call.call.key.end();
            }
        }
    }
    if (session.flow != sched::FairQueue::none) {
        queue_.remove(session.flow);
        session.flow = sched::FairQueue::none;
    }
}

}  // namespace yoke::executive
