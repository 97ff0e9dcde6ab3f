// Graph: opening ptasks: their ports, the form of their code that the device runs, and compiling it.
#include <algorithm>
#include <set>

#include "base/text.hpp"
#include "control/name.hpp"
#include "graph/graph.hpp"
#include "graph/service_kernel.hpp"

namespace yoke::graph {

namespace {

constexpr std::size_t arguments_max = 64;       // of a kernel; OpenCL promises 1024 bytes of them
constexpr std::size_t constant_bytes_max = 64;  // as yoke.h says

Ptask::Binding binding_of(Port* port, std::size_t argument) {
    Ptask::Binding binding;
    binding.port = port;
    binding.argument = argument;
    return binding;
}

}  // namespace

// The ports of a ptask's arguments, null for constants.
Result<std::vector<Port*>> Graph::ports_of(const control::PtaskDefinition& definition) {
    std::vector<Port*> ports;
    std::set<Port*> seen;
    bool has_input = false;
    bool has_output = false;
    for (const control::ArgumentDefinition& argument : definition.arguments) {
        if (!argument.port) {
            if (argument.constant.empty() || argument.constant.size() > constant_bytes_max) {
                return fail(EINVAL, "a constant of ptask {} has {} bytes; give 1 to {}", definition.name,
                            argument.constant.size(), constant_bytes_max);
            }
            ports.push_back(nullptr);
            continue;
        }
        const std::string name = port_name(definition, *argument.port);
        const auto found = ports_.find(name);
        if (found == ports_.end()) {
            return fail(ENOENT, "ptask {} uses port {}, which does not exist; open it first", definition.name,
                        in_quotes(name));
        }
        Port* const port = found->second.get();
        if (control::ptask_of(name) != definition.name) {
            return fail(EINVAL, "port {} is not of ptask {}; use one named {}:PORT", name, definition.name,
                        definition.name);
        }
        if (port->definition.meta != control::Meta::none || port->definition.descriptor) {
            return fail(EINVAL, "port {} is for the runtime, not for the kernel; leave it out of the arguments of {}",
                        name, definition.name);
        }
        if (argument.tells != control::ArgumentDefinition::Tells::datablock) {
            ports.push_back(port);
            continue;
        }
        if (!seen.insert(port).second) {
            return fail(EINVAL, "port {} is given twice to ptask {}; give it once", name, definition.name);
        }
        has_input = has_input || port->definition.takes();
        has_output = has_output || port->definition.gives();
        ports.push_back(port);
    }
    const bool client = definition.kernel.form == "client";
    if (client ? !has_input && !has_output : !has_output || !has_input) {
        return fail(EINVAL, "ptask {} has no {} port among its arguments; it needs at least one", definition.name,
                    has_input ? "output" : "input");
    }
    const std::string prefix = definition.name + ":";
    for (const auto& [name, port] : ports_) {
        const bool own = port->definition.meta == control::Meta::none && !port->definition.descriptor;
        if (own && name.starts_with(prefix) && !seen.contains(port.get())) {
            return fail(EINVAL, "port {} is not among the arguments of ptask {}; add it", name, definition.name);
        }
    }
    return ports;
}

// Whether the ptask exists. EEXIST: with another definition.
Result<bool> Graph::exists(const control::PtaskDefinition& definition) const {
    const auto found = ptasks_.find(definition.name);
    if (found == ptasks_.end()) {
        return false;
    }
    const std::string what = difference(found->second->definition, definition);
    if (!what.empty()) {
        return fail(EEXIST, "ptask {} exists with another {}; use another name or the same definition", definition.name,
                    what);
    }
    return true;
}

Result<Opened> Graph::open_ptask(const control::PtaskDefinition& definition, const LendKey& lend) {
    if (auto name = control::parse_name(definition.name, control::NameKind::member); !name) {
        return tl::unexpected(name.error());
    }
    if (definition.arguments.size() > arguments_max) {
        return fail(EINVAL, "ptask {} has {} arguments; at most {} are allowed", definition.name,
                    definition.arguments.size(), arguments_max);
    }
    std::unique_lock lock(mutex_);
    auto there = exists(definition);
    if (!there || *there) {
        return there ? Result<Opened>(Opened{}) : tl::unexpected(there.error());
    }
    Status can = changeable(definition.name);
    can = can ? room_for(definition.name) : can;
    if (can && channels_.contains(definition.name)) {
        can = fail(EEXIST, "{} exists and is a channel; choose another name for the ptask", definition.name);
    }
    if (!can) {
        return tl::unexpected(can.error());
    }
    auto ports = ports_of(definition);
    if (!ports) {
        return tl::unexpected(ports.error());
    }
    auto chosen = choose_form(definition);
    if (!chosen) {
        return tl::unexpected(chosen.error());
    }
    const control::KernelDefinition& form = **chosen;
    auto ptask = std::make_unique<Ptask>();
    ptask->definition = definition;
    ptask->form = form.form;
    ptask->priority = std::min(definition.priority, control::priority_max);
    Opened opened{true, 0, {}};
    if (form.form != "client") {
        auto program = program_of(definition, form, *ports, ptask->geometry_ports);
        if (!program) {
            return tl::unexpected(program.error());
        }
        ptask->geometry = program->geometry;
        const std::vector<Port*> stay = *ports;  // where they are, and as they are
        lock.unlock();                           // compiling takes seconds
        auto kernel = form.form == "service" ? make_service_kernel(device_, definition, form, stay, lend)
                                             : device_.compile(*program, opened.log);
        if (!kernel) {
            return form.form == "service" ? tl::unexpected(kernel.error())
                                          : Result<Opened>(fail(kernel.error().code, "ptask {}: {}", definition.name,
                                                                kernel.error().message));
        }
        if (auto fits = check_arguments(definition, form, stay, **kernel); !fits) {
            return tl::unexpected(fits.error());
        }
        ptask->kernel = std::move(*kernel);
        ptask->mark = KernelMark(definition.name, form.function);
        lock.lock();
    }
    there = exists(definition);  // somebody else may have been faster
    if (!there || *there) {
        return there ? Result<Opened>(Opened{}) : tl::unexpected(there.error());
    }
    can = changeable(definition.name);
    can = can ? room_for(definition.name) : can;
    if (!can) {
        return tl::unexpected(can.error());
    }
    ports = ports_of(definition);
    if (!ports) {
        return tl::unexpected(ports.error());
    }
    ptask->failure = std::make_unique<LaunchFailure>(*this, *ptask);
    if (auto bound = bind(*ptask, *ports); !bound) {
        return tl::unexpected(bound.error());
    }
    ptasks_.emplace(definition.name, std::move(ptask));
    ++budget_.objects;
    return opened;
}

// Ports for the runtime find the port that they speak of.
Status Graph::bind_port(const control::PtaskDefinition& definition, Port& port) {
    const control::PortDefinition& own = port.definition;
    if (own.of.empty()) {
        return {};
    }
    const auto found = ports_.find(own.of);
    const auto wanted = own.descriptor ? control::Direction::in : control::Direction::out;
    if (found == ports_.end() || control::ptask_of(own.of) != definition.name ||
        found->second->definition.direction != wanted || found->second->definition.meta != control::Meta::none) {
        return fail(EINVAL, "port {} speaks of {}, which is no {} port of ptask {}", own.name, in_quotes(own.of),
                    own.descriptor ? "in" : "out", definition.name);
    }
    if (!own.descriptor && !found->second->definition.variable) {
        return fail(EINVAL, "port {} gives the size of port {}, which is not variable", own.name, own.of);
    }
    port.of = found->second.get();
    return {};
}

Status Graph::bind(Ptask& ptask, const std::vector<Port*>& ports) {
    using Tells = control::ArgumentDefinition::Tells;
    const std::string prefix = ptask.definition.name + ":";
    std::vector<Port*> own;
    for (const auto& [name, port] : ports_) {
        if (name.starts_with(prefix)) {
            if (auto bound = bind_port(ptask.definition, *port); !bound) {
                return bound;
            }
            own.push_back(port.get());
        }
    }
    ptask.arguments.resize(ports.size());
    for (std::size_t i = 0; i < ports.size(); ++i) {
        Port* const port = ports[i];
        const control::ArgumentDefinition& argument = ptask.definition.arguments[i];
        if (port == nullptr) {
            ptask.arguments[i].constant = argument.constant;
        } else if (argument.tells != Tells::datablock) {
            ptask.tellings.push_back({i, port, argument.tells, {}});
        } else {
            (port->definition.takes() ? ptask.inputs : ptask.outputs).push_back(binding_of(port, i));
        }
    }
    for (Port* const port : own) {
        port->ptask = &ptask;
        if (port->definition.meta != control::Meta::none) {
            ptask.inputs.push_back(binding_of(port, Ptask::no_argument));
        } else if (port->definition.descriptor) {
            ptask.descriptors.push_back(binding_of(port, Ptask::no_argument));
        }
        if (port->definition.meta == control::Meta::iterations) {
            ptask.loop = std::make_unique<Loop>();
        }
    }
    return {};
}

// The first form that the device can run.
Result<const control::KernelDefinition*> Graph::choose_form(const control::PtaskDefinition& definition) const {
    std::string tried;
    const auto runs = [&](const control::KernelDefinition& form) {
        tried += (tried.empty() ? "" : ", ") + printable(form.form);
        return form.form == "client" || form.form == "service" || device_.accepts(form.form);
    };
    const control::KernelDefinition* chosen = runs(definition.kernel) ? &definition.kernel : nullptr;
    for (const control::KernelDefinition& other : definition.others) {
        chosen = chosen == nullptr && runs(other) ? &other : chosen;
    }
    if (chosen == nullptr) {
        return fail(ENOTSUP, "ptask {} has code in the forms {}, none of which device {} runs; give one that it does",
                    definition.name, tried, device_.name());
    }
    if (chosen->form == "client" && setup_.persist) {
        return fail(EINVAL, "ptask {} is a function of a client, but graph {} persists; give it a kernel",
                    definition.name, name());
    }
    return chosen;
}

}  // namespace yoke::graph
