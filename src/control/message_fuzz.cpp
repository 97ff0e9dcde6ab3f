// Fuzzes what yoked and workers do with a packet from a stranger: parsing, the schemas of all requests, and the
// definitions made of requests that pass. What passes must survive being written and read again.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "control/graph_file.hpp"
#include "control/message.hpp"
#include "control/schema.hpp"

namespace {

using namespace yoke::control;

void require(bool condition) {
    if (!condition) {
        std::abort();
    }
}

void check_definitions(std::string_view op, const Json& body) {
    if (op == "open_port") {
        const PortDefinition port = port_from(body);
        require(port_from(message_of(port)) == port);
        (void)template_bytes(port.form);
        (void)template_text(port.form);
    } else if (op == "open_ptask") {
        const PtaskDefinition ptask = ptask_from(body);
        require(ptask_from(message_of(ptask)) == ptask);
    } else if (op == "open_channel") {
        const ChannelDefinition channel = channel_from(body);
        require(channel_from(message_of(channel)) == channel);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto body = parse(std::as_bytes(std::span(data, size)));
    if (!body) {
        require(body.error().code == EBADMSG || body.error().code == EMSGSIZE);
        return 0;
    }
    require(body->is_object());
    const std::string text = body->dump();
    const auto again = parse(std::as_bytes(std::span(text)));
    require(again && *again == *body);
    for (const Peer peer :
         {Peer::client_to_broker, Peer::client_to_worker, Peer::worker_to_broker, Peer::broker_to_worker}) {
        if (const auto op = check_request(peer, *body)) {
            check_definitions(*op, *body);
        } else {
            require(op.error().code == EBADMSG || op.error().code == ENOSYS);
            require(answer_error(*body, op.error()).at("ok") == false);
        }
    }
    return 0;
}
