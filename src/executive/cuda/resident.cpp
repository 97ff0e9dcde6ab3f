// The keeper's thread; see resident.hpp. Launching and parking are in residence.cpp.
#include "executive/cuda/resident.hpp"

#include <algorithm>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "executive/host/thread.hpp"
#include "ring/futex.hpp"

namespace yoke::executive::cuda {
namespace {

constexpr std::uint64_t watch_ns = 50'000;        // between two looks at rings that are lent
constexpr std::uint64_t calm_watch_ns = 125'000;  // the same when nobody has needed a look for calm_after_ns
constexpr std::uint64_t calm_after_ns = 100'000'000;
constexpr std::uint64_t bell_watch_ns = 20'000;  // the same while a client sleeps for longer
constexpr std::uint64_t bell_spin_ns = 200'000;  // looking without pause for a client that has just fallen asleep
constexpr std::uint64_t grave_wait_ns = 10'000'000;

std::uint32_t* word(std::atomic<std::uint32_t>& value) {
    return reinterpret_cast<std::uint32_t*>(&value);
}

}  // namespace

Result<std::unique_ptr<Resident>> Resident::create(Device& device, const Limits& limits, Lender& lender) {
    std::unique_ptr<Resident> resident(new Resident(device, limits, lender));
    Status done = resident->prepare();
    done = done ? start_thread(resident->thread_, "yoke-nsk", [self = resident.get()] { self->run(); }) : done;
    if (!done) {
        return tl::unexpected(done.error());
    }
    driver::set_tenant(resident.get());
    return resident;
}

void Resident::leave_context() {
    device_.context().make_current();
    const auto lock = enter();
    away_ = true;
    park();
}

void Resident::stay() {
    const auto lock = enter();
    away_ = false;
}

Resident::~Resident() {
    driver::set_tenant(nullptr);
    {
        const auto lock = enter();
        stopping_ = true;
    }
    signal();
    if (thread_.joinable()) {
        thread_.join();
    }
}

std::unique_lock<std::mutex> Resident::enter() const {
    waiting_.fetch_add(1, std::memory_order_acq_rel);
    std::unique_lock lock(mutex_);
    waiting_.fetch_sub(1, std::memory_order_acq_rel);
    return lock;
}

void Resident::signal() {
    signal_.fetch_add(1, std::memory_order_seq_cst);
    static_cast<void>(ring::futex_wake(word(signal_), 1));
}

bool Resident::offer(Session& session) noexcept {
    {
        const std::lock_guard lock(offers_mutex_);
        if (session.closed.load(std::memory_order_acquire) || side_of(session).refused || offers_.size() >= rings_max) {
            return false;
        }
        offers_.push_back(&session);
    }
    signal();
    return true;
}

void Resident::leave(Session& session) {
    const auto lock = enter();
    device_.context().make_current();
    {
        const std::lock_guard offers_lock(offers_mutex_);
        std::erase(offers_, &session);
    }
    Side& side = side_of(session);
    if (side.away) {
        const std::uint32_t team = side.slot / rings_per_team;
        await(team, order(team, Command::detach, side.slot % rings_per_team));
        collect(session);
    }
    const std::lock_guard key_lock(side.key_mutex);
    side.keys.clear();
}

void Resident::bury(std::unique_ptr<DeviceSide> side, SessionMemory memory) noexcept {
    const auto lock = enter();
    if (!static_cast<Side&>(*side).arena_pinned) {
        return;
    }
    grave_since_ns_ = graves_.empty() ? now_ns() : grave_since_ns_;
    grave_bytes_ += memory.arena.size();
    graves_.push_back({std::move(side), std::move(memory)});
    signal();
}

void Resident::run() {
    device_.context().make_current();
    for (;;) {
        const std::uint32_t seen = signal_.load(std::memory_order_seq_cst);
        bool asleep = false;
        bool idle = false;
        bool buries = false;
        std::uint64_t now = 0;
        bool calm = false;
        std::uint64_t last_bell = 0;
        std::uint32_t lent = 0;
        {
            const std::lock_guard lock(mutex_);
            now = now_ns();
            if (stopping_) {
                break;
            }
            take_offers(now);
            asleep = look_around(now);
            unpin_graves(now, false);
            idle = lent_count_ == 0 && !resident_;
            buries = !graves_.empty();
            calm = now - needed_ns_ > calm_after_ns;
            last_bell = bell_ns_;
            lent = lent_count_;
        }
        if (waiting_.load(std::memory_order_acquire) != 0) {
            std::this_thread::yield();
        } else if (lent != 0 && now - last_bell < bell_spin_ns) {
            ring::cpu_relax();
        } else {
            const std::uint64_t watch = asleep ? bell_watch_ns : calm ? calm_watch_ns : watch_ns;
            ring::futex_wait(word(signal_), seen, !idle ? watch : buries ? grave_wait_ns : 0);
        }
    }
    const std::lock_guard lock(mutex_);
    park();
    unpin_graves(0, true);
}

void Resident::take_offers(std::uint64_t now) {
    std::vector<Session*> offers;
    {
        const std::lock_guard lock(offers_mutex_);
        if (offers_.empty()) {
            return;
        }
        offers.assign(offers_.begin(), offers_.end());
    }
    for (Session* session : offers) {
        // Still in the list until it is attached or refused, so that who leaves finds it in one place or the other;
        // leaving needs mutex_, which is held here.
        const bool pinned = !away_ && pin_session(device_, *session);
        std::uint32_t slot = rings_max;
        if (pinned) {
            // To the team with the fewest rings: teams serve side by side.
            std::array<std::uint32_t, teams> load{};
            for (std::uint32_t i = 0; i < rings_max; ++i) {
                load[i / rings_per_team] += lent_[i] != nullptr ? 1 : 0;
            }
            const auto team = static_cast<std::uint32_t>(std::min_element(load.begin(), load.end()) - load.begin());
            for (std::uint32_t i = team * rings_per_team; i < (team + 1) * rings_per_team && slot == rings_max; ++i) {
                slot = lent_[i] == nullptr ? i : slot;
            }
        }
        {
            const std::lock_guard lock(offers_mutex_);
            std::erase(offers_, session);
        }
        if (slot == rings_max) {
            lender_.ring_back(*session, session->rings[YOKE_RING_EXPRESS].position(), true, 0);
        } else {
            attach(*session, slot, now);
        }
    }
}

void Resident::book(Session& session) {
    Side& side = side_of(session);
    const Report& report = reports_.host[side.slot];
    const auto read = [](const std::uint64_t& value) { return __atomic_load_n(&value, __ATOMIC_ACQUIRE); };
    Report now{};
    now.calls = read(report.calls);
    now.bytes_in = read(report.bytes_in);
    now.bytes_out = read(report.bytes_out);
    now.busy_cycles = read(report.busy_cycles);
    if (now.calls == side.seen.calls) {
        return;
    }
    Counters& c = session.counters[YOKE_RING_EXPRESS];
    const std::uint64_t calls = now.calls - side.seen.calls;
    c.taken.fetch_add(calls, std::memory_order_relaxed);
    c.completed.fetch_add(calls, std::memory_order_relaxed);
    c.bytes_in.fetch_add(now.bytes_in - side.seen.bytes_in, std::memory_order_relaxed);
    c.bytes_out.fetch_add(now.bytes_out - side.seen.bytes_out, std::memory_order_relaxed);
    c.busy_ns.fetch_add((now.busy_cycles - side.seen.busy_cycles) * 1000 / device_.cycles_per_us,
                        std::memory_order_relaxed);
    calls_ += calls;
    side.seen = now;
}

void Resident::collect(Session& session) {
    Side& side = side_of(session);
    const Report& report = reports_.host[side.slot];
    const std::uint64_t head = __atomic_load_n(&report.head, __ATOMIC_ACQUIRE);
    const auto why = static_cast<Why>(__atomic_load_n(&report.why, __ATOMIC_ACQUIRE));
    book(session);
    session.bell.ring_if_wanted();
    lent_[side.slot] = nullptr;
    --lent_count_;
    side.away = false;
    lender_.ring_back(session, head, why == Why::entry, side.seen.calls);
}

// Wakes the client if it sleeps and something was completed since the last look. The order matters: what is seen as
// complete before want_bell is read as 0 is also seen by the client, which looks again after setting it.
bool Resident::watch(Session& session, std::uint64_t now) {
    Side& side = side_of(session);
    const yoke_ring_layout& place = session.memory.layout.ring[YOKE_RING_EXPRESS];
    const auto* lines = reinterpret_cast<const yoke_line*>(session.view.arena + place.completion);
    const auto log2 = static_cast<std::uint32_t>(__builtin_ctz(place.slots));
    std::uint32_t completed = 0;
    while (completed < place.slots &&
           yoke_load_acquire64(&lines[side.watched & (place.slots - 1)].quarter[3].high) >> 32 ==
               yoke_lap_tag(side.watched, log2)) {
        ++side.watched;
        ++completed;
    }
    if (yoke_load_acquire32(&session.view.words_untrusted().want_bell) == 0) {
        return false;
    }
    if (completed != 0) {
        session.bell.ring();
        bell_ns_ = now;
    }
    return true;
}

bool Resident::look_around(std::uint64_t now) {
    bool asleep = false;
    for (Session* session : lent_) {
        if (session == nullptr) {
            continue;
        }
        Side& side = side_of(*session);
        const Report& report = reports_.host[side.slot];
        if (__atomic_load_n(&report.released, __ATOMIC_ACQUIRE) == side.attachment) {
            collect(*session);
            needed_ns_ = now;
            continue;
        }
        book(*session);
        asleep = watch(*session, now) || asleep;
    }
    needed_ns_ = asleep ? now : needed_ns_;
    if (lent_count_ != 0) {
        empty_since_ns_ = now;
    } else if (resident_ && now - empty_since_ns_ >= limits_.device_park_ns) {
        rest(now);
    }
    if (resident_) {
        watch_heart(now);
    }
    return asleep;
}

void Resident::add_key(Session& session, std::uint32_t id, std::uint16_t service,
                       std::shared_ptr<Device::KeyPlace> place) {
    const auto lock = enter();
    Side& side = side_of(session);
    if (side.names.empty()) {
        side.names.resize(keys_per_ring);
    }
    const std::uint32_t at = (id - 1) % keys_per_ring;
    side.names[at] = {id, std::uint32_t{service} << 16 | place->place};
    {
        const std::lock_guard key_lock(side.key_mutex);
        side.keys.emplace(id, std::move(place));
    }
    copy_name(side, at);
}

void Resident::remove_key(Session& session, std::uint32_t id) {
    std::shared_ptr<Device::KeyPlace> last;  // wiped without the lock
    const auto lock = enter();
    Side& side = side_of(session);
    {
        const std::lock_guard key_lock(side.key_mutex);
        const auto found = side.keys.find(id);
        if (found == side.keys.end()) {
            return;
        }
        last = std::move(found->second);
        side.keys.erase(found);
    }
    const std::uint32_t at = (id - 1) % keys_per_ring;
    if (side.names[at].id == id) {  // else a later key has the place
        side.names[at] = {};
        copy_name(side, at);
    }
    if (side.away && resident_) {
        // A call that found the key before has ended when its team answers.
        const std::uint32_t team = side.slot / rings_per_team;
        await(team, order(team, Command::sync, 0));
    }
}

void Resident::report(DeviceReport& report) const {
    const auto lock = enter();
    report.launches = number_;
    report.rings = lent_count_;
    report.attachments = attachments_;
    report.express_calls = calls_;
    report.resident = resident_;
}

}  // namespace yoke::executive::cuda
