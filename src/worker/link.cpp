// Registering, and then requests of yoked in the order they come. Inventories go out unasked at most every 50 ms and
// split into packets, because yoked takes no descriptors.
#include "worker/link.hpp"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "control/address.hpp"
#include "control/schema.hpp"
#include "worker/last_words.hpp"

namespace yoke::worker {

using control::Json;
using control::Message;

namespace {

constexpr std::uint64_t ns_per_s = 1'000'000'000;
// Of the texts of a part's objects; the rest of a packet is room for what is around them.
constexpr std::size_t part_bytes_max = control::packet_bytes_max * 3 / 4;

}  // namespace

Result<std::unique_ptr<Link>> Link::open(control::Loop& loop, Identity identity, Fd socket, Handlers handlers) {
    std::unique_ptr<Link> link(new Link(loop, std::move(identity), std::move(handlers)));
    auto retry = loop.on_timer([self = link.get()] { self->retry(); });
    if (!retry) {
        return tl::unexpected(retry.error());
    }
    link->retry_ = std::move(*retry);
    auto report = loop.on_timer([self = link.get()] {
        // A peer that has not read the last inventory gets no other: on_drained() comes back.
        if (self->registered_ && self->dirty_ && self->connection_->backlog() == 0) {
            self->report();
        }
    });
    if (!report) {
        return tl::unexpected(report.error());
    }
    link->report_ = std::move(*report);
    link->alone_since_ns_ = now_ns();
    if (auto attached = link->attach(std::move(socket)); !attached) {
        return tl::unexpected(attached.error());
    }
    return link;
}

Status Link::attach(Fd socket) {
    auto connection = control::Connection::open(loop_, std::move(socket), 1,
                                                {[this](Result<Message> message) { on_message(std::move(message)); },
                                                 [this] { on_drained(); }, [this] { on_lost(); }});
    if (!connection) {
        return tl::unexpected(connection.error());
    }
    connection_ = std::move(*connection);
    set_last_words_socket(connection_->socket().get());
    connection_->send({{"op", "register"},
                       {"token", identity_.token},
                       {"account", identity_.account},
                       {"generation", identity_.generation},
                       {"pid", ::getpid()},
                       {"inventory", {{"adopted", handlers_.inventory()["adopted"]}}}});
    return {};
}

void Link::on_lost() {
    set_last_words_socket(-1);
    connection_.reset();
    if (registered_) {
        log_warning(Topic::worker, "yoked is gone; waiting for the next", {});
        alone_since_ns_ = now_ns();
        registered_ = false;
    }
    asked_ = 0;  // the next yoked asks by itself
    retry_.arm(now_ns() + retry_ns);
}

void Link::retry() {
    if (now_ns() - alone_since_ns_ >= identity_.alone_max_s * ns_per_s) {
        handlers_.end(fmt::format("no yoked has come for {} s", identity_.alone_max_s));
        return;
    }
    auto socket = control::connect_to(identity_.socket);
    if (socket) {
        // Whoever listens there would learn the token and be told what to adopt: root, or our own user.
        const auto peer = control::peer_of(*socket);
        if (peer && (peer->uid == 0 || peer->uid == ::getuid()) && attach(std::move(*socket))) {
            return;
        }
    }
    retry_.arm(now_ns() + retry_ns);
}

void Link::on_message(Result<Message> message) {
    if (!message) {
        log_error(Topic::worker, "message of yoked is unreadable", {{"error", message.error().message}});
        return;
    }
    if (registered_) {
        on_request(std::move(*message));
    } else {
        on_registered(std::move(*message));
    }
}

void Link::on_registered(Message message) {
    const auto ok = message.body.find("ok");
    if (ok == message.body.end() || *ok != true || message.fds.size() != 1) {
        const auto error = message.body.find("error");
        handlers_.end(error != message.body.end() && error->is_string()
                          ? fmt::format("yoked refuses this worker: {}", error->get<std::string>())
                          : "yoked refuses this worker");
        return;
    }
    auto gate = Mapping::map(message.fds[0], control::gate_bytes, false);
    if (!gate) {
        handlers_.end(gate.error().message);
        return;
    }
    gate_ = std::move(*gate);
    const auto* page = reinterpret_cast<const control::GatePage*>(gate_.data());
    if (page->magic != control::gate_magic || page->version != control::gate_version) {
        handlers_.end("yoked's gate is of another version; install matching versions");
        return;
    }
    registered_ = true;
    report();
    log_info(Topic::worker, "registered with yoked",
             {{"generation", identity_.generation}, {"gate", control::name_of(control::gate_state(*page, now_ns()))}});
}

void Link::on_request(Message message) {
    const auto op = control::check_request(control::Peer::broker_to_worker, message.body);
    if (!op) {
        log_error(Topic::worker, "request of yoked is refused", {{"error", op.error().message}});
    } else if (*op == "end") {
        handlers_.end("yoked says so");
    } else if (*op == "restore") {
        handlers_.restore(message.body);
    } else if (*op == "report") {
        asked_ = std::max(asked_, message.body.value("id", std::uint64_t{0}));
        dirty_ = true;
        report_.arm(asked_at_ns_);
    } else if (message.fds.size() == 1) {
        handlers_.adopt(message.body, std::move(message.fds[0]));
    }
}

void Link::changed() {
    if (!dirty_) {
        dirty_ = true;
        report_.arm(std::max(now_ns() + report_gap_ns, unasked_at_ns_), report_gap_ns / 10);
    }
}

void Link::on_drained() {
    if (dirty_) {
        report_.arm(asked_ != 0 ? asked_at_ns_ : unasked_at_ns_);
    }
}

// Answers all reports asked for so far: their numbers grow.
void Link::report() {
    const std::uint64_t begin = now_ns();
    dirty_ = false;
    send_parts(handlers_.inventory(), std::exchange(asked_, 0));
    const std::uint64_t end = now_ns();
    asked_at_ns_ = end + (end - begin);
    unasked_at_ns_ = end + std::max(report_gap_ns, report_gap_factor * (end - begin));
}

// yoked accepts no descriptors from us, so a long inventory travels in packets, not in a memfd.
void Link::send_parts(const Json& inventory, std::uint64_t id) {
    const Json empty{{"adopted", inventory["adopted"]}};
    Json part = empty;
    std::size_t bytes = 0;
    const auto send = [&](bool more) {
        Json body{{"op", "inventory"}, {"more", more}, {"inventory", std::exchange(part, empty)}};
        if (id != 0) {
            body["id"] = id;
        }
        connection_->send(body);
        bytes = 0;
    };
    for (const auto& kind : inventory.items()) {
        if (!kind.value().is_array()) {
            continue;
        }
        for (const Json& object : kind.value()) {
            const std::size_t length = object.dump(-1, ' ', false, Json::error_handler_t::replace).size();
            if (length > part_bytes_max) {
                log_warning(Topic::worker, "object is too long to be reported",
                            {{"kind", kind.key()}, {"bytes", length}});
                continue;
            }
            if (bytes + length > part_bytes_max) {
                send(true);
            }
            part[kind.key()].push_back(object);
            bytes += length;
        }
    }
    send(false);
}

}  // namespace yoke::worker
