// The spawner: a small process that starts yoke-compile for a worker that must not start anything itself.
//
// PROBLEM. A worker compiles kernels at any time, but its seccomp filter forbids execve, and a thread of a process with
// many threads had better not fork.
//
// MODEL. The worker forks the spawner first of all, while it has one thread and no filter. Between them is a
// SOCK_SEQPACKET socket with control messages. For each "compile" the spawner runs yoke-compile with limits on memory,
// CPU time and wall-clock time, kills its whole process group at the limit, and answers with a sealed memfd of the
// binary, or with an error. One request at a time: that bounds what an account spends on compiling. yoke-compile dies
// with the spawner (PR_SET_PDEATHSIG); the spawner ends when the worker closes the socket or dies. The spawner is
// nobody's zombie: it is forked twice and so belongs to init.
//
// It is also who outlives the worker by a moment: a scratch directory that the worker has named ("scratch") is removed
// when the worker is dead.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.hpp"
#include "base/fd.hpp"

namespace yoke::device {

struct SpawnerLimits {
    std::uint32_t wall_ms = 60'000;           // a kernel of a few pages compiles in one second
    std::uint32_t cpu_s = 60;                 // of CPU time
    std::uint64_t memory_bytes = 4ULL << 30;  // address space; not limited in builds with a sanitizer, which need all
    std::uint64_t file_bytes = 256ULL << 20;  // of one file, the binary included
};

// Forks the spawner; returns the worker's end of the socket. To be called before threads are started and before execve
// is forbidden. ENOENT: yoke-compile is not installed.
Result<Fd> start_spawner(const SpawnerLimits& limits = {});

}  // namespace yoke::device
