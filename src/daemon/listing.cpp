// The broker's answers about what there is: status, and list with fresh reports of the workers.
//
// A worker that hangs must not hang yoked: a listing has a deadline, and is then answered from the last reports; the
// member "stale" names the accounts whose report is old.
#include <uapi/yoke.h>
#include <yoke/yoke.h>

#include <algorithm>

#include "base/clock.hpp"
#include "control/kept_graph.hpp"
#include "daemon/broker.hpp"

namespace yoke::daemon {
namespace {

constexpr std::uint64_t ns_per_ms = 1'000'000;
constexpr std::size_t listings_max = 1024;

}  // namespace

control::Json Broker::worker_summary(const Account& account) const {
    const std::uint64_t now = now_ns();
    const Worker* worker = account.worker.get();
    control::Json summary{{"account", account.uid},
                          {"pid", nullptr},
                          {"generation", account.generation},
                          {"state", worker != nullptr ? worker->state_name() : "none"},
                          {"sessions", 0},
                          {"graphs", 0},
                          {"deaths", account.supervision.deaths()},
                          {"suspects", account.supervision.suspects()},
                          {"barred_ms", account.supervision.barred_ns(now) / ns_per_ms},
                          {"gate", nullptr}};
    if (worker != nullptr) {
        summary["pid"] = worker->process().name.pid;
        summary["sessions"] = worker->sessions();
        summary["graphs"] = worker->inventory().count("graphs");
        if (const Gate* gate = worker->gate()) {
            const std::uint64_t until = gate->lease_until_ns();
            summary["gate"] = {{"state", control::name_of(gate->state(now))},
                               {"lease_ms", until > now ? (until - now) / ns_per_ms : 0}};
        }
    }
    return summary;
}

void Broker::on_status(ClientId id, const control::Json& request) {
    const Client& client = clients_.at(id);
    control::Json body = control::answer(request);
    body["version"] = fmt::format("{}.{}.{}", YOKE_VERSION_MAJOR, YOKE_VERSION_MINOR, YOKE_VERSION_PATCH);
    body["abi"] = YOKE_ABI_VERSION;
    body["pid"] = ::getpid();
    body["uptime_ns"] = now_ns() - started_ns_;
    body["instance"] = options_.private_instance ? "private" : "system";
    body["socket"] = options_.socket;
    body["workers"] = control::Json::array();
    for (const auto& [uid, account] : accounts_) {
        if (is_superior(client) || uid == client.peer.uid) {
            body["workers"].push_back(worker_summary(account));
        }
    }
    answer(id, body);
}

void Broker::on_list(ClientId id, const control::Json& request) {
    const Client& client = clients_.at(id);
    const std::string kind = request.value("kind", std::string());
    if (listings_.size() >= listings_max) {
        answer(id, control::answer_error(request, {EBUSY, "too many listings are being made; try again"}));
        return;
    }
    Listing listing{id, request, {}, {}, {}, now_ns() + options_.config.report_timeout_ms * ns_per_ms};
    const std::uint64_t report = ++last_report_;
    for (auto& [uid, account] : accounts_) {
        if (!is_superior(client) && uid != client.peer.uid) {
            continue;
        }
        listing.accounts.insert(uid);
        if (kind == "workers" || kind == "pipes" || !account.worker ||
            account.worker->state() == Worker::State::ending) {
            continue;
        }
        listing.awaited.insert(uid);
        if (account.worker->state() == Worker::State::running) {
            account.worker->ask_report(report);
        } else if (account.worker->state() == Worker::State::lost) {
            // It is about to register, with its inventory, or to be given up.
            listing.deadline_ns =
                std::max(listing.deadline_ns, now_ns() + options_.config.recover_timeout_ms * ns_per_ms);
        }
    }
    for (const uid_t uid : options_.state.accounts()) {
        if (is_superior(client) || uid == client.peer.uid) {
            listing.kept.insert(uid);
        }
    }
    if (listing.awaited.empty()) {
        finish_listing(listing);
        return;
    }
    listings_.emplace(report, std::move(listing));
    schedule_tick();
}

// A worker has registered: what listings wait for can be asked now.
void Broker::ask_reports(Account& account) {
    for (const auto& [report, listing] : listings_) {
        if (listing.awaited.contains(account.uid)) {
            account.worker->ask_report(report);
        }
    }
}

// `report` 0: the worker died, so that nothing newer is to be had.
void Broker::on_reported(uid_t uid, std::uint64_t report) {
    std::vector<std::uint64_t> complete;
    for (auto& [number, listing] : listings_) {
        if (report == 0 || report >= number) {
            listing.awaited.erase(uid);
            if (listing.awaited.empty()) {
                complete.push_back(number);
            }
        }
    }
    for (const std::uint64_t number : complete) {
        const auto node = listings_.extract(number);
        finish_listing(node.mapped());
    }
}

void Broker::finish_listing(const Listing& listing) {
    const std::string wanted = listing.request.value("kind", std::string());
    control::Json body = control::answer(listing.request);
    body["stale"] = listing.awaited;
    if (wanted.empty() || wanted == "workers") {
        body["workers"] = control::Json::array();
        for (const auto& [uid, account] : accounts_) {
            if (listing.accounts.contains(uid)) {
                body["workers"].push_back(worker_summary(account));
            }
        }
    }
    for (const std::string_view kind : inventory_kinds) {
        if (!wanted.empty() && wanted != kind) {
            continue;
        }
        control::Json& array = body[std::string(kind)] = control::Json::array();
        for (const auto& [uid, account] : accounts_) {
            if (!listing.accounts.contains(uid) || !account.worker) {
                continue;
            }
            for (control::Json object : account.worker->inventory().of(kind)) {
                object["account"] = uid;
                array.push_back(std::move(object));
            }
        }
        if (kind == "graphs") {
            add_kept_graphs(listing, array);
        }
    }
    if (wanted.empty() || wanted == "pipes") {
        control::Json& array = body["pipes"] = control::Json::array();
        for (const uid_t uid : listing.accounts) {
            for (control::Json pipe : pipes_.list(uid)) {
                pipe["account"] = uid;
                array.push_back(std::move(pipe));
            }
        }
    }
    answer(listing.client, body);
}

// Graphs that persist are there without a worker, too: stopped, or about to be brought back.
void Broker::add_kept_graphs(const Listing& listing, control::Json& graphs) const {
    std::set<std::pair<uid_t, std::string>> there;
    for (const control::Json& graph : graphs) {
        if (const auto name = graph.find("name"); name != graph.end() && name->is_string()) {
            there.emplace(graph["account"].get<uid_t>(), name->get<std::string>());
        }
    }
    for (const uid_t uid : listing.kept) {
        for (const auto& [state, text] :
             {std::pair{control::KeptState::running, "waiting"}, std::pair{control::KeptState::stopped, "stopped"}}) {
            for (const std::string& name : control::kept_graphs(options_.state.of(uid), state)) {
                if (there.emplace(uid, name).second) {
                    graphs.push_back({{"name", name}, {"account", uid}, {"state", text}, {"persist", true}});
                }
            }
        }
    }
}

}  // namespace yoke::daemon
