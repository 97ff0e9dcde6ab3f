// The directory where PoCL unpacks binaries to load them from: one per process, gone with it.
//
// PROBLEM. PoCL reads POCL_CACHE_DIR once, when it is first used, and keeps loading files from there as long as the
// process lives. A process that is killed cannot clean up.
//
// MODEL. The directory is made once per process and locked (flock) while the process lives. It is removed when the
// process exits, by the spawner when the process is killed, and, when that was killed too, by the next process that
// makes one.
#pragma once

#include <string>

#include "base/error.hpp"

namespace yoke::device {

// Creates this process's scratch directory in `parent`, or returns the one that it already has. Sets POCL_CACHE_DIR, so
// the first call must come before OpenCL is used and while no other thread reads the environment.
Result<std::string> process_scratch(const std::string& parent);

}  // namespace yoke::device
