// Making a broker, ending it, and everything that time brings about. One timer serves all deadlines: it runs often
// while somebody waits, seldom while only leases must be renewed, and not at all when nothing depends on the clock.
#include "daemon/broker.hpp"

#include <fcntl.h>

#include <algorithm>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "base/text.hpp"

namespace yoke::daemon {
namespace {

constexpr std::uint64_t ns_per_ms = 1'000'000;
constexpr std::uint64_t ns_per_s = 1'000'000'000;
constexpr std::uint64_t busy_tick_ns = 50 * ns_per_ms;    // while somebody waits for a deadline
constexpr std::uint64_t calm_tick_ns = 1000 * ns_per_ms;  // at most; leases ask for more
constexpr std::uint64_t renewals_per_lease = 4;

}  // namespace

Broker::Broker(control::Loop& loop, Options options, Fd listener, const Secret& secret)
    : loop_(loop),
      options_(std::move(options)),
      secret_(secret),
      listener_(std::move(listener)),
      spare_(::open("/dev/null", O_RDONLY | O_CLOEXEC)),
      started_ns_(now_ns()),
      pipes_(started_ns_),
      idle_since_ns_(started_ns_) {}

Result<std::unique_ptr<Broker>> Broker::create(control::Loop& loop, Options options, Fd listener) {
    auto secret = Secret::load_or_create(options.directory + "/secret");
    if (!secret) {
        return tl::unexpected(secret.error());
    }
    std::unique_ptr<Broker> broker(new Broker(loop, std::move(options), std::move(listener), *secret));
    auto accept =
        loop.on_io(broker->listener_.get(), EPOLLIN, [self = broker.get()](std::uint32_t) { self->on_accept(); });
    if (!accept) {
        return tl::unexpected(accept.error());
    }
    broker->accept_ = std::move(*accept);
    auto tick = loop.on_timer([self = broker.get()] { self->on_tick(); });
    if (!tick) {
        return tl::unexpected(tick.error());
    }
    broker->tick_ = std::move(*tick);
    broker->recover_workers();
    broker->start_wanted_workers();
    if (!broker->options_.private_instance) {
        auto device = KernelDevice::watch(loop, [self = broker.get()] { self->serve_kernel(); });
        if (!device) {
            return tl::unexpected(device.error());
        }
        broker->kernel_device_ = std::move(*device);
        broker->serve_kernel();
    }
    broker->schedule_tick();
    return broker;
}

void Broker::set_config(Config config) {
    options_.config = std::move(config);
    serve_kernel();
    changed();
}

void Broker::shut_down() {
    if (ending_) {
        return;
    }
    log_info(Topic::daemon, "yoked ends", {{"workers", accounts_.size()}});
    ending_ = true;
    accept_ = control::Source();
    listener_.reset();
    if (on_shut_down) {
        on_shut_down();
    }
    for (auto& [uid, account] : accounts_) {
        fail_waiting(account, {ECONNREFUSED, "yoked is being shut down; start it again"}, 0);
        if (account.worker) {
            account.worker->end(now_ns());
        }
    }
    changed();
}

std::string Broker::summary() const {
    std::size_t workers = 0;
    std::uint64_t sessions = 0;
    for (const auto& [uid, account] : accounts_) {
        if (account.worker) {
            ++workers;
            sessions += account.worker->sessions();
        }
    }
    return fmt::format("{}, {}, {}{}", counted(workers, "worker"), counted(sessions, "session"),
                       counted(clients_.size(), "connection"), ending_ ? ", ending" : "");
}

void Broker::changed() {
    schedule_tick();
    if (on_change) {
        on_change();
    }
}

// Somebody waits for a deadline: look often. Leases run: renew in time. Else nothing needs the clock, except the wish
// of a private instance to end.
void Broker::schedule_tick() {
    bool waiting = ending_ || !listings_.empty();
    bool leases = false;
    for (const auto& [uid, account] : accounts_) {
        const bool running = account.worker && account.worker->state() == Worker::State::running;
        waiting = waiting || !account.waiting.empty() || account.wanted || (account.worker && !running);
        leases = leases || running;
    }
    if (!waiting && !leases && !options_.private_instance) {
        tick_.disarm();
        tick_at_ns_ = 0;
        return;
    }
    const std::uint64_t calm = std::min(calm_tick_ns, options_.config.lease_ms * ns_per_ms / renewals_per_lease);
    const std::uint64_t at = now_ns() + (waiting ? busy_tick_ns : calm);
    // Never later than it stands: requests that keep coming must not put it off.
    if (tick_at_ns_ == 0 || at < tick_at_ns_) {
        tick_at_ns_ = at;
        tick_.arm(at);
    }
}

void Broker::on_tick() {
    const std::uint64_t now = now_ns();
    tick_at_ns_ = 0;
    bool workers = false;
    bool wanted = false;
    for (auto& [uid, account] : accounts_) {
        tick_account(account, now);
        workers = workers || account.worker;
        wanted = wanted || account.wanted;
    }
    std::vector<std::uint64_t> late;
    for (const auto& [report, listing] : listings_) {
        if (now >= listing.deadline_ns) {
            late.push_back(report);
        }
    }
    for (const std::uint64_t report : late) {
        const auto node = listings_.extract(report);
        finish_listing(node.mapped());
    }
    if (ending_ && !workers) {
        loop_.exit(0);
        return;
    }
    if (workers || wanted || !clients_.empty()) {
        idle_since_ns_ = now;
    } else if (options_.private_instance && now - idle_since_ns_ >= options_.config.idle_exit_s * ns_per_s) {
        log_info(Topic::daemon, "idle: nobody is connected", {});
        shut_down();
    }
    schedule_tick();
}

void Broker::tick_account(Account& account, std::uint64_t now) {
    if (!account.worker) {
        if ((account.wanted || !account.waiting.empty()) && !ending_) {
            ensure_worker(account);
        }
        return;
    }
    Worker& worker = *account.worker;
    worker.tick(now, now + options_.config.lease_ms * ns_per_ms);
    if (worker.state() != Worker::State::running || worker.busy() || !account.waiting.empty()) {
        account.idle_since_ns = now;
    } else if (now - account.idle_since_ns >= options_.config.worker_linger_s * ns_per_s) {
        log_info(Topic::daemon, "worker is idle and ends",
                 {{"account", account.uid}, {"pid", worker.process().name.pid}});
        worker.end(now);
    }
}

}  // namespace yoke::daemon
