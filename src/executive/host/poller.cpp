// Hot and cold rings; see poller.hpp.
#include "executive/host/poller.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/clock.hpp"

namespace yoke::executive {
namespace {

// A ring whose entries the device refuses stays with the host, longer each time unless it executed many before.
constexpr std::uint64_t calls_worth_lending = 16;
constexpr std::uint64_t home_least_ns = 300'000;
// Calls further apart than this are not behind each other.
constexpr std::uint64_t streak_ns = 1'000'000;
constexpr std::uint64_t home_most_ns = 1'000'000'000;

}  // namespace

Poller::Poller(unsigned ring, std::uint64_t spin_ns, std::uint32_t sessions_max, StreamSink* sink)
    : ring_(ring), spin_ns_(spin_ns), sink_(sink) {
    hot_.reserve(sessions_max);
}

Status Poller::open() {
    epoll_.reset(::epoll_create1(EPOLL_CLOEXEC));
    interrupt_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    epoll_event event{};
    event.events = EPOLLIN | EPOLLET;
    event.data.ptr = nullptr;
    if (!epoll_ || !interrupt_ || ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, interrupt_.get(), &event) != 0) {
        return fail_errno("the executive cannot watch the bells of its sessions; raise the limit of open files");
    }
    return {};
}

Status Poller::add(Session& session) {
    epoll_event event{};
    event.events = EPOLLIN | EPOLLET;
    event.data.ptr = &session;
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, session.memory.bell.get(), &event) != 0) {
        return fail_errno("the bell of session {} cannot be watched; it must be an eventfd", session.id);
    }
    return {};
}

void Poller::remove(Session& session) {
    // First no more events, then out of the owner's hands: it collects and handles events without a pause in between,
    // so what it collected before this is handled when it looks at the removals.
    static_cast<void>(::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, session.memory.bell.get(), nullptr));
    std::unique_lock lock(mutex_);
    removed_.push_back(&session);
    removals_.store(true, std::memory_order_release);
    interrupt();
    all_forgotten_.wait(lock, [&] { return std::find(removed_.begin(), removed_.end(), &session) == removed_.end(); });
}

void Poller::interrupt() {
    const std::uint64_t one = 1;
    static_cast<void>(!::write(interrupt_.get(), &one, sizeof(one)));  // our own counter: never full
}

void Poller::look_around(std::uint64_t now) {
    collect(0);
    for (std::size_t i = 0; i < hot_.size();) {
        Session& session = *hot_[i];
        watch_streams(session);
        if (session.closed.load(std::memory_order_relaxed) || goes_cold(session, now)) {
            cool(session);
        } else {
            ++i;
        }
    }
}

// An interrupt is an edge, which a look around may have taken already: whoever sent it waits for the owner to look at
// the removals, and would wait for ever if the owner slept first.
void Poller::wait(int timeout_ms) {
    collect(interrupted_ ? 0 : timeout_ms);
    interrupted_ = false;
}

void Poller::collect(int timeout_ms) {
    std::array<epoll_event, 64> events;
    int count = 0;
    do {
        count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), timeout_ms);
        for (int i = 0; i < count; ++i) {
            if (events[static_cast<std::size_t>(i)].data.ptr != nullptr) {
                rung(*static_cast<Session*>(events[static_cast<std::size_t>(i)].data.ptr));
            } else {
                interrupted_ = true;
            }
        }
        timeout_ms = 0;
    } while (count == static_cast<int>(events.size()));
}

void Poller::rung(Session& session) {
    RingState& state = session.state[ring_];
    // A ring that is away is looked at when it comes back, whatever was rung meanwhile.
    if (state.hot || state.away || session.closed.load(std::memory_order_relaxed)) {
        return;
    }
    watch_streams(session);
    if (session.rings[ring_].pending()) {
        heat(session, now_ns());
    }
}

void Poller::heat(Session& session, std::uint64_t now) {
    RingState& state = session.state[ring_];
    state.hot = true;
    if (now - state.last_work_ns > streak_ns) {
        state.calls_at_home = 0;
    }
    state.last_work_ns = now;
    hot_.push_back(&session);
    session.rings[ring_].set_asleep(false);
}

void Poller::keep(Session& session, std::uint64_t now) {
    RingState& state = session.state[ring_];
    state.away = false;
    state.home_until_ns = now + home_least_ns;
    heat(session, now);
}

void Poller::give_back(Session& session, bool refused, std::uint64_t calls) {
    const std::lock_guard lock(mutex_);
    returned_.push_back({&session, refused, calls});
    returns_.store(true, std::memory_order_release);
    interrupt();
}

void Poller::take_returned(std::uint64_t now) {
    const std::lock_guard lock(mutex_);
    for (const Return& back : returned_) {
        RingState& state = back.session->state[ring_];
        state.away = false;
        if (back.refused) {
            state.home_for_ns = back.calls >= calls_worth_lending
                                    ? home_least_ns
                                    : std::clamp(2 * state.home_for_ns, home_least_ns, home_most_ns);
            state.home_until_ns = now + state.home_for_ns;
        } else {
            state.home_for_ns = 0;
        }
        state.calls_at_home = 0;
        heat(*back.session, now);
    }
    returned_.clear();
    returns_.store(false, std::memory_order_release);
}

bool Poller::goes_cold(Session& session, std::uint64_t now) {
    RingState& state = session.state[ring_];
    ring::Consumer& ring = session.rings[ring_];
    if (now < state.last_work_ns + spin_ns_ || ring.pending()) {
        return false;
    }
    ring.set_asleep(true);
    yoke_full_fence();
    watch_streams(session);
    if (ring.pending()) {
        ring.set_asleep(false);
        state.last_work_ns = now;
        return false;
    }
    return true;
}

void Poller::cool(Session& session) {
    RingState& state = session.state[ring_];
    if (state.hot) {
        state.hot = false;
        *std::find(hot_.begin(), hot_.end(), &session) = hot_.back();
        hot_.pop_back();
    }
}

void Poller::watch_streams(Session& session) {
    RingState& state = session.state[ring_];
    ring::Consumer& ring = session.rings[ring_];
    for (std::uint32_t slot = 0; state.streams_in_flight > 0 && slot < state.streams.size(); ++slot) {
        const std::uint32_t tag = state.streams[slot];
        if (tag == 0) {
            continue;
        }
        const bool busy = ring.busy(slot, tag);
        if (busy && !ring.cancelled(slot, tag)) {
            continue;
        }
        state.streams[slot] = 0;
        --state.streams_in_flight;
        if (busy) {
            sink_->cancel({session.id, static_cast<std::uint8_t>(ring_), slot, tag});
        }
    }
}

}  // namespace yoke::executive
