// Graph: datablocks in channels, and the transfers at their outer ends. What ptasks do with them is in graph_run.cpp.
#include <algorithm>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "graph/extent.hpp"
#include "graph/graph.hpp"

namespace yoke::graph {

namespace {

constexpr std::uint32_t may_pull = 0400;
constexpr std::uint32_t may_push = 0200;

void complete_with_length(const Transfer& transfer, int status, std::uint64_t detail, std::uint64_t needed) {
    yoke_completion completion = completion_of(status, detail);
    completion.out_length = needed;
    transfer.sink->complete(transfer, completion);
}

// What a pull or a move is told of a datablock.
void tell(yoke_completion& completion, const Channel& channel, const Datablock& datablock) {
    constexpr unsigned second = 32;
    completion.where = YOKE_WHERE_CPU;
    completion.why = YOKE_WHY_ONLY;
    completion.out_length = datablock.bytes;
    completion.sequence = channel.counters.pulled;
    completion.signal = datablock.signals & static_cast<std::uint8_t>(~YOKE_SIGNAL_END);
    completion.detail = datablock.extent[0] | datablock.extent[1] << second;
}

}  // namespace

Graph::Locked::~Locked() {
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

void Graph::push(Channel& channel, const Transfer& transfer) noexcept {
    const Locked lock(*this);
    const bool only_end = (transfer.flags & YOKE_FLAG_END) != 0 && transfer.length == 0;
    const bool empty = only_end || (transfer.signals & YOKE_SIGNAL_DROP) != 0;
    if (!channel.outer_source) {
        return complete(transfer, YOKE_EINVAL, YOKE_MEMBER_OBJECT);
    }
    if (!may(transfer.session, may_push)) {
        return complete(transfer, YOKE_EACCES, YOKE_MEMBER_OBJECT);
    }
    if ((transfer.flags & ~YOKE_FLAG_END) != 0) {
        return complete(transfer, YOKE_EINVAL, YOKE_MEMBER_FLAGS);
    }
    if ((transfer.signals & ~YOKE_SIGNALS_PUSHABLE) != 0) {
        return complete(transfer, YOKE_EINVAL, YOKE_MEMBER_PARAMS);
    }
    const bool fits = channel.variable
                          ? transfer.length <= channel.bytes && transfer.length % channel.element_bytes == 0
                          : transfer.length == channel.bytes;
    if (!empty && !fits) {
        return complete_with_length(transfer, YOKE_EINVAL, YOKE_MEMBER_INPUT, channel.bytes);
    }
    if (!empty && !extent_fits(channel.form, channel.element_bytes, transfer.length, transfer.extent)) {
        return complete(transfer, YOKE_EINVAL, YOKE_MEMBER_PARAMS);
    }
    if (const int status = outer_status(); status != YOKE_OK) {
        return complete(transfer, status);
    }
    if (channel.ended || channel.closed) {
        return complete(transfer, YOKE_EPIPE);
    }
    if (!channel.pushes.empty() || (!only_end && !pushable(channel))) {
        return wait_in(channel.pushes, transfer);
    }
    accept(channel, {transfer, now_ns()});
    advance();
    flush();
}

void Graph::pull(Channel& channel, const Transfer& transfer) noexcept {
    const Locked lock(*this);
    const bool drain = (transfer.flags & YOKE_FLAG_DRAIN) != 0;
    if (!channel.outer_destination) {
        return complete(transfer, YOKE_EINVAL, YOKE_MEMBER_OBJECT);
    }
    if (!may(transfer.session, may_pull)) {
        return complete(transfer, YOKE_EACCES, YOKE_MEMBER_OBJECT);
    }
    if ((transfer.flags & ~(YOKE_FLAG_PEEK | YOKE_FLAG_DRAIN)) != 0 ||
        (drain && (transfer.flags & YOKE_FLAG_PEEK) != 0)) {
        return complete(transfer, YOKE_EINVAL, YOKE_MEMBER_FLAGS);
    }
    if (!drain && !channel.variable && transfer.length < channel.bytes) {
        return complete_with_length(transfer, YOKE_EMSGSIZE, YOKE_MEMBER_OUTPUT, channel.bytes);
    }
    if (const int status = outer_status(); status != YOKE_OK) {
        return complete(transfer, status);
    }
    if (drain) {
        std::uint64_t dropped = 0;
        while (offers(channel)) {
            pop(channel);
            ++channel.counters.discarded;
            ++dropped;
        }
        complete(transfer, YOKE_OK, dropped);
        advance();
        return flush();
    }
    if (!channel.pulls.empty() || !offers(channel)) {
        if (channel.drained()) {
            return complete(transfer, YOKE_ENODATA);
        }
        return wait_in(channel.pulls, transfer);
    }
    serve(channel, {transfer, now_ns()});
    advance();
    flush();
}

void Graph::wait_in(Fifo<Waiting>& line, const Transfer& transfer) {
    const std::uint64_t now = now_ns();
    if (transfer.deadline_ns != 0 && transfer.deadline_ns <= now) {
        return complete(transfer, YOKE_ETIME);
    }
    line.push({transfer, now});
    if (transfer.deadline_ns != 0) {
        host_.deadline(transfer.deadline_ns);
    }
}

bool Graph::has_room(const Channel& channel) {
    return channel.closed || !channel.full();
}

// Whether a datablock can be pushed: a client's function gives to all channels of its port.
bool Graph::pushable(const Channel& channel) const {
    if (channel.source == nullptr) {
        return !channel.full();
    }
    return std::all_of(channel.source->out.begin(), channel.source->out.end(),
                       [](const Channel* out) { return has_room(*out); });
}

// Takes a push, for which there is room, into its channel.
void Graph::accept(Channel& channel, const Waiting& push) {
    const Transfer& transfer = push.transfer;
    const bool last = (transfer.flags & YOKE_FLAG_END) != 0;
    const bool dropped = (transfer.signals & YOKE_SIGNAL_DROP) != 0;
    if (transfer.length == 0 && last && !dropped) {
        complete(transfer, YOKE_OK);
        return end_outer(channel);
    }
    Datablock datablock;
    datablock.signals = static_cast<std::uint8_t>(
        transfer.signals | (channel.counters.pushed == 0 ? YOKE_SIGNAL_BEGIN : 0) | (last ? YOKE_SIGNAL_END : 0));
    if (dropped) {
        complete(transfer, YOKE_OK);
    } else {
        auto block = pool_->take_rested(channel.bytes, reserved_);
        if (!block) {
            return complete(transfer, YOKE_ENOMEM);
        }
        datablock.block = std::move(*block);
        datablock.bytes = transfer.length;
        datablock.extent = extent_of(channel.form, channel.element_bytes, transfer.length, transfer.extent);
        if (!copy_in(channel, push, datablock)) {
            return;
        }
    }
    if (channel.source != nullptr) {
        emit(*channel.source, datablock);
    } else {
        arrive(channel, std::move(datablock));
    }
    if (last) {
        end_outer(channel);
    }
    serve_waiting_pulls(channel);
}

// Copies what is pushed to the device. False: the transfer has ended with an error.
bool Graph::copy_in(Channel& channel, const Waiting& push, const Datablock& datablock) {
    const Transfer& transfer = push.transfer;
    Passage& passage = passages_.take(transfer);
    passage.completion.where = YOKE_WHERE_CPU;
    passage.completion.why = YOKE_WHY_ONLY;
    passage.completion.queued_ns = passage.begun_ns - push.since_ns;
    passage.completion.sequence = channel.counters.pushed;
    if (transfer.length == 0) {
        transfer.sink->complete(transfer, passage.completion);
        passages_.give_back(passage);
        return true;
    }
    // From here the passage may be over at any moment.
    auto written = queue_->write(datablock.block.buffer(), transfer.data, transfer.length, passage);
    if (!written) {
        passages_.give_back(passage);
        complete(transfer, YOKE_EIO);
        fail_with(
            fmt::format("channel {} cannot take a datablock: {}", channel.definition.name, written.error().message));
        return false;
    }
    queued_ = true;
    ++channel.counters.copies;
    channel.counters.bytes += transfer.length;
    return true;
}

// Puts a datablock into a channel and tells whoever waits for one.
void Graph::arrive(Channel& channel, Datablock datablock) {
    ++channel.counters.pushed;
    if (channel.closed || !channel.source_gate.pass(datablock.signals)) {
        ++channel.counters.discarded;
        return;
    }
    channel.datablocks.push(std::move(datablock));
    look_at(channel.destination);
    wake(channel);
}

// Whether the channel has a datablock that its destination's predicate lets pass; drops those that it doesn't.
bool Graph::offers(Channel& channel) {
    bool dropped = false;
    while (!channel.datablocks.empty()) {
        Datablock& first = channel.datablocks.front();
        first.passed = first.passed || channel.destination_gate.pass(first.signals);
        if (first.passed) {
            return true;
        }
        channel.datablocks.pop();
        ++channel.counters.discarded;
        dropped = true;
        take_waiting_pushes(channel);
    }
    if (dropped) {
        look_at(channel.source);
        wake(channel);
    }
    return false;
}

// Takes the first datablock out; there is one that has passed.
Datablock Graph::pop(Channel& channel) {
    Datablock datablock = channel.datablocks.pop();
    datablock.passed = false;
    look_at(channel.source);
    wake(channel);
    take_waiting_pushes(channel);
    return datablock;
}

// Gives the channel's first datablock to a pull. False: it does not fit, and stays.
bool Graph::serve(Channel& channel, const Waiting& pull) {
    const Transfer& transfer = pull.transfer;
    const bool peek = (transfer.flags & YOKE_FLAG_PEEK) != 0;
    if (channel.datablocks.front().bytes > transfer.length) {
        complete_with_length(transfer, YOKE_EMSGSIZE, YOKE_MEMBER_OUTPUT, channel.datablocks.front().bytes);
        return false;
    }
    Datablock datablock = peek ? channel.datablocks.front().share() : pop(channel);
    if (!settle(datablock)) {
        return complete(transfer, YOKE_EIO), true;
    }
    yoke_completion completion{};
    tell(completion, channel, datablock);
    if (channel.drained() && !peek) {
        completion.signal |= YOKE_SIGNAL_END;
    }
    if (peek) {
        channel.datablocks.front().ready.reset();
    } else {
        ++channel.counters.pulled;
    }
    if (datablock.bytes == 0) {
        transfer.sink->complete(transfer, completion);
        return true;
    }
    Passage& passage = passages_.take(transfer);
    passage.completion = completion;
    passage.completion.queued_ns = passage.begun_ns - pull.since_ns;
    auto read = queue_->read(datablock.block.buffer(), transfer.data, datablock.bytes, passage);
    if (!read) {
        passages_.give_back(passage);
        complete(transfer, YOKE_EIO);
        fail_with(fmt::format("channel {} cannot give a datablock: {}", channel.definition.name, read.error().message));
        return true;
    }
    queued_ = true;
    leave_fence(datablock);
    ++channel.counters.copies;
    channel.counters.bytes += datablock.bytes;
    return true;
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

void Graph::wake(Channel& channel) {
    for (auto& watcher : channel.watchers) {
        woken_.push_back(std::move(watcher));
    }
    channel.watchers.clear();
}

void Graph::close(Channel& channel) {
    channel.closed = true;
    while (!channel.datablocks.empty()) {
        channel.datablocks.pop();
        ++channel.counters.discarded;
    }
    complete_all(channel.pushes, YOKE_EPIPE);
    look_at(channel.source);
    wake(channel);
}

void Graph::end_stream(Channel& channel) {
    channel.ended = true;
    look_at(channel.destination);
    wake(channel);
    serve_waiting_pulls(channel);
}

// Ends what is pushed from outside: one channel, or all of a port of a client's function.
void Graph::end_outer(Channel& channel) {
    if (channel.source == nullptr) {
        return end_stream(channel);
    }
    for (Channel* const out : channel.source->out) {
        end_stream(*out);
    }
    Ptask& ptask = *channel.source->ptask;
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

void Graph::take_waiting_pushes(Channel& channel) {
    while (!channel.pushes.empty() && !channel.ended) {
        const Transfer& first = channel.pushes.front().transfer;
        const bool only_end = first.length == 0 && (first.flags & YOKE_FLAG_END) != 0;
        if (!only_end && !pushable(channel)) {
            break;
        }
        accept(channel, channel.pushes.pop());
    }
    if (channel.ended) {
        complete_all(channel.pushes, YOKE_EPIPE);
    }
}

void Graph::serve_waiting_pulls(Channel& channel) {
    while (!channel.pulls.empty() && offers(channel)) {
        serve(channel, channel.pulls.pop());
    }
    if (channel.drained()) {
        complete_all(channel.pulls, YOKE_ENODATA);
    }
}

Graph::Step Graph::check_room(Channel& channel, std::uint32_t session,
                              const std::shared_ptr<Watcher>& watcher) noexcept {
    const Locked lock(*this);
    if (!channel.outer_source) {
        return {false, YOKE_EINVAL};
    }
    if (!may(session, may_push)) {
        return {false, YOKE_EACCES};
    }
    if (const int status = outer_status(); status != YOKE_OK) {
        return {false, status};
    }
    if (channel.ended || channel.closed) {
        return {false, YOKE_EPIPE};
    }
    if (!channel.pushes.empty() || !pushable(channel)) {
        channel.watchers.push_back(watcher);
        return {true, 0};
    }
    return {};
}

Graph::Step Graph::take(Channel& channel, std::uint32_t session, const std::shared_ptr<Watcher>& watcher,
                        Datablock& datablock, yoke_completion& completion) noexcept {
    const Locked lock(*this);
    if (!channel.outer_destination) {
        return {false, YOKE_EINVAL};
    }
    if (!may(session, may_pull)) {
        return {false, YOKE_EACCES};
    }
    if (const int status = outer_status(); status != YOKE_OK) {
        return {false, status};
    }
    if (!channel.pulls.empty() || !offers(channel)) {
        if (channel.drained()) {
            return {false, YOKE_ENODATA};
        }
        channel.watchers.push_back(watcher);
        return {true, 0};
    }
    datablock = pop(channel);
    tell(completion, channel, datablock);
    if (channel.drained()) {
        completion.signal |= YOKE_SIGNAL_END;
    }
    ++channel.counters.pulled;
    if (datablock.block && !datablock.ready) {  // else this graph has not touched it
        auto fence = queue_->mark();
        if (!fence) {
            fail_with(fmt::format("graph {} cannot hand a datablock on: {}", name(), fence.error().message));
            return {false, YOKE_EIO};
        }
        datablock.ready = std::move(*fence);
    }
    if (datablock.block && datablock.block.home() == pool_.get()) {
        pool_->send_abroad(datablock.block);
    }
    advance();
    flush();
    return {};
}

int Graph::deliver(Channel& channel, Datablock datablock, bool last) noexcept {
    const Locked lock(*this);
    if (const int status = outer_status(); status != YOKE_OK) {
        return status;
    }
    if (channel.ended || channel.closed) {
        return YOKE_EPIPE;
    }
    if (datablock.bytes > channel.bytes || (!channel.variable && datablock.block && datablock.bytes != channel.bytes)) {
        return YOKE_EMSGSIZE;
    }
    if (channel.source != nullptr) {
        emit(*channel.source, datablock);
    } else {
        arrive(channel, std::move(datablock));
    }
    if (last) {
        end_outer(channel);
    }
    serve_waiting_pulls(channel);
    advance();
    flush();
    return YOKE_OK;
}

void Graph::end_from_outside(Channel& channel) noexcept {
    const Locked lock(*this);
    if (outer_status() != YOKE_OK || channel.ended) {
        return;
    }
    end_outer(channel);
    advance();
    flush();
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

template <typename Predicate>
void Graph::end_waiting(Predicate predicate, int status) {
    for (const auto& [name, channel] : channels_) {
        for (Fifo<Waiting>* const line : {&channel->pushes, &channel->pulls}) {
            for (std::size_t i = 0; i < line->size();) {
                if (predicate((*line)[i].transfer)) {
                    complete(line->take(i).transfer, status);
                } else {
                    ++i;
                }
            }
        }
        if (channel->outer_source) {
            take_waiting_pushes(*channel);  // an end of stream may have stood behind what is gone
        }
    }
    advance();
    flush();
}

void Graph::cancel(std::uint32_t session, std::uint64_t key) noexcept {
    const Locked lock(*this);
    end_waiting([&](const Transfer& transfer) { return transfer.session == session && transfer.key == key; },
                YOKE_ECANCELED);
}

void Graph::forget(std::uint32_t session) noexcept {
    {
        const Locked lock(*this);
        end_waiting([&](const Transfer& transfer) { return transfer.session == session; }, YOKE_ECANCELED);
    }
    passages_.wait_for(session);
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

std::uint64_t Graph::tick(std::uint64_t now) noexcept {
    constexpr std::uint64_t no_deadline = UINT64_MAX;
    const Locked lock(*this);
    if (state_ == State::terminated) {
        return no_deadline;
    }
    if (culprit_.load() != nullptr) {
        fail_with(error_text());
    }
    go_on_with_meta();
    std::uint64_t next = look_at_runs(now);
    end_waiting([&](const Transfer& transfer) { return transfer.deadline_ns != 0 && transfer.deadline_ns <= now; },
                YOKE_ETIME);
    for (const auto& [name, channel] : channels_) {
        for (const Fifo<Waiting>* const line : {&channel->pushes, &channel->pulls}) {
            for (std::size_t i = 0; i < line->size(); ++i) {
                const std::uint64_t deadline = (*line)[i].transfer.deadline_ns;
                next = deadline != 0 ? std::min(next, deadline) : next;
            }
        }
    }
    return next;
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
    queue_->finish();  // nobody queues any more
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
