// Definitions of a graph's objects from and to control messages.
#include "base/hex.hpp"
#include "control/graph_file.hpp"

namespace yoke::control {

namespace {

std::optional<std::string> name_or_nothing(const Json& value) {
    return value.is_null() ? std::nullopt : std::optional(value.get<std::string>());
}

Json name_or_null(const std::optional<std::string>& name) {
    return name ? Json(*name) : Json(nullptr);
}

}  // namespace

PortDefinition port_from(const Json& message) {
    const Json& form = message.at("template");
    return {message.at("name").get<std::string>(),
            message.at("direction") == "out",
            {form.at("type").get<std::string>(), form.at("extent").get<std::array<std::uint64_t, 3>>(),
             form.at("stride").get<std::uint64_t>()}};
}

PtaskDefinition ptask_from(const Json& message) {
    const Json& kernel = message.at("kernel");
    PtaskDefinition ptask{message.at("name").get<std::string>(),
                          {kernel.at("source").get<std::string>(), kernel.at("source_name").get<std::string>(),
                           kernel.at("function").get<std::string>(), kernel.at("options").get<std::string>(),
                           kernel.at("geometry").get<std::array<std::uint64_t, 3>>(),
                           kernel.at("local").get<std::array<std::uint64_t, 3>>()},
                          {}};
    for (const Json& argument : message.at("arguments")) {
        if (const auto port = argument.find("port"); port != argument.end()) {
            ptask.arguments.push_back({port->get<std::string>(), {}});
        } else {
            // The schema has let only hexadecimal text pass.
            ptask.arguments.push_back({{}, *decode_hex(argument.at("constant").get_ref<const std::string&>())});
        }
    }
    return ptask;
}

ChannelDefinition channel_from(const Json& message) {
    return {message.at("name").get<std::string>(), name_or_nothing(message.at("source")),
            name_or_nothing(message.at("destination")), message.at("capacity").get<std::uint32_t>()};
}

Json message_of(const PortDefinition& port) {
    return {{"op", "open_port"},
            {"name", port.name},
            {"direction", port.out ? "out" : "in"},
            {"template", {{"type", port.form.type}, {"extent", port.form.extent}, {"stride", port.form.stride}}}};
}

Json message_of(const PtaskDefinition& ptask) {
    const KernelDefinition& kernel = ptask.kernel;
    Json arguments = Json::array();
    for (const ArgumentDefinition& argument : ptask.arguments) {
        arguments.push_back(argument.port ? Json{{"port", *argument.port}}
                                          : Json{{"constant", encode_hex(argument.constant)}});
    }
    return {{"op", "open_ptask"},
            {"name", ptask.name},
            {"kernel",
             {{"source", kernel.source},
              {"source_name", kernel.source_name},
              {"function", kernel.function},
              {"options", kernel.options},
              {"geometry", kernel.geometry},
              {"local", kernel.local}}},
            {"arguments", std::move(arguments)}};
}

Json message_of(const ChannelDefinition& channel) {
    return {{"op", "open_channel"},
            {"name", channel.name},
            {"source", name_or_null(channel.source)},
            {"destination", name_or_null(channel.destination)},
            {"capacity", channel.capacity}};
}

}  // namespace yoke::control
