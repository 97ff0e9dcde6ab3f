// The executive: takes entries from the rings of all sessions of a worker, validates them, executes and completes them.
//
// Sessions are described by a table that clients cannot write. An entry is copied once, the copy is checked against the
// table, and only the copy is used. Calls go to services, chunk by chunk; push, pull and move go to the StreamSink (the
// graph runtime), which completes them later through complete().
//
// Threads: one express thread polls the express rings of the hot sessions and runs small calls to their end; bulk
// threads share the chunks of larger calls. A ring without entries for a while goes cold: its `asleep` word is set and
// its client must ring the session's eventfd, which the express thread watches edge-triggered and never reads.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include <uapi/yoke.h>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "base/memory.hpp"
#include "service/service.hpp"

namespace yoke::executive {

using SessionId = std::uint32_t;  // never 0, never reused in the life of a worker

// Names an entry that was taken and not yet completed.
struct Ticket {
    SessionId session = 0;
    std::uint8_t ring = 0;
    std::uint32_t slot = 0;
    std::uint32_t tag = 0;
};

// A checked push, pull or move.
struct StreamEntry {
    Ticket ticket;
    std::uint8_t op = YOKE_OP_NONE;         // YOKE_OP_PUSH, PULL or MOVE
    std::uint8_t flags = 0;                 // YOKE_FLAG_NOWAIT; push: END; pull: PEEK or DRAIN
    std::uint8_t signals = 0;               // push: YOKE_SIGNALS_PUSHABLE
    std::uint32_t channel = 0;              // id as the client gave it: the sink checks that this session may use it
    std::uint32_t to = 0;                   // move: id of the destination, as the client gave it
    std::array<std::uint64_t, 3> extent{};  // push: as the client gave it; zeros: from the length
    std::byte* data = nullptr;              // push: input; pull: output; inside the arena, hostile memory; move: null
    std::uint32_t length = 0;
    std::uint64_t deadline_ns = 0;
};

// Who serves push, pull and move. Called on an executive thread: must not block. Every entry must be completed once,
// through Executive::complete, from any thread, also from inside the call.
class StreamSink {
   public:
    virtual ~StreamSink() = default;
    virtual void push(const StreamEntry& entry) noexcept = 0;
    virtual void pull(const StreamEntry& entry) noexcept = 0;
    virtual void move(const StreamEntry& entry) noexcept = 0;
    // The client asked to cancel an entry that push(), pull() or move() got and that is not completed.
    virtual void cancel(const Ticket& ticket) noexcept = 0;
    // The session closes; afterwards its memory is not touched any more. Complete or forget its entries.
    virtual void forget(SessionId session) noexcept = 0;
};

// When the stages of one piece of a bulk call ended on the device, in microseconds by its own clock.
struct PieceTimes {
    SessionId session = 0;
    std::uint64_t call = 0;  // number of the call among those that the device took
    std::uint32_t piece = 0;
    std::uint64_t bytes_in = 0;
    std::uint64_t bytes_out = 0;
    double queued_us = 0;  // the piece's turn in its stream; its copy may wait for an engine still
    double copied_in_us = 0;
    double run_us = 0;
    double copied_out_us = 0;
};

// Who is told the times of pieces. Called by the bulk lane's thread.
class PieceSink {
   public:
    PieceSink() = default;
    PieceSink(const PieceSink&) = delete;
    PieceSink& operator=(const PieceSink&) = delete;
    virtual ~PieceSink() = default;
    virtual void piece(const PieceTimes& times) noexcept = 0;
};

struct Limits {
    unsigned bulk_threads = 0;               // 0: number of processors - 1, at least 1, at most 8
    std::uint64_t express_spin_ns = 50'000;  // polling without work before a ring goes cold
    std::uint64_t bulk_spin_ns = 50'000;
    std::uint32_t keys_per_session = 1024;
    // The CUDA device: opened beside everything else if wanted; until it is open, and where there is none, the host
    // executes everything.
    bool cuda = false;
    std::uint32_t device_after_calls = 2;            // calls of a hot express ring before the device is offered it
    std::uint64_t device_idle_ns = 500'000;          // without an entry before the device gives a ring back
    std::uint64_t device_park_ns = 20'000'000;       // without a ring before the resident kernel parks
    std::uint64_t device_answer_ns = 2'000'000'000;  // without a sign of life of the resident kernel: the worker ends
    std::uint32_t device_bulk_bytes = 256U * 1024U;  // shorter bulk calls are executed by the host
    bool device_faults = false;                      // for tests: the resident kernel serves services that fail
    const void* device_code = nullptr;               // for measurements: a fat binary in place of the device's kernels
    PieceSink* device_trace = nullptr;               // for measurements: told of bulk calls; outlives the executive
};

// Of the device, for people and inventories.
struct DeviceReport {
    std::string state = "none";  // "none", "opening", "open", "failed"
    std::string description;     // "NVIDIA H100 80GB HBM3"
    std::string error;           // why it failed
    std::uint64_t launches = 0;  // of the resident kernel
    std::uint64_t rings = 0;     // attached now
    std::uint64_t attachments = 0;
    std::uint64_t express_calls = 0;
    std::uint64_t bulk_calls = 0;
    bool resident = false;
};

// Memory of one session, already created or checked (see session.hpp in worker/).
struct SessionMemory {
    yoke_layout layout{};      // private copy
    Mapping arena;             // read-write
    Mapping status;            // read-write here, read-only at the client
    Fd bell;                   // eventfd that the client writes and we only watch
    int kernel_device = -1;    // the client is the kernel, see ring::WorkerView
    bool handed_over = false;  // the rings hold entries of another worker: they are cleared before they are served
};

struct SessionReport {
    SessionId session = 0;
    std::uint64_t taken = 0;
    std::uint64_t completed = 0;
    std::uint64_t failed = 0;  // completed with a status other than 0
    std::uint64_t in_flight = 0;
    std::uint64_t bytes_in = 0;
    std::uint64_t bytes_out = 0;
    std::uint64_t busy_ns = 0;  // execution time charged
    std::uint32_t keys = 0;
    std::uint32_t fault = 0;  // enum yoke_member, 0: none
};

class Executive {
   public:
    // `sink` may be null: push, pull and move are then answered with ENOSYS. It must outlive the executive.
    static Result<std::unique_ptr<Executive>> create(const Limits& limits, StreamSink* sink);
    ~Executive();  // stops the threads; entries in flight are dropped
    Executive(const Executive&) = delete;
    Executive& operator=(const Executive&) = delete;

    // Takes over the memory and starts serving its rings. `id` must be fresh.
    Status add_session(SessionId id, SessionMemory memory);
    // Stops serving; returns when no executive thread touches the session's memory any more (blocks for at most the
    // chunks that run) and wipes its keys.
    void remove_session(SessionId id);

    // Keys of a session. The id is never 0 and is not reused while the session lives.
    Result<std::uint32_t> add_key(SessionId id, const service::Service& service, std::span<const std::byte> bytes);
    // New entries no longer find the key; it is wiped once those that use it are completed. ENOKEY.
    Status remove_key(SessionId id, std::uint32_t key);

    // A key of a session for the stream sink's own use of `service`, on lane graph_lane(), by one thread at a time. It
    // outlives its removal and its session until it is let go. ENOKEY.
    Result<std::shared_ptr<const service::Key>> share_key(SessionId id, std::uint32_t key,
                                                          const service::Service& service);

    // Writes the completion of a ticket that the sink holds and wakes the client if it sleeps. A ticket of a session
    // that is gone is ignored. Any thread.
    void complete(const Ticket& ticket, const yoke_completion& completion) noexcept;

    [[nodiscard]] SessionReport report(SessionId id) const;
    [[nodiscard]] DeviceReport device() const;
    // Lanes of the executive's threads: express thread + bulk threads. Keys are made for one more.
    [[nodiscard]] unsigned lanes() const;
    [[nodiscard]] unsigned graph_lane() const { return lanes(); }

   private:
    struct Impl;
    explicit Executive(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace yoke::executive
