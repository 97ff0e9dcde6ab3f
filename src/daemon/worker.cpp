// A worker's states: starting (has a link, must register), running, lost (alive without a link, must come back before a
// deadline), ending (was told to). Whatever else it does, its pidfd tells the end.
#include "daemon/worker.hpp"

#include <yoke/yoke.h>

#include <csignal>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "control/schema.hpp"

namespace yoke::daemon {

using control::Json;
using control::Message;

namespace {

// Closing a foreign descriptor may block, e.g. a file of a hostile FUSE server: a worker sends none.
constexpr unsigned link_fds = 0;
// More messages a dead worker cannot have left in its socket than the kernel queues there (net.unix.max_dgram_qlen, by
// default 10, and the socket's buffer).
constexpr unsigned left_messages_max = 4096;
constexpr std::size_t words_bytes_max = 512;

}  // namespace

Result<Registration> check_registration(const Json& request_untrusted, const Secret& secret,
                                        const control::Credentials& peer) {
    const auto op = control::check_request(control::Peer::worker_to_broker, request_untrusted);
    if (!op) {
        return tl::unexpected(op.error());
    }
    if (*op != "register") {
        return fail(EBADMSG, "op {} comes before register", *op);
    }
    Registration made;
    const std::uint64_t account_untrusted = request_untrusted["account"].get<std::uint64_t>();
    const std::uint64_t pid_untrusted = request_untrusted["pid"].get<std::uint64_t>();
    // The kernel's worker has the identity of whoever owns the device; that it is the kernel's, its token says.
    const bool kernels = account_untrusted == YOKE_ACCOUNT_KERNEL;
    if ((!kernels && account_untrusted != peer.uid) || pid_untrusted != static_cast<std::uint64_t>(peer.pid)) {
        return fail(EACCES, "process {} of user {} may not register as worker {} of account {}", peer.pid, peer.uid,
                    pid_untrusted, account_untrusted);
    }
    made.account = kernels ? YOKE_ACCOUNT_KERNEL : peer.uid;
    made.pid = peer.pid;
    made.generation = request_untrusted["generation"].get<std::uint64_t>();
    if (!secret.verify(request_untrusted["token"].get_ref<const std::string&>(), made.account, made.generation)) {
        return fail(EACCES, "token of process {} is not that of a worker of account {}", made.pid, made.account);
    }
    made.inventory = Inventory(request_untrusted["inventory"]);
    return made;
}

Worker::Worker(const Secret& secret, uid_t account, std::uint64_t generation, Process process, const Times& times,
               Handlers handlers)
    : secret_(secret),
      account_(account),
      generation_(generation),
      process_(std::move(process)),
      deadline_ns_(times.deadline_ns),
      recover_ns_(times.recover_ns),
      lease_until_ns_(times.lease_until_ns),
      handlers_(std::move(handlers)) {}

Result<std::unique_ptr<Worker>> Worker::watch(control::Loop& loop, const Secret& secret, uid_t account,
                                              std::uint64_t generation, Process process, Fd link, const Times& times,
                                              Handlers handlers) {
    std::unique_ptr<Worker> worker(
        new Worker(secret, account, generation, std::move(process), times, std::move(handlers)));
    auto death = loop.on_io(worker->process_.pidfd.get(), EPOLLIN, [self = worker.get()](std::uint32_t) {
        const std::string how = reap(self->process_.pidfd);
        self->hear_last_words();
        self->death_ = control::Source();
        const auto died = self->handlers_.died;
        died(how);
    });
    if (!death) {
        return tl::unexpected(death.error());
    }
    worker->death_ = std::move(*death);
    if (link) {
        worker->state_ = State::starting;
        worker->started_ = false;
        auto opened = control::Connection::open(loop, std::move(link), link_fds, worker->link_handlers());
        if (!opened) {
            return tl::unexpected(opened.error());
        }
        worker->link_ = std::move(*opened);
    }
    return worker;
}

control::Connection::Handlers Worker::link_handlers() {
    return {[this](Result<Message> message) { on_message(std::move(message)); }, [this] { handlers_.drained(); },
            [this] {
                // It may come back over the listening socket; if not, the deadline ends it.
                link_.reset();
                if (state_ == State::running || state_ == State::starting) {
                    state_ = State::lost;
                    deadline_ns_ = now_ns() + recover_ns_;
                }
            }};
}

void Worker::on_message(Result<Message> message) {
    if (!message) {
        refuse(message.error());
        return;
    }
    if (take_last_words(message->body)) {
        return;
    }
    if (state_ == State::starting) {
        on_register(message->body);
    } else if (state_ == State::running) {
        on_inventory(message->body);
    }
    // An ending worker may say what it likes.
}

void Worker::on_register(const Json& request) {
    auto registration = check_registration(request, secret_, {process_.name.pid, account_, 0});
    if (!registration) {
        refuse(registration.error());
        return;
    }
    if (registration->generation != generation_) {
        refuse({EACCES, "the generation is another worker's"});
        return;
    }
    admit(request, std::move(registration->inventory));
}

void Worker::admit(const Json& request, Inventory inventory) {
    auto gate = Gate::create(account_, generation_, lease_until_ns_);
    if (!gate) {
        refuse(gate.error());
        return;
    }
    auto shared = gate->share();
    if (!shared) {
        refuse(shared.error());
        return;
    }
    gate_ = std::make_unique<Gate>(std::move(*gate));
    inventory_ = std::move(inventory);
    adopts_sent_ = inventory_.adopted();
    reported_ = false;
    parts_ = Json::object();
    parts_count_ = 0;
    std::vector<Fd> fds;
    fds.push_back(std::move(*shared));
    link_->send(control::answer(request), std::move(fds));
    state_ = State::running;
    started_ = true;
    handlers_.registered();
}

void Worker::take_back(std::unique_ptr<control::Connection> link, const Json& request, Inventory inventory) {
    link_ = std::move(link);
    link_->hand_over(link_fds, link_handlers());
    admit(request, std::move(inventory));
}

void Worker::on_inventory(const Json& request) {
    const auto op = control::check_request(control::Peer::worker_to_broker, request);
    if (!op) {
        refuse(op.error());
        return;
    }
    if (*op != "inventory") {
        refuse({EBADMSG, "a worker registers once"});
        return;
    }
    if (++parts_count_ > inventory_parts_max) {
        refuse({EMSGSIZE, "its inventory has too many parts"});
        return;
    }
    for (const auto& member : request["inventory"].items()) {
        Json& whole = parts_[member.key()];
        if (member.value().is_array() && whole.is_array()) {
            whole.insert(whole.end(), member.value().begin(), member.value().end());
        } else {
            whole = member.value();
        }
    }
    if (request.value("more", false)) {
        return;
    }
    inventory_ = Inventory(std::exchange(parts_, Json::object()));
    parts_count_ = 0;
    reported_ = true;
    adopts_sent_ = std::max(adopts_sent_, inventory_.adopted());
    handlers_.reported(request.value("id", std::uint64_t{0}));
}

// Whether `request` are the last words.
bool Worker::take_last_words(const Json& request) {
    const auto op = control::check_request(control::Peer::worker_to_broker, request);
    if (!op || *op != "last_words") {
        return false;
    }
    last_words_ = {printable(request["object"].get_ref<const std::string&>(), words_bytes_max),
                   printable(request["why"].get_ref<const std::string&>(), words_bytes_max)};
    return true;
}

// The end of the process may be seen before the last message that it has sent.
void Worker::hear_last_words() {
    for (unsigned k = 0; link_ && k < left_messages_max; ++k) {
        const auto message = control::receive(link_->socket(), link_fds);
        if (message && *message) {
            take_last_words((*message)->body);
        } else if (message || (message.error().code != EBADMSG && message.error().code != EMSGSIZE)) {
            return;
        }
    }
}

void Worker::refuse(const Error& error) {
    log_error(Topic::daemon, "worker broke the protocol and is killed",
              {{"account", account_}, {"pid", process_.name.pid}, {"error", error.message}});
    kill();
}

void Worker::kill() {
    send_signal(process_, SIGKILL);
}

void Worker::adopt(const control::Credentials& client, const Json& limits, Fd socket) {
    std::vector<Fd> fds;
    fds.push_back(std::move(socket));
    ++adopts_sent_;
    if (link_) {
        link_->send({{"op", "adopt"}, {"client_pid", client.pid}, {"client_uid", client.uid}, {"limits", limits}},
                    std::move(fds));
    }
}

void Worker::ask_report(std::uint64_t report) {
    if (link_) {
        link_->send({{"op", "report"}, {"id", report}});
    }
}

void Worker::restore(const Json& limits, const Json& without) {
    if (link_) {
        link_->send({{"op", "restore"}, {"limits", limits}, {"without", without}});
    }
}

void Worker::end(std::uint64_t now_ns) {
    if (state_ == State::ending) {
        return;
    }
    deadline_ns_ = now_ns + end_timeout_ns;
    if (link_ && state_ == State::running) {
        link_->send({{"op", "end"}});
    } else {
        send_signal(process_, SIGTERM);
    }
    state_ = State::ending;
}

void Worker::tick(std::uint64_t now_ns, std::uint64_t lease_until_ns) {
    lease_until_ns_ = lease_until_ns;
    if (gate_ && state_ == State::running) {
        gate_->renew(lease_until_ns);
        return;
    }
    if (now_ns >= deadline_ns_) {
        log_error(Topic::daemon, "worker is late and is killed",
                  {{"account", account_}, {"pid", process_.name.pid}, {"state", state_name()}});
        kill();
    }
}

const char* Worker::state_name() const {
    switch (state_) {
        case State::starting:
            return "starting";
        case State::lost:
            return "lost";
        case State::running:
            return "running";
        case State::ending:
            return "ending";
    }
    return "ending";
}

std::uint64_t Worker::sessions() const {
    return inventory_.count("sessions") + adopts_sent_ - std::min(adopts_sent_, inventory_.adopted());
}

}  // namespace yoke::daemon
