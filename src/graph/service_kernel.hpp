// A service as the kernel of a ptask: its host code, called in the order of the device's queue.
//
// The ptask has an in port, for services with a second input (aux) another one, and an out port; they are the arguments
// in that order. Lengths are those of the datablocks, so a service whose output length depends on its input wants a
// variable out port. A key stays with the ptask until its graph ends.
#pragma once

#include <memory>
#include <vector>

#include "control/graph_file.hpp"
#include "device/device.hpp"
#include "graph/graph.hpp"
#include "graph/port.hpp"

namespace yoke::graph {

// ENOENT: no such service; EINVAL: ports, parameters or lengths that the service does not take, or a key where none is
// taken; ENOKEY: it needs one; ENOTSUP: the device cannot call functions.
Result<std::unique_ptr<device::Kernel>> make_service_kernel(device::Device& device,
                                                            const control::PtaskDefinition& ptask,
                                                            const control::KernelDefinition& kernel,
                                                            const std::vector<Port*>& ports, const LendKey& lend);

}  // namespace yoke::graph
