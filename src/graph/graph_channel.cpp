// Graph: opening channels, and pipes, which are nothing but a channel.
#include <algorithm>

#include "base/text.hpp"
#include "control/definition.hpp"
#include "control/name.hpp"
#include "control/template.hpp"
#include "graph/graph.hpp"

namespace yoke::graph {

namespace {

constexpr std::uint32_t default_capacity = 8;  // as yoke.h says: enough to overlap copies and kernels

}  // namespace

namespace {

// Whether pushes or pulls of the client's process stand in for a ptask.
bool of_client(const Port& port) {
    return port.ptask != nullptr && port.ptask->client();
}

// Inner channels have no number for clients.
std::uint32_t visible_id(const Channel& channel) {
    return channel.outer_source || channel.outer_destination ? channel.id : 0;
}

std::string text_of(const std::optional<std::string>& end) {
    return end ? *end : "the outside";
}

}  // namespace

Result<Port*> Graph::end_of(const control::ChannelDefinition& definition, const std::string& port, bool source) {
    const char* const end = source ? "source" : "destination";
    const auto found = ports_.find(port);
    if (found == ports_.end()) {
        return fail(ENOENT, "{} {} of channel {} does not exist; open that port first", end, in_quotes(port),
                    definition.name);
    }
    Port* const result = found->second.get();
    if (!(source ? result->definition.gives() : result->definition.takes())) {
        return fail(EINVAL, "{} {} of channel {} is an {} port; the {} must be an {} port", end, port, definition.name,
                    control::direction_text(result->definition.direction), end, source ? "out" : "in");
    }
    const Channel* const there = source ? nullptr : definition.back ? result->back : result->in;
    if (there != nullptr) {
        return fail(EBUSY, "port {} is already connected by channel {}; a port takes one channel", port,
                    there->definition.name);
    }
    return result;
}

// Whether two ports may be joined.
Status Graph::joins(const control::ChannelDefinition& definition, const Port* source, const Port* destination) const {
    if (source == nullptr || destination == nullptr) {
        return {};
    }
    const control::PortDefinition& from = source->definition;
    const control::PortDefinition& to = destination->definition;
    if (!control::same_form(from.form, to.form)) {
        return fail(EINVAL, "channel {} joins ports with different templates: {} is {}, {} is {}", definition.name,
                    from.name, control::template_text(from.form), to.name, control::template_text(to.form));
    }
    if (from.variable && !to.variable) {
        return fail(EINVAL, "channel {} brings datablocks of varying size from {} to {}, which is not variable",
                    definition.name, from.name, to.name);
    }
    return {};
}

Status Graph::reserve(const std::string& channel, std::uint64_t bytes) {
    if (!budget_.reserve(bytes)) {
        return fail(ENOMEM,
                    "channel {} needs {} bytes of device memory, and graphs may have {} in all; lower its capacity",
                    channel, bytes, budget_.bytes_max);
    }
    reserved_ += bytes;
    return {};
}

Result<Opened> Graph::open_channel(const control::ChannelDefinition& given, std::uint32_t id, Channel*& result) {
    control::ChannelDefinition definition = given;
    definition.capacity = definition.capacity == 0 ? default_capacity : definition.capacity;
    if (auto name = control::parse_name(definition.name, control::NameKind::member); !name) {
        return tl::unexpected(name.error());
    }
    if (setup_.pipe) {
        return fail(EINVAL, "{} is a pipe, which has no other channels", name());
    }
    if (definition.endpoint && definition.source && definition.destination) {
        return fail(EINVAL, "channel {} has ports at both ends; an endpoint needs an outer end", definition.name);
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
        if (!(there == definition)) {
            return fail(EEXIST, "channel {} exists with other predicates or another endpoint", there.name);
        }
        result = found->second.get();
        return Opened{false, visible_id(*result), {}};
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
    if (auto can_join = joins(definition, *source, *destination); !can_join) {
        return tl::unexpected(can_join.error());
    }
    auto channel = std::make_unique<Channel>();
    const Port& port = *source != nullptr ? **source : **destination;
    channel->definition = definition;
    channel->form = port.definition.form;
    channel->source = *source;
    channel->destination = *destination;
    channel->bytes = port.bytes;
    channel->element_bytes = port.element_bytes;
    channel->variable = (*destination != nullptr ? *destination : *source)->definition.variable;
    channel->id = id;
    channel->source_gate = Gate(definition.source_when);
    channel->destination_gate = Gate(definition.destination_when);
    channel->outer_source = *source == nullptr || of_client(**source);
    channel->outer_destination = *destination == nullptr || of_client(**destination);
    // One more than it holds: the datablock that is made while the channel is full of those not yet taken.
    if (auto has = reserve(definition.name, channel->bytes * (std::uint64_t{definition.capacity} + 1)); !has) {
        return tl::unexpected(has.error());
    }
    if (*source != nullptr) {
        (*source)->out.push_back(channel.get());
    }
    if (*destination != nullptr) {
        (definition.back ? (*destination)->back : (*destination)->in) = channel.get();
    }
    result = channel.get();
    const Opened opened{true, visible_id(*channel), {}};
    channels_.emplace(definition.name, std::move(channel));
    ++budget_.objects;
    return opened;
}

Result<Opened> Graph::open_pipe(std::uint32_t session, const PipeDefinition& pipe, std::uint32_t id, Channel*& result) {
    auto bytes = control::template_bytes(pipe.form);
    if (!bytes) {
        return fail(bytes.error().code, "pipe {}: {}", pipe.name, bytes.error().message);
    }
    if (pipe.capacity == 0 || pipe.capacity > limits_.capacity_max) {
        return fail(EINVAL, "pipe {} has a capacity of {} datablocks; 1 to {} are allowed", pipe.name, pipe.capacity,
                    limits_.capacity_max);
    }
    const std::lock_guard lock(mutex_);
    if (abandoned_) {
        return fail(EAGAIN, "pipe {} was closed while it was opened; try again", pipe.name);
    }
    if (!channels_.empty()) {
        Channel& there = *channels_.begin()->second;
        if (!control::same_form(there.form, pipe.form) || there.variable != pipe.variable) {
            return fail(EEXIST, "pipe {} exists with another template: {}{}", pipe.name,
                        control::template_text(there.form), there.variable ? ", variable" : "");
        }
        members_.insert(session);
        result = &there;
        return Opened{false, there.id, {}};
    }
    if (auto can = room_for(pipe.name); !can) {
        return tl::unexpected(can.error());
    }
    auto channel = std::make_unique<Channel>();
    channel->definition.name = pipe.name + "/records";
    channel->definition.capacity = pipe.capacity;
    channel->form = pipe.form;
    channel->bytes = *bytes;
    channel->element_bytes = control::parse_element_type(pipe.form.type)->bytes();
    channel->variable = pipe.variable;
    channel->outer_source = true;
    channel->outer_destination = true;
    channel->id = id;
    if (auto has = reserve(pipe.name, *bytes * (std::uint64_t{pipe.capacity} + 1)); !has) {
        return tl::unexpected(has.error());
    }
    state_ = State::running;
    members_.insert(session);
    result = channel.get();
    channels_.emplace(channel->definition.name, std::move(channel));
    ++budget_.objects;
    return Opened{true, id, {}};
}

Graph::Leaving Graph::leave_pipe(std::uint32_t session) {
    const std::lock_guard lock(mutex_);
    if (members_.erase(session) == 0) {
        return Leaving::no_member;
    }
    abandoned_ = members_.empty();
    return abandoned_ ? Leaving::last : Leaving::others_stay;
}

bool Graph::abandon_pipe() {
    const std::lock_guard lock(mutex_);
    abandoned_ = members_.empty();
    return abandoned_;
}

}  // namespace yoke::graph
