// The link of a session with one worker: socket, pidfd, shared memory. A session outlives its links.
//
// What the worker says is checked: the layout must be the one that follows from its sizes, descriptors must be sealed
// memory of those sizes. After a worker's death the arena is handed over to the next worker, so that pointers into it
// stay valid; the status page is the new worker's own.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include <uapi/yoke.h>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "base/memory.hpp"
#include "control/message.hpp"

namespace yoke::client {

struct LinkOptions {
    std::uint64_t arena_bytes = 64ULL << 20;
    std::uint32_t express_slots = 256;
    std::uint32_t bulk_slots = 256;
};

// What yoked says beside its answer to a request for a worker.
struct BrokerNews {
    bool heard = false;          // it has the request, answered or not: suspects are reported once
    std::uint64_t retry_ms = 0;  // refused: when to ask again; 0: that makes no sense
    std::uint32_t dead_pid = 0;  // the last worker that died unasked; 0: none
    std::string dead_object;     // the ptask or graph to blame; "": unknown
    std::string dead_why;        // what it did
    std::string log;             // where more is written
};

class Link {
   public:
    Link() = default;

    // Asks yoked for a worker and opens a session there until `deadline_ns`. `suspects`: calls that were executing when
    // the last worker died. `news` is filled in either way. Errors of docs/control.md; ETIME.
    static Result<Link> open(const Fd& broker, const LinkOptions& options, std::uint32_t suspects,
                             std::uint64_t deadline_ns, BrokerNews& news);
    // The same with the arena of `old`, whose worker is gone and whose rings are zeroed; on success `old` has given it
    // away.
    static Result<Link> reopen(const Fd& broker, Link& old, std::uint32_t suspects, std::uint64_t deadline_ns,
                               BrokerNews& news);

    // A control request to the worker. An answer that comes too late is passed over by the next request. ECONNRESET:
    // the worker is gone; ETIME.
    Result<control::Message> request(const control::Json& body, std::span<const int> fds, std::uint64_t deadline_ns);

    // Whether the worker has ended; waits for it until `deadline_ns` (0: looks only).
    [[nodiscard]] bool worker_gone(std::uint64_t deadline_ns = 0) const;
    // Whether the worker has closed the session's socket (it may still run).
    [[nodiscard]] bool hung_up() const;

    [[nodiscard]] const yoke_layout& layout() const { return layout_; }
    [[nodiscard]] std::byte* arena() const { return arena_.data(); }
    [[nodiscard]] const std::byte* status() const { return status_.data(); }
    [[nodiscard]] const yoke_status_page& status_page() const {
        return *reinterpret_cast<const yoke_status_page*>(status_.data());
    }
    [[nodiscard]] const Fd& bell() const { return bell_; }
    [[nodiscard]] std::uint32_t session() const { return session_; }
    [[nodiscard]] std::uint32_t worker_pid() const { return worker_pid_; }

   private:
    Status connect(const Fd& broker, std::uint32_t suspects, std::uint64_t deadline_ns, BrokerNews& news);
    Status open_session(const LinkOptions& options, const Link* old, std::uint64_t deadline_ns);
    Status map(std::span<Fd> fds, bool keep_arena);

    Fd socket_;
    Fd pidfd_;
    Fd arena_fd_;
    Fd bell_;
    Mapping arena_;
    Mapping status_;
    yoke_layout layout_{};
    std::uint32_t session_ = 0;
    std::uint32_t worker_pid_ = 0;
};

}  // namespace yoke::client
