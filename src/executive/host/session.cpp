// One session of the executive; see session.hpp.
#include "executive/host/session.hpp"

#include <utility>

#include "base/log.hpp"
#include "ring/layout.hpp"

namespace yoke::executive {
namespace {

ring::WorkerView view_of(const SessionMemory& memory) {
    return {memory.arena.data(), memory.status.data(), memory.layout, memory.kernel_device};
}

}  // namespace

Session::Session(SessionId session_id, SessionMemory session_memory, std::uint32_t keys_max)
    : id(session_id),
      memory(std::move(session_memory)),
      view(view_of(memory)),
      bounds{memory.arena.data(), memory.layout.data, memory.layout.arena_bytes},
      bell(view),
      keys(keys_max),
      rings{ring::Consumer(view, YOKE_RING_EXPRESS), ring::Consumer(view, YOKE_RING_BULK)} {
    for (unsigned r = 0; r < YOKE_RINGS; ++r) {
        state[r].streams.resize(rings[r].slots());
    }
}

void Session::complete(const Ticket& ticket, const yoke_completion& completion) {
    ring::Consumer& ring = rings[ticket.ring];
    if (!ring.release(ticket.slot, ticket.tag)) {
        return;
    }
    // Before the client can see it, so that a report never lags behind what its client knows.
    Counters& c = counters[ticket.ring];
    c.completed.fetch_add(1, std::memory_order_relaxed);
    if (completion.status != 0) {
        c.failed.fetch_add(1, std::memory_order_relaxed);
    } else if (completion.out_length != 0) {
        c.bytes_out.fetch_add(completion.out_length, std::memory_order_relaxed);
    }
    if (completion.run_ns != 0) {
        c.busy_ns.fetch_add(completion.run_ns, std::memory_order_relaxed);
    }
    ring.publish(ticket.slot, ticket.tag, completion);
    bell.ring_if_wanted();
}

void Session::fault(yoke_member member) {
    std::uint32_t none = 0;
    if (fault_member.compare_exchange_strong(none, static_cast<std::uint32_t>(member))) {
        closed.store(true, std::memory_order_release);
        yoke_store_release32(&view.status_page().fault, static_cast<std::uint32_t>(member));
        bell.ring();
        log_warning(Topic::executive, "session broke the protocol and is served no more",
                    {{"session", id}, {"member", static_cast<std::uint32_t>(member)}});
    }
}

}  // namespace yoke::executive
