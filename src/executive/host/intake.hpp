// What happens to an entry when it is taken, the same on both rings: it is refused, handed to the stream sink, or it is
// a checked call that its ring executes.
#pragma once

#include <cstdint>

#include "executive/host/session.hpp"

namespace yoke::executive {

// True: `call` is checked and to be executed. False: the entry is dealt with. Owner of the ring.
[[nodiscard]] bool admit(Session& session, unsigned ring, const ring::Entry& entry, std::uint64_t now, StreamSink* sink,
                         CheckedCall& call);

// Why a call must not go on: 0, -ETIME or -ECANCELED. Any thread. Reads the clock only if the call has a deadline.
[[nodiscard]] int stop_reason(const Session& session, unsigned ring, const ring::Entry& entry);

[[nodiscard]] inline Ticket ticket_of(const Session& session, unsigned ring, const ring::Entry& entry) {
    return {session.id, static_cast<std::uint8_t>(ring), entry.slot, entry.tag};
}

}  // namespace yoke::executive
