// The table of sessions and the threads that serve them; see executive.hpp. Threads are in host/.
//
// The table's lock is taken to add, remove, report and complete, never to take or execute a call. A session leaves the
// executive in this order: closed to new work; forgotten by both pollers; no chunk executes; forgotten by the sink; out
// of the table (no completion can reach it any more); destroyed, with its keys.
#include "executive/executive.hpp"

#include <algorithm>
#include <mutex>
#include <shared_mutex>
#include <thread>
#include <unordered_map>
#include <utility>

#include "base/clock.hpp"
#include "control/limits.hpp"
#include "cost/model.hpp"
#include "executive/cuda/open.hpp"
#include "executive/host/bulk.hpp"
#include "executive/host/express.hpp"
#include "executive/host/poller.hpp"
#include "executive/host/session.hpp"
#include "ring/layout.hpp"

namespace yoke::executive {
namespace {

// Sessions of one worker: each has two watches, and a place in the fair queue that is allocated in advance.
constexpr std::uint32_t sessions_at_most = 16384;
static_assert(sessions_at_most >= control::account_sessions_max,
              "an account may have this many, and some that just close");
constexpr unsigned bulk_threads_max = 8;
// A part of a round of heartbeats: about 20 us, so that thousands of sessions delay no call for long.
constexpr std::size_t buckets_per_beat = 64;

unsigned bulk_threads_of(const Limits& limits) {
    const unsigned wanted =
        limits.bulk_threads != 0 ? limits.bulk_threads : std::max(1U, std::thread::hardware_concurrency()) - 1;
    return std::clamp(wanted, 1U, bulk_threads_max);
}

Status check_memory(SessionId id, const SessionMemory& memory) {
    if (id == 0) {
        return fail(EINVAL, "a session needs a number other than 0");
    }
    if (Status status = ring::check_untrusted_layout(memory.layout); !status) {
        return status;
    }
    if (memory.arena.size() < memory.layout.arena_bytes || memory.status.size() < memory.layout.status_bytes) {
        return fail(EINVAL, "the arena or the status page of session {} is shorter than its layout says", id);
    }
    return {};
}

}  // namespace

struct Executive::Impl final : Lender {
    Impl(const Limits& session_limits, StreamSink* stream_sink)
        : limits(session_limits),
          sink(stream_sink),
          threads(bulk_threads_of(session_limits)),
          express_poller(YOKE_RING_EXPRESS, session_limits.express_spin_ns, sessions_at_most, stream_sink),
          bulk_poller(YOKE_RING_BULK, session_limits.bulk_spin_ns, sessions_at_most, stream_sink),
          express(express_poller, stream_sink, costs, [this](std::uint64_t now) { return beat(now); }),
          bulk(bulk_poller, stream_sink, costs, threads, session_limits.bulk_spin_ns, sessions_at_most) {}

    void ring_back(Session& session, std::uint64_t head, bool refused, std::uint64_t calls) noexcept override {
        session.rings[YOKE_RING_EXPRESS].resume(head);
        express_poller.give_back(session, refused, calls);
    }
    void call_done(Session& session, BulkCall& call, int status, std::uint64_t begun_ns) noexcept override {
        bulk.call_done(session, call, status, begun_ns);
    }

    Status start() {
        if (limits.cuda) {
            auto opened = cuda::open_accelerator(limits, *this);
            if (!opened) {
                return tl::unexpected<Error>(opened.error());
            }
            device = std::move(*opened);
            express.use(device.get(), limits.device_after_calls);
            bulk.use(device.get());
        }
        for (Poller* poller : {&express_poller, &bulk_poller}) {
            if (Status status = poller->open(); !status) {
                return status;
            }
        }
        if (Status status = express.start(); !status) {
            return status;
        }
        return bulk.start();
    }

    // On the express thread, which must not wait: a beat is left out while the table changes.
    Beat beat(std::uint64_t now) {
        const std::shared_lock lock(mutex, std::try_to_lock);
        if (!lock) {
            return {1, true};
        }
        for (std::size_t n = 0; n < buckets_per_beat; ++n, ++next_bucket) {
            if (next_bucket >= sessions.bucket_count()) {
                next_bucket = 0;
                return {sessions.size(), true};
            }
            for (auto it = sessions.begin(next_bucket); it != sessions.end(next_bucket); ++it) {
                yoke_status_page& page = it->second->view.status_page();
                __atomic_store_n(&page.heartbeat_ns, now, __ATOMIC_RELEASE);
                costs.publish(page.cost);
            }
        }
        return {sessions.size(), false};
    }

    // Stops serving a session that is still in the table.
    void quiesce(Session& session) {
        session.closed.store(true, std::memory_order_release);
        if (device != nullptr) {
            device->leave(session);
        }
        express_poller.remove(session);
        bulk_poller.remove(session);
        bulk.await_executing(session);
        if (sink != nullptr) {
            sink->forget(session.id);
        }
    }

    const Limits limits;
    StreamSink* const sink;
    const unsigned threads;
    cost::Models costs;
    mutable std::shared_mutex mutex;
    std::unordered_map<SessionId, std::unique_ptr<Session>> sessions;
    std::size_t next_bucket = 0;  // express thread
    Poller express_poller;
    Poller bulk_poller;
    ExpressThread express;
    BulkThreads bulk;
    std::unique_ptr<Accelerator> device;  // null: none is wanted
};

Executive::Executive(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<Executive>> Executive::create(const Limits& limits, StreamSink* sink) {
    auto impl = std::make_unique<Impl>(limits, sink);
    if (Status status = impl->start(); !status) {
        return tl::unexpected<Error>(status.error());
    }
    return std::unique_ptr<Executive>(new Executive(std::move(impl)));
}

Executive::~Executive() {
    std::vector<SessionId> ids;
    {
        const std::shared_lock lock(impl_->mutex);
        for (const auto& [id, session] : impl_->sessions) {
            ids.push_back(id);
        }
    }
    for (const SessionId id : ids) {
        remove_session(id);
    }
    impl_->bulk.stop();
    impl_->express.stop();
    impl_->device.reset();
}

Status Executive::add_session(SessionId id, SessionMemory memory) {
    if (Status status = check_memory(id, memory); !status) {
        return status;
    }
    if (memory.handed_over) {
        ring::clear_rings(memory.arena.data(), memory.layout);
    }
    auto owner = std::make_unique<Session>(id, std::move(memory), impl_->limits.keys_per_session);
    Session& session = *owner;
    if (impl_->device != nullptr) {
        impl_->device->join(session);
    }
    yoke_status_page& page = session.view.status_page();
    for (const ring::Consumer& ring : session.rings) {
        ring.set_asleep(true);
    }
    __atomic_store_n(&page.heartbeat_ns, now_ns(), __ATOMIC_RELEASE);
    impl_->costs.publish(page.cost);
    {
        const std::unique_lock lock(impl_->mutex);
        if (impl_->sessions.size() >= sessions_at_most) {
            return fail(ENOBUFS, "the worker serves {} sessions already; close one first", sessions_at_most);
        }
        if (!impl_->sessions.emplace(id, std::move(owner)).second) {
            return fail(EEXIST, "session {} is served already", id);
        }
    }
    for (Poller* poller : {&impl_->express_poller, &impl_->bulk_poller}) {
        if (Status status = poller->add(session); !status) {
            remove_session(id);
            return status;
        }
    }
    impl_->express_poller.interrupt();  // it may sleep without limit; now it owes heartbeats
    return {};
}

void Executive::remove_session(SessionId id) {
    Session* session = nullptr;
    {
        const std::shared_lock lock(impl_->mutex);
        const auto found = impl_->sessions.find(id);
        if (found == impl_->sessions.end() || found->second->leaving.exchange(true)) {
            return;
        }
        session = found->second.get();
    }
    impl_->quiesce(*session);
    std::unique_ptr<Session> last;
    const std::unique_lock lock(impl_->mutex);
    const auto found = impl_->sessions.find(id);
    last = std::move(found->second);
    impl_->sessions.erase(found);
    if (impl_->device != nullptr) {
        impl_->device->bury(std::move(last->device), std::move(last->memory));
    }
}

Result<std::uint32_t> Executive::add_key(SessionId id, const service::Service& service,
                                         std::span<const std::byte> bytes) {
    auto key = service.make_key(bytes, lanes() + 1);
    if (!key) {
        return tl::unexpected<Error>(key.error());
    }
    const std::shared_lock lock(impl_->mutex);
    const auto found = impl_->sessions.find(id);
    if (found == impl_->sessions.end()) {
        return fail(ENOTCONN, "session {} is not served", id);
    }
    auto number = found->second->keys.add(service, std::move(*key));
    if (number && impl_->device != nullptr) {
        impl_->device->add_key(*found->second, *number, service.id(), bytes);
    }
    return number;
}

Result<std::shared_ptr<const service::Key>> Executive::share_key(SessionId id, std::uint32_t key,
                                                                 const service::Service& service) {
    const std::shared_lock lock(impl_->mutex);
    const auto found = impl_->sessions.find(id);
    auto shared = found == impl_->sessions.end() ? nullptr : found->second->keys.share(key, service);
    if (!shared) {
        return fail(ENOKEY, "the session has no key {} for service {}", key, service.name());
    }
    return shared;
}

Status Executive::remove_key(SessionId id, std::uint32_t key) {
    const std::shared_lock lock(impl_->mutex);
    const auto found = impl_->sessions.find(id);
    if (found == impl_->sessions.end()) {
        return fail(ENOTCONN, "session {} is not served", id);
    }
    Status removed = found->second->keys.remove(key);
    if (removed && impl_->device != nullptr) {
        impl_->device->remove_key(*found->second, key);
    }
    return removed;
}

void Executive::complete(const Ticket& ticket, const yoke_completion& completion) noexcept {
    const std::shared_lock lock(impl_->mutex);
    const auto found = impl_->sessions.find(ticket.session);
    if (found != impl_->sessions.end() && ticket.ring < YOKE_RINGS) {
        found->second->complete(ticket, completion);
    }
}

SessionReport Executive::report(SessionId id) const {
    SessionReport report;
    const std::shared_lock lock(impl_->mutex);
    const auto found = impl_->sessions.find(id);
    if (found == impl_->sessions.end()) {
        return report;
    }
    const Session& session = *found->second;
    report.session = id;
    for (const Counters& c : session.counters) {
        // Completed first: a call that ends in between must not make in_flight negative.
        report.completed += c.completed.load(std::memory_order_acquire);
        report.taken += c.taken.load(std::memory_order_acquire);
        report.failed += c.failed.load(std::memory_order_relaxed);
        report.bytes_in += c.bytes_in.load(std::memory_order_relaxed);
        report.bytes_out += c.bytes_out.load(std::memory_order_relaxed);
        report.busy_ns += c.busy_ns.load(std::memory_order_relaxed);
    }
    report.in_flight = report.taken - std::min(report.taken, report.completed);
    report.keys = session.keys.count();
    report.fault = session.fault_member.load(std::memory_order_acquire);
    return report;
}

DeviceReport Executive::device() const {
    return impl_->device == nullptr ? DeviceReport{} : impl_->device->report();
}

unsigned Executive::lanes() const {
    return BulkThreads::first_lane + impl_->threads;
}

}  // namespace yoke::executive
