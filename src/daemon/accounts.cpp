// The broker's side of accounts: which worker serves whom, when it is started, and what its death means.
//
// An account has at most one worker. A request to connect is answered once that worker has registered, so that a worker
// that cannot start is an error with a reason and not a session that hangs up.
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>

#include <uapi/yoke.h>
#include <uapi/yoke_kernel.h>
#include <yoke/yoke.h>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "daemon/broker.hpp"
#include "daemon/kernel_device.hpp"

namespace yoke::daemon {
namespace {

constexpr std::uint64_t ns_per_ms = 1'000'000;
constexpr std::size_t waiting_per_account = 1024;
constexpr std::uint64_t patience_ns = 2'000'000'000;  // longer pauses are told to the client instead of waited for
constexpr std::size_t accounts_max = 4096;  // remembered; beyond, those without worker and history are forgotten

// Variables that a worker of a private instance takes over: where its user keeps things, which device and
// OpenCL platform he wants, whether tests may have it fail, and how sanitizers report. A worker of the system instance
// gets none of them.
constexpr std::array<std::string_view, 12> inherited{"HOME",
                                                     "PATH",
                                                     "LANG",
                                                     "TMPDIR",
                                                     "XDG_CACHE_HOME",
                                                     "XDG_RUNTIME_DIR",
                                                     "OCL_ICD_VENDORS",
                                                     "OCL_ICD_FILENAMES",
                                                     "LD_LIBRARY_PATH",
                                                     "YOKE_DEVICE",
                                                     "YOKE_DEVICE_FAULTS",
                                                     "YOKE_LIBEXEC_DIR"};
constexpr std::array<std::string_view, 7> inherited_prefixes{"POCL_",  "YOKE_OPENCL", "CUDA_", "ASAN_",
                                                             "UBSAN_", "LSAN_",       "TSAN_"};

bool is_inherited(std::string_view variable) {
    const std::string_view name = variable.substr(0, variable.find('='));
    return std::find(inherited.begin(), inherited.end(), name) != inherited.end() ||
           std::any_of(inherited_prefixes.begin(), inherited_prefixes.end(),
                       [&](std::string_view prefix) { return name.starts_with(prefix); });
}

// Under a service manager the worker keeps compiled kernels in a directory of its account below yoked's own.
std::string cache_directory(uid_t account, uid_t user) {
    const char* base = std::getenv("CACHE_DIRECTORY");
    if (base == nullptr || base[0] != '/') {
        return {};
    }
    std::string path = fmt::format("{}/{}", base, account);
    if ((::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) ||
        ::lchown(path.c_str(), user, static_cast<gid_t>(-1)) != 0) {
        log_warning(Topic::daemon, "cache of an account cannot be made",
                    {{"path", path}, {"error", std::strerror(errno)}});
        return {};
    }
    return path;
}

std::vector<std::string> worker_environment(bool private_instance, uid_t account, uid_t user) {
    std::vector<std::string> environment;
    if (!private_instance) {
        environment.emplace_back("PATH=/usr/local/bin:/usr/bin:/bin");
        environment.emplace_back("LANG=C.UTF-8");
        if (const std::string cache = cache_directory(account, user); !cache.empty()) {
            environment.push_back("XDG_CACHE_HOME=" + cache);
        }
        // Where stderr is the journal, messages carry their priority.
        if (const char* journal = std::getenv("JOURNAL_STREAM")) {
            environment.push_back(fmt::format("JOURNAL_STREAM={}", journal));
        }
        return environment;
    }
    for (char** variable = environ; *variable != nullptr; ++variable) {
        if (is_inherited(*variable)) {
            environment.emplace_back(*variable);
        }
    }
    return environment;
}

}  // namespace

Broker::Account& Broker::account_of(uid_t uid) {
    if (accounts_.size() >= accounts_max) {
        std::erase_if(accounts_, [](const auto& entry) {
            const Account& account = entry.second;
            return !account.worker && account.waiting.empty() && account.supervision.deaths() == 0 &&
                   account.supervision.suspects() == 0;
        });
    }
    Account& account = accounts_[uid];
    account.uid = uid;
    return account;
}

void Broker::on_connect(ClientId id, const control::Json& request) {
    const Client& client = clients_.at(id);
    const std::uint64_t now = now_ns();
    const auto refuse = [&](const Error& error, std::uint64_t retry_ms = 0) {
        control::Json body = control::answer_error(request, error);
        if (retry_ms != 0) {
            body["retry_ms"] = retry_ms;
            tell_death(accounts_.find(client.peer.uid)->second, body);
        }
        answer(id, body);
    };
    if (request["version"] != YOKE_ABI_VERSION) {
        refuse({EPROTO, fmt::format("the client speaks version {} of the interface and yoked version {}; install "
                                    "matching versions",
                                    request["version"].get<std::uint64_t>(), YOKE_ABI_VERSION)});
        return;
    }
    if (client.peer.uid == YOKE_ACCOUNT_KERNEL) {
        refuse({EACCES, "this user has the number of the kernel's account and cannot be served"});
        return;
    }
    if (::geteuid() != 0 && client.peer.uid != ::geteuid()) {
        refuse({EACCES, fmt::format("this yoked belongs to user {} and serves nobody else; start one of your own",
                                    ::geteuid())});
        return;
    }
    Account& account = account_of(client.peer.uid);
    account.supervision.suspected(request.value("suspects", std::uint64_t{0}), now, options_.config);
    if (const std::uint64_t barred = account.supervision.barred_ns(now); barred != 0) {
        refuse(
            {EBUSY, fmt::format("account {} is barred from its worker for {} ms, because too much was executing when "
                                "its workers died{}; wait until then, mend or leave out what kills them, {}",
                                account.uid, barred / ns_per_ms + 1, last_death(account), way_out())},
            barred / ns_per_ms + 1);
        return;
    }
    if (account.waiting.size() >= waiting_per_account) {
        refuse({EBUSY, fmt::format("{} of account {} wait for its worker already",
                                   counted(account.waiting.size(), "client"), account.uid)},
               100);
        return;
    }
    account.waiting.push_back({id, request});
    if (account.worker && account.worker->state() == Worker::State::running) {
        serve_waiting(account);
    } else if (!account.worker) {
        ensure_worker(account);
    }
    changed();
}

void Broker::serve_waiting(Account& account) {
    while (!account.waiting.empty() && account.worker && account.worker->can_adopt()) {
        const Waiting waiting = std::move(account.waiting.front());
        account.waiting.pop_front();
        hand_session(account, waiting);
    }
}

void Broker::fail_waiting(Account& account, const Error& error, std::uint64_t retry_ms) {
    for (const Waiting& waiting : std::exchange(account.waiting, {})) {
        control::Json body = control::answer_error(waiting.request, error);
        if (retry_ms != 0) {
            body["retry_ms"] = retry_ms;
        }
        tell_death(account, body);
        answer(waiting.client, body);
    }
}

// What the account may have, less what the others leave of the total. A worker that says it has more than its account
// may have is not believed: its lie would use up what is the others'.
Result<control::Json> Broker::limits_for(const Account& account) const {
    const Config& config = options_.config;
    std::uint64_t other_sessions = 0;
    std::uint64_t other_bytes = 0;
    for (const auto& [uid, other] : accounts_) {
        if (other.worker && uid != account.uid) {
            other_sessions += std::min(other.worker->sessions(), config.account_sessions);
            other_bytes += std::min(other.worker->inventory().arena_bytes(), config.account_arena_bytes);
        }
    }
    const std::uint64_t sessions = account.worker->sessions();
    if (sessions >= config.account_sessions) {
        return fail(ENOBUFS, "account {} has {}; close some or raise limits.account.sessions", account.uid,
                    counted(sessions, "session"));
    }
    if (sessions + other_sessions >= config.total_sessions) {
        return fail(ENOBUFS, "all accounts together have {}; close some or raise limits.total.sessions",
                    counted(sessions + other_sessions, "session"));
    }
    const std::uint64_t bytes_left = config.total_arena_bytes - std::min(config.total_arena_bytes, other_bytes);
    return control::Json{{"sessions", config.account_sessions},
                         {"arena_bytes", std::min(config.account_arena_bytes, bytes_left)},
                         {"graphs", config.account_graphs},
                         {"objects", config.account_objects},
                         {"keys", config.account_keys}};
}

void Broker::hand_session(Account& account, const Waiting& waiting) {
    const auto client = clients_.find(waiting.client);
    if (client == clients_.end()) {
        return;
    }
    const auto refuse = [&](const Error& error) {
        answer(waiting.client, control::answer_error(waiting.request, error));
    };
    const auto limits = limits_for(account);
    if (!limits) {
        refuse(limits.error());
        return;
    }
    int ends[2] = {-1, -1};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
        refuse({errno, "yoked has no descriptors left for a session; close some"});
        return;
    }
    Fd client_end(ends[0]);
    Fd worker_end(ends[1]);
    Fd pidfd(::fcntl(account.worker->process().pidfd.get(), F_DUPFD_CLOEXEC, 0));
    if (!pidfd) {
        refuse({errno, "yoked has no descriptors left for a session; close some"});
        return;
    }
    control::Json body = control::answer(waiting.request);
    body["account"] = account.uid;
    body["worker_pid"] = account.worker->process().name.pid;
    body["generation"] = account.worker->generation();
    tell_death(account, body);
    account.worker->adopt(client->second.peer, *limits, std::move(worker_end));
    std::vector<Fd> fds;
    fds.push_back(std::move(client_end));
    fds.push_back(std::move(pidfd));
    answer(waiting.client, body, std::move(fds));
    account.idle_since_ns = now_ns();
}

void Broker::ensure_worker(Account& account) {
    const std::uint64_t now = now_ns();
    const std::uint64_t start_at = account.supervision.start_at_ns();
    if (start_at > now + patience_ns) {
        fail_waiting(account,
                     {EBUSY, fmt::format("the worker of account {} has died {}{} and is started again in {} ms; "
                                         "wait until then, {}",
                                         account.uid, counted(account.supervision.deaths(), "time"),
                                         last_death(account), (start_at - now) / ns_per_ms, way_out())},
                     (start_at - now) / ns_per_ms + 1);
        return;
    }
    if (start_at > now) {
        return;  // the next tick comes back
    }
    const auto workers = static_cast<std::uint64_t>(std::count_if(
        accounts_.begin(), accounts_.end(), [](const auto& entry) { return entry.second.worker != nullptr; }));
    if (workers >= options_.config.total_workers) {
        fail_waiting(account,
                     {ENOBUFS, fmt::format("the limit of {} is reached; wait or raise limits.total.workers",
                                           counted(workers, "worker"))},
                     0);
        return;
    }
    if (auto started = start_worker(account); !started) {
        log_error(Topic::daemon, "worker cannot be started",
                  {{"account", account.uid}, {"error", started.error().message}});
        account.supervision.started(now);
        account.supervision.died(now, options_.config);
        fail_waiting(account, started.error(), 0);
    }
}

Worker::Times Broker::worker_times(std::uint64_t timeout_ms) const {
    const std::uint64_t now = now_ns();
    return {now + timeout_ms * ns_per_ms, options_.config.recover_timeout_ms * ns_per_ms,
            now + options_.config.lease_ms * ns_per_ms};
}

Status Broker::start_worker(Account& account) {
    int ends[2] = {-1, -1};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
        return fail_errno("no descriptors are left for a worker");
    }
    Fd own(ends[0]);
    const std::uint64_t generation = account.generation + 1;
    const bool kernels = account.uid == YOKE_ACCOUNT_KERNEL;
    const uid_t user = kernels ? kernel_user().value_or(0) : account.uid;
    std::vector<std::string> environment = worker_environment(options_.private_instance, account.uid, user);
    if (kernels) {
        environment.push_back(fmt::format("YOKE_WORKER_DEVICE={}", YOKE_KERNEL_DEVICE));
    } else if (const std::string state = options_.state.of(account.uid); !state.empty()) {
        options_.state.prepare(account.uid);
        environment.push_back("YOKE_STATE_DIR=" + state);
    }
    environment.push_back(fmt::format("YOKE_WORKER_TOKEN={}", secret_.token(account.uid, generation)));
    environment.push_back(fmt::format("YOKE_WORKER_GENERATION={}", generation));
    environment.push_back(fmt::format("YOKE_WORKER_ALONE_S={}", options_.config.worker_alone_s));
    environment.push_back(fmt::format("YOKE_WORKER_SPIN_US={}", options_.config.worker_spin_us));
    environment.push_back(fmt::format("YOKE_SOCKET={}", options_.socket));
    environment.push_back(fmt::format("YOKE_LOG={}", log_spec(options_.config)));
    auto process = launch({options_.worker_program, user, std::move(environment), Fd(ends[1]), kernels});
    if (!process) {
        return tl::unexpected(process.error());
    }
    account.generation = generation;
    account.user = user;
    const pid_t pid = process->name.pid;
    auto worker = Worker::watch(loop_, secret_, account.uid, generation, std::move(*process), std::move(own),
                                worker_times(options_.config.start_timeout_ms), worker_handlers(account.uid));
    if (!worker) {
        return tl::unexpected(worker.error());
    }
    account.worker = std::move(*worker);
    account.wanted = false;
    account.supervision.started(now_ns());
    write_roster();
    log_info(Topic::daemon, "worker started", {{"account", account.uid}, {"pid", pid}, {"generation", generation}});
    changed();
    return {};
}

Worker::Handlers Broker::worker_handlers(uid_t uid) {
    return {[this, uid] {
                Account& account = account_of(uid);
                account.idle_since_ns = now_ns();
                log_info(Topic::daemon, "worker registered",
                         {{"account", uid}, {"pid", account.worker->process().name.pid}});
                if (ending_) {
                    account.worker->end(now_ns());
                } else {
                    if (options_.state.wants_worker(uid)) {
                        account.worker->restore(
                            {{"graphs", options_.config.account_graphs}, {"objects", options_.config.account_objects}},
                            dangerous_graphs(account));
                    }
                    serve_waiting(account);
                }
                ask_reports(account);
                changed();
            },
            [this, uid] { serve_waiting(account_of(uid)); },
            [this, uid](std::uint64_t report) {
                if (report != 0) {
                    on_reported(uid, report);
                }
                if (on_change) {
                    on_change();
                }
            },
            [this, uid](const std::string& how) { on_worker_died(uid, how); }};
}

void Broker::recover_workers() {
    const auto entries = load_roster(options_.directory + "/workers");
    if (!entries) {
        log_warning(Topic::daemon, "list of workers is unreadable and ignored", {{"error", entries.error().message}});
        return;
    }
    for (const RosterEntry& entry : *entries) {
        Account& account = account_of(entry.account);
        account.generation = std::max(account.generation, entry.generation);
        auto process = find_process(entry.process);
        if (!process || account.worker) {
            continue;
        }
        auto worker = Worker::watch(loop_, secret_, entry.account, entry.generation, std::move(*process), Fd(),
                                    worker_times(options_.config.recover_timeout_ms), worker_handlers(entry.account));
        if (worker) {
            account.worker = std::move(*worker);
            account.supervision.started(started_ns_);
            log_info(Topic::daemon, "worker found", {{"account", entry.account}, {"pid", entry.process.pid}});
        }
    }
    write_roster();
}

// Graphs that persist need no client: their accounts' workers are started with yoked.
void Broker::start_wanted_workers() {
    for (const uid_t uid : options_.state.accounts()) {
        if ((::geteuid() == 0 || uid == ::geteuid()) && options_.state.wants_worker(uid)) {
            Account& account = account_of(uid);
            account.wanted = !account.worker;
            if (account.wanted) {
                ensure_worker(account);
            }
        }
    }
}

void Broker::write_roster() {
    std::vector<RosterEntry> entries;
    for (const auto& [uid, account] : accounts_) {
        if (account.worker) {
            entries.push_back({uid, account.worker->generation(), account.worker->process().name});
        }
    }
    if (auto saved = save_roster(options_.directory + "/workers", entries); !saved) {
        log_error(Topic::daemon, "list of workers cannot be saved", {{"error", saved.error().message}});
    }
}

}  // namespace yoke::daemon
