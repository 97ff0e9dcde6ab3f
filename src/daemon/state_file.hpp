// A small file of yoked's runtime directory: replaced as a whole or not at all, readable by yoked only.
#pragma once

#include <string>
#include <string_view>

#include "base/error.hpp"

namespace yoke::daemon {

// Writes `content` under a name beside `path` and renames it. Mode 0600.
Status write_state_file(const std::string& path, std::string_view content);
// Removes it, and what a writer that was killed has left beside it.
void remove_state_file(const std::string& path);

}  // namespace yoke::daemon
