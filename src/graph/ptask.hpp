// A ptask: a kernel with its arguments bound to ports and constants.
//
// It is ready when every input holds a datablock and every output can take one. It has ended when it can never be ready
// again, because an input is drained, or when nobody wants its outputs.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "control/graph_file.hpp"
#include "device/device.hpp"
#include "graph/datablock.hpp"
#include "graph/port.hpp"

namespace yoke::graph {

class Graph;

// Told by the device that a launch has failed after it was queued.
class LaunchFailure final : public device::Done {
   public:
    LaunchFailure(Graph& graph, const Ptask& ptask) : graph_(graph), ptask_(ptask) {}
    void done(int status) noexcept override;

   private:
    Graph& graph_;
    const Ptask& ptask_;
};

struct Ptask {
    control::PtaskDefinition definition;
    device::Geometry geometry;
    std::unique_ptr<device::Kernel> kernel;
    std::unique_ptr<LaunchFailure> failure;

    struct Binding {
        Port* port = nullptr;
        std::size_t argument = 0;
        DatablockRef fresh;  // output: what the launch at hand fills
    };
    std::vector<Binding> inputs;
    std::vector<Binding> outputs;
    std::vector<device::Argument> arguments;  // constants set once, buffers before each launch

    bool listed = false;  // among those that Graph::advance() looks at
    bool ended = false;
    std::uint64_t runs = 0;

    [[nodiscard]] bool ready() const;
    // Whether it can never be ready again.
    [[nodiscard]] bool exhausted() const;
};

// The program of a ptask; its geometry from the first input's template when the definition has none. `ports`: those of
// the definition's arguments, null for constants.
Result<device::Program> program_of(const control::PtaskDefinition& definition, const std::vector<Port*>& ports);

// Whether the arguments fit the kernel function, as far as it says what it takes. EINVAL names the argument.
Status check_arguments(const control::PtaskDefinition& definition, const device::Kernel& kernel);

// What two definitions of one ptask differ in ("kernel source"), "" if in nothing.
std::string difference(const control::PtaskDefinition& a, const control::PtaskDefinition& b);

// Full name of the port of an argument, which may be given without the ptask's name.
std::string port_name(const control::PtaskDefinition& definition, const std::string& port);

}  // namespace yoke::graph
