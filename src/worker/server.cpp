// Sessions come from yoked and go by themselves; the end of the worker is the end of the last session.
#include "worker/server.hpp"

#include <unistd.h>

#include <algorithm>
#include <limits>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "control/limits.hpp"

namespace yoke::worker {
namespace {

constexpr unsigned graph_threads = 4;    // one waits for the compiler, others open objects meanwhile
constexpr unsigned closing_threads = 2;  // one may wait for a kernel that runs long
constexpr unsigned end_timeout_s = 10;   // then SIGALRM ends what hangs, e.g. a kernel that never returns
// Sockets beyond the account's sessions: adopted, so that they hear an error, as long as there are few.
constexpr std::uint64_t sessions_refused_max = 64;
// The kernel gives the device to one process at a time, and takes it from one that dies when its last page is unmapped.
constexpr std::uint64_t kernel_patience_ns = 10'000'000'000;
constexpr std::uint64_t kernel_retry_ns = 2'000'000;
constexpr std::uint64_t ns_per_us = 1000;
constexpr std::uint64_t restore_gap_min_ns = 1'000'000'000;  // between attempts to bring graphs back
constexpr std::uint64_t restore_gap_max_ns = 60'000'000'000;

control::Json device_record(const executive::DeviceReport& report) {
    return {{"name", "cuda"},
            {"description", report.description.empty() ? control::Json() : control::Json(report.description)},
            {"state", report.state},
            {"error", report.error.empty() ? control::Json() : control::Json(report.error)},
            {"resident", report.resident},
            {"launches", report.launches},
            {"rings", report.rings},
            {"express_calls", report.express_calls},
            {"bulk_calls", report.bulk_calls}};
}

template <typename Number>
Number clamp_to(std::uint64_t value) {
    return static_cast<Number>(std::min<std::uint64_t>(value, std::numeric_limits<Number>::max()));
}

}  // namespace

Result<std::unique_ptr<Server>> Server::create(control::Loop& loop, Identity identity, Fd link, Result<Fd> spawner) {
    std::unique_ptr<Server> server(new Server(loop, std::move(spawner), identity.state_directory));
    if (auto started = server->start_parts(identity.spin_us * ns_per_us); !started) {
        return tl::unexpected(started.error());
    }
    Server* self = server.get();
    server->kernel_device_ = identity.kernel_device;
    auto opened =
        Link::open(loop, std::move(identity), std::move(link),
                   {[self](const control::Json& request, Fd socket) { self->adopt(request, std::move(socket)); },
                    [self](const control::Json& request) {
                        self->set_limits(request["limits"]);
                        self->graphs_.leave_out(request.value("without", control::Json::array()));
                        self->restore();
                    },
                    [self](const std::string& why) { self->end(why); }, [self] { return self->inventory(); }});
    if (!opened) {
        return tl::unexpected(opened.error());
    }
    server->link_ = std::move(*opened);
    if (!server->kernel_device_.empty()) {
        auto timer = loop.on_timer([self] { self->open_kernel(); });
        if (!timer) {
            return tl::unexpected(timer.error());
        }
        server->kernel_timer_ = std::move(*timer);
        server->kernel_until_ns_ = now_ns() + kernel_patience_ns;
        server->kernel_timer_.arm(now_ns());
    }
    return server;
}

Server::Server(control::Loop& loop, Result<Fd> spawner, std::string state_directory)
    : loop_(loop),
      engine_(std::move(spawner), wants_cuda()),
      graphs_(engine_, std::move(state_directory)),
      streams_(engine_) {}

Status Server::start_parts(std::uint64_t spin_ns) {
    executive::Limits limits;
    limits.express_spin_ns = spin_ns;
    limits.keys_per_session = control::session_keys_max;
    limits.cuda = wants_cuda();
    limits.device_faults = wants_device_faults();
    auto executive = executive::Executive::create(limits, &streams_);
    if (!executive) {
        return tl::unexpected(executive.error());
    }
    executive_ = std::move(*executive);
    streams_.serve(*executive_);
    engine_.lend_keys(
        [this, turn = std::make_shared<std::mutex>()](std::uint32_t session, std::uint32_t key,
                                                      const service::Service& service) -> Result<graph::LentKey> {
            auto shared = executive_->share_key(session, key, service);
            if (!shared) {
                return tl::unexpected(shared.error());
            }
            return graph::LentKey{std::move(*shared), executive_->graph_lane(), turn};
        });
    auto graph_jobs = Pool::create(loop_, graph_threads);
    if (!graph_jobs) {
        return tl::unexpected(graph_jobs.error());
    }
    graph_jobs_ = std::move(*graph_jobs);
    auto closing_jobs = Pool::create(loop_, closing_threads);
    if (!closing_jobs) {
        return tl::unexpected(closing_jobs.error());
    }
    closing_jobs_ = std::move(*closing_jobs);
    auto timer = loop_.on_timer([this] { restore(); });
    if (!timer) {
        return tl::unexpected(timer.error());
    }
    restore_timer_ = std::move(*timer);
    const auto changed = [this] {
        if (link_) {
            link_->changed();
        }
    };
    services_ = std::make_unique<Services>(
        Services{loop_, *executive_, engine_, graphs_, *graph_jobs_, *closing_jobs_, Allowance(), changed});
    return {};
}

void Server::set_limits(const control::Json& limits) {
    Allowance& allowance = services_->allowance;
    allowance.sessions = limits.value("sessions", allowance.sessions);
    allowance.arena_bytes = limits.value("arena_bytes", allowance.arena_bytes);
    allowance.keys = limits.value("keys", allowance.keys);
    allowance.graph.graphs = clamp_to<std::uint32_t>(limits.value("graphs", std::uint64_t{allowance.graph.graphs}));
    allowance.graph.objects_per_graph =
        clamp_to<std::uint32_t>(limits.value("objects", std::uint64_t{allowance.graph.objects_per_graph}));
}

void Server::adopt(const control::Json& request, Fd socket) {
    ++adopted_;
    set_limits(request["limits"]);
    const Allowance& allowance = services_->allowance;
    services_->changed();
    if (ending_ || allowance.sessions_open >= allowance.sessions + sessions_refused_max) {
        return;  // the socket closes
    }
    const executive::SessionId id = ++last_session_;
    auto session =
        Session::adopt(*services_, id, request["client_pid"].get<pid_t>(), request["client_uid"].get<uid_t>(),
                       std::move(socket), [this](executive::SessionId gone) { on_session_gone(gone); });
    if (!session) {
        log_warning(Topic::worker, "session cannot be served", {{"error", session.error().message}});
        return;
    }
    sessions_.emplace(id, std::move(*session));
    if (id == 1) {
        // Beside everything else: services don't wait for it, and the first graph hardly does.
        graph_jobs_->submit([this, limits = allowance.graph] { (void)engine_.open(limits); },
                            [this] { services_->changed(); });
    }
}

// What cannot be brought back now (a camera that is not there yet, a folder that is not mounted) is tried again.
void Server::restore() {
    if (restoring_ || ending_) {
        return;
    }
    restoring_ = true;
    const auto all = std::make_shared<bool>(false);
    graph_jobs_->submit([this, all, limits = services_->allowance.graph] { *all = graphs_.restore(limits); },
                        [this, all] {
                            restoring_ = false;
                            services_->changed();
                            if (!*all) {
                                restore_gap_ns_ =
                                    std::clamp(2 * restore_gap_ns_, restore_gap_min_ns, restore_gap_max_ns);
                                restore_timer_.arm(now_ns() + restore_gap_ns_);
                            }
                        });
}

// The kernel is the only client of this worker: without it there is nothing to live for.
void Server::open_kernel() {
    if (ending_) {
        return;
    }
    auto session = KernelSession::open(loop_, *executive_, ++last_session_, kernel_device_,
                                       {[this] { link_->changed(); },
                                        [this](const std::string& why) {
                                            log_error(Topic::worker, "the kernel is served no more", {{"why", why}});
                                            end(why);
                                        }});
    if (session) {
        kernel_ = std::move(*session);
        link_->changed();
    } else if (session.error().code == EBUSY && now_ns() < kernel_until_ns_) {
        kernel_timer_.arm(now_ns() + kernel_retry_ns);
    } else {
        log_error(Topic::worker, "the kernel cannot be served", {{"error", session.error().message}});
        loop_.exit(1);
    }
}

void Server::end(const std::string& why) {
    if (ending_) {
        return;
    }
    log_info(Topic::worker, "worker ends", {{"why", why}, {"sessions", sessions_.size()}});
    ending_ = true;
    ::alarm(end_timeout_s);
    kernel_.reset();
    for (const auto& [id, session] : sessions_) {
        session->drop();
    }
    if (sessions_.empty()) {
        loop_.exit(0);
    }
}

void Server::on_session_gone(executive::SessionId id) {
    sessions_.erase(id);
    if (ending_ && sessions_.empty()) {
        loop_.exit(0);
    }
}

control::Json Server::inventory() const {
    control::Json inventory = control::Json::object();
    if (const graph::Runtime* runtime = engine_.runtime()) {
        inventory = runtime->inventory();
    }
    control::Json& graphs = inventory["graphs"];
    for (const control::Json& record : graphs_.records()) {
        const auto same = [&](const control::Json& graph) { return graph["name"] == record["name"]; };
        if (graphs.is_null() || std::ranges::none_of(graphs, same)) {
            graphs.push_back(record);
        }
    }
    control::Json sessions = control::Json::array();
    control::Json keys = control::Json::array();
    for (const auto& [id, session] : sessions_) {
        sessions.push_back(session->record());
        keys.push_back(session->key_record());
    }
    if (kernel_) {
        sessions.push_back(kernel_->record());
        keys.push_back(kernel_->key_record());
    }
    control::Json services = control::Json::array();
    for (const service::Service* service : service::all()) {
        services.push_back({{"id", service->id()},
                            {"name", service->name()},
                            {"summary", service->summary()},
                            {"needs_key", service->needs_key()}});
    }
    inventory["sessions"] = std::move(sessions);
    inventory["keys"] = std::move(keys);
    inventory["services"] = std::move(services);
    inventory["devices"] = engine_.devices();
    if (const executive::DeviceReport device = executive_->device();
        device.state == "open" || device.state == "failed") {
        control::Json& devices = inventory["devices"];
        const auto same = std::find_if(devices.begin(), devices.end(),
                                       [](const control::Json& other) { return other.at("name") == "cuda"; });
        if (same != devices.end()) {  // graphs run there too
            same->update(device_record(device));
        } else {
            devices.push_back(device_record(device));
        }
    }
    inventory["adopted"] = adopted_;
    return inventory;
}

}  // namespace yoke::worker
