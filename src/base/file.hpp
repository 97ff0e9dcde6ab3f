// Whole small files into memory: configurations, kernels, what /proc tells.
//
// A path may come from a user, so a directory, a FIFO that nobody writes, an endless device and a file that fails in
// the middle (/proc of a process that just ended) are errors like others. Streams of the standard library throw for
// some of these and block for others.
#pragma once

#include <cstddef>
#include <string>

#include "base/error.hpp"

namespace yoke {

inline constexpr std::size_t file_bytes_max = std::size_t{4} * 1024 * 1024;  // more than any text that yoke reads

// Content of a regular file (or /dev/null) of at most `bytes_max`. EINVAL: not a regular file; EMSGSIZE: longer; errno
// of open and read.
Result<std::string> read_file(const std::string& path, std::size_t bytes_max = file_bytes_max);

}  // namespace yoke
