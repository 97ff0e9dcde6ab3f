// The broker's side of workers that die: what is remembered of it, who hears it, and what happens next.
//
// A worker that dies takes the graphs of its account along, and its clients make them anew at the next worker. What the
// dying worker said of the cause goes to each of them with the answer that leads it to the next worker, or that makes
// it wait: so the one whose kernel it was stops, and the others know whom they wait for.
#include <unistd.h>

#include <array>
#include <climits>
#include <cstdlib>

#include <yoke/yoke.h>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "daemon/broker.hpp"
#include "daemon/kernel_device.hpp"

namespace yoke::daemon {
namespace {

constexpr unsigned deaths_of_one_graph = 2;  // the first may have been chance
constexpr std::size_t killers_max = 64;      // as many names as one message to a worker has

// Where a person finds what yoked and its workers have logged.
std::string where_logged() {
    if (std::getenv("JOURNAL_STREAM") != nullptr) {
        return "`journalctl -t yoked -t yoke-worker` says more";
    }
    std::array<char, PATH_MAX> path{};
    const ssize_t bytes = ::readlink("/proc/self/fd/2", path.data(), path.size());
    const std::string_view target(path.data(), bytes > 0 ? static_cast<std::size_t>(bytes) : 0);
    if (target == "/dev/null" || target.empty()) {
        return "yoked keeps no log: end it and run `yoked --private` by hand to see one";
    }
    return target.starts_with('/') && !target.starts_with("/dev/")
               ? fmt::format("{} says more", printable(target, target.size()))
               : "the standard error of yoked says more";
}

}  // namespace

// A client learns what its worker died of, so that it does not do the same again.
void Broker::tell_death(const Account& account, control::Json& body) {
    if (account.death) {
        body["death"] = {{"pid", account.death->pid},
                         {"object", account.death->words.object},
                         {"why", account.death->words.why},
                         {"log", where_logged()}};
    }
}

// A graph that persists is brought back by the next worker, whose death it may be in turn, and nobody would ever be
// served. `healthy`: the worker had lived for long, so that the graph does not do it each time.
void Broker::blame(Account& account, const std::string& object, bool healthy) {
    if (healthy || account.killers.size() >= killers_max) {
        account.killers.clear();
    }
    if (const std::string graph = object.substr(0, object.find('/', 1)); !graph.empty()) {
        ++account.killers[graph];
    }
}

control::Json Broker::dangerous_graphs(const Account& account) {
    control::Json names = control::Json::array();
    for (const auto& [graph, deaths] : account.killers) {
        if (deaths >= deaths_of_one_graph) {
            names.push_back(graph);
        }
    }
    return names;
}

std::string Broker::last_death(const Account& account) {
    if (!account.death) {
        return {};
    }
    const LastWords& words = account.death->words;
    return words.object.empty() ? fmt::format(" (the last time: {})", words.why)
                                : fmt::format(" (the last time while running {}: {})", words.object, words.why);
}

// For somebody who has not caused any death and does not want to wait.
std::string Broker::way_out() const {
    return options_.private_instance ? "or begin afresh with `yoke shutdown`"
                                     : "or ask the administrator to restart yoked, which forgets it";
}

void Broker::on_worker_died(uid_t uid, const std::string& how) {
    Account& account = account_of(uid);
    const std::unique_ptr<Worker> worker = std::move(account.worker);
    const Worker::State state = worker->state();
    const auto pid = worker->process().name.pid;
    write_roster();
    if (state == Worker::State::ending) {
        log_info(Topic::daemon, "worker ended", {{"account", uid}, {"pid", pid}, {"how", how}});
    } else {
        blame(account, worker->last_words().object, account.supervision.healthy(now_ns()));
        account.supervision.died(now_ns(), options_.config);
        account.death = Death{pid, worker->last_words()};
        log_warning(Topic::daemon, "worker died",
                    {{"account", uid},
                     {"pid", pid},
                     {"state", worker->state_name()},
                     {"how", how},
                     {"object", account.death->words.object},
                     {"why", account.death->words.why}});
        if (account.death->words.why.empty()) {
            account.death->words.why = how;
        }
    }
    if (!worker->has_started()) {
        fail_waiting(
            account,
            {EIO, fmt::format("worker of account {} ended while it started ({}); yoked's log says why", uid, how)}, 0);
    }
    account.wanted = uid == YOKE_ACCOUNT_KERNEL ? kernel_wants_worker() : options_.state.wants_worker(uid);
    if ((account.wanted || !account.waiting.empty()) && !ending_) {
        ensure_worker(account);
    }
    on_reported(uid, 0);
    changed();
}

}  // namespace yoke::daemon
