// First part of the tour: a file is encrypted, decrypted and hashed by services, in the caller and through the worker,
// and everything is compared with code that shares nothing with yoke.
#pragma once

#include <string>

#include "tour/outcome.hpp"
#include "tour/report.hpp"

namespace tour {

Done tour_crypto(const std::string& path, Report& report);

}  // namespace tour
