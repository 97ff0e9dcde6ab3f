// Telling a child of fork from the process that opened a session, for the price of one load.
//
// getpid() is a system call. Instead, one page that the kernel zeroes in every child (MADV_WIPEONFORK, which also holds
// for a bare clone()) keeps the pid of the process that filled it; a session remembers that pid. In a child the page
// reads 0 until the child opens a session of its own, and then the child's pid: never that of an inherited session.
#pragma once

#include <cstdint>

#include "base/error.hpp"

namespace yoke::client {

// Marks this process, once; returns its mark, which is never 0. ENOMEM.
Result<std::uint32_t> mark_process();
// The mark of the process that runs; 0: not marked.
[[nodiscard]] std::uint32_t process_mark();

}  // namespace yoke::client
