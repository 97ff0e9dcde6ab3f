// Bounds of what an administrator may allow an account (limits.account of yoke.toml): what tables and messages are made
// for. A number above them would be accepted and then do nothing, or end a worker that keeps to it.
#pragma once

#include <cstdint>

namespace yoke::control {

// With the default number of objects, an inventory that tells of so many stays below the 12 MiB that yoked takes of one
// (daemon/worker.hpp): about 350 bytes for each session with its keys, as many for a graph.
inline constexpr std::uint32_t account_sessions_max = 8192;
inline constexpr std::uint32_t account_graphs_max = 1024;
inline constexpr std::uint32_t account_objects_max = 8192;  // of all graphs: below 8 MiB of an inventory
inline constexpr std::uint32_t session_keys_max = 4096;     // places of its table: 128 KiB with the first key

}  // namespace yoke::control
