// Questions to yoked and its answers.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "cli/failure.hpp"

namespace yoke::cli {

// Asks a yoked that runs; starts none. Exit 3 with a remedy when there is none.
Outcome<nlohmann::json> ask_daemon(const std::string& socket, const nlohmann::json& request);

}  // namespace yoke::cli
