// What happens to a call: admitted, sent where it is expected to end first, reported. See session.hpp.
#include <algorithm>

#include "base/clock.hpp"
#include "client/sentence.hpp"
#include "client/session.hpp"
#include "cost/model.hpp"

namespace yoke::client {

namespace {

std::string what_of(const Job& job) {
    if (job.prepared.service != nullptr) {
        return fmt::format("service {}", job.prepared.service->name());
    }
    return std::string(stream_name(job.opcode));
}

std::string what_of(const yoke_call& call) {
    const service::Service* service = service::find(call.service);
    return service != nullptr ? fmt::format("service {}", service->name()) : fmt::format("service {}", call.service);
}

int set(yoke_result& result, int code, yoke_member member) {
    result.status = -code;
    result.detail = static_cast<std::uint64_t>(member);
    return -code;
}

}  // namespace

bool Session::in_arena(const std::byte* memory, std::size_t bytes) const {
    const auto begin = reinterpret_cast<std::uintptr_t>(arena_ + data_.offset);
    const auto place = reinterpret_cast<std::uintptr_t>(memory);
    return place >= begin && place - begin <= data_.bytes && bytes <= data_.bytes - (place - begin);
}

// The first member of a call that is not in the arena, else YOKE_MEMBER_NONE. Empty ranges may be anywhere.
yoke_member Session::outside(const service::Work& work) const {
    if (work.shape.in_length != 0 && !in_arena(work.in, work.shape.in_length)) {
        return YOKE_MEMBER_INPUT;
    }
    if (work.shape.out_length != 0 && !in_arena(work.out, work.shape.out_length)) {
        return YOKE_MEMBER_OUTPUT;
    }
    if (work.plan.aux_length != 0 && !in_arena(work.aux, work.plan.aux_length)) {
        return YOKE_MEMBER_AUX;
    }
    return YOKE_MEMBER_NONE;
}

// An empty range is given the start of the data area, which is always valid.
Range Session::range_of(const std::byte* memory, std::size_t bytes) const {
    if (bytes == 0) {
        return {.offset = data_.offset, .bytes = 0};
    }
    return {.offset = static_cast<std::uint64_t>(memory - arena_), .bytes = bytes};
}

int Session::failed(const yoke_result& result, std::string_view what) {
    error_ = sentence_for(result, what);
    return result.status;
}

int Session::failed_stream(const yoke_result& result, const Job& job) {
    const std::string cause = cause_of(job.channel, result.status);
    failed(result, what_of(job));
    if (!cause.empty()) {
        error_ =
            result.status == -EIO ? fmt::format("{}: {}", what_of(job), cause) : fmt::format("{} ({})", error_, cause);
    }
    return result.status;
}

bool Session::admit(const yoke_call& call, Overlap overlap, Prepared& prepared, yoke_result& result) {
    tidy();
    if (!prepare(call, overlap, prepared, result)) {
        return false;
    }
    if (flights_ && flights_->quarantined() != 0) {
        const service::Work& work = prepared.work;
        const auto range = [&](const std::byte* memory, std::size_t bytes) {
            return in_arena(memory, bytes) ? range_of(memory, bytes) : Range{};
        };
        if (flights_->conflicts(range(work.in, work.shape.in_length), range(work.aux, work.plan.aux_length),
                                range(work.out, work.shape.out_length))) {
            set(result, EBUSY, YOKE_MEMBER_OUTPUT);
            return false;
        }
    }
    return true;
}

yoke_cost Session::cost_in_worker(std::uint16_t service) const {
    return service < YOKE_SERVICES_MAX ? cost::load_shared(link_.status_page().cost[service]) : yoke_cost{};
}

Session::Decision Session::decide(const Prepared& prepared) {
    using Place = Decision::Place;
    if (prepared.place == YOKE_PLACE_CALLER) {
        return {.place = Place::caller, .why = YOKE_WHY_ASKED};
    }
    const yoke_member away = outside(prepared.work);
    if (prepared.place == YOKE_PLACE_WORKER) {
        if (away != YOKE_MEMBER_NONE) {
            return {.code = EFAULT, .member = away};
        }
        if (!reach_worker(prepared.deadline_ns)) {
            return {.code = lost_error_.code};
        }
        return {.place = Place::worker, .why = YOKE_WHY_ASKED};
    }
    if (state_ == State::local || away != YOKE_MEMBER_NONE) {
        return {.place = Place::caller, .why = YOKE_WHY_ONLY};
    }
    const std::uint16_t id = prepared.service->id();
    if (!choice_.worker_is_faster(id, prepared.work.shape.in_length, cost_in_worker(id), flights_->expected_ns())) {
        return {.place = Place::caller, .why = YOKE_WHY_COST};
    }
    if (!reach_worker(prepared.deadline_ns)) {
        fallbacks_++;
        return {.place = Place::caller, .why = YOKE_WHY_BARRED};
    }
    return {.place = Place::worker, .why = YOKE_WHY_COST};
}

int Session::run_here(const Prepared& prepared, std::uint8_t why, bool measured, yoke_result& result) {
    const std::uint16_t id = prepared.service->id();
    const std::uint64_t bytes = prepared.work.shape.in_length;
    measured = choice_.wants_measure(id, bytes) || measured;
    const int status = execute(prepared, why, measured, result);
    if (measured && status == 0) {
        choice_.learn_caller(id, bytes, result.run_ns);
    }
    return status;
}

int Session::run(const Prepared& prepared, bool measured, yoke_result& result) {
    const Decision decision = decide(prepared);
    switch (decision.place) {
        case Decision::Place::caller:
            return run_here(prepared, decision.why, measured, result);
        case Decision::Place::worker:
            return run_in_worker(Job{.prepared = prepared}, result);
        case Decision::Place::nowhere:
            break;
    }
    return set(result, decision.code, decision.member);
}

// Executes in the worker and waits for the end.
int Session::run_in_worker(const Job& job, yoke_result& result) {
    const std::uint32_t index = tickets_.take(0, nullptr, nullptr);
    if (index == Tickets::none) {
        return set(result, EAGAIN, YOKE_MEMBER_NONE);
    }
    tickets_[index].job = job;
    if (start_when_free(index)) {
        await(index, 0);
    }
    result = tickets_[index].result;
    tickets_.give_back(index);
    return result.status;
}

int Session::call(const yoke_call& call, bool measured, yoke_result& result) {
    Prepared prepared;
    result = {};
    if (admit(call, Overlap::refused, prepared, result)) {
        run(prepared, measured, result);
    }
    if (result.status != 0) {
        failed(result, what_of(call));
    }
    run_callbacks();
    return result.status;
}

int Session::call_inplace(const yoke_call& asked, bool measured, yoke_result& result) {
    Prepared prepared;
    result = {};
    if (!admit(asked, Overlap::allowed, prepared, result)) {
        return failed(result, what_of(asked));
    }
    void* bounce = nullptr;
    const std::size_t bytes = prepared.work.plan.out_length;
    if (bytes != 0) {
        if (const int status = allocate(bytes, bounce); status != 0) {
            return set(result, -status, YOKE_MEMBER_OUTPUT);
        }
    }
    yoke_call moved = asked;
    moved.out = bounce;
    moved.out_length = bytes;
    call(moved, measured, result);
    if (result.status == 0 && bytes != 0) {
        std::memcpy(asked.out, bounce, result.out_length);
    }
    free(bounce);  // quarantined by itself where an executor may still write it
    return result.status;
}

int Session::admit_stream(Job& job, yoke_result& result) {
    tidy();
    const service::Work& work = job.prepared.work;
    const yoke_member away = outside(work);
    if (away != YOKE_MEMBER_NONE) {
        return set(result, EFAULT, away);
    }
    if (flights_ && flights_->quarantined() != 0 &&
        flights_->conflicts(range_of(work.in, work.shape.in_length), {}, range_of(work.out, work.shape.out_length))) {
        return set(result, EBUSY, YOKE_MEMBER_OUTPUT);
    }
    if (!reach_worker(job.prepared.deadline_ns)) {
        return set(result, lost_error_.code, YOKE_MEMBER_NONE);
    }
    const bool move = job.opcode == YOKE_OP_MOVE;
    if (!graphs_.knows(job.channel) || (move && !graphs_.knows(job.to))) {
        return set(result, ENOENT, graphs_.knows(job.channel) ? YOKE_MEMBER_AUX : YOKE_MEMBER_OBJECT);
    }
    if (graphs_.stale()) {
        constexpr std::uint64_t patience_ns = 30'000'000'000;  // kernels are compiled again, or read from the cache
        const std::uint64_t deadline_ns = job.prepared.deadline_ns;
        if (!reopen_graphs(deadline_ns != 0 ? deadline_ns : now_ns() + patience_ns)) {
            return set(result, EIO, YOKE_MEMBER_OBJECT);
        }
    }
    if (!graphs_.remote(job.channel) || (move && !graphs_.remote(job.to))) {
        return set(result, EIO, YOKE_MEMBER_OBJECT);
    }
    if (job.quiet) {
        return 0;
    }
    auto lost = graphs_.take_restart(job.channel);
    if (!lost && move) {
        lost = graphs_.take_restart(job.to);
    }
    if (lost) {
        result.status = -ERESTART;
        result.detail = *lost;
        return result.status;
    }
    return 0;
}

int Session::stream(Job job, yoke_result& result) {
    result = {};
    if (admit_stream(job, result) == 0) {
        run_in_worker(job, result);
    }
    if (result.status != 0) {
        failed_stream(result, job);
    }
    run_callbacks();
    return result.status;
}

int Session::submit(const yoke_call& call, yoke_callback callback, void* user, yoke_ticket& ticket) {
    Job job;
    yoke_result result{};
    if (!admit(call, Overlap::refused, job.prepared, result)) {
        return failed(result, what_of(call));
    }
    const Decision decision = decide(job.prepared);
    if (decision.place == Decision::Place::worker) {
        return launch(job, callback, user, ticket);
    }
    if (decision.place == Decision::Place::nowhere) {
        set(result, decision.code, decision.member);
        return failed(result, what_of(call));
    }
    const std::uint32_t index = tickets_.take(1, callback, user);
    if (index == Tickets::none) {
        return refuse({EAGAIN, "as many calls are in flight as the session takes; wait for one of them"});
    }
    tickets_[index].job = job;
    run_here(job.prepared, decision.why, true, tickets_[index].result);
    ticket = tickets_[index].id;
    tickets_.end(index);
    return 0;
}

int Session::submit_stream(Job job, yoke_callback callback, void* user, yoke_ticket& ticket) {
    yoke_result result{};
    if (admit_stream(job, result) != 0) {
        return failed_stream(result, job);
    }
    return launch(job, callback, user, ticket);
}

int Session::launch(const Job& job, yoke_callback callback, void* user, yoke_ticket& ticket) {
    const std::uint32_t index = tickets_.take(1, callback, user);
    int status = -EAGAIN;
    if (index != Tickets::none) {
        tickets_[index].job = job;
        status = start(index);
        if (status == -EAGAIN) {
            harvest();
            status = start(index);
        }
        if (status == 0) {
            ticket = tickets_[index].id;
            return 0;
        }
        tickets_.abandon(index);
    }
    check_worker(now_ns());  // a ring stays full for ever when nobody serves it
    return refuse({-status, "as many calls are in flight as the ring has slots; wait for one of them"});
}

// Writes the entry of a ticket into its ring. -EAGAIN: no slot at the moment.
int Session::start(std::uint32_t index) {
    Ticket& ticket = tickets_[index];
    const Job& job = ticket.job;
    const service::Work& work = job.prepared.work;
    Flight flight{.ticket = index,
                  .in = range_of(work.in, work.shape.in_length),
                  .aux = range_of(work.aux, work.plan.aux_length),
                  .out = range_of(work.out, work.shape.out_length),
                  .key = job.prepared.key};
    yoke_submission entry{};
    entry.opcode = job.opcode;
    entry.flags = static_cast<std::uint8_t>(job.flags | (work.shape.flags & YOKE_FLAG_DECRYPT));
    entry.in_offset = flight.in.offset;
    entry.out_offset = flight.out.offset;
    entry.in_length = work.shape.in_length;
    entry.out_length = work.shape.out_length;
    entry.deadline_ns = job.prepared.deadline_ns;
    entry.aux_offset = flight.aux.offset;
    const std::uint64_t bytes = flight.in.bytes + flight.aux.bytes + flight.out.bytes;
    bool express = false;
    if (job.opcode == YOKE_OP_CALL) {
        const std::uint16_t id = job.prepared.service->id();
        entry.service = id;
        entry.object = flight.key != nullptr ? flight.key->remote : 0;
        const yoke_cost cost = cost_in_worker(id);
        flight.expected_ns = static_cast<std::uint32_t>(
            std::min<std::uint64_t>(choice_.expected_worker_ns(work.shape.in_length, cost), UINT32_MAX));
        express = bytes <= YOKE_EXPRESS_BYTES_MAX && work.plan.chunks <= 1;
    } else {
        // Always by the bulk ring: datablocks of one channel keep their order.
        entry.object = graphs_.remote(job.channel).value_or(0);
        if (job.opcode == YOKE_OP_MOVE) {
            entry.aux_offset = graphs_.remote(job.to).value_or(0);
        }
    }
    const void* params = (work.shape.flags & YOKE_FLAG_PARAMS) != 0 ? work.shape.params.data() : nullptr;
    ticket.ring = express ? YOKE_RING_EXPRESS : YOKE_RING_BULK;
    std::int64_t position = flights_->begin(ticket.ring, entry, params, flight);
    if (position < 0 && express) {
        ticket.ring = YOKE_RING_BULK;
        position = flights_->begin(ticket.ring, entry, params, flight);
    }
    if (position < 0) {
        return static_cast<int>(position);
    }
    ticket.position = static_cast<std::uint64_t>(position);
    ticket.state = Ticket::State::flying;
    return 0;
}

}  // namespace yoke::client
