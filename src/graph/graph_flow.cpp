// Graph: datablocks in channels, and the ends of streams. Transfers at outer ends are in graph_transfer.cpp and
// graph_waiting.cpp, what ptasks do with datablocks in graph_run.cpp.
#include <algorithm>

#include "base/log.hpp"
#include "graph/graph.hpp"

namespace yoke::graph {

Graph::Locked::~Locked() {
    static_cast<void>(graph_.advance());  // what is left, tick() goes on with
    graph_.flush();
    std::vector<std::shared_ptr<Watcher>> woken;
    woken.swap(graph_.woken_);
    lock_.unlock();
    for (const auto& watcher : woken) {
        watcher->changed();
    }
}

// What a transfer ends with at once, because nothing flows any more; 0: it flows.
int Graph::outer_status() const {
    if (state_ == State::terminated) {
        return YOKE_ECANCELED;
    }
    return failed_.load(std::memory_order_relaxed) ? YOKE_EIO : YOKE_OK;
}

// The same for one end of a move, which must be an outer one that the session may use.
int Graph::move_status(bool outer, std::uint32_t session, std::uint32_t bits) const {
    if (!outer) {
        return YOKE_EINVAL;
    }
    return may(session, bits) ? outer_status() : YOKE_EACCES;
}

bool Graph::has_room(const Channel& channel) {
    return channel.closed || !channel.full();
}

// Whether a datablock can be pushed: a client's function gives to all channels of its port.
bool Graph::pushable(const Channel& channel) {
    if (channel.source == nullptr) {
        return !channel.full();
    }
    return std::all_of(channel.source->out.begin(), channel.source->out.end(),
                       [](const Channel* out) { return has_room(*out); });
}

// Whether nobody takes what is pushed any more: of a client's function, from no channel of its port.
bool Graph::unread(const Channel& channel) {
    if (channel.source == nullptr) {
        return channel.closed;
    }
    return std::all_of(channel.source->out.begin(), channel.source->out.end(),
                       [](const Channel* out) { return out->closed; });
}

// Puts a datablock into a channel and tells whoever waits for one.
void Graph::arrive(Channel& channel, Datablock datablock) {
    ++channel.counters.pushed;
    if (!channel.source_gate.pass(datablock.signals)) {
        ++channel.counters.discarded;
        return;
    }
    if (channel.closed) {
        ++channel.counters.discarded;
        ++channel.counters.untaken;
        return;
    }
    channel.datablocks.push(std::move(datablock));
    look_at(channel.destination);
    wake(channel);
}

// Whether the channel has a datablock that its destination's predicate lets pass; drops those that it doesn't.
bool Graph::offers(Channel& channel) {
    while (!channel.datablocks.empty()) {
        Datablock& first = channel.datablocks.front();
        first.passed = first.passed || channel.destination_gate.pass(first.signals);
        if (first.passed) {
            return true;
        }
        channel.datablocks.pop();
        ++channel.counters.discarded;
        made_room(channel);
    }
    return false;
}

// The same for who does not stand in line: what is dropped makes room, so that another may come at once.
bool Graph::offers_at_once(Channel& channel) {
    if (!channel.pulls.empty()) {
        return false;
    }
    while (!offers(channel)) {
        if ((changed_.empty() && stirred_.empty()) || !advance()) {
            return false;
        }
    }
    return true;
}

// Takes the first datablock out; there is one that has passed.
Datablock Graph::pop(Channel& channel) {
    Datablock datablock = channel.datablocks.pop();
    datablock.passed = false;
    made_room(channel);
    return datablock;
}

// A place has become free. A client's function gives to all channels of its port at once, so that who waits at one of
// them may have waited for room in another.
void Graph::made_room(Channel& channel) {
    look_at(channel.source);
    if (channel.source != nullptr && channel.outer_source) {
        for (Channel* const out : channel.source->out) {
            wake(*out);
        }
    } else {
        wake(channel);
    }
    if (channel.ended && channel.datablocks.empty()) {
        look_at(channel.destination);
    }
}

// Has the queue wait for another graph's, where the datablock comes from one.
bool Graph::settle(Datablock& datablock) {
    if (!datablock.ready) {
        return true;
    }
    auto waits = queue_->wait(*datablock.ready);
    datablock.ready.reset();
    if (!waits) {
        fail_with(fmt::format("graph {} cannot wait for another graph: {}", name(), waits.error().message));
    }
    return waits.has_value();
}

// Tells the home of a datablock, if that is another graph, until when this one uses it.
void Graph::leave_fence(const Datablock& datablock) {
    if (!datablock.block || datablock.block.home() == pool_.get()) {
        return;
    }
    auto fence = queue_->mark();
    if (!fence) {
        return fail_with(
            fmt::format("graph {} cannot tell another graph of its work: {}", name(), fence.error().message));
    }
    DatablockPool::note_use(datablock.block, *queue_, std::move(*fence));
}

void Graph::look_at(Ptask& ptask) {
    if (!ptask.listed) {
        ptask.listed = true;
        changed_.push_back(&ptask);
    }
}

void Graph::look_at(const Port* port) {
    if (port != nullptr && port->ptask != nullptr) {
        look_at(*port->ptask);
    }
    if (port != nullptr && port->tail_of != nullptr) {
        look_at(*port->tail_of);  // which waits for room here when it has nothing to iterate
    }
}

// Whoever waits at the channel looks again.
void Graph::wake(Channel& channel) {
    for (const auto& watcher : channel.watchers) {
        if (auto there = watcher.lock()) {
            woken_.push_back(std::move(there));
        }
    }
    channel.watchers.clear();
    if (!channel.listed && !(channel.pushes.empty() && channel.pulls.empty())) {
        channel.listed = true;
        stirred_.push_back(&channel);
    }
}

void Graph::close(Channel& channel) {
    channel.closed = true;
    while (offers(channel)) {  // what its predicate drops, nobody was to take
        channel.datablocks.pop();
        ++channel.counters.discarded;
        ++channel.counters.untaken;
    }
    made_room(channel);
}

// `error`: that has ended it, "" if none.
void Graph::end_stream(Channel& channel, const std::string& error) {
    channel.ended = true;
    channel.error = error;
    look_at(channel.destination);
    wake(channel);
}

// Ends what is pushed from outside: one channel, or all of a port of a client's function.
void Graph::end_outer(Channel& channel) {
    if (channel.source == nullptr) {
        return end_stream(channel, channel.error);
    }
    Ptask& ptask = *channel.source->ptask;
    for (Channel* const out : channel.source->out) {
        end_stream(*out, error_in(ptask));
    }
    const auto over = [](const Port* port) {
        return std::all_of(port->out.begin(), port->out.end(), [](const Channel* out) { return out->ended; });
    };
    const bool all =
        std::all_of(ptask.inputs.begin(), ptask.inputs.end(), [&](const auto& b) { return over(b.port); }) &&
        std::all_of(ptask.outputs.begin(), ptask.outputs.end(), [&](const auto& b) { return over(b.port); });
    if (all && !ptask.ended) {
        end(ptask);
    }
}

void Graph::flush() {
    if (!queued_) {
        return;
    }
    queued_ = false;
    if (auto flushed = queue_->flush(); !flushed) {
        fail_with(fmt::format("graph {} cannot use the device: {}", name(), flushed.error().message));
    }
}

// Ends every transfer that waits and drops every datablock.
void Graph::drop_all(int status) {
    for (const auto& watcher : std::exchange(end_watchers_, {})) {
        if (auto there = watcher.lock()) {
            woken_.push_back(std::move(there));
        }
    }
    for (const auto& [name, channel] : channels_) {
        complete_all(channel->pushes, status);
        complete_all(channel->pulls, status);
        while (!channel->datablocks.empty()) {
            channel->datablocks.pop();
        }
        wake(*channel);
    }
    for (const auto& [name, ptask] : ptasks_) {
        for (auto* const bindings : {&ptask->inputs, &ptask->outputs, &ptask->descriptors}) {
            for (Ptask::Binding& binding : *bindings) {
                binding.datablock.reset();
            }
        }
    }
    for (const auto& [name, port] : ports_) {
        port->current.reset();
        port->has_current = false;
    }
}

void Graph::fail_with(std::string message) {
    if (state_ == State::failed || state_ == State::terminated) {
        return;
    }
    log_error(Topic::graph, "graph failed", {{"graph", name()}, {"why", message}});
    failed_.store(true, std::memory_order_release);
    state_ = State::failed;
    error_ = std::move(message);
    drop_all(YOKE_EIO);
}

void Graph::give_up(const std::string& why) {
    const Locked lock(*this);
    fail_with(why);
}

void Graph::launch_failed(const Ptask& ptask, int status) noexcept {
    // The device tells failures of one queue one after the other.
    if (culprit_.load() == nullptr) {
        culprit_status_.store(status);
        culprit_.store(&ptask);
        failed_.store(true, std::memory_order_release);
        host_.deadline(0);
    }
}

// Why the graph has failed, also when the device has told it and tick() has not come yet.
std::string Graph::error_text() const {
    const Ptask* const culprit = culprit_.load();
    if (!error_.empty() || culprit == nullptr) {
        return error_;
    }
    return fmt::format("ptask {} failed on the device: {}", culprit->definition.name,
                       std::strerror(-culprit_status_.load()));
}

void Graph::terminate() {
    {
        const Locked lock(*this);
        if (state_ == State::terminated) {
            return;
        }
        state_ = State::terminated;
        drop_all(YOKE_ECANCELED);
    }
    await_queue();
    queue_->finish();
    const Locked lock(*this);
    for (const auto& [name, port] : ports_) {
        port->pattern.reset();
    }
    runs_.clear();
    pool_->close();
    budget_.release(std::exchange(reserved_, 0));
    budget_.objects -= static_cast<std::uint32_t>(ports_.size() + ptasks_.size() + channels_.size());
}

}  // namespace yoke::graph
