// Finding yoked, and starting a private one where none runs.
//
// Order: the socket that the caller names, else $YOKE_SOCKET (both: connect only); else the system's instance; else the
// user's own, which is started on demand unless YOKE_AUTOSTART=0. Of several that are started at once yoked lets one
// serve. The daemon is started by a double fork with a session of its own: it is no child of the program, gets none of
// its descriptors and survives it; it ends by itself when idle.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.hpp"
#include "base/fd.hpp"

namespace yoke::client {

// Whether this call may start a daemon.
enum class Autostart : std::uint8_t { no, yes };

// A connection to yoked. `socket` may be empty: the order above. ENOTCONN names what was tried and the remedy; EACCES.
Result<Fd> connect_to_broker(const std::string& socket, Autostart autostart);

}  // namespace yoke::client
