// Admission of entries; see intake.hpp.
#include "executive/host/intake.hpp"

#include "base/clock.hpp"

namespace yoke::executive {
namespace {

void refuse(Session& session, unsigned ring, const ring::Entry& entry, const Verdict& verdict) {
    yoke_completion completion{};
    completion.status = verdict.status;
    completion.detail = verdict.detail;
    completion.out_length = verdict.out_length;
    session.complete(ticket_of(session, ring, entry), completion);
}

void hand_to_sink(Session& session, unsigned ring, const ring::Entry& entry, StreamSink& sink, StreamEntry& stream) {
    RingState& state = session.state[ring];
    stream.ticket = ticket_of(session, ring, entry);
    // Before the sink can complete it.
    if (state.streams[entry.slot] == 0) {
        ++state.streams_in_flight;
    }
    state.streams[entry.slot] = entry.tag;
    session.rings[ring].begin(entry.slot, entry.tag);
    if (session.device) {
        session.device->before_transfer(session);
    }
    switch (stream.op) {
        case YOKE_OP_PUSH:
            sink.push(stream);
            break;
        case YOKE_OP_PULL:
            sink.pull(stream);
            break;
        default:
            sink.move(stream);
            break;
    }
}

}  // namespace

int stop_reason(const Session& session, unsigned ring, const ring::Entry& entry) {
    if (session.rings[ring].cancelled(entry.slot, entry.tag)) {
        return -YOKE_ECANCELED;
    }
    const std::uint64_t deadline = entry.submission.deadline_ns;
    return deadline != 0 && now_ns() >= deadline ? -YOKE_ETIME : 0;
}

bool admit(Session& session, unsigned ring, const ring::Entry& entry, std::uint64_t now, StreamSink* sink,
           CheckedCall& call) {
    session.counters[ring].taken.fetch_add(1, std::memory_order_relaxed);
    session.state[ring].last_work_ns = now;
    Verdict verdict;
    switch (entry.submission.opcode) {
        case YOKE_OP_CALL:
            verdict = check_call(entry, ring, session.bounds, session.keys, call);
            if (verdict.status == 0) {
                verdict.status = stop_reason(session, ring, entry);
            }
            if (verdict.status == 0) {
                session.counters[ring].bytes_in.fetch_add(entry.submission.in_length, std::memory_order_relaxed);
                return true;
            }
            call.key.end();
            break;
        case YOKE_OP_PUSH:
        case YOKE_OP_PULL:
        case YOKE_OP_MOVE: {
            if (sink == nullptr) {
                verdict = {-YOKE_ENOSYS, YOKE_MEMBER_OPCODE, 0};
                break;
            }
            StreamEntry stream;
            verdict = check_stream(entry, ring, session.bounds, stream);
            if (verdict.status == 0) {
                verdict.status = stop_reason(session, ring, entry);
            }
            if (verdict.status == 0) {
                hand_to_sink(session, ring, entry, *sink, stream);
                return false;
            }
            break;
        }
        case YOKE_OP_NONE:
            verdict = {-YOKE_EINVAL, YOKE_MEMBER_OPCODE, 0};
            break;
        default:
            verdict = {-YOKE_ENOSYS, YOKE_MEMBER_OPCODE, 0};
            break;
    }
    refuse(session, ring, entry, verdict);
    return false;
}

}  // namespace yoke::executive
