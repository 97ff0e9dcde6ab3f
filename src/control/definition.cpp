// Rules for single objects of a graph; see definition.hpp. Each rule is one row: what must not be, and what to do.
#include "control/definition.hpp"

#include <uapi/yoke.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/text.hpp"
#include "control/name.hpp"

namespace yoke::control {

namespace {

using Endpoint = EndpointDefinition::Kind;

constexpr std::array<std::string_view, 6> forms{"opencl", "cuda", "ptx", "cubin", "service", "client"};

constexpr std::array<std::pair<std::string_view, Endpoint>, 5> endpoints{{{"file", Endpoint::file},
                                                                          {"fifo", Endpoint::fifo},
                                                                          {"socket", Endpoint::socket},
                                                                          {"v4l2", Endpoint::v4l2},
                                                                          {"uinput", Endpoint::uinput}}};

bool is_integer(const TemplateDefinition& form) {
    const auto type = parse_element_type(form.type);
    return type && type->lanes == 1 && type->scalar != ElementType::Scalar::floating;
}

// `of` names a port of the same ptask.
bool beside(const PortDefinition& port) {
    return parse_name(port.of, NameKind::port) && ptask_of(port.of) == ptask_of(port.name) && port.of != port.name;
}

struct Rule {
    bool broken;
    std::string_view sentence;  // goes on after "port X"
};

std::vector<Rule> port_rules(const PortDefinition& port) {
    const bool in = port.direction == Direction::in;
    const bool meta = port.meta != Meta::none;
    const auto type = parse_element_type(port.form.type);
    return {
        {port.sticky && !in, "is sticky but no in port; leave sticky out or make it an in port"},
        {port.hold && !in, "has hold but is no in port; leave hold out or make it an in port"},
        {port.sticky + port.hold + port.init + meta > 1, "is more than one of sticky, hold, init and meta; keep one"},
        {port.init && !port.takes(), "has init but takes no datablocks; leave init out or make it an in port"},
        {!port.initial.empty() && !port.init && in, "has an initial value but no init; add init"},
        {!port.initial.empty() && type && port.initial.size() != type->bytes(),
         "has an initial value of another size than its element; give one element"},
        {meta && !in, "is a meta port but no in port; make it an in port"},
        {meta && !is_integer(port.form), "is a meta port whose elements are no integers; use for example u32"},
        {port.meta == Meta::size && !beside(port), "has no out port whose size it tells; name one of its ptask in of"},
        {port.descriptor && port.direction != Direction::out, "is a descriptor port but no out port; make it one"},
        {port.descriptor && port.form != TemplateDefinition{"u64", {4, 1, 1}, port.form.stride},
         "is a descriptor port of another template; make it four u64: bytes and three extents"},
        {port.descriptor && !beside(port), "describes no port; name an in port of its ptask"},
        {port.meta != Meta::size && !port.descriptor && !port.of.empty(),
         "names another port but neither tells its size nor describes it; leave of out"},
    };
}

Status check_kernel(const PtaskDefinition& ptask, const KernelDefinition& kernel) {
    const auto wrong = [&](std::string_view sentence) -> Status {
        return fail(EINVAL, "ptask {} {}", in_quotes(ptask.name), sentence);
    };
    if (!is_kernel_form(kernel.form)) {
        return fail(EINVAL, "ptask {} has a kernel of form {}; known are {}", in_quotes(ptask.name),
                    in_quotes(kernel.form), fmt::join(forms, ", "));
    }
    const bool client = kernel.form == "client";
    const bool service = kernel.form == "service";
    if (client && !ptask.others.empty()) {
        return wrong("is a function of the client and has other forms; leave one of them out");
    }
    if (kernel.function.empty() && !client) {
        return wrong(service ? "names no service; add its name" : "names no kernel function; add it");
    }
    if ((client || service) != kernel.source.empty()) {
        return wrong(kernel.source.empty() ? "has a kernel without program; add its text"
                                           : "has a program although it is a service or a function of the client; "
                                             "leave the program out");
    }
    if (is_text_form(kernel.form) && kernel.source.find('\0') != std::string::npos) {
        return wrong("has a program with a NUL character; remove it");
    }
    if (!service && (!kernel.parameters.empty() || kernel.decrypt || kernel.key != 0)) {
        return wrong("has parameters or a key of a service but is none; leave them out");
    }
    if (kernel.parameters.size() > YOKE_PAYLOAD_BYTES) {
        return wrong("has parameters longer than struct yoke_params_*; give at most 48 bytes");
    }
    const bool geometry = std::ranges::any_of(kernel.geometry, [](std::uint64_t items) { return items != 0; });
    if (geometry && std::ranges::any_of(kernel.geometry_from, [](const auto& from) { return !from.empty(); })) {
        return wrong("has both geometry and geometry_from; leave one of them out");
    }
    if (kernel.local[0] == 0 && (kernel.local[1] != 0 || kernel.local[2] != 0)) {
        return wrong("has groups of 0 work items in dimension 1; give a local for each dimension, or none");
    }
    for (const std::string& from : kernel.geometry_from) {
        if (from.starts_with('/') && ptask_of(from) != ptask.name) {
            return fail(EINVAL, "ptask {} takes its geometry from {}, which is no port of it; name one of its ports",
                        in_quotes(ptask.name), in_quotes(from));
        }
    }
    return {};
}

Status check_endpoint(const ChannelDefinition& channel, const EndpointDefinition& endpoint) {
    const auto wrong = [&](std::string_view sentence) -> Status {
        return fail(EINVAL, "channel {} {}", in_quotes(channel.name), sentence);
    };
    if (channel.source && channel.destination) {
        return wrong("has an endpoint but leads from port to port; leave the endpoint or one port out");
    }
    const bool source = !channel.source;
    if (endpoint.path.empty() || endpoint.path.find('\0') != std::string::npos) {
        return wrong("has an endpoint without path; give one");
    }
    if (endpoint.kind == Endpoint::v4l2 && !source) {
        return wrong("ends at a V4L2 device, which only captures; begin it there");
    }
    if (endpoint.kind == Endpoint::uinput && source) {
        return wrong("begins at uinput, which only takes events; end it there");
    }
    if (endpoint.repeat && (endpoint.kind != Endpoint::file || !source)) {
        return wrong("repeats what is no file to be read; leave repeat out");
    }
    if (endpoint.raw && (endpoint.kind == Endpoint::v4l2 || !source)) {
        return wrong("is raw but reads no file, FIFO or socket; leave raw out");
    }
    return {};
}

}  // namespace

Status check_port(const PortDefinition& port) {
    for (const Rule& rule : port_rules(port)) {
        if (rule.broken) {
            return fail(EINVAL, "port {} {}", in_quotes(port.name), rule.sentence);
        }
    }
    return {};
}

Status check_ptask(const PtaskDefinition& ptask) {
    if (auto checked = check_kernel(ptask, ptask.kernel); !checked) {
        return checked;
    }
    for (const KernelDefinition& kernel : ptask.others) {
        if (kernel.form == "client") {
            return fail(EINVAL, "ptask {} has a function of the client as one of several forms; let it be the only one",
                        in_quotes(ptask.name));
        }
        if (auto checked = check_kernel(ptask, kernel); !checked) {
            return checked;
        }
    }
    return {};
}

Status check_channel(const ChannelDefinition& channel) {
    if (channel.back && !(channel.source && channel.destination)) {
        return fail(EINVAL, "channel {} is marked back but has an outer end; leave back out or name both ports",
                    in_quotes(channel.name));
    }
    return channel.endpoint ? check_endpoint(channel, *channel.endpoint) : Status();
}

bool is_kernel_form(std::string_view form) {
    return std::ranges::find(forms, form) != forms.end();
}

std::string_view form_of_file(std::string_view file) {
    return file.ends_with(".cu")      ? "cuda"
           : file.ends_with(".ptx")   ? "ptx"
           : file.ends_with(".cubin") ? "cubin"
                                      : "opencl";
}

bool is_text_form(std::string_view form) {
    return form != "cubin";
}

std::string_view direction_text(Direction direction) {
    return direction == Direction::in ? "in" : direction == Direction::out ? "out" : "in-out";
}

std::string_view endpoint_text(Endpoint kind) {
    return std::ranges::find(endpoints, kind, &decltype(endpoints)::value_type::second)->first;
}

std::optional<Endpoint> endpoint_kind(std::string_view text) {
    const auto found = std::ranges::find(endpoints, text, &decltype(endpoints)::value_type::first);
    return found != endpoints.end() ? std::optional(found->second) : std::nullopt;
}

}  // namespace yoke::control
