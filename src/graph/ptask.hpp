// A ptask: a kernel with its arguments bound to ports and constants.
//
// It is ready when every input holds a datablock and every output can take one. It has ended when it can never be ready
// again, because an input is drained, or when nobody wants its outputs.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "control/graph_file.hpp"
#include "device/device.hpp"
#include "graph/datablock.hpp"
#include "graph/kernel_mark.hpp"
#include "graph/loop.hpp"
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
    std::array<const Port*, 3> geometry_ports{};  // whose datablock's extent it is, where that is variable
    std::unique_ptr<device::Kernel> kernel;       // null: a function of the client's process
    KernelMark mark;                              // where it runs in this process
    std::string form;                             // of the kernel taken
    std::unique_ptr<LaunchFailure> failure;

    struct Binding {
        Port* port = nullptr;
        std::size_t argument = 0;  // of the kernel; none: meta and descriptor ports
        Datablock datablock;       // of the run at hand
        bool fresh = false;        // taken from a channel for this run
    };
    static constexpr std::size_t no_argument = ~std::size_t{0};
    std::vector<Binding> inputs;       // in and in-out ports
    std::vector<Binding> outputs;      // out ports
    std::vector<Binding> descriptors;  // out ports that tell of inputs
    struct Telling {                   // an argument that says what a datablock is
        std::size_t argument = 0;
        const Port* port = nullptr;
        control::ArgumentDefinition::Tells tells{};
        std::array<std::uint32_t, 4> value{};
    };
    std::vector<Telling> tellings;
    std::vector<device::Argument> arguments;  // constants set once, buffers before each launch
    std::unique_ptr<Loop> loop;

    bool listed = false;  // among those that Graph::advance() looks at
    bool ended = false;
    std::uint8_t priority = control::priority_default;
    std::uint64_t runs = 0;

    [[nodiscard]] bool client() const { return kernel == nullptr; }
    // Its meta port of that kind, of port `of` if that is given; null: it has none.
    [[nodiscard]] const Port* meta(control::Meta kind, const Port* of = nullptr) const {
        for (const Binding& input : inputs) {
            if (input.port->definition.meta == kind && (of == nullptr || input.port->of == of)) {
                return input.port;
            }
        }
        return nullptr;
    }
};

// The program of one form of a ptask; its geometry estimated where the definition has none. `ports`: those of the
// definition's arguments, null for constants. `sources` gets, per dimension, the port whose extent it is.
Result<device::Program> program_of(const control::PtaskDefinition& definition, const control::KernelDefinition& kernel,
                                   const std::vector<Port*>& ports, std::array<const Port*, 3>& sources);

// Whether the arguments fit the kernel function, as far as it says what it takes. `ports`: of the arguments, in their
// order, null for constants. EINVAL names the argument.
Status check_arguments(const control::PtaskDefinition& definition, const control::KernelDefinition& chosen,
                       const std::vector<Port*>& ports, const device::Kernel& kernel);

// What two definitions of one ptask differ in ("kernel source"), "" if in nothing.
std::string difference(const control::PtaskDefinition& a, const control::PtaskDefinition& b);

// Full name of the port of an argument, which may be given without the ptask's name.
std::string port_name(const control::PtaskDefinition& definition, const std::string& port);

}  // namespace yoke::graph
