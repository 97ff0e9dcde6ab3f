// Readiness of a ptask, and the checks of its kernel's arguments when it is opened; see ptask.hpp. What the device
// cannot tell of a parameter is not checked.
#include "graph/ptask.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "graph/channel.hpp"
#include "graph/graph.hpp"

namespace yoke::graph {

namespace {

std::string describe(const device::Parameter& parameter, std::size_t index) {
    if (parameter.name.empty()) {
        return fmt::format("argument {}", index + 1);
    }
    return fmt::format("argument {} ({} {})", index + 1, parameter.type, parameter.name);
}

}  // namespace

void LaunchFailure::done(int status) noexcept {
    graph_.launch_failed(ptask_, status);
}

bool Ptask::ready() const {
    return !ended && std::all_of(inputs.begin(), inputs.end(), [](const Binding& input) {
        return !input.port->channel->datablocks.empty();
    }) && std::all_of(outputs.begin(), outputs.end(), [](const Binding& output) {
        return output.port->channel->closed || !output.port->channel->full();
    });
}

bool Ptask::exhausted() const {
    return std::any_of(inputs.begin(), inputs.end(),
                       [](const Binding& input) { return input.port->channel->drained(); }) ||
           std::all_of(outputs.begin(), outputs.end(),
                       [](const Binding& output) { return output.port->channel->closed; });
}

std::string port_name(const control::PtaskDefinition& definition, const std::string& port) {
    return port.starts_with('/') ? port : definition.name + ":" + port;
}

Result<device::Program> program_of(const control::PtaskDefinition& definition, const std::vector<Port*>& ports) {
    const control::KernelDefinition& kernel = definition.kernel;
    device::Program program;
    program.source = kernel.source;
    program.source_name = kernel.source_name;
    program.function = kernel.function;
    program.options = kernel.options;
    std::array<std::uint64_t, 3> global = kernel.geometry;
    if (global == std::array<std::uint64_t, 3>{}) {
        const auto first = std::find_if(ports.begin(), ports.end(),
                                        [](const Port* port) { return port != nullptr && !port->definition.out; });
        if (first == ports.end()) {
            return fail(EINVAL, "ptask {} has no input to take its geometry from; give an input port", definition.name);
        }
        global = (*first)->definition.form.extent;
    }
    for (std::size_t d = 0; d < 3; ++d) {
        // An extent that is left out of an explicit geometry counts as 1.
        program.geometry.global[d] = std::max<std::uint64_t>(global[d], 1);
        program.geometry.local[d] = kernel.local[0] == 0 ? 0 : std::max<std::uint64_t>(kernel.local[d], 1);
    }
    return program;
}

Status check_arguments(const control::PtaskDefinition& definition, const device::Kernel& kernel) {
    const std::vector<device::Parameter>& parameters = kernel.parameters();
    const std::string function = printable(definition.kernel.function);
    if (parameters.size() != definition.arguments.size()) {
        return fail(EINVAL, "kernel {} takes {} arguments, but ptask {} gives {}", function, parameters.size(),
                    definition.name, definition.arguments.size());
    }
    for (std::size_t i = 0; i < parameters.size(); ++i) {
        const device::Parameter& parameter = parameters[i];
        const control::ArgumentDefinition& argument = definition.arguments[i];
        const std::string what = describe(parameter, i);
        switch (parameter.kind) {
            case device::Parameter::Kind::unknown:
                break;
            case device::Parameter::Kind::buffer:
                if (!argument.port) {
                    return fail(EINVAL, "{} of kernel {} is a buffer, but ptask {} gives a constant; give a port", what,
                                function, definition.name);
                }
                break;
            case device::Parameter::Kind::constant:
                if (argument.port) {
                    return fail(EINVAL, "{} of kernel {} is a constant, but ptask {} gives port {}; give its bytes",
                                what, function, definition.name, printable(*argument.port));
                }
                if (parameter.bytes != 0 && parameter.bytes != argument.constant.size()) {
                    return fail(EINVAL, "{} of kernel {} takes {} bytes, but ptask {} gives {}", what, function,
                                parameter.bytes, definition.name, argument.constant.size());
                }
                break;
            case device::Parameter::Kind::other:
                return fail(EINVAL, "{} of kernel {} is neither a buffer nor a constant; ptask {} cannot give it", what,
                            function, definition.name);
        }
    }
    return {};
}

std::string difference(const control::PtaskDefinition& a, const control::PtaskDefinition& b) {
    if (a.kernel.source != b.kernel.source) {
        return "kernel source";
    }
    if (a.kernel.function != b.kernel.function) {
        return "kernel function";
    }
    if (a.kernel.options != b.kernel.options) {
        return "compiler options";
    }
    if (a.kernel.geometry != b.kernel.geometry) {
        return "geometry";
    }
    if (a.kernel.local != b.kernel.local) {
        return "work-group size";
    }
    if (a.arguments.size() != b.arguments.size()) {
        return "number of arguments";
    }
    for (std::size_t i = 0; i < a.arguments.size(); ++i) {
        const control::ArgumentDefinition& left = a.arguments[i];
        const control::ArgumentDefinition& right = b.arguments[i];
        const bool same_port = left.port.has_value() == right.port.has_value() &&
                               (!left.port || port_name(a, *left.port) == port_name(b, *right.port));
        if (!same_port || left.constant != right.constant) {
            return fmt::format("argument {}", i + 1);
        }
    }
    return {};
}

}  // namespace yoke::graph
