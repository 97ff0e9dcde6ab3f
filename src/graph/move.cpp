// Steps of moves; see move.hpp. While a thread takes a step, others that wake the line only leave word: it looks again.
#include "graph/move.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/clock.hpp"
#include "control/template.hpp"
#include "graph/graph.hpp"

namespace yoke::graph {

void MoveLine::add(const Transfer& transfer) {
    {
        const std::lock_guard lock(mutex_);
        waiting_.push_back({transfer, running_ || !waiting_.empty()});
    }
    changed();
}

void MoveLine::changed() noexcept {
    std::unique_lock lock(mutex_);
    again_ = true;
    if (running_) {
        return;
    }
    running_ = true;
    while (again_ && !waiting_.empty()) {
        again_ = false;
        current_ = waiting_.front();
        waiting_.pop_front();
        end_current_ = 0;
        lock.unlock();
        // Who asked may have given up at the deadline, before tick() has come.
        const bool late = current_.waited && current_.transfer.deadline_ns != 0 && current_.overdue(now_ns());
        const bool over = !late && step(current_.transfer);
        lock.lock();
        int status = std::exchange(end_current_, 0);
        status = late && status == 0 ? YOKE_ETIME : status;
        if (!over && status == 0) {
            current_.waited = true;
            waiting_.push_front(current_);
            lock.unlock();
            end([](const Transfer& transfer) { return (transfer.flags & YOKE_FLAG_NOWAIT) != 0; }, YOKE_ETIME);
            lock.lock();
        } else if (!over) {
            lock.unlock();
            complete(current_.transfer, status);
            lock.lock();
        }
        again_ = again_ || over || status != 0;
    }
    running_ = false;
    stepped_.notify_all();
}

void MoveLine::wait_for(std::uint32_t session) {
    std::unique_lock lock(mutex_);
    stepped_.wait(lock, [&] { return !running_ || current_.transfer.session != session; });
}

// False: it has to wait.
bool MoveLine::step(const Transfer& transfer) {
    const Outer from = find_(transfer.channel);
    const Outer to = find_(transfer.to);
    if (!from.graph || !to.graph) {
        complete(transfer, YOKE_ECANCELED);  // both were there when the move began
        return true;
    }
    if (from.graph == to.graph) {
        complete(transfer, YOKE_EINVAL, YOKE_MEMBER_AUX);
        return true;
    }
    // What the destination cannot take is not taken from the source. Templates stay as long as their channels.
    if (!control::same_form(from.channel->form, to.channel->form) ||
        (from.channel->variable && !to.channel->variable)) {
        complete(transfer, YOKE_EMSGSIZE, YOKE_MEMBER_AUX);
        return true;
    }
    const auto self = shared_from_this();
    const Graph::Step room = to.graph->check_room(*to.channel, transfer.session, self);
    if (!room.waits && room.status != 0) {
        complete(transfer, room.status, YOKE_MEMBER_AUX);
        return true;
    }
    if (room.waits) {
        const Graph::Step source = from.graph->check_source(*from.channel, transfer.session, self);
        if (source.status != 0) {
            complete(transfer, source.status, source.status == YOKE_EINVAL ? YOKE_MEMBER_OBJECT : YOKE_MEMBER_NONE);
        }
        return source.status != 0;
    }
    Datablock datablock;
    yoke_completion completion{};
    const Graph::Step taken = from.graph->take(*from.channel, transfer.session, self, datablock, completion);
    if (taken.waits) {
        return false;
    }
    if (taken.status != 0) {
        if (taken.status == YOKE_ENODATA) {
            to.graph->end_from_outside(*to.channel);
        }
        complete(transfer, taken.status, taken.status == YOKE_EINVAL ? YOKE_MEMBER_OBJECT : YOKE_MEMBER_NONE);
        return true;
    }
    const int status = to.graph->deliver(*to.channel, std::move(datablock), (completion.signal & YOKE_SIGNAL_END) != 0);
    if (status != 0) {
        completion = completion_of(status, YOKE_MEMBER_AUX);
    }
    transfer.sink->complete(transfer, completion);
    return true;
}

void MoveLine::end(const std::function<bool(const Transfer&)>& predicate, int status) {
    std::vector<Transfer> ended;
    {
        const std::lock_guard lock(mutex_);
        if (running_ && predicate(current_.transfer)) {
            end_current_ = status;
        }
        std::erase_if(waiting_, [&](const Move& move) {
            const bool chosen = predicate(move.transfer);
            if (chosen) {
                ended.push_back(move.transfer);
            }
            return chosen;
        });
    }
    for (const Transfer& transfer : ended) {
        complete(transfer, status);
    }
    if (!ended.empty()) {
        changed();  // what stood behind them may want less
    }
}

std::uint64_t MoveLine::tick(std::uint64_t now) {
    end([now](const Transfer& transfer) { return transfer.deadline_ns != 0 && transfer.deadline_ns <= now; },
        YOKE_ETIME);
    std::uint64_t next = UINT64_MAX;
    const std::lock_guard lock(mutex_);
    for (const Move& move : waiting_) {
        next = move.transfer.deadline_ns != 0 ? std::min(next, move.transfer.deadline_ns) : next;
    }
    return next;
}

bool MoveLine::idle() const {
    const std::lock_guard lock(mutex_);
    return waiting_.empty() && !running_;
}

}  // namespace yoke::graph
