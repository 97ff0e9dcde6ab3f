// Questions to yoked and its answers.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "cli/failure.hpp"

namespace yoke::cli {

// Asks a yoked that runs; starts none. Exit 3 with a remedy when there is none.
Outcome<nlohmann::json> ask_daemon(const std::string& socket, const nlohmann::json& request);

// What there is: objects of @kind, or of all kinds. A worker of this account that does not report in time, so that
// yoked's answer is from its last report, is asked again for up to 5 s.
Outcome<nlohmann::json> ask_list(const std::string& socket, const std::string& kind = "");
// Whether such an answer nevertheless says of this account how it was before.
[[nodiscard]] bool is_stale(const nlohmann::json& answer);

}  // namespace yoke::cli
