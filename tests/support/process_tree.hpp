// Processes below this one, for tests that must see what they have started end.
//
// A worker whose yoked was killed belongs to the next reaper above it: adopt_orphans() makes that this process, so
// that nothing a test has started can leave the tree that descendants() walks.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace yoke::test {

struct ProcessInfo {
    pid_t pid = 0;
    pid_t parent = 0;
    std::string name;  // as in /proc/PID/comm: at most 15 characters
};

// From now on orphaned descendants become children of this process. Call before anything is started.
void adopt_orphans();
// Living descendants (zombies excluded).
std::vector<ProcessInfo> descendants();
// Those of them that are programs of yoke.
std::vector<ProcessInfo> yoke_descendants();
// Children of `parent` that have ended and were not reaped.
std::size_t zombies_of(pid_t parent);
// Stops a process and waits until each of its threads stands still: kill() returns before that. False: it does not.
bool stop(pid_t pid);

// Calls `condition` every few milliseconds until it holds; false when `timeout_ms` have passed.
bool eventually(const std::function<bool()>& condition, int timeout_ms = 60'000);
// Reaps orphans that were adopted and have ended, except `pid`.
void reap_orphans(pid_t except);

}  // namespace yoke::test
