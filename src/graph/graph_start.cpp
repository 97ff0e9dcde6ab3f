// Graph: the checks before it runs, and what is made for it then.
#include "base/text.hpp"
#include "control/graph_wiring.hpp"
#include "control/name.hpp"
#include "graph/graph.hpp"

namespace yoke::graph {

Status Graph::complete_definition() const {
    if (ptasks_.empty()) {
        return fail(EINVAL, "graph {} has no ptask; open one", name());
    }
    control::GraphDefinition definition;
    definition.name = name();
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
    definition.persist = setup_.persist;
    if (const auto wrong = control::find_miswiring(definition)) {
        return fail(EINVAL, "graph {} cannot run: {}", name(), wrong->message);
    }
    return {};
}

// Finds which ptasks are heads of loops, and where their back edges begin.
void Graph::make_loops() {
    for (const auto& [name, ptask] : ptasks_) {
        if (!ptask->loop) {
            continue;
        }
        for (const Ptask::Binding& input : ptask->inputs) {
            if (input.port->back != nullptr) {
                ptask->loop->carried.push_back(input.port);
                input.port->back->source->tail_of = ptask.get();
            }
        }
    }
}

// Whole datablocks of initial values, where runs are given some.
Status Graph::make_patterns() {
    for (const auto& [name, port] : ports_) {
        const bool may_not_run = port->ptask->loop && port->definition.direction == control::Direction::out;
        if ((!port->definition.init && !may_not_run) || port->ptask->client()) {
            continue;
        }
        auto block = pool_->take(port->bytes, reserved_);
        if (!block) {
            return fail(block.error().code, "port {} has no memory for its initial value: {}", name,
                        block.error().message);
        }
        port->pattern = std::move(*block);
        port->pattern_write =
            std::make_unique<PatternWrite>(port->definition.initial, port->bytes, *port->ptask->failure);
        auto written =
            queue_->write(port->pattern.buffer(), port->pattern_write->data(), port->bytes, *port->pattern_write);
        if (!written) {
            return fail(EIO, "port {} cannot get its initial value: {}", name, written.error().message);
        }
        queued_ = true;
    }
    return {};
}

Status Graph::run() {
    const Locked lock(*this);
    if (state_ == State::running && !failed_) {
        return {};
    }
    if (state_ != State::built && setup_.persist) {
        return fail(EINVAL, "graph {} has {}; to run it again: yoke graph stop {}; yoke graph start {}", name(),
                    state_text(), name(), name());
    }
    if (state_ != State::built) {
        return fail(EINVAL, "graph {} has {}; terminate it and open it again", name(), state_text());
    }
    if (auto complete = complete_definition(); !complete) {
        return complete;
    }
    make_loops();
    if (auto made = make_patterns(); !made) {
        fail_with(made.error().message);
        return made;
    }
    state_ = State::running;
    for (const auto& [name, ptask] : ptasks_) {
        look_at(*ptask);
    }
    return {};
}

Status Graph::set_priority(const std::string& object, std::uint8_t priority) {
    if (priority > control::priority_max) {
        return fail(EINVAL, "{} cannot have priority {}; give 0 to {}", object, priority, control::priority_max);
    }
    const std::lock_guard lock(mutex_);
    if (object == name()) {
        for (const auto& [ptask_name, ptask] : ptasks_) {
            ptask->priority = priority;
        }
        return {};
    }
    const auto found = ptasks_.find(object);
    if (found == ptasks_.end()) {
        return fail(ENOENT, "ptask {} does not exist; open it first", in_quotes(object));
    }
    found->second->priority = priority;
    return {};
}

std::vector<EndpointBinding> Graph::endpoints() const {
    const std::lock_guard lock(mutex_);
    std::vector<EndpointBinding> bindings;
    for (const auto& [name, channel] : channels_) {
        if (channel->definition.endpoint) {
            bindings.push_back(
                {name, channel->id, channel->source == nullptr, channel->bytes, channel->variable,
                 *channel->definition.endpoint, channel->form,
                 (channel->source != nullptr ? channel->source : channel->destination)->definition.name});
        }
    }
    return bindings;
}

}  // namespace yoke::graph
