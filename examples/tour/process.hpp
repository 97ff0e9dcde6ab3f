// Other programs, run for their output.
#pragma once

#include <string>
#include <vector>

#include "tour/outcome.hpp"

namespace tour {

// Runs @arguments[0], found in PATH, and returns what it printed. Fails unless it exits with 0.
Outcome<std::string> output_of(const std::vector<std::string>& arguments);

}  // namespace tour
