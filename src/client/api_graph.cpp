// The C interface: graphs. Each call is one control request to the worker (docs/control.md).
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "client/api.hpp"
#include "client/definition.hpp"
#include "control/graph_file.hpp"

using yoke::Status;
using yoke::client::guarded;
using yoke::client::missing;
using yoke::client::Session;
using yoke::control::ArgumentDefinition;
using yoke::control::ChannelDefinition;
using yoke::control::Direction;
using yoke::control::GraphDefinition;
using yoke::control::Json;
using yoke::control::PortDefinition;
using yoke::control::PtaskDefinition;

namespace {

constexpr std::uint64_t request_timeout_ns = 30'000'000'000;
// The worker limits a compiler to less; this only bounds a worker that hangs.
constexpr std::uint64_t compile_timeout_ns = 120'000'000'000;

int ask(Session& session, const Json& body, std::uint64_t timeout_ns = request_timeout_ns) {
    auto answer = session.ask_graph(body, timeout_ns);
    return answer ? 0 : session.refuse(answer.error());
}

// Asks for something that has a number for push and pull.
int ask_channel(Session& session, const Json& body, std::uint32_t* id) {
    auto answer = session.ask_graph(body, request_timeout_ns);
    if (!answer) {
        return session.refuse(answer.error());
    }
    if (id != nullptr) {
        *id = answer->body["channel"].get<std::uint32_t>();
    }
    return 0;
}

std::string text_of(const char* text) {
    return text != nullptr ? text : "";
}

std::optional<std::string> name_of(const char* name) {
    return name != nullptr ? std::optional<std::string>(name) : std::nullopt;
}

PtaskDefinition ptask_of(const char* name, const yoke_kernel& kernel, const yoke_argument* arguments,
                         std::size_t count) {
    PtaskDefinition ptask;
    ptask.name = name;
    ptask.kernel.source = text_of(kernel.source);
    ptask.kernel.source_name = text_of(kernel.source_name);
    ptask.kernel.function = text_of(kernel.function);
    ptask.kernel.options = text_of(kernel.options);
    std::copy_n(kernel.geometry, 3, ptask.kernel.geometry.begin());
    std::copy_n(kernel.local, 3, ptask.kernel.local.begin());
    for (std::size_t k = 0; k < count; k++) {
        ArgumentDefinition argument;
        argument.port = name_of(arguments[k].port);
        if (argument.port && !argument.port->starts_with('/')) {
            argument.port = ptask.name + ":" + *argument.port;
        }
        if (!argument.port) {
            const auto* bytes = static_cast<const std::uint8_t*>(arguments[k].bytes);
            argument.constant.assign(bytes, bytes + arguments[k].length);
        }
        ptask.arguments.push_back(std::move(argument));
    }
    return ptask;
}

int open_all(Session& session, const GraphDefinition& graph) {
    int status = ask(session, yoke::control::graph_message_of(graph));
    for (auto port = graph.ports.begin(); status == 0 && port != graph.ports.end(); ++port) {
        status = ask(session, yoke::control::message_of(*port));
    }
    for (auto ptask = graph.ptasks.begin(); status == 0 && ptask != graph.ptasks.end(); ++ptask) {
        status = ask(session, yoke::control::message_of(*ptask), compile_timeout_ns);
    }
    for (auto channel = graph.channels.begin(); status == 0 && channel != graph.channels.end(); ++channel) {
        status = ask_channel(session, yoke::control::message_of(*channel), nullptr);
    }
    return status;
}

}  // namespace

int yoke_open_graph(yoke_session* handle, const char* name) {
    return guarded(handle, [&](Session& session) {
        return name == nullptr ? missing(session, "name") : ask(session, {{"op", "open_graph"}, {"name", name}});
    });
}

int yoke_open_port(yoke_session* handle, const char* name, int direction, const yoke_template* form) {
    return guarded(handle, [&](Session& session) {
        if (name == nullptr || form == nullptr) {
            return missing(session, name == nullptr ? "name" : "template");
        }
        if (direction != YOKE_IN && direction != YOKE_OUT && direction != YOKE_IN_OUT) {
            return session.refuse(
                {EINVAL, fmt::format("direction {} of port {} is none of enum yoke_direction", direction, name)});
        }
        PortDefinition port;
        port.name = name;
        port.direction = direction == YOKE_IN    ? Direction::in
                         : direction == YOKE_OUT ? Direction::out
                                                 : Direction::in_out;
        port.form = yoke::client::template_of(*form);
        return ask(session, yoke::control::message_of(port));
    });
}

int yoke_open_ptask(yoke_session* handle, const char* name, const yoke_kernel* kernel, const yoke_argument* arguments,
                    size_t argument_count) {
    return guarded(handle, [&](Session& session) {
        if (name == nullptr || kernel == nullptr || (arguments == nullptr && argument_count != 0)) {
            return missing(session, name == nullptr ? "name" : kernel == nullptr ? "kernel" : "arguments");
        }
        if (argument_count > yoke::control::arguments_max) {
            return session.refuse({EINVAL, fmt::format("ptask {} has {} arguments; at most {} are allowed", name,
                                                       argument_count, yoke::control::arguments_max)});
        }
        for (std::size_t k = 0; k < argument_count; k++) {
            if (arguments[k].port == nullptr &&
                (arguments[k].bytes == nullptr || arguments[k].length > yoke::control::constant_bytes_max)) {
                return session.refuse(
                    {EINVAL, fmt::format("argument {} of ptask {} is neither a port nor a constant of at most "
                                         "{} bytes",
                                         k, name, yoke::control::constant_bytes_max)});
            }
        }
        return ask(session, yoke::control::message_of(ptask_of(name, *kernel, arguments, argument_count)),
                   compile_timeout_ns);
    });
}

int yoke_open_channel(yoke_session* handle, const char* name, const char* source, const char* destination,
                      uint32_t capacity, uint32_t* id) {
    return guarded(handle, [&](Session& session) {
        if (name == nullptr) {
            return missing(session, "name");
        }
        ChannelDefinition channel;
        channel.name = name;
        channel.source = name_of(source);
        channel.destination = name_of(destination);
        if (capacity != 0) {
            channel.capacity = capacity;
        }
        return ask_channel(session, yoke::control::message_of(channel), id);
    });
}

int yoke_open_graph_as(yoke_session* handle, const char* name, int persist, uint32_t mode) {
    return guarded(handle, [&](Session& session) {
        if (name == nullptr) {
            return missing(session, "name");
        }
        if (mode > yoke::control::mode_max) {
            return session.refuse(
                {EINVAL, fmt::format("mode {:#o} of graph {} is none; use 0400, 0200 and 0100", mode, name)});
        }
        GraphDefinition graph;
        graph.name = name;
        graph.persist = persist != 0;
        graph.mode = mode != 0 ? mode : yoke::control::mode_default;
        return ask(session, yoke::control::graph_message_of(graph));
    });
}

int yoke_open_port_as(yoke_session* handle, const char* name, const yoke_port* port) {
    return guarded(handle, [&](Session& session) {
        if (name == nullptr || port == nullptr) {
            return missing(session, name == nullptr ? "name" : "port");
        }
        auto definition = yoke::client::port_of(name, *port);
        return definition ? ask(session, yoke::control::message_of(*definition)) : session.refuse(definition.error());
    });
}

int yoke_open_ptask_as(yoke_session* handle, const char* name, const yoke_ptask* ptask) {
    return guarded(handle, [&](Session& session) {
        if (name == nullptr || ptask == nullptr) {
            return missing(session, name == nullptr ? "name" : "ptask");
        }
        for (std::size_t i = 0;
             ptask->forms != nullptr && i < std::min(ptask->form_count, yoke::control::forms_max + 1); i++) {
            if (const yoke_key* const key = ptask->forms[i].key; key != nullptr && !session.knows_key(key)) {
                return session.refuse(
                    {EINVAL, fmt::format("the key of ptask {} was not made by this session, or was destroyed", name)});
            }
        }
        auto definition = yoke::client::ptask_of(name, *ptask);
        return definition ? ask(session, yoke::control::message_of(*definition), compile_timeout_ns)
                          : session.refuse(definition.error());
    });
}

int yoke_open_channel_as(yoke_session* handle, const char* name, const yoke_channel* channel, uint32_t* id) {
    return guarded(handle, [&](Session& session) {
        if (name == nullptr || channel == nullptr) {
            return missing(session, name == nullptr ? "name" : "channel");
        }
        auto definition = yoke::client::channel_of(name, *channel);
        return definition ? ask_channel(session, yoke::control::message_of(*definition), id)
                          : session.refuse(definition.error());
    });
}

int yoke_set_ptask_prio(yoke_session* handle, const char* name, uint32_t priority) {
    return guarded(handle, [&](Session& session) {
        if (name == nullptr) {
            return missing(session, "name");
        }
        if (priority > yoke::control::priority_max) {
            return session.refuse({EINVAL, fmt::format("priority {} of {} is too high; 0 to {} are allowed", priority,
                                                       name, yoke::control::priority_max)});
        }
        return ask(session, {{"op", "set_priority"}, {"name", name}, {"priority", priority}});
    });
}

int yoke_graph_why(yoke_session* handle, const char* name, char** json) {
    return guarded(handle, [&](Session& session) {
        if (name == nullptr || json == nullptr) {
            return missing(session, name == nullptr ? "name" : "json");
        }
        *json = nullptr;
        auto answer = session.ask_graph({{"op", "why"}, {"name", name}}, request_timeout_ns);
        if (!answer) {
            return session.refuse(answer.error());
        }
        *json = ::strdup(answer->body.value("why", Json::array()).dump().c_str());
        return *json != nullptr ? 0 : -ENOMEM;
    });
}

int yoke_open_pipe(yoke_session* handle, const char* name, const yoke_template* form, int variable, uint32_t capacity,
                   uint32_t* id) {
    return guarded(handle, [&](Session& session) {
        if (name == nullptr || form == nullptr) {
            return missing(session, name == nullptr ? "name" : "form");
        }
        return ask_channel(session,
                           {{"op", "open_pipe"},
                            {"name", name},
                            {"template", yoke::control::message_of(yoke::client::template_of(*form))},
                            {"variable", variable != 0},
                            {"capacity", capacity != 0 ? capacity : yoke::control::capacity_default}},
                           id);
    });
}

int yoke_close_pipe(yoke_session* handle, const char* name) {
    return guarded(handle, [&](Session& session) {
        return name == nullptr ? missing(session, "name") : ask(session, {{"op", "close_pipe"}, {"name", name}});
    });
}

int yoke_serve_function(yoke_session* handle, const char* ptask, yoke_function function, void* user) {
    return guarded(handle, [&](Session& session) {
        return ptask == nullptr || function == nullptr ? missing(session, ptask == nullptr ? "ptask" : "function")
                                                       : session.serve_function(ptask, function, user);
    });
}

int yoke_run_graph(yoke_session* handle, const char* name) {
    return guarded(handle, [&](Session& session) {
        return name == nullptr ? missing(session, "name") : ask(session, {{"op", "run_graph"}, {"name", name}});
    });
}

int yoke_terminate_graph(yoke_session* handle, const char* name) {
    return guarded(handle, [&](Session& session) {
        return name == nullptr ? missing(session, "name") : ask(session, {{"op", "terminate_graph"}, {"name", name}});
    });
}

int yoke_remove_graph(yoke_session* handle, const char* name) {
    return guarded(handle, [&](Session& session) {
        return name == nullptr ? missing(session, "name") : ask(session, {{"op", "remove_graph"}, {"name", name}});
    });
}

int yoke_load_graph(yoke_session* handle, const char* path, char* name, size_t name_bytes) {
    return guarded(handle, [&](Session& session) {
        if (path == nullptr || (name == nullptr && name_bytes != 0)) {
            return missing(session, path == nullptr ? "path" : "name");
        }
        auto graph = yoke::control::load_graph(path);
        if (!graph) {
            return session.refuse(graph.error());
        }
        if (name_bytes != 0 && graph->name.size() >= name_bytes) {
            return session.refuse(
                {EMSGSIZE, fmt::format("the name {} needs {} bytes; give more", graph->name, graph->name.size() + 1)});
        }
        const int status = open_all(session, *graph);
        if (status == 0 && name_bytes != 0) {
            std::memcpy(name, graph->name.c_str(), graph->name.size() + 1);
        }
        return status;
    });
}

int yoke_build_graph(yoke_session* handle, const char* path) {
    return guarded(handle, [&](Session& session) {
        if (path == nullptr) {
            return missing(session, "path");
        }
        auto graph = yoke::control::load_graph(path);
        if (!graph) {
            return session.refuse(graph.error());
        }
        yoke_session_info info{};
        if (const int status = session.info(info); status != 0) {
            return status;
        }
        const std::string name = graph->name;
        // What persisting forbids was looked for when the file was read; what is made here must end with its session.
        graph->persist = false;
        yoke::control::rename_graph(*graph, fmt::format("/check-{}-{}", ::getpid(), info.session));
        const int status = open_all(session, *graph);
        std::string error = session.error();
        for (std::size_t at = 0; (at = error.find(graph->name, at)) != std::string::npos; at += name.size()) {
            error.replace(at, graph->name.size(), name);
        }
        // Of one that could not be opened nothing is there to be removed.
        static_cast<void>(ask(session, {{"op", "remove_graph"}, {"name", graph->name}}));
        return status == 0 ? 0 : session.refuse({-status, error});
    });
}

int yoke_check_graph(const char* path, char* message, size_t message_bytes) {
    if (path == nullptr) {
        return -EINVAL;
    }
    try {
        const auto graph = yoke::control::load_graph(path);
        if (message != nullptr && message_bytes != 0) {
            const std::string& text = graph ? graph->name : graph.error().message;
            const std::size_t length = std::min(text.size(), message_bytes - 1);
            std::memcpy(message, text.data(), length);
            message[length] = '\0';
        }
        return graph ? 0 : -graph.error().code;
    } catch (const std::bad_alloc&) {
        return -ENOMEM;
    } catch (...) {
        return -EIO;
    }
}
