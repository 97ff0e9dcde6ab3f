// Graph: when a ptask runs, what it takes and what it gives. The rules of kept datablocks (sticky, hold), of ports that
// make their own and of iterations (loop.hpp) are all here; channels know nothing of them.
#include <algorithm>
#include <cstring>

#include "base/clock.hpp"
#include "graph/extent.hpp"
#include "graph/graph.hpp"

namespace yoke::graph {

namespace {

constexpr std::uint8_t iteration_signals = YOKE_SIGNAL_ITERATION_BEGIN | YOKE_SIGNAL_ITERATION_END;
constexpr std::uint64_t stuck_grace_ns = 1'000'000'000;  // between a graph's failure and giving up the device

bool is_meta(const Port& port) {
    return port.definition.meta != control::Meta::none;
}

bool in_loop(const Ptask& ptask) {
    return ptask.loop && !ptask.loop->repeats_itself() && ptask.loop->active;
}

// A port that makes its datablock for the run at hand.
bool makes_own(const Port& port) {
    return port.definition.init && (!port.fed() || (port.in == nullptr && !port.begun));
}

// Whether the next run of the ptask takes a datablock out of the channel, which is not empty.
bool will_take(const Ptask& ptask, const Channel& channel) {
    const Port* const port = channel.destination;
    if (port == nullptr || port->ptask != &ptask || is_meta(*port) || makes_own(*port)) {
        return false;
    }
    if (in_loop(ptask)) {
        return port->back == &channel;
    }
    return channel.datablocks.size() == channel.definition.capacity && !(port->definition.hold && port->has_current) &&
           (port->in == &channel || port->in == nullptr);
}

const Port* meta_of(const Ptask& ptask, control::Meta meta, const Port* of = nullptr) {
    for (const Ptask::Binding& input : ptask.inputs) {
        if (input.port->definition.meta == meta && (of == nullptr || input.port->of == of)) {
            return input.port;
        }
    }
    return nullptr;
}

std::uint64_t number_in(const Port& meta) {
    return meta.meta->value(std::min<std::uint64_t>(meta.element_bytes, sizeof(std::uint64_t)));
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
// the next ptask before the next datablock is looked at.
void Graph::advance() {
    while (!changed_.empty()) {
        std::size_t best = changed_.size() - 1;
        for (std::size_t i = changed_.size() - 1; i-- > 0;) {
            best = changed_[i]->priority > changed_[best]->priority ? i : best;
        }
        Ptask& ptask = *changed_[best];
        const bool can = state_ == State::running && !ptask.ended && !ptask.client();
        if (can && ready(ptask)) {
            launch(ptask);
            continue;
        }
        // Looking may have changed the list behind it.
        changed_.erase(std::find(changed_.begin(), changed_.end(), &ptask));
        ptask.listed = false;
        const bool over = can ? exhausted(ptask) : state_ == State::running && !ptask.ended && reads_only(ptask);
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
    if (is_meta(port)) {
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
    if (makes_own(port)) {
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
    if (!port.fed() || makes_own(port)) {
        return false;
    }
    if (is_meta(port) && port.meta->state() != MetaReading::State::empty) {
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

bool Graph::exhausted(Ptask& ptask) {
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
    if (any_output && all_closed) {
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
        if (!channel.drained() || offers(channel) || makes_own(port) ||
            (is_meta(port) && port.meta->state() != MetaReading::State::empty)) {
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
    if (datablock.bytes < port.element_bytes) {
        return fail_with(fmt::format("port {} got a datablock without a number; it needs one element of {} bytes",
                                     port.definition.name, port.element_bytes));
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
        if (is_meta(*input.port)) {
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
            pass_by(ptask, signals);
            return refill(ptask);
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
    refill(ptask);
}

bool Graph::take_inputs(Ptask& ptask) {
    return std::all_of(ptask.inputs.begin(), ptask.inputs.end(),
                       [&](Ptask::Binding& input) { return take_input(ptask, input); });
}

bool Graph::take_input(Ptask& ptask, Ptask::Binding& input) {
    Port& port = *input.port;
    input.fresh = false;
    if (is_meta(port)) {
        return true;
    }
    const bool looping = in_loop(ptask);
    if (!looping && makes_own(port)) {
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
        if (port.definition.sticky || port.definition.hold || head) {
            port.current = input.datablock.share();
            port.has_current = true;
        }
        return true;
    }
    input.datablock = port.current.share();
    return true;
}

bool Graph::make_own(Port& port, Datablock& datablock) {
    auto block = pool_->take(port.bytes);
    Status copied = block ? queue_->copy(block->buffer(), port.pattern.buffer(), port.bytes) : Status{};
    if (!block || !copied) {
        fail_with(fmt::format("port {} cannot make its datablock: {}", port.definition.name,
                              !block ? block.error().message : copied.error().message));
        return false;
    }
    queued_ = true;
    datablock = {std::move(*block), port.bytes, port.definition.form.extent, 0, false, nullptr};
    return true;
}

// Copies what others still see before the kernel writes it.
bool Graph::make_exclusive(Ptask& ptask, Ptask::Binding& input) {
    if (input.datablock.block.exclusive()) {
        return true;
    }
    auto block = pool_->take(input.port->bytes);
    Status copied =
        block ? queue_->copy(block->buffer(), input.datablock.block.buffer(), input.datablock.bytes) : Status{};
    if (!block || !copied) {
        fail_with(fmt::format("ptask {} cannot copy the datablock of port {}: {}", ptask.definition.name,
                              input.port->definition.name, !block ? block.error().message : copied.error().message));
        return false;
    }
    queued_ = true;
    leave_fence(input.datablock);
    input.datablock.block = std::move(*block);
    return !failed_.load(std::memory_order_relaxed);
}

bool Graph::make_outputs(Ptask& ptask) {
    for (Ptask::Binding& output : ptask.outputs) {
        Port& port = *output.port;
        auto block = pool_->take(port.bytes);
        if (!block) {
            fail_with(fmt::format("ptask {} has no memory for its output {}: {}", ptask.definition.name,
                                  port.definition.name, block.error().message));
            return false;
        }
        output.datablock = {std::move(*block), port.bytes, port.definition.form.extent, 0, false, nullptr};
        if (port.definition.variable && !size_output(ptask, port, output.datablock)) {
            return false;
        }
    }
    return std::all_of(ptask.descriptors.begin(), ptask.descriptors.end(),
                       [&](Ptask::Binding& descriptor) { return describe_input(ptask, descriptor); });
}

// As many elements as the meta port says, else as the first variable input has.
bool Graph::size_output(const Ptask& ptask, const Port& port, Datablock& datablock) {
    std::uint64_t count = 0;
    std::string reason;
    if (const Port* const meta = meta_of(ptask, control::Meta::size, &port)) {
        count = number_in(*meta);
        reason = fmt::format("port {} asks for", meta->definition.name);
    } else {
        const auto like = std::find_if(ptask.inputs.begin(), ptask.inputs.end(),
                                       [](const auto& b) { return b.port->definition.variable && !is_meta(*b.port); });
        if (like == ptask.inputs.end()) {
            return true;
        }
        count = like->datablock.bytes / like->port->element_bytes;
        reason = fmt::format("port {} has", like->port->definition.name);
        if (like->port->definition.form.extent == port.definition.form.extent && port.definition.form.stride == 0) {
            datablock.extent = like->datablock.extent;
            datablock.bytes = count * port.element_bytes;
            return true;
        }
    }
    if (count > port.bytes / port.element_bytes) {
        fail_with(fmt::format("{} {} elements, but port {} can make {}; enlarge its template", reason, count,
                              port.definition.name, port.bytes / port.element_bytes));
        return false;
    }
    datablock.bytes = count * port.element_bytes;
    datablock.extent = extent_of(port.definition.form, port.element_bytes, datablock.bytes);
    return true;
}

bool Graph::describe_input(const Ptask& ptask, Ptask::Binding& descriptor) {
    const auto described = std::find_if(ptask.inputs.begin(), ptask.inputs.end(),
                                        [&](const auto& b) { return b.port == descriptor.port->of; });
    DescriptorWrite& write = descriptor_writes_.take();
    const Datablock& what = described->datablock;
    write.words = {what.bytes, what.extent[0], what.extent[1], what.extent[2]};
    auto block = pool_->take(descriptor.port->bytes);
    Status written;
    if (block) {
        written = queue_->write(block->buffer(), reinterpret_cast<const std::byte*>(write.words.data()),
                                descriptor_bytes, write);
    }
    if (!block || !written) {
        write.done(0);
        fail_with(fmt::format("port {} cannot make its datablock: {}", descriptor.port->definition.name,
                              !block ? block.error().message : written.error().message));
        return false;
    }
    queued_ = true;
    descriptor.datablock = {
        std::move(*block), descriptor_bytes, descriptor.port->definition.form.extent, 0, false, nullptr};
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

void Graph::watch_run(const Ptask& ptask) {
    auto fence = queue_->mark();
    if (!fence) {
        return fail_with(fmt::format("ptask {} cannot be watched: {}", ptask.definition.name, fence.error().message));
    }
    runs_.push_back({std::move(*fence), &ptask, 0});
    if (runs_.size() == 1) {
        runs_.front().until_ns = now_ns() + ptask.definition.deadline_ns;
        host_.deadline(runs_.front().until_ns);
    }
}

// Of runs with a deadline: each is timed from when the one before it was seen to have ended. Returns when to look
// again.
std::uint64_t Graph::look_at_runs(std::uint64_t now) {
    while (!runs_.empty() && runs_.front().fence->reached()) {
        runs_.pop_front();
        if (!runs_.empty()) {
            runs_.front().until_ns = now + runs_.front().ptask->definition.deadline_ns;
        }
    }
    if (runs_.empty()) {
        return UINT64_MAX;
    }
    WatchedRun& run = runs_.front();
    if (run.until_ns > now) {
        return run.until_ns;
    }
    const std::string why = fmt::format("ptask {} has run longer than its deadline of {} ms",
                                        run.ptask->definition.name, run.ptask->definition.deadline_ns / 1'000'000);
    if (state_ != State::failed) {
        fail_with(why);
        run.until_ns = now + stuck_grace_ns;
        return run.until_ns;
    }
    runs_.clear();
    host_.stuck(why);
    return UINT64_MAX;
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
        if (is_meta(port) && !(in_loop(ptask) && port.definition.meta == control::Meta::size)) {
            port.meta->clear();
        }
    }
}

// What follows a run: those behind look, and what waits for an output gets it.
void Graph::refill(Ptask& ptask) {
    if (failed_.load(std::memory_order_relaxed)) {
        return;
    }
    if (exhausted(ptask)) {
        return end(ptask);  // before its last datablock is pulled, so that the pull tells the end
    }
    for (const auto* const bindings : {&ptask.inputs, &ptask.outputs, &ptask.descriptors}) {
        for (const Ptask::Binding& binding : *bindings) {
            for (Channel* const channel : binding.port->out) {
                serve_waiting_pulls(*channel);
            }
        }
    }
    if (ptask.loop) {
        for (const Port* const port : ptask.loop->carried) {
            for (Channel* const channel : port->back->source->out) {
                serve_waiting_pulls(*channel);
            }
        }
    }
}

// Gives a datablock to every channel of a port. At a tail, the last of an iteration leaves the loop with the signals
// that came in, and all others go back.
void Graph::emit(Port& port, const Datablock& datablock) {
    Ptask* const head = port.tail_of;
    const bool last = (datablock.signals & YOKE_SIGNAL_ITERATION_END) != 0;
    for (Channel* const channel : port.out) {
        Datablock given = datablock.share();
        if (head != nullptr) {
            const bool returns = channel->destination != nullptr && channel->destination->back == channel &&
                                 channel->destination->ptask == head;
            if (returns == last) {
                continue;
            }
            if (!returns) {
                given.signals =
                    static_cast<std::uint8_t>((given.signals & ~iteration_signals) | head->loop->outer_signals);
            }
        }
        arrive(*channel, std::move(given));
    }
    if (head != nullptr && last && head->loop->open_tails > 0 && --head->loop->open_tails == 0) {
        head->loop->active = false;
        look_at(*head);
    }
}

// How often the kernel runs now; for the head of a loop, once. Signals of a loop's runs tell its begin and end.
std::uint32_t Graph::begin_iterations(Ptask& ptask, std::uint8_t& signals) {
    Loop& loop = *ptask.loop;
    if (!loop.active) {
        const Port& meta = *meta_of(ptask, control::Meta::iterations);
        const std::uint64_t count = number_in(meta);
        if (count > control::iterations_max) {
            fail_with(fmt::format("port {} asks for {} iterations; at most {} are allowed", meta.definition.name, count,
                                  control::iterations_max));
            return 0;
        }
        if (loop.repeats_itself()) {
            return static_cast<std::uint32_t>(count);
        }
        loop.left = static_cast<std::uint32_t>(count);
        signals &= static_cast<std::uint8_t>(~iteration_signals);
        if (count == 0) {
            return 0;
        }
        loop.active = true;
        loop.open_tails = static_cast<std::uint32_t>(loop.carried.size());
        signals |= YOKE_SIGNAL_ITERATION_BEGIN;
    } else {
        signals &= static_cast<std::uint8_t>(~iteration_signals);
    }
    --loop.left;
    signals |= loop.left == 0 ? YOKE_SIGNAL_ITERATION_END : 0;
    return 1;
}

// No iteration: what would have been carried round leaves at the tails as it came.
void Graph::pass_by(Ptask& ptask, std::uint8_t signals) {
    Loop& loop = *ptask.loop;
    loop.open_tails = 0;
    for (Ptask::Binding& input : ptask.inputs) {
        Port& port = *input.port;
        if (port.back != nullptr) {
            input.datablock.signals = static_cast<std::uint8_t>(signals | iteration_signals);
            emit(*port.back->source, input.datablock);
        } else {
            port.current.reset();
            port.has_current = false;
        }
        if (is_meta(port)) {
            port.meta->clear();
        }
        input.datablock.reset();
    }
}

void Graph::end_of_loop_run(Ptask& ptask) {
    if (!ptask.loop || ptask.loop->repeats_itself() || ptask.loop->left > 0) {
        return;
    }
    for (Ptask::Binding& input : ptask.inputs) {
        Port& port = *input.port;
        if (is_meta(port)) {
            port.meta->clear();
        } else if (port.back == nullptr && !port.definition.sticky) {
            port.current.reset();
            port.has_current = false;
        }
    }
}

void Graph::end(Ptask& ptask) {
    ptask.ended = true;
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
                    end_stream(*channel);
                }
            }
        }
    }
    if (std::all_of(ptasks_.begin(), ptasks_.end(), [](const auto& entry) { return entry.second->ended; })) {
        state_ = State::ended;
    }
}

}  // namespace yoke::graph
