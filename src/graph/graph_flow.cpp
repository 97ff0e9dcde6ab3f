// Graph: the flow of datablocks.
#include <algorithm>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "graph/graph.hpp"

namespace yoke::graph {

namespace {

constexpr std::uint64_t no_deadline = UINT64_MAX;

void complete_with_length(const Transfer& transfer, int status, std::uint64_t detail, std::uint64_t needed) {
    yoke_completion completion = completion_of(status, detail);
    completion.out_length = needed;
    transfer.sink->complete(transfer, completion);
}

}  // namespace

void Graph::push(Channel& channel, const Transfer& transfer) noexcept {
    const std::lock_guard lock(mutex_);
    const bool only_end = (transfer.flags & YOKE_FLAG_END) != 0 && transfer.length == 0;
    if (channel.source != nullptr) {
        return complete(transfer, YOKE_EINVAL, YOKE_MEMBER_OBJECT);
    }
    if ((transfer.flags & ~YOKE_FLAG_END) != 0) {
        return complete(transfer, YOKE_EINVAL, YOKE_MEMBER_FLAGS);
    }
    if (!only_end && transfer.length != channel.bytes) {
        return complete_with_length(transfer, YOKE_EINVAL, YOKE_MEMBER_INPUT, channel.bytes);
    }
    if (state_ == State::terminated) {
        return complete(transfer, YOKE_ECANCELED);
    }
    if (failed_.load(std::memory_order_relaxed)) {
        return complete(transfer, YOKE_EIO);
    }
    if (channel.ended || channel.closed) {
        return complete(transfer, YOKE_EPIPE);
    }
    if (!channel.pushes.empty() || !has_room(channel, transfer)) {
        return wait_in(channel.pushes, transfer);
    }
    accept(channel, {transfer, now_ns()});
    advance();
    flush();
}

void Graph::pull(Channel& channel, const Transfer& transfer) noexcept {
    const std::lock_guard lock(mutex_);
    if (channel.destination != nullptr) {
        return complete(transfer, YOKE_EINVAL, YOKE_MEMBER_OBJECT);
    }
    if (transfer.flags != 0) {
        return complete(transfer, YOKE_EINVAL, YOKE_MEMBER_FLAGS);
    }
    if (transfer.length < channel.bytes) {
        return complete_with_length(transfer, YOKE_EMSGSIZE, YOKE_MEMBER_OUTPUT, channel.bytes);
    }
    if (state_ == State::terminated) {
        return complete(transfer, YOKE_ECANCELED);
    }
    if (failed_.load(std::memory_order_relaxed)) {
        return complete(transfer, YOKE_EIO);
    }
    if (channel.drained()) {
        return complete(transfer, YOKE_ENODATA);
    }
    if (!channel.pulls.empty() || channel.datablocks.empty()) {
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

bool Graph::has_room(const Channel& channel, const Transfer& transfer) {
    return transfer.length == 0 || !channel.full();
}

// Takes a push, for which there is room, into its channel.
void Graph::accept(Channel& channel, const Waiting& push) {
    const Transfer& transfer = push.transfer;
    if (transfer.length == 0) {
        complete(transfer, YOKE_OK);
        return end_stream(channel);
    }
    auto datablock = pool_.take_rested(channel.bytes, *queue_, reserved_);
    if (!datablock) {
        return complete(transfer, YOKE_ENOMEM);
    }
    Passage& passage = passages_.take(transfer);
    passage.completion.where = YOKE_WHERE_CPU;
    passage.completion.why = YOKE_WHY_ONLY;
    passage.completion.queued_ns = passage.begun_ns - push.since_ns;
    passage.completion.sequence = channel.counters.pushed;
    // From here the passage may be over at any moment.
    auto written = queue_->write(datablock->buffer(), transfer.data, channel.bytes, passage);
    if (!written) {
        passages_.give_back(passage);
        complete(transfer, YOKE_EIO);
        return fail_with(
            fmt::format("channel {} cannot take a datablock: {}", channel.definition.name, written.error().message));
    }
    queued_ = true;
    channel.datablocks.push(std::move(*datablock));
    ++channel.counters.pushed;
    ++channel.counters.copies;
    channel.counters.bytes += channel.bytes;
    if ((transfer.flags & YOKE_FLAG_END) != 0) {
        end_stream(channel);
    }
    look_at(channel.destination);
}

// Gives the channel's first datablock to a pull.
void Graph::serve(Channel& channel, const Waiting& pull) {
    const DatablockRef datablock = channel.datablocks.pop();
    Passage& passage = passages_.take(pull.transfer);
    passage.completion.where = YOKE_WHERE_CPU;
    passage.completion.why = YOKE_WHY_ONLY;
    passage.completion.queued_ns = passage.begun_ns - pull.since_ns;
    passage.completion.out_length = channel.bytes;
    passage.completion.sequence = channel.counters.pulled;
    passage.completion.signal = channel.drained() ? YOKE_SIGNAL_END : 0;
    auto read = queue_->read(datablock.buffer(), pull.transfer.data, channel.bytes, passage);
    if (!read) {
        passages_.give_back(passage);
        complete(pull.transfer, YOKE_EIO);
        return fail_with(
            fmt::format("channel {} cannot give a datablock: {}", channel.definition.name, read.error().message));
    }
    queued_ = true;
    ++channel.counters.pulled;
    ++channel.counters.copies;
    channel.counters.bytes += channel.bytes;
    look_at(channel.source);
}

void Graph::look_at(const Port* port) {
    if (port != nullptr && port->ptask != nullptr && !port->ptask->listed) {
        port->ptask->listed = true;
        changed_.push_back(port->ptask);
    }
}

// Launches what is ready until nothing is. The list is a stack: a datablock goes on to the next ptask before the next
// datablock is looked at.
void Graph::advance() {
    while (!changed_.empty()) {
        Ptask& ptask = *changed_.back();
        if (state_ != State::running || ptask.ended) {
            changed_.pop_back();
            ptask.listed = false;
        } else if (ptask.ready()) {
            launch(ptask);
        } else {
            changed_.pop_back();
            ptask.listed = false;
            if (ptask.exhausted()) {
                end(ptask);
            }
        }
    }
}

void Graph::launch(Ptask& ptask) {
    for (const Ptask::Binding& input : ptask.inputs) {
        ptask.arguments[input.argument].buffer = &input.port->channel->datablocks.front().buffer();
    }
    for (Ptask::Binding& output : ptask.outputs) {
        auto datablock = pool_.take(output.port->bytes);
        if (!datablock) {
            return fail_with(fmt::format("ptask {} has no memory for its output: {}", ptask.definition.name,
                                         datablock.error().message));
        }
        ptask.arguments[output.argument].buffer = &datablock->buffer();
        output.fresh = std::move(*datablock);
    }
    auto launched = queue_->launch(*ptask.kernel, ptask.arguments, *ptask.failure);
    if (!launched) {
        return fail_with(
            fmt::format("ptask {} cannot be launched: {}", ptask.definition.name, launched.error().message));
    }
    queued_ = true;
    ++ptask.runs;
    for (Ptask::Binding& output : ptask.outputs) {
        Channel& channel = *output.port->channel;
        ++channel.counters.pushed;
        if (channel.closed) {
            ++channel.counters.discarded;
            output.fresh.reset();
        } else {
            channel.datablocks.push(std::move(output.fresh));
        }
    }
    for (const Ptask::Binding& input : ptask.inputs) {
        input.port->channel->datablocks.pop().reset();
        ++input.port->channel->counters.pulled;
    }
    for (const Ptask::Binding& input : ptask.inputs) {
        take_waiting_pushes(*input.port->channel);
        look_at(input.port->channel->source);
    }
    if (ptask.exhausted()) {
        return end(ptask);  // before its last datablock is pulled, so that the pull tells the end
    }
    for (const Ptask::Binding& output : ptask.outputs) {
        look_at(output.port->channel->destination);
        serve_waiting_pulls(*output.port->channel);
    }
}

void Graph::end(Ptask& ptask) {
    ptask.ended = true;
    for (const Ptask::Binding& input : ptask.inputs) {
        close(*input.port->channel);
    }
    for (const Ptask::Binding& output : ptask.outputs) {
        end_stream(*output.port->channel);
    }
    if (std::all_of(ptasks_.begin(), ptasks_.end(), [](const auto& entry) { return entry.second->ended; })) {
        state_ = State::ended;
    }
}

void Graph::close(Channel& channel) {
    channel.closed = true;
    while (!channel.datablocks.empty()) {
        channel.datablocks.pop().reset();
        ++channel.counters.discarded;
    }
    complete_all(channel.pushes, YOKE_EPIPE);
    look_at(channel.source);
}

void Graph::end_stream(Channel& channel) {
    channel.ended = true;
    look_at(channel.destination);
    serve_waiting_pulls(channel);
}

void Graph::take_waiting_pushes(Channel& channel) {
    while (!channel.pushes.empty() && !channel.ended && has_room(channel, channel.pushes.front().transfer)) {
        accept(channel, channel.pushes.pop());
    }
    if (channel.ended) {
        complete_all(channel.pushes, YOKE_EPIPE);
    }
}

void Graph::serve_waiting_pulls(Channel& channel) {
    while (!channel.pulls.empty() && !channel.datablocks.empty()) {
        serve(channel, channel.pulls.pop());
    }
    if (channel.drained()) {
        complete_all(channel.pulls, YOKE_ENODATA);
    }
}

void Graph::flush() {
    if (!queued_) {
        return;
    }
    queued_ = false;
    if (auto flushed = queue_->flush(); !flushed) {
        fail_with(fmt::format("graph {} cannot use the device: {}", name_, flushed.error().message));
    }
}

// Ends every transfer that waits and drops every datablock.
void Graph::drop_all(int status) {
    for (const auto& [name, channel] : channels_) {
        complete_all(channel->pushes, status);
        complete_all(channel->pulls, status);
        while (!channel->datablocks.empty()) {
            channel->datablocks.pop().reset();
        }
    }
    for (const auto& [name, ptask] : ptasks_) {
        for (Ptask::Binding& output : ptask->outputs) {
            output.fresh.reset();
        }
    }
}

void Graph::fail_with(std::string message) {
    if (state_ == State::failed || state_ == State::terminated) {
        return;
    }
    log_error(Topic::graph, "graph failed", {{"graph", name_}, {"why", message}});
    failed_.store(true, std::memory_order_release);
    state_ = State::failed;
    error_ = std::move(message);
    drop_all(YOKE_EIO);
}

void Graph::launch_failed(const Ptask& ptask, int status) noexcept {
    // The device tells failures of one queue one after the other.
    if (culprit_.load() == nullptr) {
        culprit_status_.store(status);
        culprit_.store(&ptask);
        failed_.store(true, std::memory_order_release);
        host_.failure();
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
        if (channel->source == nullptr) {
            take_waiting_pushes(*channel);  // an end of stream may have stood behind what is gone
        }
    }
    advance();
    flush();
}

void Graph::cancel(std::uint32_t session, std::uint64_t key) noexcept {
    const std::lock_guard lock(mutex_);
    end_waiting([&](const Transfer& transfer) { return transfer.session == session && transfer.key == key; },
                YOKE_ECANCELED);
}

void Graph::forget(std::uint32_t session) noexcept {
    {
        const std::lock_guard lock(mutex_);
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
    const std::lock_guard lock(mutex_);
    if (culprit_.load() != nullptr) {
        fail_with(error_text());
    }
    end_waiting([&](const Transfer& transfer) { return transfer.deadline_ns != 0 && transfer.deadline_ns <= now; },
                YOKE_ETIME);
    std::uint64_t next = no_deadline;
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
        const std::lock_guard lock(mutex_);
        if (state_ == State::terminated) {
            return;
        }
        state_ = State::terminated;
        drop_all(YOKE_ECANCELED);
    }
    queue_->finish();  // nobody queues any more
    const std::lock_guard lock(mutex_);
    pool_.clear();
    budget_.release(std::exchange(reserved_, 0));
    budget_.objects -= static_cast<std::uint32_t>(ports_.size() + ptasks_.size() + channels_.size());
}

}  // namespace yoke::graph
