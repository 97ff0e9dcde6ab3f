// The list of workers that run, kept in the runtime directory so that it survives yoked.
//
// A yoked that finds workers of its predecessor waits for them before it starts others, so that no account ever has
// two. The text names the boot it was written in: pids and times of start of another boot mean nothing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "daemon/process.hpp"

namespace yoke::daemon {

struct RosterEntry {
    uid_t account = 0;
    std::uint64_t generation = 0;
    ProcessName process;
};

// EBADMSG: not such a text. Entries of another boot are left out.
Result<std::vector<RosterEntry>> parse_roster(std::string_view text, std::string_view boot);
std::string roster_text(const std::vector<RosterEntry>& entries, std::string_view boot);

// A file that is not there is an empty list.
Result<std::vector<RosterEntry>> load_roster(const std::string& path);
Status save_roster(const std::string& path, const std::vector<RosterEntry>& entries);

}  // namespace yoke::daemon
