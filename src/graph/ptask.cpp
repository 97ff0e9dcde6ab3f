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

// Of an argument that is no datablock.
std::size_t bytes_of(const control::ArgumentDefinition& argument) {
    switch (argument.tells) {
        case control::ArgumentDefinition::Tells::datablock:
            break;
        case control::ArgumentDefinition::Tells::count:
            return sizeof(std::uint32_t);
        case control::ArgumentDefinition::Tells::extent:
            return 4 * sizeof(std::uint32_t);
    }
    return argument.constant.size();
}

}  // namespace

void LaunchFailure::done(int status) noexcept {
    graph_.launch_failed(ptask_, status);
}

std::string port_name(const control::PtaskDefinition& definition, const std::string& port) {
    return port.starts_with('/') ? port : definition.name + ":" + port;
}

namespace {

const Port* estimated_from(const std::string& rule, const std::vector<const Port*>& candidates) {
    const auto first = [&](bool output) {
        const auto found = std::find_if(candidates.begin(), candidates.end(), [&](const Port* port) {
            return output ? port->definition.gives() : port->definition.takes();
        });
        return found == candidates.end() ? nullptr : *found;
    };
    if (rule.empty() || rule == "first-input") {
        return first(false);
    }
    if (rule == "first-output") {
        return first(true);
    }
    if (rule == "largest-input") {
        const Port* largest = nullptr;
        for (const Port* const port : candidates) {
            if (port->definition.takes() &&
                (largest == nullptr || port->bytes / port->element_bytes > largest->bytes / largest->element_bytes)) {
                largest = port;
            }
        }
        return largest;
    }
    const auto named = std::find_if(candidates.begin(), candidates.end(),
                                    [&](const Port* port) { return port->definition.name == rule; });
    return named == candidates.end() ? nullptr : *named;
}

}  // namespace

Result<device::Program> program_of(const control::PtaskDefinition& definition, const control::KernelDefinition& kernel,
                                   const std::vector<Port*>& ports, std::array<const Port*, 3>& sources) {
    device::Program program;
    program.form = kernel.form;
    program.source = kernel.source;
    program.source_name = kernel.source_name;
    program.function = kernel.function;
    program.options = kernel.options;
    std::array<std::uint64_t, 3> global = kernel.geometry;
    if (global == std::array<std::uint64_t, 3>{}) {
        std::vector<const Port*> candidates;
        std::copy_if(ports.begin(), ports.end(), std::back_inserter(candidates),
                     [](const Port* port) { return port != nullptr; });
        for (std::size_t d = 0; d < 3; ++d) {
            const Port* const source = estimated_from(kernel.geometry_from[d], candidates);
            if (source == nullptr) {
                return fail(EINVAL, "ptask {} has no port {} to take its geometry from; name one of its arguments",
                            definition.name, in_quotes(kernel.geometry_from[d]));
            }
            sources[d] = source;
            global[d] = source->definition.form.extent[d];
        }
    }
    for (std::size_t d = 0; d < 3; ++d) {
        // An extent that is left out of an explicit geometry counts as 1.
        program.geometry.global[d] = std::max<std::uint64_t>(global[d], 1);
        program.geometry.local[d] = kernel.local[0] == 0 ? 0 : std::max<std::uint64_t>(kernel.local[d], 1);
    }
    return program;
}

Status check_arguments(const control::PtaskDefinition& definition, const control::KernelDefinition& chosen,
                       const device::Kernel& kernel) {
    using Tells = control::ArgumentDefinition::Tells;
    const std::vector<device::Parameter>& parameters = kernel.parameters();
    const std::string function = printable(chosen.function);
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
                if (!argument.port || argument.tells != Tells::datablock) {
                    return fail(EINVAL, "{} of kernel {} is a buffer, but ptask {} gives a constant; give a port", what,
                                function, definition.name);
                }
                break;
            case device::Parameter::Kind::constant:
                if (argument.port && argument.tells == Tells::datablock) {
                    return fail(EINVAL, "{} of kernel {} is a constant, but ptask {} gives port {}; give its bytes",
                                what, function, definition.name, printable(*argument.port));
                }
                if (const std::size_t given = bytes_of(argument); parameter.bytes != 0 && parameter.bytes != given) {
                    return fail(EINVAL, "{} of kernel {} takes {} bytes, but ptask {} gives {}", what, function,
                                parameter.bytes, definition.name, given);
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
    if (!(a.others == b.others) || a.kernel.form != b.kernel.form || a.kernel.geometry_from != b.kernel.geometry_from ||
        a.kernel.parameters != b.kernel.parameters || a.kernel.decrypt != b.kernel.decrypt ||
        a.kernel.key != b.kernel.key) {
        return "form of its code";
    }
    if (a.deadline_ns != b.deadline_ns) {
        return "deadline";
    }
    if (a.arguments.size() != b.arguments.size()) {
        return "number of arguments";
    }
    for (std::size_t i = 0; i < a.arguments.size(); ++i) {
        const control::ArgumentDefinition& left = a.arguments[i];
        const control::ArgumentDefinition& right = b.arguments[i];
        const bool same_port = left.port.has_value() == right.port.has_value() &&
                               (!left.port || port_name(a, *left.port) == port_name(b, *right.port));
        if (!same_port || left.constant != right.constant || left.tells != right.tells) {
            return fmt::format("argument {}", i + 1);
        }
    }
    return {};
}

}  // namespace yoke::graph
