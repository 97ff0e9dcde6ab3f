// Where yoked listens: $YOKE_SOCKET, else the system's /run/yoke/yoke.sock, else the user's
// $XDG_RUNTIME_DIR/yoke/yoke.sock.
#pragma once

#include <string>

#include "base/error.hpp"
#include "base/fd.hpp"

namespace yoke::control {

inline constexpr const char* system_socket = "/run/yoke/yoke.sock";

// Directory for a private instance: $XDG_RUNTIME_DIR/yoke, else /run/user/UID/yoke, else /tmp/yoke-UID. Created with
// mode 0700; EACCES when it belongs to somebody else or others can write to it.
Result<std::string> private_directory();

// Connects to yoked at `path`. ENOENT or ECONNREFUSED: none listens. ENAMETOOLONG.
Result<Fd> connect_to(const std::string& path);
// Listening non-blocking SEQPACKET socket; replaces a stale socket file nobody listens on. EADDRINUSE.
Result<Fd> listen_at(const std::string& path, unsigned mode);

struct Credentials {
    pid_t pid = 0;
    uid_t uid = 0;
    gid_t gid = 0;
};
// SO_PEERCRED of a connected socket.
Result<Credentials> peer_of(const Fd& socket);

}  // namespace yoke::control
