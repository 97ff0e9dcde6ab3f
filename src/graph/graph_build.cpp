// Graph: opening its objects, and the checks before it runs.
#include <algorithm>
#include <set>

#include "base/text.hpp"
#include "control/graph_wiring.hpp"
#include "control/name.hpp"
#include "control/template.hpp"
#include "graph/graph.hpp"

namespace yoke::graph {

namespace {

constexpr std::uint32_t default_capacity = 8;   // as yoke.h says: enough to overlap copies and kernels
constexpr std::size_t arguments_max = 64;       // of a kernel; OpenCL promises 1024 bytes of them
constexpr std::size_t constant_bytes_max = 64;  // as yoke.h says

const char* direction(bool out) {
    return out ? "output" : "input";
}

std::string text_of(const std::optional<std::string>& end) {
    return end ? *end : "the outside";
}

}  // namespace

Graph::Graph(std::string name, std::uint32_t creator, device::Device& device, std::unique_ptr<device::Queue> queue,
             Budget& budget, const Limits& limits, GraphHost& host)
    : name_(std::move(name)),
      creator_(creator),
      device_(device),
      budget_(budget),
      limits_(limits),
      host_(host),
      pool_(device, budget),
      queue_(std::move(queue)) {}

Graph::~Graph() {
    terminate();
}

Status Graph::changeable(const std::string& object) const {
    if (state_ == State::built) {
        return {};
    }
    return fail(EBUSY, "cannot open {}: graph {} is {}; terminate it before changing it", object, name_, state_text());
}

// Other graphs may take the account's last places meanwhile: as many more as threads open objects, which hurts nobody.
Status Graph::room_for(const std::string& object) const {
    if (ports_.size() + ptasks_.size() + channels_.size() >= limits_.objects_per_graph) {
        return fail(ENOBUFS, "cannot open {}: graph {} has {} objects already, which is the limit", object, name_,
                    limits_.objects_per_graph);
    }
    if (budget_.objects.load() >= limits_.objects) {
        return fail(ENOBUFS, "cannot open {}: the account's graphs have {} objects already, which is the limit", object,
                    limits_.objects);
    }
    return {};
}

std::string Graph::state_text() const {
    switch (state_) {
        case State::built:
            return "built";
        case State::running:
            return failed_ ? "failed" : "running";
        case State::ended:
            return failed_ ? "failed" : "ended";
        case State::failed:
            return "failed";
        case State::terminated:
            break;
    }
    return "terminated";
}

Result<Opened> Graph::open_port(const control::PortDefinition& definition) {
    if (auto name = control::parse_name(definition.name, control::NameKind::port); !name) {
        return tl::unexpected(name.error());
    }
    auto bytes = control::template_bytes(definition.form);
    if (!bytes) {
        return fail(bytes.error().code, "port {}: {}", definition.name, bytes.error().message);
    }
    const std::lock_guard lock(mutex_);
    if (const auto found = ports_.find(definition.name); found != ports_.end()) {
        const control::PortDefinition& there = found->second->definition;
        if (there.out != definition.out) {
            return fail(EEXIST, "port {} exists with another direction: it is an {}", there.name, direction(there.out));
        }
        if (!control::same_form(there.form, definition.form)) {
            return fail(EEXIST, "port {} exists with another template: it is {}", there.name,
                        control::template_text(there.form));
        }
        return Opened{};
    }
    if (auto can = changeable(definition.name); !can) {
        return tl::unexpected(can.error());
    }
    if (auto can = room_for(definition.name); !can) {
        return tl::unexpected(can.error());
    }
    if (ptasks_.contains(control::ptask_of(definition.name))) {
        return fail(EBUSY, "ptask {} exists without port {}; open the port before the ptask",
                    control::ptask_of(definition.name), definition.name);
    }
    auto port = std::make_unique<Port>();
    port->definition = definition;
    port->bytes = *bytes;
    ports_.emplace(definition.name, std::move(port));
    ++budget_.objects;
    return Opened{true, 0, {}};
}

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
        if (!seen.insert(port).second) {
            return fail(EINVAL, "port {} is given twice to ptask {}; give it once", name, definition.name);
        }
        (port->definition.out ? has_output : has_input) = true;
        ports.push_back(port);
    }
    if (!has_input || !has_output) {
        return fail(EINVAL, "ptask {} has no {} port among its arguments; it needs at least one", definition.name,
                    direction(has_input));
    }
    const std::string prefix = definition.name + ":";
    for (const auto& [name, port] : ports_) {
        if (name.starts_with(prefix) && !seen.contains(port.get())) {
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

Result<Opened> Graph::open_ptask(const control::PtaskDefinition& definition) {
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
    auto program = program_of(definition, *ports);
    if (!program) {
        return tl::unexpected(program.error());
    }
    lock.unlock();  // compiling takes seconds
    Opened opened{true, 0, {}};
    auto kernel = device_.compile(*program, opened.log);
    if (!kernel) {
        return fail(kernel.error().code, "ptask {}: {}", definition.name, kernel.error().message);
    }
    if (auto fits = check_arguments(definition, **kernel); !fits) {
        return tl::unexpected(fits.error());
    }
    lock.lock();
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
    auto ptask = std::make_unique<Ptask>();
    ptask->definition = definition;
    ptask->geometry = program->geometry;
    ptask->kernel = std::move(*kernel);
    ptask->failure = std::make_unique<LaunchFailure>(*this, *ptask);
    bind(*ptask, *ports);
    ptasks_.emplace(definition.name, std::move(ptask));
    ++budget_.objects;
    return opened;
}

void Graph::bind(Ptask& ptask, const std::vector<Port*>& ports) {
    ptask.arguments.resize(ports.size());
    for (std::size_t i = 0; i < ports.size(); ++i) {
        Port* const port = ports[i];
        if (port == nullptr) {
            ptask.arguments[i].constant = ptask.definition.arguments[i].constant;
            continue;
        }
        port->ptask = &ptask;
        (port->definition.out ? ptask.outputs : ptask.inputs).push_back({port, i, {}});
    }
}

Result<Port*> Graph::end_of(const control::ChannelDefinition& definition, const std::string& port, bool source) {
    const char* const end = source ? "source" : "destination";
    const auto found = ports_.find(port);
    if (found == ports_.end()) {
        return fail(ENOENT, "{} {} of channel {} does not exist; open that port first", end, in_quotes(port),
                    definition.name);
    }
    Port* const result = found->second.get();
    if (result->definition.out != source) {
        return fail(EINVAL, "{} {} of channel {} is an {} port; the {} must be an {} port", end, port, definition.name,
                    direction(result->definition.out), end, direction(source));
    }
    if (result->channel != nullptr) {
        return fail(EBUSY, "port {} is already connected by channel {}; a port takes one channel", port,
                    result->channel->definition.name);
    }
    return result;
}

Result<Opened> Graph::open_channel(const control::ChannelDefinition& given, std::uint32_t id, Channel*& result) {
    control::ChannelDefinition definition = given;
    definition.capacity = definition.capacity == 0 ? default_capacity : definition.capacity;
    if (auto name = control::parse_name(definition.name, control::NameKind::member); !name) {
        return tl::unexpected(name.error());
    }
    if (!definition.source && !definition.destination) {
        return fail(EINVAL, "channel {} has both ends outside; name a port for one of them", definition.name);
    }
    if (definition.capacity > limits_.capacity_max) {
        return fail(EINVAL, "channel {} has a capacity of {} datablocks; at most {} are allowed", definition.name,
                    definition.capacity, limits_.capacity_max);
    }
    const std::lock_guard lock(mutex_);
    if (const auto found = channels_.find(definition.name); found != channels_.end()) {
        const control::ChannelDefinition& there = found->second->definition;
        if (there.source != definition.source) {
            return fail(EEXIST, "channel {} exists with another source: {}", there.name, text_of(there.source));
        }
        if (there.destination != definition.destination) {
            return fail(EEXIST, "channel {} exists with another destination: {}", there.name,
                        text_of(there.destination));
        }
        if (there.capacity != definition.capacity) {
            return fail(EEXIST, "channel {} exists with another capacity: {}", there.name, there.capacity);
        }
        result = found->second.get();
        return Opened{false, found->second->id, {}};
    }
    Status can = changeable(definition.name);
    can = can ? room_for(definition.name) : can;
    if (can && ptasks_.contains(definition.name)) {
        can = fail(EEXIST, "{} exists and is a ptask; choose another name for the channel", definition.name);
    }
    if (!can) {
        return tl::unexpected(can.error());
    }
    Result<Port*> source = definition.source ? end_of(definition, *definition.source, true) : nullptr;
    if (!source) {
        return tl::unexpected(source.error());
    }
    Result<Port*> destination = definition.destination ? end_of(definition, *definition.destination, false) : nullptr;
    if (!destination) {
        return tl::unexpected(destination.error());
    }
    if (*source != nullptr && *destination != nullptr &&
        !control::same_form((*source)->definition.form, (*destination)->definition.form)) {
        return fail(EINVAL, "channel {} joins ports with different templates: {} is {}, {} is {}", definition.name,
                    *definition.source, control::template_text((*source)->definition.form), *definition.destination,
                    control::template_text((*destination)->definition.form));
    }
    auto channel = std::make_unique<Channel>();
    channel->definition = definition;
    channel->source = *source;
    channel->destination = *destination;
    channel->bytes = (*source != nullptr ? *source : *destination)->bytes;
    channel->id = *source != nullptr && *destination != nullptr ? 0 : id;
    // One more than it holds: the datablock that is made while the channel is full of those not yet taken.
    const std::uint64_t need = channel->bytes * (std::uint64_t{definition.capacity} + 1);
    if (!budget_.reserve(need)) {
        return fail(ENOMEM,
                    "channel {} needs {} bytes of device memory, and graphs may have {} in all; lower its capacity",
                    definition.name, need, budget_.bytes_max);
    }
    reserved_ += need;
    for (Port* const port : {*source, *destination}) {
        if (port != nullptr) {
            port->channel = channel.get();
        }
    }
    result = channel.get();
    const Opened opened{true, channel->id, {}};
    channels_.emplace(definition.name, std::move(channel));
    ++budget_.objects;
    return opened;
}

Status Graph::complete_definition() const {
    if (ptasks_.empty()) {
        return fail(EINVAL, "graph {} has no ptask; open one", name_);
    }
    control::GraphDefinition definition;
    definition.name = name_;
    for (const auto& [name, port] : ports_) {
        if (port->ptask == nullptr) {
            return fail(EINVAL, "port {} belongs to no ptask; open {}", name, control::ptask_of(name));
        }
        definition.ports.push_back(port->definition);
    }
    for (const auto& [name, ptask] : ptasks_) {
        definition.ptasks.push_back(ptask->definition);
    }
    for (const auto& [name, channel] : channels_) {
        definition.channels.push_back(channel->definition);
    }
    if (const auto wrong = control::find_miswiring(definition)) {
        return fail(EINVAL, "graph {} cannot run: {}", name_, wrong->message);
    }
    return {};
}

Status Graph::run() {
    const std::lock_guard lock(mutex_);
    if (state_ == State::running && !failed_.load(std::memory_order_acquire)) {
        return {};
    }
    if (state_ != State::built) {
        return fail(EINVAL, "graph {} has {}; terminate it and open it again", name_, state_text());
    }
    if (auto complete = complete_definition(); !complete) {
        return complete;
    }
    state_ = State::running;
    for (const auto& [name, ptask] : ptasks_) {
        ptask->listed = true;
        changed_.push_back(ptask.get());
    }
    advance();
    flush();
    return {};
}

}  // namespace yoke::graph
