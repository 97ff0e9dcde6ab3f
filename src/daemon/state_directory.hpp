// Where what outlives reboots is kept: definitions of graphs that persist, a folder per account.
//
// The system instance has $STATE_DIRECTORY (systemd's StateDirectory=, /var/lib/yoke) with a folder per uid, which
// belongs to that user, because his worker writes it. A private instance has $XDG_STATE_HOME/yoke or
// ~/.local/state/yoke, made by its worker when it is needed. Without any of these variables nothing persists.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace yoke::daemon {

class StateDirectory {
   public:
    StateDirectory() = default;
    // From the environment.
    static StateDirectory find(bool private_instance);

    // Folder of an account; "": there is none.
    [[nodiscard]] std::string of(uid_t account) const;
    // Makes it, where it is a user's own below the system's.
    void prepare(uid_t account) const;
    // Accounts with a folder.
    [[nodiscard]] std::vector<uid_t> accounts() const;
    // It has graphs that run whether or not somebody is connected.
    [[nodiscard]] bool wants_worker(uid_t account) const;

   private:
    static constexpr std::size_t accounts_max = 4096;  // looked at
    std::string base_;
    bool private_instance_ = false;
};

}  // namespace yoke::daemon
