// Graph: transfers that wait in the lines of channels, and what ends their waiting: a change, a deadline, who gives up.
// Only advance() serves them, after whatever has changed something has listed their channel.
#include <algorithm>

#include "base/clock.hpp"
#include "graph/graph.hpp"

namespace yoke::graph {

void Graph::wait_in(Fifo<Waiting>& line, const Transfer& transfer) {
    const std::uint64_t now = now_ns();
    const bool late = transfer.deadline_ns != 0 && transfer.deadline_ns <= now;
    if (late || (transfer.flags & YOKE_FLAG_NOWAIT) != 0) {
        return complete(transfer, YOKE_ETIME);
    }
    line.push({transfer, now});
    if (transfer.deadline_ns != 0) {
        host_.deadline(transfer.deadline_ns);
    }
}

// The time, read once and only if it is asked for.
class Graph::Now {
   public:
    // Whether a transfer that waits has waited longer than it wanted to: who asked may be gone already.
    bool overdue(const Waiting& waiting) {
        if (waiting.transfer.deadline_ns == 0) {
            return false;
        }
        now_ns_ = now_ns_ == 0 ? now_ns() : now_ns_;
        return waiting.transfer.deadline_ns <= now_ns_;
    }

   private:
    std::uint64_t now_ns_ = 0;
};

// Serves those who wait at channels where something has changed, and by that perhaps changes others.
void Graph::serve_waiting() {
    Now now;
    while (!stirred_.empty()) {
        Channel& channel = *stirred_.back();
        stirred_.pop_back();
        channel.listed = false;
        take_waiting_pushes(channel, now);
        serve_waiting_pulls(channel, now);
    }
}

void Graph::take_waiting_pushes(Channel& channel, Now& now) {
    while (!channel.pushes.empty() && !channel.ended && !unread(channel)) {
        if (now.overdue(channel.pushes.front())) {
            complete(channel.pushes.pop().transfer, YOKE_ETIME);
            continue;
        }
        const Transfer& first = channel.pushes.front().transfer;
        const bool only_end = first.length == 0 && (first.flags & YOKE_FLAG_END) != 0;
        if (!only_end && !pushable(channel)) {
            break;
        }
        accept(channel, channel.pushes.pop());
    }
    if (!channel.pushes.empty() && (channel.ended || unread(channel))) {
        complete_all(channel.pushes, YOKE_EPIPE);
        look_at(channel.destination);  // which may be drained by that
    }
}

void Graph::serve_waiting_pulls(Channel& channel, Now& now) {
    while (!channel.pulls.empty()) {
        if (now.overdue(channel.pulls.front())) {
            complete(channel.pulls.pop().transfer, YOKE_ETIME);
            continue;
        }
        if (!offers(channel)) {
            break;
        }
        serve(channel, channel.pulls.pop());
    }
    if (channel.over()) {
        complete_all(channel.pulls, channel.end_status());
    }
}

template <typename Predicate>
void Graph::end_waiting(Predicate predicate, int status) {
    for (const auto& [name, channel] : channels_) {
        for (Fifo<Waiting>* const line : {&channel->pushes, &channel->pulls}) {
            for (std::size_t i = 0; i < line->size();) {
                if (predicate((*line)[i].transfer)) {
                    complete(line->take(i).transfer, status);
                    wake(*channel);  // an end of stream may have stood behind what is gone
                } else {
                    ++i;
                }
            }
        }
    }
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

}  // namespace yoke::graph
