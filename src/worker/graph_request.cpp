// Requests were checked by schema; names and their meaning are the runtime's to judge. Errors name the object.
#include "worker/graph_request.hpp"

#include <algorithm>
#include <array>

#include "control/definition.hpp"
#include "control/name.hpp"

namespace yoke::worker {
namespace {

using control::Json;

Json refused(const GraphCall& call, const Error& error) {
    Json body = control::answer_error(call.request, error);
    body["object"] = call.name();
    return body;
}

Json answer_status(const GraphCall& call, const Status& status) {
    return status ? control::answer(call.request) : refused(call, status.error());
}

Json answer_opened(const GraphCall& call, const Result<graph::Opened>& opened) {
    if (!opened) {
        return refused(call, opened.error());
    }
    Json body = control::answer(call.request);
    body["created"] = opened->created;
    return body;
}

Json answer_channel(const GraphCall& call, const Result<graph::Opened>& opened) {
    Json body = answer_opened(call, opened);
    if (opened) {
        body["channel"] = opened->channel;
    }
    return body;
}

// What made something of a graph that persists will make it again.
Json recorded(const GraphCall& call, Json body) {
    if (body.value("ok", false) && body.value("created", true)) {
        call.graphs.persistence().record(control::graph_of(call.name()), call.request);
    }
    return body;
}

Json open_graph(const GraphCall& call) {
    const bool persist = call.request.value("persist", false);
    if (auto able = persist ? call.graphs.persistence().check() : Status(); !able) {
        return refused(call, able.error());
    }
    const auto opened =
        call.runtime.open_graph(call.session, call.name(), persist, call.request.value("mode", control::mode_default));
    if (opened && opened->created && persist) {
        call.graphs.persistence().begin(call.request);
    }
    return answer_opened(call, opened);
}

Json open_port(const GraphCall& call) {
    const control::PortDefinition port = control::port_from(call.request);
    if (auto checked = control::check_port(port); !checked) {
        return refused(call, checked.error());
    }
    return recorded(call, answer_opened(call, call.runtime.open_port(call.session, port)));
}

Json open_ptask(const GraphCall& call) {
    const control::PtaskDefinition ptask = control::ptask_from(call.request);
    if (auto checked = control::check_ptask(ptask); !checked) {
        return refused(call, checked.error());
    }
    const auto has_key = [](const control::KernelDefinition& kernel) { return kernel.key != 0; };
    if ((has_key(ptask.kernel) || std::ranges::any_of(ptask.others, has_key)) &&
        call.graphs.persistence().records(control::graph_of(ptask.name))) {
        return refused(call,
                       {EINVAL, fmt::format("ptask {} uses a key of its session, which does not outlive it; a graph "
                                            "that persists has no keys",
                                            ptask.name)});
    }
    const auto opened = call.runtime.open_ptask(call.session, ptask);
    Json body = answer_opened(call, opened);
    if (opened) {
        body["log"] = opened->log;
    }
    return recorded(call, std::move(body));
}

Json open_channel(const GraphCall& call) {
    const control::ChannelDefinition channel = control::channel_from(call.request);
    if (auto checked = control::check_channel(channel); !checked) {
        return refused(call, checked.error());
    }
    return recorded(call, answer_channel(call, call.runtime.open_channel(call.session, channel)));
}

Json run_graph(const GraphCall& call) {
    return answer_status(call, call.graphs.run(call.runtime, call.session, call.name()));
}

Json terminate_graph(const GraphCall& call) {
    return answer_status(call, call.graphs.terminate(call.runtime, call.session, call.name()));
}

Json remove_graph(const GraphCall& call) {
    return answer_status(call, call.graphs.remove(call.runtime, call.session, call.name()));
}

Json set_priority(const GraphCall& call) {
    const Status set =
        call.runtime.set_priority(call.session, call.name(), call.request["priority"].get<std::uint8_t>());
    Json body = recorded(call, answer_status(call, set));
    const Status kept = call.graphs.persistence().update(control::graph_of(call.name()));
    return set && !kept ? refused(call, kept.error()) : body;
}

Json why(const GraphCall& call) {
    auto reasons = call.runtime.why(call.session, call.name());
    if (!reasons) {
        return refused(call, reasons.error());
    }
    Json body = control::answer(call.request);
    body["why"] = std::move(*reasons);
    return body;
}

Json open_pipe(const GraphCall& call) {
    return answer_channel(
        call, call.runtime.open_pipe(call.session, {call.name(), control::template_from(call.request["template"]),
                                                    call.request.value("variable", false),
                                                    call.request["capacity"].get<std::uint32_t>()}));
}

Json close_pipe(const GraphCall& call) {
    return answer_status(call, call.runtime.close_pipe(call.session, call.name()));
}

struct Handler {
    std::string_view op;
    Json (*serve)(const GraphCall& call);
};

const Handler* handler_of(std::string_view op) {
    static constexpr std::array<Handler, 11> handlers{{{"open_graph", open_graph},
                                                       {"open_port", open_port},
                                                       {"open_ptask", open_ptask},
                                                       {"open_channel", open_channel},
                                                       {"run_graph", run_graph},
                                                       {"terminate_graph", terminate_graph},
                                                       {"remove_graph", remove_graph},
                                                       {"set_priority", set_priority},
                                                       {"why", why},
                                                       {"open_pipe", open_pipe},
                                                       {"close_pipe", close_pipe}}};
    const auto found = std::ranges::find(handlers, op, &Handler::op);
    return found != handlers.end() ? &*found : nullptr;
}

}  // namespace

Json serve_graph_request(const GraphCall& call, const std::string& op) {
    const Handler* const handler = handler_of(op);
    if (handler == nullptr) {
        return control::answer_error(call.request, {ENOSYS, fmt::format("{} is no request about graphs", op)});
    }
    return handler->serve(call);
}

}  // namespace yoke::worker
