// Readiness of a ptask, and the checks of its kernel's arguments when it is opened; see ptask.hpp. What the device
// cannot tell of a parameter is not checked.
#include "graph/ptask.hpp"

#include <algorithm>
#include <numeric>

#include "base/text.hpp"
#include "control/definition.hpp"
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

namespace {

// Whether a kernel that takes `argument` can work on elements of `port`. What counts is the scalar: how many of them
// make an element is the kernel's to choose (vload3, a float4 over rows of four). Plain bytes are for everything.
bool same_scalar(const std::string& port, const std::string& argument) {
    const auto a = control::parse_element_type(port);
    const auto b = control::parse_element_type(argument);
    if (!a || !b) {
        return true;  // what is unknown is not judged
    }
    const auto plain = [](const control::ElementType& type) { return type.bytes() == 1; };
    return plain(*a) || plain(*b) || (a->scalar == b->scalar && a->scalar_bytes == b->scalar_bytes);
}

// `what`: the argument as in check_arguments().
Status check_buffer(const Port& port, const device::Parameter& parameter, const std::string& what) {
    const control::PortDefinition& own = port.definition;
    if (own.direction == control::Direction::out && parameter.read_only) {  // an in-out one may be passed on as it is
        return fail(EINVAL,
                    "port {} is an {} port, but {} is const: its kernel cannot write to it; leave out const, or "
                    "give the argument an in port",
                    own.name, control::direction_text(own.direction), what);
    }
    if (!same_scalar(own.form.type, parameter.element)) {
        return fail(EINVAL, "port {} has elements of type {}, but {} points to {}; give both the same type", own.name,
                    own.form.type, what, parameter.element);
    }
    const auto element = control::parse_element_type(parameter.element);
    if (!element) {
        return {};
    }
    // A vector of three is aligned as one of four, in OpenCL but not in a template.
    const std::uint64_t bytes = element->lanes == 3 ? std::uint64_t{4} * element->scalar_bytes : element->bytes();
    if (port.bytes % bytes != 0 || (element->lanes == 3 && own.form.type == parameter.element)) {
        return fail(EINVAL, "port {} has datablocks of {} ({}), but {} points to elements of {}; {}", own.name,
                    control::template_text(own.form), counted(port.bytes, "byte"), what, counted(bytes, "byte"),
                    element->lanes == 3 ? "take a pointer to the scalar type, vload3 and vstore3"
                                        : fmt::format("change the argument, or the extents to a multiple of {}",
                                                      counted(bytes / std::gcd(bytes, port.element_bytes), "element")));
    }
    return {};
}

// `what`: the argument with its kernel.
Status check_argument(const control::PtaskDefinition& definition, const control::ArgumentDefinition& argument,
                      const Port* port, const device::Parameter& parameter, const std::string& what) {
    using Tells = control::ArgumentDefinition::Tells;
    const bool datablock = argument.port && argument.tells == Tells::datablock;
    switch (parameter.kind) {
        case device::Parameter::Kind::unknown:
            return {};
        case device::Parameter::Kind::buffer:
            if (!datablock || port == nullptr) {
                return fail(EINVAL, "{} is a buffer, but ptask {} gives a constant; give a port", what,
                            definition.name);
            }
            return check_buffer(*port, parameter, what);
        case device::Parameter::Kind::constant:
            if (datablock) {
                return fail(EINVAL, "{} is a constant, but ptask {} gives port {}; give its bytes", what,
                            definition.name, printable(port_name(definition, *argument.port)));
            }
            if (const std::size_t given = bytes_of(argument); parameter.bytes != 0 && parameter.bytes != given) {
                return fail(EINVAL, "{} takes {}, but ptask {} gives {}", what, counted(parameter.bytes, "byte"),
                            definition.name, given);
            }
            return {};
        case device::Parameter::Kind::other:
            break;
    }
    return fail(EINVAL, "{} is neither a buffer nor a constant; ptask {} cannot give it", what, definition.name);
}

}  // namespace

Status check_arguments(const control::PtaskDefinition& definition, const control::KernelDefinition& chosen,
                       const std::vector<Port*>& ports, const device::Kernel& kernel) {
    const std::vector<device::Parameter>& parameters = kernel.parameters();
    const std::string function = printable(chosen.function);
    if (parameters.size() != definition.arguments.size()) {
        return fail(EINVAL, "kernel {} takes {}, but ptask {} gives {}", function,
                    counted(parameters.size(), "argument"), definition.name, definition.arguments.size());
    }
    for (std::size_t i = 0; i < parameters.size(); ++i) {
        const std::string what = fmt::format("{} of kernel {}", describe(parameters[i], i), function);
        if (auto fits = check_argument(definition, definition.arguments[i], ports[i], parameters[i], what); !fits) {
            return fits;
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
