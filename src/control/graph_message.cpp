// Definitions of a graph's objects from and to control messages. Members that have their default are left out, so that
// a plain port or ptask makes a short message, and a message of a client that knows only those stays right.
#include "base/hex.hpp"
#include "control/definition.hpp"
#include "control/graph_file.hpp"

namespace yoke::control {

namespace {

constexpr std::string_view tells_count = "count";
constexpr std::string_view tells_extent = "extent";

std::optional<std::string> name_or_nothing(const Json& value) {
    return value.is_null() ? std::nullopt : std::optional(value.get<std::string>());
}

Json name_or_null(const std::optional<std::string>& name) {
    return name ? Json(*name) : Json(nullptr);
}

template <typename T>
void put(Json& message, const char* member, const T& value, const T& usual) {
    if (value != usual) {
        message[member] = value;
    }
}

void put_bytes(Json& message, const char* member, const std::vector<std::uint8_t>& bytes) {
    if (!bytes.empty()) {
        message[member] = encode_hex(bytes);
    }
}

template <typename T>
void take(const Json& message, const char* member, T& value) {
    if (const auto found = message.find(member); found != message.end()) {
        value = found->template get<T>();
    }
}

// The schema has let only hexadecimal text pass.
void take_bytes(const Json& message, const char* member, std::vector<std::uint8_t>& bytes) {
    if (const auto found = message.find(member); found != message.end()) {
        bytes = *decode_hex(found->get_ref<const std::string&>());
    }
}

void put_predicate(Json& message, const char* member, const Predicate& predicate) {
    if (predicate != Predicate{}) {
        message[member] = predicate_text(predicate);
    }
}

void take_predicate(const Json& message, const char* member, Predicate& predicate) {
    if (const auto found = message.find(member); found != message.end()) {
        predicate = *parse_predicate(found->get_ref<const std::string&>());
    }
}

KernelDefinition kernel_from(const Json& message) {
    KernelDefinition kernel;
    take(message, "form", kernel.form);
    take(message, "source", kernel.source);
    if (std::vector<std::uint8_t> bytes; message.contains("source_hex")) {
        take_bytes(message, "source_hex", bytes);
        kernel.source.assign(bytes.begin(), bytes.end());
    }
    take(message, "source_name", kernel.source_name);
    take(message, "function", kernel.function);
    take(message, "options", kernel.options);
    take(message, "geometry", kernel.geometry);
    take(message, "geometry_from", kernel.geometry_from);
    take(message, "local", kernel.local);
    take_bytes(message, "parameters", kernel.parameters);
    take(message, "decrypt", kernel.decrypt);
    take(message, "key", kernel.key);
    return kernel;
}

Json message_of(const KernelDefinition& kernel) {
    const KernelDefinition usual;
    Json message = Json::object();
    put(message, "form", kernel.form, usual.form);
    if (is_text_form(kernel.form)) {
        put(message, "source", kernel.source, usual.source);
    } else {
        put_bytes(message, "source_hex", {kernel.source.begin(), kernel.source.end()});
    }
    put(message, "source_name", kernel.source_name, usual.source_name);
    put(message, "function", kernel.function, usual.function);
    put(message, "options", kernel.options, usual.options);
    put(message, "geometry", kernel.geometry, usual.geometry);
    put(message, "geometry_from", kernel.geometry_from, usual.geometry_from);
    put(message, "local", kernel.local, usual.local);
    put_bytes(message, "parameters", kernel.parameters);
    put(message, "decrypt", kernel.decrypt, usual.decrypt);
    put(message, "key", kernel.key, usual.key);
    return message;
}

ArgumentDefinition argument_from(const Json& message) {
    using Tells = ArgumentDefinition::Tells;
    ArgumentDefinition argument;
    take_bytes(message, "constant", argument.constant);
    for (const auto& [member, tells] : {std::pair{std::string_view("port"), Tells::datablock},
                                        {tells_count, Tells::count},
                                        {tells_extent, Tells::extent}}) {
        if (const auto found = message.find(member); found != message.end()) {
            argument.port = found->get<std::string>();
            argument.tells = tells;
        }
    }
    return argument;
}

Json message_of(const ArgumentDefinition& argument) {
    using Tells = ArgumentDefinition::Tells;
    if (!argument.port) {
        return {{"constant", encode_hex(argument.constant)}};
    }
    const std::string_view member = argument.tells == Tells::count    ? tells_count
                                    : argument.tells == Tells::extent ? tells_extent
                                                                      : "port";
    return {{std::string(member), *argument.port}};
}

EndpointDefinition endpoint_from(const Json& message) {
    EndpointDefinition endpoint;
    // The schema lets only the five kinds pass.
    endpoint.kind = endpoint_kind(message.at("kind").get_ref<const std::string&>()).value_or(endpoint.kind);
    take(message, "path", endpoint.path);
    take(message, "repeat", endpoint.repeat);
    take(message, "raw", endpoint.raw);
    return endpoint;
}

Json message_of(const EndpointDefinition& endpoint) {
    Json message{{"kind", endpoint_text(endpoint.kind)}, {"path", endpoint.path}};
    put(message, "repeat", endpoint.repeat, false);
    put(message, "raw", endpoint.raw, false);
    return message;
}

}  // namespace

TemplateDefinition template_from(const Json& message) {
    return {message.at("type").get<std::string>(), message.at("extent").get<std::array<std::uint64_t, 3>>(),
            message.at("stride").get<std::uint64_t>()};
}

Json message_of(const TemplateDefinition& form) {
    return {{"type", form.type}, {"extent", form.extent}, {"stride", form.stride}};
}

PortDefinition port_from(const Json& message) {
    PortDefinition port;
    port.name = message.at("name").get<std::string>();
    const auto& direction = message.at("direction").get_ref<const std::string&>();
    port.direction = direction == "in" ? Direction::in : direction == "out" ? Direction::out : Direction::in_out;
    port.form = template_from(message.at("template"));
    take(message, "sticky", port.sticky);
    take(message, "init", port.init);
    take(message, "hold", port.hold);
    take(message, "variable", port.variable);
    take(message, "descriptor", port.descriptor);
    take(message, "of", port.of);
    take_bytes(message, "initial", port.initial);
    if (const auto meta = message.find("meta"); meta != message.end()) {
        port.meta = *meta == "size" ? Meta::size : Meta::iterations;
    }
    return port;
}

PtaskDefinition ptask_from(const Json& message) {
    PtaskDefinition ptask;
    ptask.name = message.at("name").get<std::string>();
    ptask.kernel = kernel_from(message.at("kernel"));
    for (const Json& argument : message.at("arguments")) {
        ptask.arguments.push_back(argument_from(argument));
    }
    if (const auto others = message.find("others"); others != message.end()) {
        for (const Json& kernel : *others) {
            ptask.others.push_back(kernel_from(kernel));
        }
    }
    take(message, "priority", ptask.priority);
    take(message, "deadline_ns", ptask.deadline_ns);
    return ptask;
}

ChannelDefinition channel_from(const Json& message) {
    ChannelDefinition channel;
    channel.name = message.at("name").get<std::string>();
    channel.source = name_or_nothing(message.at("source"));
    channel.destination = name_or_nothing(message.at("destination"));
    channel.capacity = message.at("capacity").get<std::uint32_t>();
    take(message, "back", channel.back);
    take_predicate(message, "source_when", channel.source_when);
    take_predicate(message, "destination_when", channel.destination_when);
    if (const auto endpoint = message.find("endpoint"); endpoint != message.end()) {
        channel.endpoint = endpoint_from(*endpoint);
    }
    return channel;
}

Json graph_message_of(const GraphDefinition& graph) {
    Json message{{"op", "open_graph"}, {"name", graph.name}};
    put(message, "persist", graph.persist, false);
    put(message, "mode", graph.mode, mode_default);
    return message;
}

Json message_of(const PortDefinition& port) {
    const PortDefinition usual;
    Json message{{"op", "open_port"},
                 {"name", port.name},
                 {"direction", direction_text(port.direction)},
                 {"template", message_of(port.form)}};
    put(message, "sticky", port.sticky, usual.sticky);
    put(message, "init", port.init, usual.init);
    put(message, "hold", port.hold, usual.hold);
    put(message, "variable", port.variable, usual.variable);
    put(message, "descriptor", port.descriptor, usual.descriptor);
    put(message, "of", port.of, usual.of);
    put_bytes(message, "initial", port.initial);
    if (port.meta != Meta::none) {
        message["meta"] = port.meta == Meta::size ? "size" : "iterations";
    }
    return message;
}

Json message_of(const PtaskDefinition& ptask) {
    Json arguments = Json::array();
    for (const ArgumentDefinition& argument : ptask.arguments) {
        arguments.push_back(message_of(argument));
    }
    Json message{{"op", "open_ptask"},
                 {"name", ptask.name},
                 {"kernel", message_of(ptask.kernel)},
                 {"arguments", std::move(arguments)}};
    for (const KernelDefinition& kernel : ptask.others) {
        message["others"].push_back(message_of(kernel));
    }
    put(message, "priority", ptask.priority, priority_default);
    put(message, "deadline_ns", ptask.deadline_ns, std::uint64_t{0});
    return message;
}

Json message_of(const ChannelDefinition& channel) {
    Json message{{"op", "open_channel"},
                 {"name", channel.name},
                 {"source", name_or_null(channel.source)},
                 {"destination", name_or_null(channel.destination)},
                 {"capacity", channel.capacity}};
    put(message, "back", channel.back, false);
    put_predicate(message, "source_when", channel.source_when);
    put_predicate(message, "destination_when", channel.destination_when);
    if (channel.endpoint) {
        message["endpoint"] = message_of(*channel.endpoint);
    }
    return message;
}

}  // namespace yoke::control
