// Cheap requests are answered at once; what may block goes to a pool, and the socket is not read until it is done. A
// session whose client hangs up meanwhile closes behind its job, so that jobs can hold a plain pointer.
#include "worker/session.hpp"

#include "base/log.hpp"
#include "base/text.hpp"
#include "control/graph_file.hpp"
#include "control/schema.hpp"
#include "ring/layout.hpp"
#include "worker/key_bytes.hpp"
#include "worker/locked_heap.hpp"
#include "worker/session_memory.hpp"
#include "worker/session_record.hpp"

namespace yoke::worker {
namespace {

constexpr unsigned fds_max = 2;  // one that a request wants, and the memfd of a long message
constexpr std::uint32_t features =
    YOKE_FEATURE_EXPRESS | YOKE_FEATURE_BULK | YOKE_FEATURE_GRAPH | YOKE_FEATURE_HANDOVER;

std::size_t fds_wanted(std::string_view op, const control::Json& request) {
    return op == "create_key" || (op == "open_session" && request["handover"] == true) ? 1 : 0;
}

}  // namespace

Session::Session(Services& services, executive::SessionId id, pid_t client_pid, uid_t client_uid,
                 std::function<void(executive::SessionId)> gone)
    : services_(services), id_(id), client_pid_(client_pid), client_uid_(client_uid), gone_(std::move(gone)) {}

Result<std::unique_ptr<Session>> Session::adopt(Services& services, executive::SessionId id, pid_t client_pid,
                                                uid_t client_uid, Fd socket,
                                                std::function<void(executive::SessionId)> gone) {
    std::unique_ptr<Session> session(new Session(services, id, client_pid, client_uid, std::move(gone)));
    auto connection = control::Connection::open(
        services.loop, std::move(socket), fds_max,
        {[self = session.get()](Result<control::Message> message) { self->on_message(std::move(message)); },
         {},
         [self = session.get()] { self->on_closed(); }});
    if (!connection) {
        return tl::unexpected(connection.error());
    }
    session->connection_ = std::move(*connection);
    ++services.allowance.sessions_open;
    return session;
}

void Session::refuse(const control::Json& request, const Error& error) {
    log_debug(Topic::worker, "request refused", {{"session", id_}, {"error", error.message}});
    connection_->send(control::answer_error(request, error));
}

void Session::on_message(Result<control::Message> message) {
    if (!message) {
        refuse(control::Json::object(), message.error());
        return;
    }
    const control::Json& request = message->body;
    const auto op = control::check_request(control::Peer::client_to_worker, request);
    if (!op) {
        refuse(request, op.error());
        return;
    }
    if (message->fds.size() != fds_wanted(*op, request)) {
        refuse(request, {EBADMSG, fmt::format("{} comes with {}, not {}", *op,
                                              counted(fds_wanted(*op, request), "descriptor"), message->fds.size())});
    } else if (*op == "open_session") {
        open_session(*message);
    } else if (!open_) {
        refuse(request, {EINVAL, fmt::format("{} comes before open_session", *op)});
    } else if (*op == "create_key") {
        create_key(*message);
    } else if (*op == "destroy_key") {
        destroy_key(*message);
    } else {
        graph_request(std::string(*op), request);
    }
}

void Session::open_session(control::Message& message) {
    const control::Json& request = message.body;
    Allowance& allowance = services_.allowance;
    if (open_) {
        refuse(request, {EALREADY, fmt::format("session {} is open", id_)});
        return;
    }
    if (allowance.sessions_open > allowance.sessions) {
        refuse(request, {ENOBUFS, fmt::format("the account may have {}; close some or raise "
                                              "limits.account.sessions",
                                              counted(allowance.sessions, "session"))});
        return;
    }
    auto layout = ring::make_layout({.arena_bytes = request["arena_bytes"].get<std::uint64_t>(),
                                     .express_slots = request["express_slots"].get<std::uint32_t>(),
                                     .bulk_slots = request["bulk_slots"].get<std::uint32_t>(),
                                     .features = request["features"].get<std::uint32_t>() & features});
    if (!layout) {
        refuse(request, layout.error());
        return;
    }
    if (layout->arena_bytes > allowance.arena_bytes - std::min(allowance.arena_bytes, allowance.arena_bytes_open)) {
        refuse(request, {ENOBUFS, fmt::format("arenas of the account have {} of {} bytes, {} more don't fit; close "
                                              "sessions or raise limits.account.arena_bytes",
                                              allowance.arena_bytes_open, allowance.arena_bytes, layout->arena_bytes)});
        return;
    }
    auto parts = make_session_memory(*layout, id_,
                                     message.fds.empty() ? std::nullopt : std::optional<Fd>(std::move(message.fds[0])));
    if (!parts) {
        refuse(request, parts.error());
        return;
    }
    if (auto added = services_.executive.add_session(id_, std::move(parts->memory)); !added) {
        refuse(request, added.error());
        return;
    }
    open_ = true;
    layout_ = *layout;
    allowance.arena_bytes_open += layout->arena_bytes;
    control::Json body = control::answer(request);
    body["session"] = id_;
    body["layout"] = layout_message(*layout);
    connection_->send(body, std::move(parts->for_client));
    services_.changed();
}

void Session::create_key(control::Message& message) {
    const control::Json& request = message.body;
    const auto& name = request["service"].get_ref<const std::string&>();
    const service::Service* service = service::find(name);
    if (service == nullptr) {
        refuse(request, {ENOSYS, fmt::format("there is no service {}", name)});
        return;
    }
    const std::uint32_t keys = services_.executive.report(id_).keys;
    if (keys >= services_.allowance.keys) {
        refuse(request, {ENOBUFS, fmt::format("session {} has {}; destroy some or raise limits.account.keys", id_,
                                              counted(keys, "key"))});
        return;
    }
    auto bytes = KeyBytes::read_untrusted(message.fds[0]);
    if (!bytes) {
        refuse(request, bytes.error());
        return;
    }
    auto key = [&] {
        const LockedHeap::Scope locked;
        return services_.executive.add_key(id_, *service, bytes->view());
    }();
    if (!key) {
        refuse(request, key.error());
        return;
    }
    control::Json body = control::answer(request);
    body["key"] = *key;
    connection_->send(body);
    services_.changed();
}

void Session::destroy_key(const control::Message& message) {
    if (auto removed = services_.executive.remove_key(id_, message.body["key"].get<std::uint32_t>()); !removed) {
        refuse(message.body, removed.error());
        return;
    }
    connection_->send(control::answer(message.body));
    services_.changed();
}

// Waits for the device, compiles: seconds. The session outlives the job, because it closes only behind it.
void Session::graph_request(const std::string& op, control::Json request) {
    if ((layout_.features & YOKE_FEATURE_GRAPH) == 0) {
        refuse(request, {EPROTO, "the session was opened without graphs (YOKE_FEATURE_GRAPH)"});
        return;
    }
    working_ = true;
    connection_->pause(true);
    const auto result = std::make_shared<control::Json>();
    services_.graph_jobs.submit(
        [this, op, request = std::move(request), result, limits = services_.allowance.graph] {
            *result = services_.graphs.serve(limits, id_, op, request);
        },
        [this, result] {
            working_ = false;
            if (closed_) {
                close();
                return;
            }
            connection_->send(*result);
            connection_->pause(false);
            services_.changed();
        });
}

void Session::on_closed() {
    closed_ = true;
    disown_graphs();
    if (!working_) {
        close();
    }
}

// At once, since closing may wait for others: a client that comes after this one gets graphs of its own, not the same
// names for a moment.
void Session::disown_graphs() {
    if (graph::Runtime* runtime = services_.engine.runtime(); runtime != nullptr && open_) {
        runtime->disown(id_);
    }
}

// The executive waits for chunks that run and the runtime for its device, so this is a job too.
void Session::close() {
    disown_graphs();  // again: its last request may have opened the device only now
    services_.closing_jobs.submit(
        [this] {
            if (open_) {
                services_.executive.remove_session(id_);
                services_.graphs.sweep();
            }
        },
        [this] {
            Allowance& allowance = services_.allowance;
            --allowance.sessions_open;
            allowance.arena_bytes_open -= layout_.arena_bytes;
            services_.changed();
            const auto gone = gone_;
            gone(id_);  // destroys this session
        });
}

control::Json Session::record() const {
    control::Json record{{"session", id_},
                         {"client_pid", client_pid_},
                         {"client_uid", client_uid_},
                         {"state", closed_ ? "closing"
                                   : open_ ? "open"
                                           : "adopted"},
                         {"arena_bytes", layout_.arena_bytes}};
    if (open_) {
        add_report(record, services_.executive.report(id_));
    }
    return record;
}

control::Json Session::key_record() const {
    return {{"session", id_}, {"count", open_ ? services_.executive.report(id_).keys : 0}};
}

}  // namespace yoke::worker
