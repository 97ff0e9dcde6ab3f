// Requests were checked by schema; names and their meaning are the runtime's to judge. Errors name the object.
#include "worker/graph_request.hpp"

namespace yoke::worker {
namespace {

using control::Json;

Json answer_opened(const Json& request, const Result<graph::Opened>& opened, const std::string& op) {
    if (!opened) {
        Json body = control::answer_error(request, opened.error());
        body["object"] = request["name"];
        return body;
    }
    Json body = control::answer(request);
    body["created"] = opened->created;
    if (op == "open_channel") {
        body["channel"] = opened->channel;
    }
    if (op == "open_ptask") {
        body["log"] = opened->log;
    }
    return body;
}

Json answer_status(const Json& request, const Status& status) {
    if (!status) {
        Json body = control::answer_error(request, status.error());
        body["object"] = request["name"];
        return body;
    }
    return control::answer(request);
}

}  // namespace

Json serve_graph_request(Engine& engine, const graph::Limits& limits, std::uint32_t session, const std::string& op,
                         const Json& request) {
    auto opened = engine.open(limits);
    if (!opened) {
        return control::answer_error(request, opened.error());
    }
    graph::Runtime& runtime = **opened;
    const auto& name = request["name"].get_ref<const std::string&>();
    if (op == "open_graph") {
        return answer_opened(request, runtime.open_graph(session, name), op);
    }
    if (op == "open_port") {
        return answer_opened(request, runtime.open_port(session, control::port_from(request)), op);
    }
    if (op == "open_ptask") {
        return answer_opened(request, runtime.open_ptask(session, control::ptask_from(request)), op);
    }
    if (op == "open_channel") {
        return answer_opened(request, runtime.open_channel(session, control::channel_from(request)), op);
    }
    if (op == "run_graph") {
        return answer_status(request, runtime.run_graph(session, name));
    }
    return answer_status(request, runtime.terminate_graph(session, name));
}

}  // namespace yoke::worker
