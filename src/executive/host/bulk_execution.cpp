// Executing granted chunks and completing bulk calls: what bulk threads do without the lead; see bulk.hpp.
#include "base/clock.hpp"
#include "executive/host/bulk.hpp"
#include "executive/host/intake.hpp"

namespace yoke::executive {

void BulkThreads::execute(const Grant& grant, unsigned lane) {
    Session& session = *grant.session;
    BulkCall& call = *grant.call;
    const service::Work& work = call.call.work;
    const std::uint64_t begin = now_ns();
    std::uint32_t done = 0;
    while (done < grant.count && call.status.load(std::memory_order_relaxed) == 0) {
        int status = done == 0 ? 0 : stop_reason(session, YOKE_RING_BULK, call.entry);
        if (status == 0) {
            status = call.call.service->run(work, grant.first + done, lane);
            ++done;
        }
        if (status != 0) {
            int none = 0;
            call.status.compare_exchange_strong(none, status, std::memory_order_acq_rel);
        }
    }
    if (done > 0) {
        const std::uint64_t bytes = std::uint64_t{work.shape.in_length} * done / work.plan.chunks;
        thread_costs_.learn(call.call.service->id(), bytes, now_ns() - begin);
    }
    if (call.holders.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        finish(session, call);
    }
    leave_executing(session);
}

void BulkThreads::call_done(Session& session, BulkCall& call, int status, std::uint64_t begun_ns) noexcept {
    call.begun_ns = begun_ns;
    call.status.store(status, std::memory_order_relaxed);
    finish(session, call);
    leave_executing(session);
}

void BulkThreads::leave_executing(Session& session) {
    session.executing.fetch_sub(1, std::memory_order_seq_cst);
    // The session may be gone from here on.
    if (removers_.load(std::memory_order_seq_cst) != 0) {
        const std::lock_guard lock(removal_mutex_);
        executed_.notify_all();
    }
}

// Nobody executes a chunk of the call any more.
void BulkThreads::finish(Session& session, BulkCall& call) {
    const int status = call.status.load(std::memory_order_acquire);
    const service::Work& work = call.call.work;
    yoke_completion completion{};
    completion.status = status;
    completion.out_length = status == 0 ? work.plan.out_length : 0;
    const std::uint64_t end = now_ns();
    if (call.begun_ns != 0) {
        completion.where = call.on_device ? YOKE_WHERE_CUDA : YOKE_WHERE_CPU;
        completion.why = YOKE_WHY_ONLY;
        completion.queued_ns = call.begun_ns - call.taken_ns;
        completion.run_ns = end - call.begun_ns;
    } else {
        completion.queued_ns = end - call.taken_ns;
    }
    if (status == 0) {
        costs_.learn(call.call.service->id(), work.shape.in_length, completion.run_ns);
    }
    const Ticket ticket = ticket_of(session, YOKE_RING_BULK, call.entry);
    call.call.key.end();
    call.free.store(true, std::memory_order_release);
    session.complete(ticket, completion);
}

void BulkThreads::await_executing(Session& session) {
    removers_.fetch_add(1, std::memory_order_seq_cst);
    {
        std::unique_lock lock(removal_mutex_);
        executed_.wait(lock, [&] { return session.executing.load(std::memory_order_seq_cst) == 0; });
    }
    removers_.fetch_sub(1, std::memory_order_seq_cst);
}

}  // namespace yoke::executive
