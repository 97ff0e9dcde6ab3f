// What a worker gives up before it serves anybody (confinement.cpp says what and why).
#pragma once

#include "base/error.hpp"

namespace yoke::worker {

// No new privileges, no core dumps, no ptrace. Inherited by processes started later.
Status give_up_privileges();
// Nothing of this process is ever written to swap or read from a file again: a page that had to be fetched while the
// kernel waits for this worker to write pages back could never come. EPERM, ENOMEM: the limit of locked memory.
Status lock_memory();
// The filter of system calls, for all threads there are and will be. After everything that must start a process has
// done so. `leak_checked`: LeakSanitizer, which stops the process by ptrace when it ends, must work (instrumented
// builds only). `cuda`: the CUDA driver must work; it listens on a Unix socket of
// its own, which is all that this allows beyond.
Status filter_system_calls(bool leak_checked = false, bool cuda = false);

}  // namespace yoke::worker
