// See stage_flow.hpp. One loop: what has ended is taken in order, what can be submitted is, and then it waits for the
// first thing to happen. A transfer that fails says so where it is taken; what is to be done about it, recover() knows.
#include "client/stage_flow.hpp"

#include <algorithm>
#include <cstring>

#include "client/api.hpp"

namespace yoke::client {
namespace {

constexpr std::uint64_t look_at_input_ns = 2'000'000;  // how often a quiet pipe is looked at beside transfers

}  // namespace

Status StageFlow::allocate(std::size_t in_bytes, std::size_t out_bytes) {
    in_bytes_ = in_bytes;
    out_bytes_ = out_bytes;
    for (Slot& slot : slots_) {
        for (const auto& [memory, bytes] : {std::pair(&slot.in, in_bytes), std::pair(&slot.out, out_bytes)}) {
            if (const int status = yoke_alloc(session_, bytes, memory); status != 0) {
                return tl::unexpected(Error{-status, yoke_error(session_)});
            }
        }
    }
    return {};
}

// How many workers have died so far; which of them a record was given to tells whether it is lost.
std::uint64_t StageFlow::deaths() const {
    return session_of(session_)->reconnects();
}

// Whether anything is, or may be, in the worker only.
bool StageFlow::moves() const {
    bool any = inlet_.joined() || outlet_.joined();
    for (std::uint64_t record = finished_; record < submitted_; ++record) {
        any = any || slot(record).enter.moved || (record < outgoing_ && slot(record).come.moved);
    }
    return any;
}

// A transfer that could not be submitted has ended.
template <typename Submit>
void StageFlow::start(Transfer& transfer, bool moved, Submit&& submit) {
    transfer = {};
    transfer.moved = moved;
    const yoke_callback on_end = [](void* user, yoke_ticket /*ticket*/, const yoke_result* result) {
        auto* const ended = static_cast<Transfer*>(user);
        ended->ended = true;
        ended->status = result->status;
    };
    if (const int status = submit(on_end, &transfer, &transfer.ticket); status != 0) {
        transfer.ended = true;
        transfer.status = status;
    }
    transfer.worker = deaths();  // not before: what is submitted when a worker has died goes to the next one
}

void StageFlow::start_push(Slot& slot) {
    start(slot.enter, false, [&](yoke_callback call, void* user, yoke_ticket* ticket) {
        return yoke_submit_push(session_, channels_.in, slot.in, in_bytes_, 0, 0, call, user, ticket);
    });
}

void StageFlow::start_pull(Slot& slot) {
    start(slot.come, false, [&](yoke_callback call, void* user, yoke_ticket* ticket) {
        return yoke_submit_pull(session_, channels_.out, slot.out, out_bytes_, 0, call, user, ticket);
    });
}

void StageFlow::start_move(Transfer& transfer, std::uint32_t from, std::uint32_t to, std::uint8_t flags) {
    start(transfer, true, [&](yoke_callback call, void* user, yoke_ticket* ticket) {
        Job job;
        job.opcode = YOKE_OP_MOVE;
        job.channel = from;
        job.to = to;
        job.prepared.place = YOKE_PLACE_WORKER;
        job.flags = flags;
        return session_of(session_)->submit_stream(job, call, user, *ticket);
    });
}

void StageFlow::await(const Transfer& transfer) {
    while (transfer.in_flight()) {
        if (const int status = yoke_dispatch(session_, UINT64_MAX); status < 0) {
            trouble_ = trouble_ != 0 ? trouble_ : status;
            return;
        }
    }
}

// Cancels transfers and waits for their ends. Returns how many came through all the same: those of the first records,
// since datablocks are handed out in order.
std::uint64_t StageFlow::cancel(std::uint64_t from, std::uint64_t to, Transfer Slot::*which) {
    for (std::uint64_t record = to; record > from; --record) {
        if (const Transfer& transfer = slot(record - 1).*which; transfer.in_flight()) {
            yoke_cancel(session_, transfer.ticket);  // what has ended by now says so
        }
    }
    std::uint64_t through = 0;
    for (std::uint64_t record = from; record < to; ++record) {
        const Transfer& transfer = slot(record).*which;
        await(transfer);
        through += transfer.came_through() ? 1 : 0;
        if (transfer.status != 0 && transfer.status != -ECANCELED && trouble_ == 0) {
            trouble_ = transfer.status;
        }
    }
    return through;
}

// Takes what has come out, in order.
Status StageFlow::write_come(bool& any) {
    while (finished_ < outgoing_ && slot(finished_).come.ended) {
        const Transfer& come = slot(finished_).come;
        if (come.status != 0) {
            trouble_ = trouble_ != 0 ? trouble_ : come.status;
            return {};
        }
        any = true;
        if (come.moved) {
            outlet_.moved();
        } else {
            const std::span<const std::byte> out(static_cast<const std::byte*>(slot(finished_).out), out_bytes_);
            if (auto done = outlet_.write(out); !done) {
                return done;
            }
        }
        ++finished_;
    }
    return {};
}

// Asks for what is in the graph: of all that is asked for at a time, either everything is moved or nothing.
void StageFlow::submit_come() {
    while (outgoing_ < entered_ && !leaving_) {
        if (finished_ < outgoing_ && slot(finished_).come.moved != moves_out()) {
            return;
        }
        Slot& next = slot(outgoing_);
        if (moves_out()) {
            start_move(next.come, channels_.out, outlet_.channel(), 0);
        } else {
            start_pull(next);
        }
        ++outgoing_;
    }
}

// Comes back to the pipe when the reader wants or has to. Records that have left the stage meanwhile make room for new
// ones, so this counts as something that has happened: with nothing in flight, nothing else would wake the stage.
Status StageFlow::attend_outlet(bool& any) {
    leaving_ = moves_out() && outlet_.must_leave();
    if (!leaving_) {
        return {};
    }
    // Results that are being pulled to be written by hand are written, into the pipe by then.
    const bool moving = finished_ < outgoing_ && slot(finished_).come.moved;
    if (moving && outlet_.reader_goes()) {
        const std::uint64_t through = cancel(finished_, outgoing_, &Slot::come);
        for (std::uint64_t moved = 0; moved < through; ++moved) {
            outlet_.moved();
        }
        finished_ += through;
        outgoing_ = finished_;
    }
    // A reader that stays takes what is on its way.
    if (trouble_ != 0 || outgoing_ != finished_) {
        return {};
    }
    leaving_ = false;
    any = true;
    return outlet_.attend();
}

// The writer has left the channel: takes what is still in there, and comes back to the pipe.
Status StageFlow::end_channel(StageInlet::Verdict verdict, bool& any) {
    const std::uint64_t through = cancel(entered_, submitted_, &Slot::enter);
    for (std::uint64_t moved = 0; moved < through; ++moved) {
        inlet_.took();
    }
    entered_ += through;
    submitted_ = entered_;
    if (trouble_ != 0 || (verdict == StageInlet::Verdict::abandoned && submitted_ - finished_ == depth)) {
        return {};
    }
    any = true;
    if (verdict == StageInlet::Verdict::abandoned) {
        Transfer& last = slot(submitted_).enter;
        start_move(last, inlet_.channel(), channels_.in, YOKE_FLAG_NOWAIT);
        await(last);
        if (trouble_ != 0) {
            return {};
        }
        if (last.came_through()) {
            inlet_.took();
            ++entered_;
            ++submitted_;
            return {};
        }
        if (last.status != -ETIME) {
            trouble_ = last.status;
            return {};
        }
        return inlet_.leave_empty_channel();
    }
    inlet_.leave_channel();
    return {};
}

Status StageFlow::attend_inlet(bool& any) {
    while (entered_ < submitted_ && slot(entered_).enter.ended) {
        const Transfer& enter = slot(entered_).enter;
        if (enter.status != 0) {
            trouble_ = trouble_ != 0 ? trouble_ : enter.status;
            return {};
        }
        if (enter.moved) {
            inlet_.took();
        }
        ++entered_;
        any = true;
    }
    if (!inlet_.joined()) {
        if (entered_ == submitted_ && !input_ended_) {
            inlet_.settle();
            any = any || inlet_.joined();
        }
        return {};
    }
    if (const auto verdict = inlet_.look(); verdict != StageInlet::Verdict::goes_on) {
        return end_channel(verdict, any);
    }
    for (; submitted_ - finished_ < depth; ++submitted_) {
        start_move(slot(submitted_).enter, inlet_.channel(), channels_.in, 0);
    }
    return {};
}

// Reads a record from the pipe and sends it on its way.
Status StageFlow::read_record() {
    Slot& next = slot(submitted_);
    auto length = inlet_.read_from_pipe({static_cast<std::byte*>(next.in), in_bytes_});
    if (!length || !*length) {
        // What came in whole comes out, as it would through a pipe.
        input_ended_ = true;
        input_status_ = length ? Status() : tl::unexpected(length.error());
        return {};
    }
    ++submitted_;
    start_push(next);
    return {};
}

Status StageFlow::advance(bool& any) {
    if (auto done = attend_inlet(any); !done || trouble_ != 0) {
        return done;
    }
    if (auto done = attend_outlet(any); !done || trouble_ != 0) {
        return done;
    }
    submit_come();
    if (auto done = write_come(any); !done || trouble_ != 0) {
        return done;
    }
    submit_come();
    // With records in flight the pipe is only looked at, so that a result does not wait for the next record.
    if (!inlet_.joined() && !input_ended_ && submitted_ - finished_ < depth && inlet_.pipe_ready()) {
        any = true;
        return read_record();
    }
    return {};
}

void StageFlow::wait() {
    if (submitted_ != finished_) {
        const bool alone = !inlet_.listening() && !outlet_.joined();
        const bool full = input_ended_ || submitted_ - finished_ == depth;
        std::uint64_t timeout_ns = alone && full ? UINT64_MAX : slice_.next_ns();
        if (!inlet_.joined() && !full) {
            timeout_ns = std::min(timeout_ns, look_at_input_ns);
        }
        if (const int status = yoke_dispatch(session_, timeout_ns); status < 0) {
            trouble_ = trouble_ != 0 ? trouble_ : status;
        }
        return;
    }
    std::vector<pollfd> fds;
    inlet_.add_pipe(fds);
    inlet_.add_news(fds);
    if (outlet_.joined()) {
        outlet_.add_news(fds);
    }
    ::poll(fds.data(), fds.size(), -1);  // interrupted or not: the loop looks
}

Status StageFlow::run_to_end() {
    while (!input_ended_ || submitted_ != finished_) {
        bool any = false;
        if (auto done = advance(any); !done) {
            return done;
        }
        if (trouble_ != 0) {
            if (auto done = recover(); !done) {
                return done;
            }
        } else if (any) {
            slice_.reset();
        } else if (!input_ended_ || submitted_ != finished_) {
            wait();
        }
    }
    return input_status_;
}

Status StageFlow::run() {
    // Records may have been read or written by hand before, through channels of other sessions.
    if (inlet_.joined() && inlet_.session() != session_) {
        inlet_.end();
    }
    inlet_.use(session_);
    auto done = outlet_.change_session(session_);
    if (done) {
        done = run_to_end();
    }
    // Nothing is in flight when the ends are given back.
    const bool moved_in = entered_ < submitted_ && slot(entered_).enter.moved;
    const bool moved_out = finished_ < outgoing_ && slot(finished_).come.moved;
    for (std::uint64_t through = cancel(entered_, submitted_, &Slot::enter); moved_in && through > 0; --through) {
        inlet_.took();
    }
    for (std::uint64_t through = cancel(finished_, outgoing_, &Slot::come); moved_out && through > 0; --through) {
        outlet_.moved();
    }
    return done;
}

// After a transfer has failed: begins again where that loses nothing.
Status StageFlow::recover() {
    const int status = std::exchange(trouble_, 0);
    std::string cause = session_of(session_)->cause_of(channels_.in, status);
    cause = cause.empty() ? std::strerror(-status) : cause;
    if (moves()) {
        return fail(
            EIO,
            "records between this stage and its neighbours are lost with the worker that held them ({}); run the "
            "pipeline again",
            cause);
    }
    if (status == -ERESTART) {
        return begin_again();
    }
    return fail(-status, "record {} did not come through the graph of the stage: {}", finished_, cause);
}

// Takes everything in flight back, and out of the graph what this worker was given already. False: it died, too.
Result<bool> StageFlow::withdraw() {
    const std::uint64_t worker = deaths();
    cancel(finished_, submitted_, &Slot::enter);
    cancel(finished_, outgoing_, &Slot::come);
    trouble_ = 0;
    std::int64_t inside = 0;
    for (std::uint64_t record = finished_; record < submitted_; ++record) {
        // What comes out first is what went in first, whichever record it was asked for: only the numbers count.
        inside += slot(record).enter.came_through(worker) ? 1 : 0;
        inside -= record < outgoing_ && slot(record).come.came_through(worker) ? 1 : 0;
    }
    for (; inside > 0; --inside) {
        const int status = yoke_pull(session_, channels_.out, slot(finished_).out, out_bytes_, 0, nullptr);
        if (status == -ERESTART) {
            return false;
        }
        if (status != 0) {
            return tl::unexpected(Error{-status, yoke_error(session_)});
        }
    }
    return deaths() == worker;
}

// After a worker's death: what has not come out goes in again. Its input is still there.
Status StageFlow::begin_again() {
    for (;;) {
        const auto done = withdraw();
        if (!done) {
            return tl::unexpected(done.error());
        }
        if (!*done) {
            continue;
        }
        outgoing_ = finished_;
        entered_ = finished_;
        for (std::uint64_t record = finished_; record < submitted_; ++record) {
            start_push(slot(record));
        }
        return {};
    }
}

}  // namespace yoke::client
