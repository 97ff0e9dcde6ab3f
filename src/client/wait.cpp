// Waiting for the ends of calls, and reporting them. See session.hpp.
#include <algorithm>

#include "base/clock.hpp"
#include "client/sentence.hpp"
#include "client/session.hpp"

namespace yoke::client {

namespace {

// A push or pull that the worker ends at its deadline moves no datablock; one that the client gives up may. So the
// worker gets longer to answer those: as long as no machine that works is busy.
constexpr std::uint64_t stream_grace_ns = 2'000'000'000;

std::uint64_t deadline_for(const Job& job) {
    if (job.prepared.deadline_ns == 0 || job.opcode == YOKE_OP_CALL) {
        return job.prepared.deadline_ns;
    }
    return job.prepared.deadline_ns + stream_grace_ns;
}

// The earlier of two moments of which 0 means never.
std::uint64_t earlier(std::uint64_t a, std::uint64_t b) {
    return a == 0 || (b != 0 && b < a) ? b : a;
}

std::uint64_t until_of(std::uint64_t timeout_ns) {
    return timeout_ns == 0 ? now_ns() : deadline_of(timeout_ns);
}

}  // namespace

// What a push, pull or move that succeeded has changed of the number of datablocks in graphs.
void Session::count_datablocks(const Job& job, std::uint64_t detail) {
    switch (job.opcode) {
        case YOKE_OP_PUSH:
            graphs_.count(job.channel, 1, 0);
            break;
        case YOKE_OP_PULL:
            graphs_.count(job.channel, 0,
                          (job.flags & YOKE_FLAG_PEEK) != 0    ? 0
                          : (job.flags & YOKE_FLAG_DRAIN) != 0 ? detail
                                                               : 1);
            break;
        case YOKE_OP_MOVE:
            graphs_.count(job.channel, 0, 1);
            graphs_.count(job.to, 1, 0);
            break;
        default:
            break;
    }
}

void Session::finish(std::uint32_t index, const yoke_completion& completion_untrusted) {
    Ticket& ticket = tickets_[index];
    const yoke_completion& end = completion_untrusted;
    const bool failed = end.status != 0;
    if (!failed) {
        count_datablocks(ticket.job, end.detail);
    }
    const bool told = !failed && (ticket.job.opcode == YOKE_OP_PULL || ticket.job.opcode == YOKE_OP_MOVE) &&
                      (ticket.job.flags & YOKE_FLAG_DRAIN) == 0;
    ticket.result = {
        .status = end.status > 0 || end.status < -4095 ? -EPROTO : end.status,
        .where = end.where,
        .why = ticket.job.prepared.place == YOKE_PLACE_AUTO && ticket.job.opcode == YOKE_OP_CALL
                   ? static_cast<std::uint8_t>(YOKE_WHY_COST)
                   : end.why,
        .signal = end.signal,
        .reserved = 0,
        .out_length = failed ? end.out_length
                             : std::min<std::uint64_t>(end.out_length, ticket.job.prepared.work.shape.out_length),
        .queued_ns = end.queued_ns,
        .run_ns = end.run_ns,
        .detail = end.detail,
        .sequence = end.sequence,
        .extent = {told ? static_cast<std::uint32_t>(end.detail) : 0,
                   told ? static_cast<std::uint32_t>(end.detail >> 32U) : 0}};
    tickets_.end(index);
}

// Ends a ticket whose call was not executed.
void Session::end_with(std::uint32_t index, int code) {
    tickets_[index].result = {};
    tickets_[index].result.status = -code;
    tickets_.end(index);
}

// The deadline of a ticket has passed; what an executor may still touch is quarantined.
void Session::expire(std::uint32_t index) {
    Ticket& ticket = tickets_[index];
    if (ticket.state == Ticket::State::flying) {
        flights_->cancel(ticket.ring, ticket.position);
        flights_->quarantine(ticket.ring, ticket.position);
    } else {
        std::erase(stranded_, index);
    }
    end_with(index, ETIME);
}

// Ends what is overdue; returns the next deadline, 0: none.
std::uint64_t Session::expire_overdue() {
    const std::uint64_t now = now_ns();
    std::uint64_t next = 0;
    if (tickets_.in_flight() == 0) {
        return 0;
    }
    for (std::uint32_t index = 0; index < tickets_.count(); index++) {
        const Ticket& ticket = tickets_[index];
        if (ticket.state != Ticket::State::flying && ticket.state != Ticket::State::stranded) {
            continue;
        }
        const std::uint64_t deadline = deadline_for(ticket.job);
        if (deadline != 0 && deadline <= now) {
            expire(index);
        } else {
            next = earlier(next, deadline);
        }
    }
    return next;
}

void Session::harvest() {
    if (state_ == State::linked || state_ == State::refused) {
        flights_->take_all(
            [this](std::uint32_t index, const yoke_completion& completion) { finish(index, completion); });
    }
}

// What nobody waits for any more: quarantined flights, freed memory that was in use, keys that were destroyed.
void Session::tidy() {
    if (flights_ && flights_->quarantined() != 0) {
        harvest();
        if (flights_->quarantined() != 0) {
            check_worker(now_ns());
        }
    }
    if (allocator_.holds()) {
        harvest();
        allocator_.sweep([this](const Range& range) { return in_use(range); });
    }
    if (keys_.has_condemned()) {
        harvest();
        constexpr std::uint64_t timeout_ns = 5'000'000'000;
        keys_.collect(state_ == State::linked ? &link_ : nullptr, now_ns() + timeout_ns);
    }
}

// Starts a ticket as soon as its ring has a slot. False: it ended before.
bool Session::start_when_free(std::uint32_t index) {
    const std::uint64_t deadline = tickets_[index].job.prepared.deadline_ns;
    while (start(index) != 0) {
        bool any = false;
        const auto look = [&] {
            any = flights_->take_all([this](std::uint32_t other, const yoke_completion& end) { finish(other, end); });
            return any;
        };
        const ring::Waited waited = waiter_->wait(look, spin_.budget(0), deadline);
        if (waited == ring::Waited::late) {
            end_with(index, ETIME);
            return false;
        }
        if (waited == ring::Waited::slice) {
            check_worker(deadline);
            if (!reach_worker(deadline)) {
                tickets_[index].state = Ticket::State::stranded;
                tickets_[index].suspect = false;
                stranded_.push_back(index);
                return true;
            }
        }
    }
    return true;
}

// For callers that wait in pieces so short that no wait ever looks by itself.
void Session::check_worker_at_times() {
    const std::uint64_t now = now_ns();
    if (now - worker_checked_ns_ >= ring::Waiter::slice_ns) {
        worker_checked_ns_ = now;
        check_worker(now);
    }
}

// Waits for the end of a ticket until `until_ns` (0: as long as it takes). Returns whether it has ended.
bool Session::await(std::uint32_t index, std::uint64_t until_ns) {
    Ticket& ticket = tickets_[index];
    const std::uint64_t deadline = deadline_for(ticket.job);
    const std::uint64_t begun = now_ns();
    const std::uint64_t expected = flights_ ? flights_->expected_ns() : 0;
    std::uint64_t spin = spin_.budget(expected);
    const bool spun = spin != 0;
    while (ticket.state != Ticket::State::ended) {
        if (ticket.state == Ticket::State::stranded) {
            if (!await_stranded(index, until_ns)) {
                return false;
            }
            continue;
        }
        yoke_completion completion;
        const auto look = [&] { return flights_->take(ticket.ring, ticket.position, completion); };
        switch (waiter_->wait(look, spin, earlier(until_ns, deadline))) {
            case ring::Waited::found: {
                const std::uint64_t took = now_ns() - begun;
                if (spun) {
                    spin_.learn(took <= spin);
                } else {
                    spin_.slept(expected);
                }
                const std::uint64_t busy = completion.queued_ns + completion.run_ns;
                if (flights_->count() == 0 && busy < took && ticket.job.opcode == YOKE_OP_CALL) {
                    choice_.learn_crossing(took - busy);
                }
                finish(index, completion);
                return true;
            }
            case ring::Waited::late:
                if (deadline != 0 && now_ns() >= deadline) {
                    expire(index);
                    return true;
                }
                check_worker_at_times();
                return false;
            case ring::Waited::slice:
                check_worker(earlier(until_ns, deadline));
                break;
        }
    }
    return true;
}

// The same for a ticket whose worker died: looks for the next one. False: `until_ns` has passed.
bool Session::await_stranded(std::uint32_t index, std::uint64_t until_ns) {
    const std::uint64_t deadline = deadline_for(tickets_[index].job);
    reach_worker(earlier(until_ns, deadline));
    if (tickets_[index].state != Ticket::State::stranded) {
        return true;
    }
    if (deadline != 0 && now_ns() >= deadline) {
        expire(index);
        return true;
    }
    return until_ns == 0 || now_ns() < until_ns;
}

int Session::wait(yoke_ticket id, std::uint64_t timeout_ns, yoke_result& result) {
    tidy();
    const std::uint32_t index = tickets_.find(id);
    if (index == Tickets::none || tickets_[index].callback != nullptr) {
        const int status = index == Tickets::none ? ENOENT : EINVAL;
        return refuse({status, index == Tickets::none
                                   ? "no such ticket: its end has been reported"
                                   : "the end of this ticket is reported by its callback; use yoke_dispatch"});
    }
    const bool ended = await(index, until_of(timeout_ns));
    if (ended) {
        result = tickets_[index].result;
        const Job& job = tickets_[index].job;
        if (result.status != 0 && job.opcode != YOKE_OP_CALL) {
            failed_stream(result, job);
        } else if (result.status != 0) {
            failed(result, job.prepared.service->name());
        }
        tickets_.give_back(index);
    }
    run_callbacks();
    return ended ? 0 : refuse({EAGAIN, "the call has not ended yet; wait longer"});
}

int Session::run_callbacks() {
    if (dispatching_) {
        return 0;  // a callback made a call: the rest is reported when it returns
    }
    dispatching_ = true;
    int count = 0;
    // Bounded, so that callbacks which submit calls that end at once do not hold the caller for ever.
    for (std::uint32_t left = tickets_.count(); left != 0 && tickets_.has_ended(); left--) {
        const std::uint32_t index = tickets_.take_ended();
        const Ticket& ticket = tickets_[index];
        const yoke_callback callback = ticket.callback;
        void* const user = ticket.user;
        const yoke_ticket id = ticket.id;
        const yoke_result result = ticket.result;
        if (result.status != 0 && ticket.job.opcode != YOKE_OP_CALL) {
            failed_stream(result, ticket.job);
        }
        tickets_.give_back(index);
        callback(user, id, &result);
        count++;
    }
    dispatching_ = false;
    return count;
}

int Session::dispatch(std::uint64_t timeout_ns) {
    if (dispatching_) {
        return refuse({EDEADLK, "a callback must not dispatch; return from it first"});
    }
    tidy();
    harvest();
    for (const auto& function : functions_) {
        function->go_on();
    }
    std::uint64_t next = expire_overdue();
    const std::uint64_t until = until_of(timeout_ns);
    std::uint64_t spin = flights_ ? spin_.budget(flights_->expected_ns() / (flights_->count() + 1)) : 0;
    while (!tickets_.has_ended() && tickets_.awaiting_callback() != 0) {
        if (!stranded_.empty()) {
            reach_worker(earlier(until, next));
        } else {
            const auto look = [this] {
                harvest();
                return tickets_.has_ended();
            };
            if (waiter_->wait(look, spin, earlier(until, next)) == ring::Waited::slice) {
                check_worker(earlier(until, next));
            }
            spin = 0;
        }
        next = expire_overdue();
        if (until != 0 && now_ns() >= until) {
            check_worker_at_times();
            break;
        }
    }
    const int count = run_callbacks();
    const std::optional<Error> failed_function = take_failed_function();
    return failed_function ? refuse(*failed_function) : count;
}

int Session::cancel(yoke_ticket id) {
    const std::uint32_t index = tickets_.find(id);
    if (index == Tickets::none) {
        return refuse({ENOENT, "no such ticket: its end has been reported"});
    }
    Ticket& ticket = tickets_[index];
    if (ticket.state == Ticket::State::flying) {
        flights_->cancel(ticket.ring, ticket.position);
    } else if (ticket.state == Ticket::State::stranded) {
        std::erase(stranded_, index);
        end_with(index, ECANCELED);
    }
    return 0;
}

}  // namespace yoke::client
