// sha256: digests of many messages of one length, or of one long message (FIPS 180-4).
#pragma once

#include "service/service.hpp"

namespace yoke::service {

[[nodiscard]] const Service& sha256();

}  // namespace yoke::service
