// The C interface: sessions, memory, keys and calls. Arguments are checked here; what they mean is in Session.
#include <cstdlib>
#include <cstring>

#include "client/api.hpp"
#include "client/broker.hpp"
#include "control/graph_file.hpp"

using yoke::Error;
using yoke::client::Autostart;
using yoke::client::guarded;
using yoke::client::missing;
using yoke::client::Session;
using yoke::client::session_of;

namespace {

constexpr int ask_timeout_ms = 10'000;  // yoked answers in microseconds; one that does not for 10 s hangs

// Sentence of this thread's last function that has no session.
std::string& thread_error() {
    thread_local std::string error;
    return error;
}

int refuse_in_thread(const Error& error) {
    thread_error() = error.message;
    return -error.code;
}

// Runs `body()` for a function without a session.
template <typename Body>
int guarded_in_thread(Body&& body) noexcept {
    try {
        return body();
    } catch (const std::bad_alloc&) {
        return -ENOMEM;
    } catch (...) {
        return -EIO;
    }
}

}  // namespace

#define YOKE_TEXT_OF(number) #number
#define YOKE_TEXT(number) YOKE_TEXT_OF(number)
const char* yoke_version(void) {
    return YOKE_TEXT(YOKE_VERSION_MAJOR) "." YOKE_TEXT(YOKE_VERSION_MINOR) "." YOKE_TEXT(YOKE_VERSION_PATCH);
}

int yoke_open(yoke_session** session, const yoke_options* options) {
    if (session == nullptr) {
        return -EINVAL;
    }
    *session = nullptr;
    return guarded_in_thread([&] {
        auto opened = Session::open(options != nullptr ? *options : yoke_options{});
        if (!opened) {
            return refuse_in_thread(opened.error());
        }
        *session = reinterpret_cast<yoke_session*>(opened->release());
        return 0;
    });
}

void yoke_close(yoke_session* session) {
    delete session_of(session);
}

const char* yoke_error(const yoke_session* session) {
    return session != nullptr ? session_of(session)->error().c_str() : thread_error().c_str();
}

int yoke_info(yoke_session* handle, yoke_session_info* info) {
    return guarded(handle,
                   [&](Session& session) { return info == nullptr ? missing(session, "info") : session.info(*info); });
}

int yoke_alloc(yoke_session* handle, size_t bytes, void** memory) {
    return guarded(handle, [&](Session& session) {
        return memory == nullptr ? missing(session, "memory") : session.allocate(bytes, *memory);
    });
}

int yoke_free(yoke_session* handle, void* memory) {
    return guarded(handle, [&](Session& session) { return session.free(memory); });
}

int yoke_key_create(yoke_session* handle, uint16_t service, const void* bytes, size_t length, yoke_key** key) {
    return guarded(handle, [&](Session& session) {
        if (key == nullptr || (bytes == nullptr && length != 0)) {
            return missing(session, key == nullptr ? "key" : "bytes");
        }
        *key = nullptr;
        return session.create_key(service, {static_cast<const std::byte*>(bytes), length}, *key);
    });
}

int yoke_key_destroy(yoke_session* handle, yoke_key* key) {
    return guarded(handle, [&](Session& session) { return session.destroy_key(key); });
}

int yoke_call_sync(yoke_session* handle, const yoke_call* call, yoke_result* result) {
    return guarded(handle, [&](Session& session) {
        if (call == nullptr) {
            return missing(session, "call");
        }
        yoke_result own;
        return session.call(*call, result != nullptr, result != nullptr ? *result : own);
    });
}

int yoke_call_inplace(yoke_session* handle, const yoke_call* call, yoke_result* result) {
    return guarded(handle, [&](Session& session) {
        if (call == nullptr) {
            return missing(session, "call");
        }
        yoke_result own;
        return session.call_inplace(*call, result != nullptr, result != nullptr ? *result : own);
    });
}

int yoke_submit(yoke_session* handle, const yoke_call* call, yoke_callback callback, void* user, yoke_ticket* ticket) {
    return guarded(handle, [&](Session& session) {
        if (call == nullptr || (ticket == nullptr && callback == nullptr)) {
            return missing(session, call == nullptr ? "call" : "ticket");
        }
        yoke_ticket own = 0;
        return session.submit(*call, callback, user, ticket != nullptr ? *ticket : own);
    });
}

int yoke_wait(yoke_session* handle, yoke_ticket ticket, uint64_t timeout_ns, yoke_result* result) {
    return guarded(handle, [&](Session& session) {
        yoke_result own;
        return session.wait(ticket, timeout_ns, result != nullptr ? *result : own);
    });
}

int yoke_dispatch(yoke_session* handle, uint64_t timeout_ns) {
    return guarded(handle, [&](Session& session) { return session.dispatch(timeout_ns); });
}

int yoke_cancel(yoke_session* handle, yoke_ticket ticket) {
    return guarded(handle, [&](Session& session) { return session.cancel(ticket); });
}

int yoke_describe_graph(const char* path, char** json) {
    if (path == nullptr || json == nullptr) {
        return -EINVAL;
    }
    *json = nullptr;
    return guarded_in_thread([&] {
        const auto graph = yoke::control::load_graph(path);
        if (!graph) {
            return refuse_in_thread(graph.error());
        }
        auto messages = yoke::control::Json::array({yoke::control::graph_message_of(*graph)});
        const auto add = [&](const auto& definitions) {
            for (const auto& definition : definitions) {
                messages.push_back(yoke::control::message_of(definition));
            }
        };
        add(graph->ports);
        add(graph->ptasks);
        add(graph->channels);
        *json = ::strdup(messages.dump(-1, ' ', false, yoke::control::Json::error_handler_t::replace).c_str());
        return *json != nullptr ? 0 : -ENOMEM;
    });
}

int yoke_ask_daemon(const char* socket, int autostart, const char* request, char** answer) {
    if (request == nullptr || answer == nullptr) {
        return -EINVAL;
    }
    *answer = nullptr;
    return guarded_in_thread([&] {
        auto body = yoke::control::parse(std::as_bytes(std::span(request, std::strlen(request))));
        if (!body) {
            return refuse_in_thread(body.error());
        }
        auto broker = yoke::client::connect_to_broker(socket != nullptr ? socket : "",
                                                      autostart != 0 ? Autostart::yes : Autostart::no);
        if (!broker) {
            return refuse_in_thread(broker.error());
        }
        auto message = yoke::control::request(*broker, *body, {}, ask_timeout_ms);
        if (!message) {
            return refuse_in_thread(message.error());
        }
        *answer = ::strdup(message->body.dump().c_str());
        return *answer != nullptr ? 0 : -ENOMEM;
    });
}
