// Looks after one kind of ring (express or bulk) of all sessions: which are polled, which sleep until they are rung.
//
// A hot ring is polled. One without entries for a while goes cold: asleep = 1, full fence, look once more (the protocol
// of uapi/yoke.h); its client then rings the session's eventfd. Eventfds are watched edge-triggered and never read,
// since the other side could fill or drain them: every write is an edge, whatever the counter says. Both kinds watch
// every eventfd; a bell for the other kind costs one look. A wake-up therefore needs no hand-off between threads.
//
// All members but remove() and interrupt() belong to the owner, the one thread that polls at a time.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <vector>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "executive/host/session.hpp"

namespace yoke::executive {

class Poller {
   public:
    Poller(unsigned ring, std::uint64_t spin_ns, std::uint32_t sessions_max, StreamSink* sink);
    Poller(const Poller&) = delete;
    Poller& operator=(const Poller&) = delete;
    Status open();

    // Any thread: watch the bell of a session whose rings sleep.
    Status add(Session& session);
    // Any thread but the owner: returns when the owner has forgotten the session. `forgotten` runs on the owner.
    void remove(Session& session);
    // Any thread: wakes the owner out of wait(), also the next one.
    void interrupt();
    // True if remove() waits for the owner: call forget_removed().
    [[nodiscard]] bool has_removals() const { return removals_.load(std::memory_order_acquire); }
    // The device takes the ring: it is neither polled nor rung.
    void lend(Session& session) {
        cool(session);
        session.state[ring_].away = true;
    }
    // The device did not want it: polled again, and offered again after a while.
    void keep(Session& session, std::uint64_t now);
    // Any thread: a ring that was lent is back, and hot again on the owner's next look.
    void give_back(Session& session, bool refused, std::uint64_t calls);
    [[nodiscard]] bool has_returns() const { return returns_.load(std::memory_order_acquire); }
    void take_returned(std::uint64_t now);

    template <typename Forgotten>
    void forget_removed(Forgotten&& forgotten) {
        const std::lock_guard lock(mutex_);
        for (Session* session : removed_) {
            std::erase_if(returned_, [session](const Return& back) { return back.session == session; });
            cool(*session);
            forgotten(*session);
        }
        removed_.clear();
        removals_.store(false, std::memory_order_release);
        all_forgotten_.notify_all();
    }

    [[nodiscard]] const std::vector<Session*>& hot() const { return hot_; }
    [[nodiscard]] unsigned ring() const { return ring_; }
    // Every interval_ns while rings are hot: bells of cold rings, cancelled streams, rings that go cold.
    void look_around(std::uint64_t now);
    // While no ring is hot: sleeps for a bell, an interrupt or `timeout_ms` (-1: without limit).
    void wait(int timeout_ms);
    // A session was closed by a fault: polled no longer.
    void cool(Session& session);

    // Between two look_around(): bounds how long a bell goes unheard while another ring is busy.
    static constexpr std::uint64_t interval_ns = 50'000;

   private:
    void collect(int timeout_ms);
    void rung(Session& session);
    void heat(Session& session, std::uint64_t now);
    bool goes_cold(Session& session, std::uint64_t now);
    void watch_streams(Session& session);

    const unsigned ring_;
    const std::uint64_t spin_ns_;
    StreamSink* const sink_;
    Fd epoll_;
    Fd interrupt_;
    std::vector<Session*> hot_;
    bool interrupted_ = false;  // since the last wait()

    std::mutex mutex_;  // of the removals
    std::condition_variable all_forgotten_;
    std::vector<Session*> removed_;
    std::atomic<bool> removals_{false};

    struct Return {
        Session* session;
        bool refused;
        std::uint64_t calls;
    };
    std::vector<Return> returned_;  // guarded by mutex_
    std::atomic<bool> returns_{false};
};

}  // namespace yoke::executive
