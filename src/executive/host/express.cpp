// The express thread; see express.hpp.
#include "executive/host/express.hpp"

#include "base/clock.hpp"
#include "executive/host/intake.hpp"
#include "executive/host/thread.hpp"
#include "ring/futex.hpp"

namespace yoke::executive {
namespace {

constexpr unsigned burst = 8;             // entries of one ring before the next ring gets its turn
constexpr unsigned looks_per_clock = 16;  // empty rounds between two looks at the clock

}  // namespace

Status ExpressThread::start() {
    return start_thread(thread_, "yoke-express", [this] { run(); });
}

void ExpressThread::stop() {
    stopping_.store(true, std::memory_order_release);
    poller_.interrupt();
    if (thread_.joinable()) {
        thread_.join();
    }
}

void ExpressThread::run() {
    std::uint64_t now = now_ns();
    std::uint64_t next_look = 0;
    unsigned empty = 0;
    while (!stopping_.load(std::memory_order_acquire)) {
        if (poller_.has_removals()) {
            poller_.forget_removed([](Session&) {});
        }
        if (poller_.has_returns()) {
            now = now_ns();
            poller_.take_returned(now);
        }
        if (poller_.hot().empty()) {
            sleep();
            continue;
        }
        if (poll_hot(now)) {
            empty = 0;
        } else {
            ring::cpu_relax();
            if (++empty % looks_per_clock == 0) {
                now = now_ns();
            }
        }
        if (now >= next_look) {
            poller_.look_around(now);
            next_look = now + Poller::interval_ns;
            if (now >= next_beat_ns_ && beat_(now).round_done) {
                next_beat_ns_ = now + heartbeat_awake_ns;
            }
        }
    }
}

// True if there was work; `now` is then the time of its end.
bool ExpressThread::poll_hot(std::uint64_t& now) {
    bool worked = false;
    for (std::size_t i = 0; i < poller_.hot().size(); ++i) {
        Session& session = *poller_.hot()[i];
        if (device_ != nullptr && lend(session, now)) {
            --i;  // another one has taken its place
            continue;
        }
        ring::Consumer& ring = session.rings[YOKE_RING_EXPRESS];
        for (unsigned n = 0; n < burst && !session.closed.load(std::memory_order_relaxed); ++n) {
            const ring::Take taken = ring.take(entry_);
            if (taken == ring::Take::nothing) {
                break;
            }
            if (taken == ring::Take::entry) {
                now = serve(session);
                worked = true;
            } else if (taken == ring::Take::fault) {
                session.fault(YOKE_MEMBER_SLOT);
            }
        }
    }
    return worked;
}

// True: the device has the ring now.
bool ExpressThread::lend(Session& session, std::uint64_t now) {
    RingState& state = session.state[YOKE_RING_EXPRESS];
    if (state.calls_at_home < device_after_ || state.streams_in_flight != 0 || now < state.home_until_ns ||
        session.closed.load(std::memory_order_relaxed) || !session.rings[YOKE_RING_EXPRESS].pending()) {
        return false;
    }
    // Before it is offered: it may be back at once.
    poller_.lend(session);
    if (device_->offer(session)) {
        return true;
    }
    poller_.keep(session, now);
    return false;
}

std::uint64_t ExpressThread::serve(Session& session) {
    const std::uint64_t begin = now_ns();
    if (!admit(session, YOKE_RING_EXPRESS, entry_, begin, sink_, call_)) {
        return begin;
    }
    const service::Work& work = call_.work;
    ++session.state[YOKE_RING_EXPRESS].calls_at_home;
    session.rings[YOKE_RING_EXPRESS].begin(entry_.slot, entry_.tag);
    int status = 0;
    for (std::uint32_t chunk = 0; chunk < work.plan.chunks && status == 0; ++chunk) {
        if (chunk > 0) {
            status = stop_reason(session, YOKE_RING_EXPRESS, entry_);
        }
        if (status == 0) {
            status = call_.service->run(work, chunk, lane);
        }
    }
    const std::uint64_t end = now_ns();
    yoke_completion completion{};
    completion.status = status;
    completion.where = YOKE_WHERE_CPU;
    completion.why = YOKE_WHY_ONLY;
    completion.out_length = status == 0 ? work.plan.out_length : 0;
    completion.run_ns = end - begin;
    session.complete(ticket_of(session, YOKE_RING_EXPRESS, entry_), completion);
    if (status == 0) {
        costs_.learn(call_.service->id(), work.shape.in_length, end - begin);
    }
    call_.key.end();
    return end;
}

void ExpressThread::sleep() {
    const std::uint64_t now = now_ns();
    Beat beat;
    do {
        beat = beat_(now);
    } while (!beat.round_done);
    if (beat.sessions == 0) {
        poller_.wait(-1);
        return;
    }
    next_beat_ns_ = now + heartbeat_awake_ns;
    poller_.wait(static_cast<int>(heartbeat_idle_ns / 1'000'000));
}

}  // namespace yoke::executive
