// See geometry.hpp. Kernels in OpenCL C are launched over exactly their work items, so groups must divide them; other
// forms are launched over whole groups (docs/graph.md, Devices).
#include "control/geometry.hpp"

#include <algorithm>
#include <vector>

#include "base/text.hpp"

namespace yoke::control {

namespace {

using Ports = std::vector<const PortDefinition*>;

// The ports among the arguments, in their order.
Ports ports_of(const PtaskDefinition& ptask, std::span<const PortDefinition> ports) {
    Ports found;
    for (const ArgumentDefinition& argument : ptask.arguments) {
        for (const PortDefinition& port : ports) {
            if (argument.port == port.name) {
                found.push_back(&port);
            }
        }
    }
    return found;
}

std::uint64_t elements_of(const PortDefinition& port) {
    return port.form.extent[0] * port.form.extent[1] * port.form.extent[2];
}

const PortDefinition* estimated_from(const std::string& rule, const Ports& ports) {
    const auto first = [&](auto&& fits) {
        const auto found = std::ranges::find_if(ports, fits);
        return found != ports.end() ? *found : nullptr;
    };
    const auto takes = [](const PortDefinition* port) { return port->takes(); };
    if (rule.empty() || rule == "first-input") {
        return first(takes);
    }
    if (rule == "first-output") {
        return first([](const PortDefinition* port) { return port->gives(); });
    }
    if (rule == "largest-input") {
        const PortDefinition* largest = nullptr;
        for (const PortDefinition* const port : ports) {
            if (port->takes() && (largest == nullptr || elements_of(*port) > elements_of(*largest))) {
                largest = port;
            }
        }
        return largest;
    }
    return first([&](const PortDefinition* port) { return port->name == rule; });
}

std::string wanted(const std::string& rule) {
    return rule.starts_with('/') ? "port " + in_quotes(rule) : rule == "first-output" ? "out port" : "in port";
}

}  // namespace

Status check_geometry(const PtaskDefinition& ptask, const KernelDefinition& kernel,
                      std::span<const PortDefinition> ports) {
    if (kernel.form == "client" || kernel.form == "service") {
        return {};
    }
    const bool estimated = kernel.geometry == std::array<std::uint64_t, 3>{};
    const Ports arguments = ports_of(ptask, ports);
    for (std::size_t d = 0; d < kernel.geometry.size(); ++d) {
        const std::string& rule = kernel.geometry_from[d];
        const PortDefinition* const source = estimated ? estimated_from(rule, arguments) : nullptr;
        if (estimated && source == nullptr) {
            return fail(EINVAL,
                        "ptask {} has no {} among its arguments to take its geometry from; name a port that it has, or "
                        "give geometry",
                        in_quotes(ptask.name), wanted(rule));
        }
        const std::uint64_t items = std::max<std::uint64_t>(estimated ? source->form.extent[d] : kernel.geometry[d], 1);
        const std::uint64_t group = std::max<std::uint64_t>(kernel.local[d], 1);
        if (kernel.form == "opencl" && items % group != 0) {
            return fail(EINVAL,
                        "local {} does not divide the {} work items that ptask {} has in dimension {}, as {}; give a "
                        "number that does, or leave local out",
                        group, items, in_quotes(ptask.name), d + 1,
                        estimated ? "port " + in_quotes(source->name) + " says" : "geometry says");
        }
    }
    return {};
}

}  // namespace yoke::control
