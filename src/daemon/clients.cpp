// The broker's side of client connections: admission, requests, answers.
//
// Somebody may open connections as fast as the kernel lets him, pipeline requests and never read: a number per user and
// in total bounds the first, a number per connection the second, the connection's bounded queue the third.
#include <fcntl.h>
#include <sys/socket.h>

#include "base/log.hpp"
#include "base/text.hpp"
#include "control/schema.hpp"
#include "daemon/broker.hpp"

namespace yoke::daemon {
namespace {

constexpr unsigned accepts_per_turn = 64;    // then others have their turn
constexpr unsigned waiting_per_client = 16;  // requests of one connection that wait for a worker

}  // namespace

void Broker::on_accept() {
    for (unsigned i = 0; i < accepts_per_turn; ++i) {
        Fd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (!socket) {
            if ((errno == EMFILE || errno == ENFILE) && spare_) {
                // Unanswered, the connection would keep the loop awake for ever.
                spare_.reset();
                socket.reset(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
                refuse_accept(std::move(socket), {ENFILE, "yoked is out of descriptors; close some sessions"});
                spare_.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
            }
            return;
        }
        const auto peer = control::peer_of(socket);
        if (!peer) {
            continue;
        }
        const Config& config = options_.config;
        if (connections_[peer->uid] >= config.account_connections) {
            refuse_accept(std::move(socket),
                          {ENOBUFS, fmt::format("user {} has {} to yoked; close some or "
                                                "raise limits.account.connections",
                                                peer->uid, counted(connections_[peer->uid], "connection"))});
            continue;
        }
        if (clients_.size() >= config.total_connections) {
            refuse_accept(std::move(socket), {ENOBUFS, fmt::format("yoked has {}; wait or raise "
                                                                   "limits.total.connections",
                                                                   counted(clients_.size(), "connection"))});
            continue;
        }
        const ClientId id = ++last_client_;
        // No descriptors: closing a foreign one may block (a file of a hostile FUSE server).
        auto link = control::Connection::open(
            loop_, std::move(socket), 0,
            {[this, id](Result<control::Message> message) { on_client_message(id, std::move(message)); },
             {},
             [this, id] { drop_client(id); }});
        if (!link) {
            log_warning(Topic::daemon, "client cannot be served", {{"error", link.error().message}});
            continue;
        }
        ++connections_[peer->uid];
        clients_.emplace(id, Client{*peer, std::move(*link)});
    }
}

// The answer lies ready before the client asks.
void Broker::refuse_accept(Fd socket, const Error& error) {
    if (socket) {
        log_debug(Topic::daemon, "connection refused", {{"error", error.message}});
        const Status sent = control::send(socket, control::answer_error(control::Json::object(), error));
        ::shutdown(socket.get(), SHUT_WR);
        if (!sent) {
            log_debug(Topic::daemon, "refused client is gone already", {});
        }
    }
}

void Broker::drop_client(ClientId id) {
    const auto found = clients_.find(id);
    if (found == clients_.end()) {
        return;
    }
    const auto count = connections_.find(found->second.peer.uid);
    if (count != connections_.end() && --count->second == 0) {
        connections_.erase(count);
    }
    clients_.erase(found);
    introduce(pipes_.release(id));
    changed();
}

void Broker::answer(ClientId id, const control::Json& body, std::vector<Fd> fds) {
    const auto found = clients_.find(id);
    if (found != clients_.end()) {
        found->second.waiting -= found->second.waiting == 0 ? 0 : 1;
        found->second.link->send(body, std::move(fds));
    }
}

bool Broker::is_superior(const Client& client) const {
    return client.peer.uid == 0 || client.peer.uid == ::geteuid();
}

void Broker::on_client_message(ClientId id, Result<control::Message> message) {
    const auto found = clients_.find(id);
    if (found == clients_.end()) {
        return;
    }
    Client& client = found->second;
    ++client.waiting;
    if (!message) {
        answer(id, control::answer_error(control::Json::object(), message.error()));
        return;
    }
    const control::Json& request = message->body;
    const auto member = request.find("op");
    if (member != request.end() && *member == "register") {
        on_register(id, request);
        return;
    }
    const auto op = control::check_request(control::Peer::client_to_broker, request);
    if (!op) {
        answer(id, control::answer_error(request, op.error()));
        return;
    }
    if (ending_) {
        answer(id, control::answer_error(request, {ECONNREFUSED, "yoked is being shut down; start it again"}));
    } else if (client.waiting > waiting_per_client) {
        answer(id,
               control::answer_error(request, {EBUSY, "too many requests wait on this connection; read the answers"}));
    } else if (*op == "connect") {
        on_connect(id, request);
    } else if (*op == "status") {
        on_status(id, request);
    } else if (*op == "list") {
        on_list(id, request);
    } else if (*op == "claim_pipe") {
        on_claim(id, request);
    } else if (*op == "pipe_state") {
        on_pipe_state(id, request);
    } else if (!is_superior(client)) {
        answer(id, control::answer_error(request, {EACCES, "only root and the owner of yoked may shut it down"}));
    } else {
        answer(id, control::answer(request));
        shut_down();
    }
}

// A worker whose yoked died. The connection becomes its link.
void Broker::on_register(ClientId id, const control::Json& request) {
    const auto found = clients_.find(id);
    auto registration = check_registration(request, secret_, found->second.peer);
    if (!registration) {
        log_warning(Topic::daemon, "registration refused",
                    {{"pid", found->second.peer.pid}, {"error", registration.error().message}});
        answer(id, control::answer_error(request, registration.error()));
        return;
    }
    Account& account = account_of(registration->account);
    if (!account.worker && !ending_) {
        // The list of workers was lost; the token proves enough.
        const auto start = start_time_of(registration->pid);
        auto process = find_process({registration->pid, start.value_or(0)});
        if (process) {
            auto watched =
                Worker::watch(loop_, secret_, account.uid, registration->generation, std::move(*process), Fd(),
                              worker_times(options_.config.recover_timeout_ms), worker_handlers(account.uid));
            if (watched) {
                account.worker = std::move(*watched);
                account.generation = std::max(account.generation, registration->generation);
                account.supervision.started(started_ns_);
                write_roster();
            }
        }
    }
    if (!account.worker || account.worker->process().name.pid != registration->pid ||
        account.worker->generation() != registration->generation || account.worker->state() != Worker::State::lost) {
        answer(id, control::answer_error(request, {EEXIST, fmt::format("account {} has another worker", account.uid)}));
        return;
    }
    std::unique_ptr<control::Connection> link = std::move(found->second.link);
    drop_client(id);
    account.worker->take_back(std::move(link), request, std::move(registration->inventory));
}

}  // namespace yoke::daemon
