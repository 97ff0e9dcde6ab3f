// Graph: the transfers at the outer ends of its channels: push, pull and the halves of a move.
#include <algorithm>

#include "base/clock.hpp"
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
void tell(yoke_completion& completion, std::uint8_t where, const Channel& channel, const Datablock& datablock) {
    constexpr unsigned second = 32;
    completion.where = where;
    completion.why = YOKE_WHY_ONLY;
    completion.out_length = datablock.bytes;
    completion.sequence = channel.counters.pulled;
    completion.signal = datablock.signals & static_cast<std::uint8_t>(~YOKE_SIGNAL_END);
    completion.detail = datablock.extent[0] | datablock.extent[1] << second;
}

}  // namespace

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
    if ((transfer.flags & ~(YOKE_FLAG_END | YOKE_FLAG_NOWAIT)) != 0) {
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
    if (channel.ended || unread(channel)) {
        return complete(transfer, YOKE_EPIPE);
    }
    if (!channel.pushes.empty() || (!only_end && !pushable(channel))) {
        return wait_in(channel.pushes, transfer);
    }
    accept(channel, {transfer, now_ns()});
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
    if ((transfer.flags & ~(YOKE_FLAG_PEEK | YOKE_FLAG_DRAIN | YOKE_FLAG_NOWAIT)) != 0 ||
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
            serve_waiting();  // what waits to be pushed waits, too
        }
        return complete(transfer, YOKE_OK, dropped);
    }
    if (!offers_at_once(channel)) {
        if (channel.over()) {
            return complete(transfer, channel.end_status());
        }
        return wait_in(channel.pulls, transfer);
    }
    serve(channel, {transfer, now_ns()});
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
}

// Copies what is pushed to the device. False: the transfer has ended with an error.
bool Graph::copy_in(Channel& channel, const Waiting& push, const Datablock& datablock) {
    const Transfer& transfer = push.transfer;
    Passage& passage = passages_.take(transfer);
    passage.completion.where = where_;
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
    tell(completion, where_, channel, datablock);
    if (channel.drained() && channel.error.empty() && !peek) {
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

Graph::Step Graph::check_room(Channel& channel, std::uint32_t session,
                              const std::shared_ptr<Watcher>& watcher) noexcept {
    const Locked lock(*this);
    if (const int status = move_status(channel.outer_source, session, may_push); status != YOKE_OK) {
        return {false, status};
    }
    if (channel.ended || unread(channel)) {
        return {false, YOKE_EPIPE};
    }
    if (!channel.pushes.empty() || !pushable(channel)) {
        channel.leave(watcher);
        return {true, 0};
    }
    return {};
}

Graph::Step Graph::check_source(const Channel& channel, std::uint32_t session,
                                const std::shared_ptr<Watcher>& watcher) noexcept {
    const std::lock_guard lock(mutex_);
    if (const int status = move_status(channel.outer_destination, session, may_pull); status != YOKE_OK) {
        return {false, status};
    }
    Channel::add(end_watchers_, watcher);
    return {};
}

Graph::Step Graph::take(Channel& channel, std::uint32_t session, const std::shared_ptr<Watcher>& watcher,
                        Datablock& datablock, yoke_completion& completion) noexcept {
    const Locked lock(*this);
    if (const int status = move_status(channel.outer_destination, session, may_pull); status != YOKE_OK) {
        return {false, status};
    }
    if (!offers_at_once(channel)) {
        if (channel.over()) {
            return {false, channel.end_status()};
        }
        channel.leave(watcher);
        return {true, 0};
    }
    datablock = pop(channel);
    tell(completion, where_, channel, datablock);
    if (channel.drained() && channel.error.empty()) {
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
    return {};
}

int Graph::deliver(Channel& channel, Datablock datablock, bool last) noexcept {
    const Locked lock(*this);
    if (const int status = outer_status(); status != YOKE_OK) {
        return status;
    }
    if (channel.ended || unread(channel)) {
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
    return YOKE_OK;
}

void Graph::break_stream(Channel& channel, const std::string& why) noexcept {
    const Locked lock(*this);
    if (!channel.ended) {
        channel.error = why;
    }
}

void Graph::finish_sink(Channel& channel) noexcept {
    const Locked lock(*this);
    channel.finished = true;
    settle();
}

void Graph::end_from_outside(Channel& channel) noexcept {
    const Locked lock(*this);
    if (outer_status() != YOKE_OK || channel.ended) {
        return;
    }
    end_outer(channel);
}

}  // namespace yoke::graph
