// The channels of a graph file: their ends, which are ports, endpoints or the outside; see graph_reader.hpp.
#include <filesystem>

#include "base/text.hpp"
#include "control/definition.hpp"
#include "control/graph_reader.hpp"

namespace yoke::control {

namespace {

// The worker opens endpoints, and knows nothing of the folder of the graph file.
std::string absolute(const GraphReading& reading, const std::string& path) {
    if (reading.directory.empty()) {
        return path;
    }
    std::error_code ignored;
    const auto found = std::filesystem::absolute(reading.path_of(path), ignored);
    return found.empty() ? path : found.lexically_normal().string();
}

void read_endpoint(GraphReading& reading, ChannelDefinition& channel, const toml::table& table, std::string_view key) {
    TomlReader& toml = reading.toml;
    toml.refuse_unknown(table, key, {"file", "fifo", "socket", "v4l2", "uinput", "repeat", "raw"});
    if (channel.endpoint) {
        toml.fail_at(table.source(), "channel {} has an endpoint at either end; name a port for one of them",
                     in_quotes(channel.name));
    }
    EndpointDefinition endpoint;
    const toml::node* place = nullptr;
    for (const auto& [name, value] : table) {
        if (const auto kind = endpoint_kind(name.str())) {
            if (place != nullptr) {
                toml.fail_at(name.source(), "{} has two endpoints; give one", key);
            }
            endpoint.kind = *kind;
            place = &value;
        }
    }
    if (place == nullptr) {
        toml.fail_at(table.source(), "{} names no endpoint; write for example {{ fifo = \"/run/frames\" }}", key);
        return;
    }
    const std::string path = toml.string(place, endpoint_text(endpoint.kind), endpoint_path_bytes_max);
    if (reading.graph.persist && !path.starts_with('/')) {
        toml.fail_at(place->source(), "the path {} of a persistent graph's endpoint must begin with /",
                     in_quotes(path));
    }
    endpoint.path = path.empty() ? path : absolute(reading, path);
    if (endpoint.path.size() > endpoint_path_bytes_max) {
        toml.fail_at(place->source(), "the path {} is too long; at most {} bytes are allowed", in_quotes(path),
                     endpoint_path_bytes_max);
    }
    endpoint.repeat = toml.boolean(table.get("repeat"), "repeat");
    endpoint.raw = toml.boolean(table.get("raw"), "raw");
    channel.endpoint = std::move(endpoint);
}

// "/graph/filter:in" of "filter:in"; nothing for an endpoint or what is not there.
std::optional<std::string> read_end(GraphReading& reading, ChannelDefinition& channel, const toml::table& table,
                                    std::string_view key) {
    const toml::node* const node = table.get(key);
    if (node == nullptr) {
        return std::nullopt;
    }
    if (const toml::table* const endpoint = node->as_table()) {
        read_endpoint(reading, channel, *endpoint, key);
        return std::nullopt;
    }
    const std::string port = reading.toml.string(node, key, name_bytes_max);
    const std::string name = fmt::format("{}/{}", reading.graph.name, port);
    if (!parse_name(name, NameKind::port)) {
        reading.toml.fail_at(node->source(), "{} {} is no port; write ptask:port, without the graph's name", key,
                             in_quotes(port));
    }
    return name;
}

void read_predicate(GraphReading& reading, Predicate& predicate, const toml::node* node, std::string_view key) {
    if (node == nullptr) {
        return;
    }
    constexpr std::size_t predicate_bytes_max = 255;
    auto parsed = parse_predicate(reading.toml.string(node, key, predicate_bytes_max));
    if (!parsed) {
        reading.toml.fail_at(node->source(), "{}", parsed.error().message);
        return;
    }
    predicate = *parsed;
}

}  // namespace

void read_channel(GraphReading& reading, const toml::key& key, const toml::table& table) {
    TomlReader& toml = reading.toml;
    toml.refuse_unknown(table, fmt::format("channel {}", in_quotes(key.str())),
                        {"source", "destination", "capacity", "back", "when", "source_when", "destination_when"});
    ChannelDefinition channel;
    channel.name = reading.member_name(key);
    channel.source = read_end(reading, channel, table, "source");
    channel.destination = read_end(reading, channel, table, "destination");
    if (const toml::node* const capacity = table.get("capacity")) {
        channel.capacity = static_cast<std::uint32_t>(toml.number(capacity, "capacity", 1, capacity_max));
    }
    channel.back = toml.boolean(table.get("back"), "back");
    const toml::node* const when = table.get("when");
    if (when != nullptr && table.contains("source_when")) {
        toml.fail_at(when->source(), "when is the same as source_when, which is given too; leave one of them out");
    }
    read_predicate(reading, channel.source_when, when, "when");
    read_predicate(reading, channel.source_when, table.get("source_when"), "source_when");
    read_predicate(reading, channel.destination_when, table.get("destination_when"), "destination_when");
    if (auto checked = check_channel(channel); !checked) {
        toml.fail_at(key.source(), "{}", checked.error().message);
    }
    reading.graph.channels.push_back(std::move(channel));
    reading.channel_places.push_back(key.source());
}

}  // namespace yoke::control
