// Requests were checked by schema; names and their meaning are the runtime's to judge. Errors name the object.
#include "worker/graph_request.hpp"

#include <algorithm>
#include <array>

#include "control/definition.hpp"

namespace yoke::worker {
namespace {

using control::Json;

// A request on its way through the runtime.
struct Call {
    graph::Runtime& runtime;
    std::uint32_t session;
    const Json& request;

    [[nodiscard]] const std::string& name() const { return request["name"].get_ref<const std::string&>(); }
};

Json refused(const Call& call, const Error& error) {
    Json body = control::answer_error(call.request, error);
    body["object"] = call.name();
    return body;
}

Json answer_status(const Call& call, const Status& status) {
    return status ? control::answer(call.request) : refused(call, status.error());
}

Json answer_opened(const Call& call, const Result<graph::Opened>& opened) {
    if (!opened) {
        return refused(call, opened.error());
    }
    Json body = control::answer(call.request);
    body["created"] = opened->created;
    return body;
}

Json answer_channel(const Call& call, const Result<graph::Opened>& opened) {
    Json body = answer_opened(call, opened);
    if (opened) {
        body["channel"] = opened->channel;
    }
    return body;
}

Json open_graph(const Call& call) {
    return answer_opened(call, call.runtime.open_graph(call.session, call.name(), call.request.value("persist", false),
                                                       call.request.value("mode", control::mode_default)));
}

Json open_port(const Call& call) {
    const control::PortDefinition port = control::port_from(call.request);
    if (auto checked = control::check_port(port); !checked) {
        return refused(call, checked.error());
    }
    return answer_opened(call, call.runtime.open_port(call.session, port));
}

Json open_ptask(const Call& call) {
    const control::PtaskDefinition ptask = control::ptask_from(call.request);
    if (auto checked = control::check_ptask(ptask); !checked) {
        return refused(call, checked.error());
    }
    const auto opened = call.runtime.open_ptask(call.session, ptask);
    Json body = answer_opened(call, opened);
    if (opened) {
        body["log"] = opened->log;
    }
    return body;
}

Json open_channel(const Call& call) {
    const control::ChannelDefinition channel = control::channel_from(call.request);
    if (auto checked = control::check_channel(channel); !checked) {
        return refused(call, checked.error());
    }
    return answer_channel(call, call.runtime.open_channel(call.session, channel));
}

Json run_graph(const Call& call) {
    return answer_status(call, call.runtime.run_graph(call.session, call.name()));
}

Json terminate_graph(const Call& call) {
    return answer_status(call, call.runtime.terminate_graph(call.session, call.name()));
}

Json set_priority(const Call& call) {
    return answer_status(
        call, call.runtime.set_priority(call.session, call.name(), call.request["priority"].get<std::uint8_t>()));
}

Json why(const Call& call) {
    auto reasons = call.runtime.why(call.session, call.name());
    if (!reasons) {
        return refused(call, reasons.error());
    }
    Json body = control::answer(call.request);
    body["why"] = std::move(*reasons);
    return body;
}

Json open_pipe(const Call& call) {
    return answer_channel(
        call, call.runtime.open_pipe(call.session, {call.name(), control::template_from(call.request["template"]),
                                                    call.request.value("variable", false),
                                                    call.request["capacity"].get<std::uint32_t>()}));
}

Json close_pipe(const Call& call) {
    return answer_status(call, call.runtime.close_pipe(call.session, call.name()));
}

struct Handler {
    std::string_view op;
    Json (*serve)(const Call& call);
};

const Handler* handler_of(std::string_view op) {
    static constexpr std::array<Handler, 10> handlers{{{"open_graph", open_graph},
                                                       {"open_port", open_port},
                                                       {"open_ptask", open_ptask},
                                                       {"open_channel", open_channel},
                                                       {"run_graph", run_graph},
                                                       {"terminate_graph", terminate_graph},
                                                       {"set_priority", set_priority},
                                                       {"why", why},
                                                       {"open_pipe", open_pipe},
                                                       {"close_pipe", close_pipe}}};
    const auto found = std::ranges::find(handlers, op, &Handler::op);
    return found != handlers.end() ? &*found : nullptr;
}

}  // namespace

Json serve_graph_request(Engine& engine, const graph::Limits& limits, std::uint32_t session, const std::string& op,
                         const Json& request) {
    auto opened = engine.open(limits);
    if (!opened) {
        return control::answer_error(request, opened.error());
    }
    const Handler* const handler = handler_of(op);
    if (handler == nullptr) {
        return control::answer_error(request, {ENOSYS, fmt::format("{} is no request about graphs", op)});
    }
    return handler->serve({**opened, session, request});
}

}  // namespace yoke::worker
