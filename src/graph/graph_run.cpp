// Graph: when a ptask runs, what it takes and what it gives. The rules of kept datablocks (sticky, hold), of ports that
// make their own and of iterations (loop.hpp) are all here; channels know nothing of them.
#include <algorithm>

#include "base/log.hpp"
#include "base/text.hpp"
#include "graph/graph.hpp"

namespace yoke::graph {

namespace {

bool in_loop(const Ptask& ptask) {
    return ptask.loop && !ptask.loop->repeats_itself() && ptask.loop->active;
}

// Whether the next run of the ptask takes a datablock out of the channel, which is not empty.
bool will_take(const Ptask& ptask, const Channel& channel) {
    const Port* const port = channel.destination;
    if (port == nullptr || port->ptask != &ptask || port->is_meta() || port->makes_own()) {
        return false;
    }
    if (in_loop(ptask)) {
        return port->back == &channel;
    }
    return channel.datablocks.size() == channel.definition.capacity && !(port->definition.hold && port->has_current) &&
           (port->in == &channel || port->in == nullptr);
}

}  // namespace

// A client's function without outputs has ended when it has been given everything.
bool Graph::reads_only(Ptask& ptask) {
    return ptask.client() && ptask.outputs.empty() &&
           std::all_of(ptask.inputs.begin(), ptask.inputs.end(), [&](const Ptask::Binding& input) {
               return input.port->out.empty() && !offers(*input.port->in) && input.port->in->drained();
           });
}

// Launches what is ready until nothing is, the highest priority first, then what changed last: a datablock goes on to
// the next ptask before the next datablock is looked at. Those who wait outside are served after each launch; but where
// a ptask has ended, those behind it end first, so that the pull of their last datablock tells the end.
bool Graph::advance() {
    for (unsigned launched = 0;;) {
        if (!ending_ || changed_.empty()) {
            ending_ = false;
            serve_waiting();
        }
        if (changed_.empty()) {
            return true;
        }
        std::size_t best = changed_.size() - 1;
        for (std::size_t i = changed_.size() - 1; i-- > 0;) {
            best = changed_[i]->priority > changed_[best]->priority ? i : best;
        }
        Ptask& ptask = *changed_[best];
        const bool can = state_ == State::running && !ptask.ended && !ptask.client();
        if (can && ready(ptask)) {
            if (!may_launch(launched++)) {
                return false;
            }
            launch(ptask);
            if (!failed_.load(std::memory_order_relaxed) && exhausted(ptask)) {
                end(ptask);
            }
            continue;
        }
        // Looking may have changed the list behind it.
        changed_.erase(std::find(changed_.begin(), changed_.end(), &ptask));
        ptask.listed = false;
        const bool over =
            can ? exhausted(ptask) : state_ == State::running && !ptask.ended && (unwanted(ptask) || reads_only(ptask));
        if (over && !failed_.load(std::memory_order_relaxed)) {
            end(ptask);
        }
    }
}

bool Graph::ready(Ptask& ptask) {
    bool fresh = std::none_of(ptask.inputs.begin(), ptask.inputs.end(), [](const auto& b) { return b.port->fed(); });
    bool all = true;
    for (Ptask::Binding& input : ptask.inputs) {
        all = input_ready(ptask, *input.port, fresh) && all;  // all are asked: numbers are fetched at the same time
    }
    if (!all || !fresh) {
        return false;
    }
    for (const auto* const bindings : {&ptask.inputs, &ptask.outputs, &ptask.descriptors}) {
        for (const Ptask::Binding& binding : *bindings) {
            if (!output_ready(ptask, *binding.port)) {
                return false;
            }
        }
    }
    // Going by needs room behind the loop.
    return !ptask.loop || ptask.loop->active ||
           std::all_of(ptask.loop->carried.begin(), ptask.loop->carried.end(),
                       [&](const Port* port) { return output_ready(*port->back->source->ptask, *port->back->source); });
}

bool Graph::input_ready(const Ptask& ptask, Port& port, bool& fresh) {
    if (port.is_meta()) {
        if (port.definition.meta == control::Meta::iterations && in_loop(ptask)) {
            return true;
        }
        if (port.meta->state() == MetaReading::State::empty && offers(*port.in)) {
            read_meta(port);
        }
        const bool arrived = port.meta->state() == MetaReading::State::arrived;
        fresh = fresh || arrived;
        return arrived;
    }
    if (in_loop(ptask)) {
        fresh = true;
        if (ptask.loop->left == 0) {
            return false;  // tails are yet to give their last
        }
        return port.back == nullptr || offers(*port.back);
    }
    if (port.makes_own()) {
        fresh = fresh || port.fed();  // the first of a circle is news, what is made for each run is not
        return true;
    }
    Channel& channel = port.in != nullptr ? *port.in : *port.back;
    const bool keeps = port.has_current && (port.definition.sticky || port.definition.hold);
    if (port.definition.hold && keeps) {
        return true;
    }
    const bool offered = offers(channel);
    fresh = fresh || offered;
    return offered || keeps;
}

bool Graph::output_ready(const Ptask& ptask, const Port& port) const {
    return std::all_of(port.out.begin(), port.out.end(), [&](const Channel* channel) {
        if (channel->closed || !channel->full()) {
            return true;
        }
        return will_take(ptask, *channel);  // then there is room once the run has taken from it
    });
}

// Whether an input can never have a datablock again.
bool Graph::starves(const Ptask& ptask, Port& port) {
    if (!port.fed() || port.makes_own()) {
        return false;
    }
    if (port.is_meta() && port.meta->state() != MetaReading::State::empty) {
        return false;
    }
    if (in_loop(ptask)) {
        return ptask.loop->left > 0 && port.back != nullptr && !offers(*port.back) && port.back->drained();
    }
    Channel& channel = port.in != nullptr ? *port.in : *port.back;
    if (offers(channel) || !channel.drained()) {
        return false;
    }
    return !(port.has_current && (port.definition.sticky || port.definition.hold));
}

// Whether nobody takes its outputs any more.
bool Graph::unwanted(const Ptask& ptask) {
    bool any_output = false;
    bool all_closed = true;
    for (const auto* const bindings : {&ptask.inputs, &ptask.outputs, &ptask.descriptors}) {
        for (const Ptask::Binding& binding : *bindings) {
            for (const Channel* const channel : binding.port->out) {
                const bool circle = channel->definition.back;  // who only feeds himself works for nobody
                any_output = any_output || !circle;
                all_closed = all_closed && (circle || channel->closed);
            }
        }
    }
    return any_output && all_closed;
}

bool Graph::exhausted(Ptask& ptask) {
    if (unwanted(ptask)) {
        return true;
    }
    if (std::any_of(ptask.inputs.begin(), ptask.inputs.end(), [&](auto& b) { return starves(ptask, *b.port); })) {
        return true;
    }
    if (in_loop(ptask)) {
        return false;
    }
    // What is only kept does not make a run.
    bool fed = false;
    for (const Ptask::Binding& input : ptask.inputs) {
        Port& port = *input.port;
        if (!port.fed()) {
            continue;
        }
        fed = true;
        Channel& channel = port.in != nullptr ? *port.in : *port.back;
        if (!channel.drained() || offers(channel) || port.makes_own() ||
            (port.is_meta() && port.meta->state() != MetaReading::State::empty)) {
            return false;
        }
    }
    return fed;
}

// Fetches the number in the next datablock of a meta port.
void Graph::read_meta(Port& port) {
    Datablock datablock = pop(*port.in);
    ++port.in->counters.pulled;
    MetaReading& reading = *port.meta;
    reading.signals = datablock.signals;
    if (!datablock.block) {
        return reading.pass_on();
    }
    if (datablock.bytes < port.element_bytes) {
        return fail_with(fmt::format("port {} got a datablock without a number; it needs one element of {}",
                                     port.definition.name, counted(port.element_bytes, "byte")));
    }
    if (!settle(datablock)) {
        return;
    }
    reading.begin();
    metas_.push_back(&port);
    auto read = queue_->read(datablock.block.buffer(), reading.place(),
                             std::min<std::uint64_t>(port.element_bytes, sizeof(std::uint64_t)), reading);
    if (!read) {
        return fail_with(fmt::format("port {} cannot be read: {}", port.definition.name, read.error().message));
    }
    leave_fence(datablock);
    queued_ = true;
}

void MetaReading::done(int status) noexcept {
    state_.store(status == 0 ? State::arrived : State::failed, std::memory_order_release);
    host_.deadline(0);
}

void Graph::go_on_with_meta() {
    std::erase_if(metas_, [this](Port* port) {
        const MetaReading::State state = port->meta->state();
        if (state == MetaReading::State::reading) {
            return false;
        }
        if (state == MetaReading::State::failed) {
            fail_with(fmt::format("port {} cannot be read from the device", port->definition.name));
        }
        look_at(port);
        return true;
    });
}

// The union of what the inputs bring; END is told by channels.
void Graph::launch(Ptask& ptask) {
    if (!take_inputs(ptask)) {
        return;
    }
    std::uint8_t signals = 0;
    for (const Ptask::Binding& input : ptask.inputs) {
        if (input.port->is_meta()) {
            signals |= input.port->meta->signals;
        } else if (input.fresh) {
            signals |= input.datablock.signals;
        }
    }
    const bool skip = (signals & YOKE_SIGNAL_DROP) != 0;
    std::uint32_t times = 1;
    if (ptask.loop && !ptask.loop->active) {
        ptask.loop->outer_signals = signals & iteration_signals;
    }
    if (ptask.loop) {
        times = skip ? 0 : begin_iterations(ptask, signals);
        if (failed_.load(std::memory_order_relaxed)) {
            return;
        }
        if (times == 0 && !ptask.loop->repeats_itself()) {
            return pass_by(ptask, signals);
        }
    }
    if (!skip) {
        for (Ptask::Binding& input : ptask.inputs) {
            if (input.port->definition.direction == control::Direction::in_out && !make_exclusive(ptask, input)) {
                return;
            }
        }
        if (!make_outputs(ptask)) {
            return;
        }
        run_kernel(ptask, times);
        if (failed_.load(std::memory_order_relaxed)) {
            return;
        }
    }
    ++ptask.runs;
    give_outputs(ptask, signals);
    end_of_loop_run(ptask);
}

bool Graph::take_inputs(Ptask& ptask) {
    return std::all_of(ptask.inputs.begin(), ptask.inputs.end(),
                       [&](Ptask::Binding& input) { return take_input(ptask, input); });
}

bool Graph::take_input(Ptask& ptask, Ptask::Binding& input) {
    Port& port = *input.port;
    input.fresh = false;
    if (port.is_meta()) {
        return true;
    }
    const bool looping = in_loop(ptask);
    if (!looping && port.makes_own()) {
        port.begun = true;
        return make_own(port, input.datablock);
    }
    Channel* const channel = looping ? port.back : port.in != nullptr ? port.in : port.back;
    const bool held = port.has_current && port.definition.hold && !looping;
    if (channel != nullptr && !held && offers(*channel)) {
        input.datablock = pop(*channel);
        ++channel->counters.pulled;
        input.fresh = true;
        if (!settle(input.datablock)) {
            return false;
        }
        const bool head = ptask.loop && !ptask.loop->repeats_itself() && port.back == nullptr;
        // What has no content is passed on, not kept: a later run would have nothing to read.
        if (input.datablock.block && (port.definition.sticky || port.definition.hold || head)) {
            port.current = input.datablock.share();
            port.has_current = true;
        }
        return true;
    }
    input.datablock = port.current.share();
    return true;
}

// Geometry of datablocks that are shorter than their template. False: it is the whole one.
bool Graph::set_geometry(const Ptask& ptask, std::array<std::size_t, 3>& global) const {
    bool shorter = false;
    global = ptask.geometry.global;
    for (std::size_t d = 0; d < 3; ++d) {
        const Port* const port = ptask.geometry_ports[d];
        if (port == nullptr || !port->definition.variable) {
            continue;
        }
        for (const auto* const bindings : {&ptask.inputs, &ptask.outputs}) {
            for (const Ptask::Binding& binding : *bindings) {
                if (binding.port == port) {
                    global[d] = std::max<std::size_t>(binding.datablock.extent[d], 1);
                    shorter = true;
                }
            }
        }
    }
    return shorter;
}

void Graph::run_kernel(Ptask& ptask, std::uint32_t times) {
    bool abroad = false;
    for (const auto* const bindings : {&ptask.inputs, &ptask.outputs}) {
        for (const Ptask::Binding& binding : *bindings) {
            if (binding.argument != Ptask::no_argument) {
                ptask.arguments[binding.argument].buffer = &binding.datablock.block.buffer();
                ptask.arguments[binding.argument].written = binding.port->definition.gives();
            }
            abroad = abroad || (binding.datablock.block && binding.datablock.block.home() != pool_.get());
        }
    }
    for (Ptask::Telling& telling : ptask.tellings) {
        for (const auto* const bindings : {&ptask.inputs, &ptask.outputs}) {
            for (const Ptask::Binding& binding : *bindings) {
                if (binding.port == telling.port) {
                    const auto count =
                        static_cast<std::uint32_t>(binding.datablock.bytes / binding.port->element_bytes);
                    const auto& extent = binding.datablock.extent;
                    telling.value = {static_cast<std::uint32_t>(extent[0]), static_cast<std::uint32_t>(extent[1]),
                                     static_cast<std::uint32_t>(extent[2]), count};
                }
            }
        }
        const auto* const bytes = reinterpret_cast<const std::uint8_t*>(telling.value.data());
        ptask.arguments[telling.argument].constant =
            telling.tells == control::ArgumentDefinition::Tells::count
                ? std::span(bytes + 3 * sizeof(std::uint32_t), sizeof(std::uint32_t))
                : std::span(bytes, 4 * sizeof(std::uint32_t));
    }
    std::array<std::size_t, 3> global{};
    const bool shorter = set_geometry(ptask, global);
    ptask.mark.launched();
    for (std::uint32_t i = 0; i < times; ++i) {
        if (auto launched = queue_->launch(*ptask.kernel, ptask.arguments, *ptask.failure, shorter ? &global : nullptr);
            !launched) {
            return fail_with(
                fmt::format("ptask {} cannot be launched: {}", ptask.definition.name, launched.error().message));
        }
    }
    for (Ptask::Binding& output : ptask.outputs) {
        if (times != 0) {
            break;
        }
        if (auto copied =
                queue_->copy(output.datablock.block.buffer(), output.port->pattern.buffer(), output.port->bytes);
            !copied) {
            return fail_with(fmt::format("port {} cannot make its datablock: {}", output.port->definition.name,
                                         copied.error().message));
        }
    }
    queued_ = true;
    if (abroad) {
        for (const Ptask::Binding& input : ptask.inputs) {
            leave_fence(input.datablock);
        }
    }
    if (ptask.definition.deadline_ns != 0) {
        watch_run(ptask);
    }
}

void Graph::give_outputs(Ptask& ptask, std::uint8_t signals) {
    const bool dropped = (signals & YOKE_SIGNAL_DROP) != 0;
    for (auto* const bindings : {&ptask.inputs, &ptask.outputs, &ptask.descriptors}) {
        for (Ptask::Binding& binding : *bindings) {
            if (binding.port->definition.gives()) {
                if (dropped) {
                    binding.datablock.reset();
                }
                binding.datablock.signals = signals;
                binding.datablock.passed = false;
                Datablock given = std::move(binding.datablock);
                binding.datablock.reset();
                emit(*binding.port, given);
            }
        }
    }
    const bool over = (signals & YOKE_SIGNAL_ITERATION_END) != 0;
    for (Ptask::Binding& input : ptask.inputs) {
        input.datablock.reset();
        Port& port = *input.port;
        if (port.definition.hold && over) {
            port.current.reset();
            port.has_current = false;
        }
        if (port.is_meta() && !(in_loop(ptask) && port.definition.meta == control::Meta::size)) {
            port.meta->clear();
        }
    }
}

// The error that has ended an input of which all has been taken; "": none.
std::string Graph::error_in(const Ptask& ptask) {
    for (const Ptask::Binding& input : ptask.inputs) {
        for (const Channel* const channel : {input.port->in, input.port->back}) {
            if (channel != nullptr && channel->drained() && !channel->error.empty()) {
                return channel->error;
            }
        }
    }
    return {};
}

void Graph::end(Ptask& ptask) {
    ptask.ended = true;
    ending_ = true;
    const std::string error = error_in(ptask);
    stream_error_ = stream_error_.empty() ? error : stream_error_;
    for (const auto* const bindings : {&ptask.inputs, &ptask.outputs, &ptask.descriptors}) {
        for (const Ptask::Binding& binding : *bindings) {
            Port& port = *binding.port;
            for (Channel* const channel : {port.in, port.back}) {
                if (channel != nullptr && !channel->closed) {
                    close(*channel);
                }
            }
            port.current.reset();
            port.has_current = false;
            for (Channel* const channel : port.out) {
                if (!channel->ended) {
                    end_stream(*channel, error);
                }
            }
        }
    }
    settle();
}

bool Graph::all_ended() const {
    return std::all_of(ptasks_.begin(), ptasks_.end(), [](const auto& entry) { return entry.second->ended; });
}

std::size_t Graph::unfinished_sinks() const {
    return static_cast<std::size_t>(std::count_if(channels_.begin(), channels_.end(), [](const auto& entry) {
        return entry.second->has_sink() && !entry.second->finished;
    }));
}

// A graph has ended when its ptasks have and its sinks have written everything. Where an error of a source has ended a
// stream it has failed then, but nothing on the device is void: who pulls may still take what came before the error.
void Graph::settle() {
    if (state_ != State::running || !all_ended() || unfinished_sinks() != 0) {
        return;
    }
    state_ = stream_error_.empty() ? State::ended : State::failed;
    if (state_ == State::failed) {
        log_error(Topic::graph, "graph failed", {{"graph", name()}, {"why", stream_error_}});
        error_ = stream_error_;
    }
}

}  // namespace yoke::graph
