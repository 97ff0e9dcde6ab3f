// echo: out = in. The service to measure a path with, since it costs no more than a copy.
#pragma once

#include "service/service.hpp"

namespace yoke::service {

[[nodiscard]] const Service& echo();

}  // namespace yoke::service
