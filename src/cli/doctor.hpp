// What `yoke doctor` looks at: one check per fact of the machine, each with what to do about it.
#pragma once

#include <string>
#include <vector>

namespace yoke::cli {

enum class Verdict {
    ok,
    missing,   // yoke is not usable without it
    optional,  // yoke works without it, with less
};

struct Check {
    std::string name;  // "opencl"
    Verdict verdict = Verdict::ok;
    std::string found;   // what is there
    std::string remedy;  // what to do; empty when ok
};

// @socket: empty for libyoke's default.
std::vector<Check> examine(const std::string& socket);

}  // namespace yoke::cli
