// Whether a kernel's work items can be had: how many there are is said by the ptask or by one of its ports, and groups
// of them must divide that where the device insists on it.
#pragma once

#include <span>

#include "base/error.hpp"
#include "control/graph_file.hpp"

namespace yoke::control {

// EINVAL with a sentence that names the ptask and the port. `kernel` is one of the forms of `ptask`, `ports` are those
// of its graph. Whoever estimates the geometry of a ptask whose datablocks vary takes their templates' extents, as
// here.
Status check_geometry(const PtaskDefinition& ptask, const KernelDefinition& kernel,
                      std::span<const PortDefinition> ports);

}  // namespace yoke::control
