// One running yoked: its runtime directory, the lock that makes it the only one there, and its socket.
//
// Two clients that find no yoked start two; the lock lets one of them serve, and the other one, once that serves, says
// so to its own client. Under a service manager the socket comes from there.
#pragma once

#include <string>

#include "base/error.hpp"
#include "base/fd.hpp"

namespace yoke::daemon {

class Instance {
   public:
    static constexpr unsigned other_timeout_ms = 10'000;  // for the one that holds the lock to listen or to end

    // `socket`: path, or "" for the instance's usual one. EADDRINUSE: another yoked holds the directory but does not
    // serve.
    static Result<Instance> claim(const std::string& socket, bool private_instance);

    [[nodiscard]] bool served_by_another() const { return !lock_; }
    [[nodiscard]] const std::string& socket_path() const { return socket_path_; }
    [[nodiscard]] const std::string& directory() const { return directory_; }
    [[nodiscard]] Fd take_listener() { return std::move(listener_); }
    // Removes the name of the socket, so that clients find nobody rather than one who refuses.
    void stop_listening() const;
    // Removes what it made, when no worker is left that would need it.
    void clean_up();

   private:
    Result<bool> lock();

    std::string socket_path_;
    std::string directory_;
    Fd lock_;
    Fd listener_;
    bool activated_ = false;  // the socket is the service manager's
};

}  // namespace yoke::daemon
