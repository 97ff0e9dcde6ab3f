// Worker processes as the system sees them: starting one, and naming one so that a reused pid is not mistaken for it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/fd.hpp"

namespace yoke::daemon {

// A process by its pid and its time of start (clock ticks since boot, /proc/PID/stat): the pair is never used twice.
struct ProcessName {
    pid_t pid = 0;
    std::uint64_t start = 0;
};

struct Process {
    ProcessName name;
    Fd pidfd;
};

// ESRCH: there is no such process, or it has ended and waits to be reaped.
Result<std::uint64_t> start_time_of(pid_t pid);
// Takes hold of a process that is not our child. ESRCH: gone, or another one has its pid now.
Result<Process> find_process(const ProcessName& name);

struct Launch {
    std::string program;                   // absolute path
    uid_t user = 0;                        // as root: the user to become, with all of its groups
    std::vector<std::string> environment;  // all of it, "NAME=VALUE"
    Fd socket;                             // becomes descriptor 3
    bool serves_kernel = false;            // writeback may wait for it
};
// Starts a worker: own session, standard input from /dev/null, no descriptors but 0 to 3, default signals, no core
// dumps. A child that cannot become what it should ends with status 126 after saying why on stderr, 127 when exec
// fails.
Result<Process> launch(Launch launch);

// To this very process; nothing happens if it is gone.
void send_signal(const Process& process, int number);

// The end of a process whose pidfd is readable, for people: "exit status 1", "signal 9". "unknown" if not our child.
// Reaps it.
std::string reap(const Fd& pidfd);

}  // namespace yoke::daemon
