// What a worker says it holds: arrays of objects by kind, shown by `list` and counted for the limits.
//
// A worker runs its user's code, so its inventory is believed only as far as it harms nobody else: it is shown to its
// own user (and to root), and its counts bound only its own account.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "control/message.hpp"

namespace yoke::daemon {

inline constexpr std::array<std::string_view, 8> inventory_kinds{"sessions", "graphs",   "ptasks",  "ports",
                                                                 "channels", "services", "devices", "keys"};

class Inventory {
   public:
    Inventory() = default;
    // From a message whose schema has been checked.
    explicit Inventory(const control::Json& inventory);

    [[nodiscard]] const control::Json& of(std::string_view kind) const;  // an array
    [[nodiscard]] std::size_t count(std::string_view kind) const { return of(kind).size(); }
    [[nodiscard]] std::uint64_t arena_bytes() const { return arena_bytes_; }  // of all its sessions
    // Session sockets that the worker has received since it started.
    [[nodiscard]] std::uint64_t adopted() const { return adopted_; }

   private:
    control::Json kinds_ = control::Json::object();
    std::uint64_t arena_bytes_ = 0;
    std::uint64_t adopted_ = 0;
};

}  // namespace yoke::daemon
