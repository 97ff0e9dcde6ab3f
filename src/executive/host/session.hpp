// One session as the executive sees it: its memory, both rings, its keys and the calls in flight.
//
// Which thread may touch what is said at each member. "Ring owner" is the thread that polls that ring: the express
// thread, or whoever holds the bulk lead.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "executive/executive.hpp"
#include "executive/host/accelerator.hpp"
#include "executive/key_table.hpp"
#include "executive/validation.hpp"
#include "ring/consumer.hpp"
#include "sched/fair_queue.hpp"

namespace yoke::executive {

// Counters of one ring. Any thread.
struct Counters {
    std::atomic<std::uint64_t> taken{0};
    std::atomic<std::uint64_t> completed{0};
    std::atomic<std::uint64_t> failed{0};
    std::atomic<std::uint64_t> bytes_in{0};
    std::atomic<std::uint64_t> bytes_out{0};
    std::atomic<std::uint64_t> busy_ns{0};
};

// A bulk call between being taken and being completed. Members without a word about threads belong to the bulk lead.
struct BulkCall {
    bool granting = false;  // chunks are left to grant: the lead then holds one of `holders`
    ring::Entry entry;
    CheckedCall call;
    std::uint64_t taken_ns = 0;
    std::uint64_t begun_ns = 0;  // 0: not begun
    std::uint64_t chunk_ns = 0;  // expected time of one chunk on one thread
    std::uint32_t next_chunk = 0;
    // Grants that execute, plus one while chunks are left. Who makes it 0 completes the call. Any thread.
    std::atomic<std::uint32_t> holders{0};
    // First reason not to execute further chunks, or 0. Any thread.
    std::atomic<int> status{0};
    // Neither lead nor executing threads need it. Set by who completes, cleared by the lead.
    std::atomic<bool> free{true};
    bool on_device = false;  // executed there, and told so by Lender::call_done
};

// What the owner of a ring keeps about it.
struct RingState {
    bool hot = false;
    std::uint64_t last_work_ns = 0;
    // Tag of the push or pull in each slot whose cancel word has to be watched; 0: none.
    std::vector<std::uint32_t> streams;
    std::uint32_t streams_in_flight = 0;  // elements of `streams` that are not 0
    // Express: the device has the ring. Then nothing else here counts, and the ring is not touched.
    bool away = false;
    std::uint32_t calls_at_home = 0;  // since the ring became hot or came back
    std::uint64_t home_until_ns = 0;  // not offered to the device before
    std::uint64_t home_for_ns = 0;    // the last such time: it grows while the device refuses what it is given
};

struct Session {
    // Calls of one session that are taken at a time: enough to keep every bulk thread busy with short ones.
    static constexpr std::size_t bulk_calls = 16;

    Session(SessionId session_id, SessionMemory session_memory, std::uint32_t keys_max);

    // Writes a completion, counts it, rings. Ignores entries that are not in flight. Any thread.
    void complete(const Ticket& ticket, const yoke_completion& completion);
    // The client broke the protocol: nothing of this session is served any more. Owner of any ring.
    void fault(yoke_member member);

    const SessionId id;
    SessionMemory memory;
    const ring::WorkerView view;
    const Bounds bounds;
    const ring::ClientBell bell;
    KeyTable keys;
    std::array<ring::Consumer, YOKE_RINGS> rings;
    std::array<RingState, YOKE_RINGS> state;  // each its ring owner's
    std::array<Counters, YOKE_RINGS> counters;
    std::atomic<std::uint32_t> fault_member{0};
    // Nothing is taken or granted any more. Any thread.
    std::atomic<bool> closed{false};
    // Somebody removes the session. Any thread.
    std::atomic<bool> leaving{false};

    std::unique_ptr<DeviceSide> device;  // the accelerator's
    // Bulk lead.
    std::array<BulkCall, bulk_calls> calls;
    std::uint32_t calls_granting = 0;
    std::uint32_t grant_from = 0;  // the call that gets the next grant: calls of one session take turns
    sched::FairQueue::FlowId flow = sched::FairQueue::none;
    // Grants that execute; who removes the session waits for 0. Any thread.
    std::atomic<std::uint32_t> executing{0};
};

}  // namespace yoke::executive
