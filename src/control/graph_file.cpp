// A graph's definition out of TOML; see graph_file.hpp. This is the file as a whole; its tables are read by
// ptask_reader.cpp, kernel_reader.cpp, port_reader.cpp and channel_reader.cpp.
#include "control/graph_file.hpp"

#include <algorithm>

#include "base/file.hpp"
#include "base/text.hpp"
#include "control/graph_reader.hpp"
#include "control/graph_wiring.hpp"

namespace yoke::control {

void GraphReading::check_name(const toml::source_region& at, const std::string& name, NameKind kind) {
    if (auto parts = parse_name(name, kind); !parts) {
        toml.fail_at(at, "{}", parts.error().message);
    }
}

std::string GraphReading::member_name(const toml::key& key) {
    std::string name = fmt::format("{}/{}", graph.name, key.str());
    check_name(key.source(), name, NameKind::member);
    if (!members.insert(name).second) {
        toml.fail_at(key.source(), "{} names a ptask and a channel; rename one of them", in_quotes(name));
    }
    return name;
}

std::string GraphReading::port_name(const std::string& ptask, const toml::node* node, std::string_view what) {
    if (node == nullptr) {
        return {};
    }
    const std::string name = fmt::format("{}:{}", ptask, toml.string(node, what, name_part_bytes_max));
    check_name(node->source(), name, NameKind::port);
    return name;
}

std::array<std::uint64_t, 3> GraphReading::extent(const toml::node* node, std::string_view name, std::uint64_t max) {
    std::array<std::uint64_t, 3> extent{1, 1, 1};
    const toml::array* const numbers = toml.array(node, name);
    if (numbers == nullptr) {
        return extent;
    }
    if (numbers->empty() || numbers->size() > extent.size()) {
        toml.fail_at(node->source(), "{} has {} numbers; give one for each of at most three dimensions", name,
                     numbers->size());
        return extent;
    }
    for (std::size_t i = 0; i < numbers->size(); ++i) {
        extent[i] = toml.number(numbers->get(i), name, 1, max);
    }
    return extent;
}

std::string GraphReading::path_of(const std::string& file) const {
    return file.starts_with('/') || directory.empty() ? file : fmt::format("{}/{}", directory, file);
}

namespace {

void read_mode(GraphReading& reading, const toml::node* node) {
    if (node == nullptr) {
        return;
    }
    const std::string text = reading.toml.string(node, "mode", 4);
    std::uint32_t mode = 0;
    bool octal = !text.empty();
    for (const char digit : text) {
        octal = octal && digit >= '0' && digit <= '7';
        mode = mode * 8 + static_cast<std::uint32_t>(digit - '0');
    }
    if (!octal || mode > mode_max) {
        reading.toml.fail_at(node->source(), "mode {} is none; write octal digits, for example \"0700\"",
                             in_quotes(text));
        return;
    }
    reading.graph.mode = mode;
}

void read_root(GraphReading& reading, const toml::table& root) {
    TomlReader& toml = reading.toml;
    GraphDefinition& graph = reading.graph;
    toml.refuse_unknown(root, "a graph file", {"name", "persist", "mode", "ptask", "channel"});
    if (const toml::node* const name = toml.need(root, "name", "the file")) {
        graph.name = toml.string(name, "name", name_bytes_max);
        reading.check_name(name->source(), graph.name, NameKind::graph);
    }
    graph.persist = toml.boolean(root.get("persist"), "persist");
    read_mode(reading, root.get("mode"));
    for (const auto& [key, ptask] : toml.tables(root, "ptask")) {
        read_ptask(reading, *key, *ptask);
    }
    for (const auto& [key, channel] : toml.tables(root, "channel")) {
        read_channel(reading, *key, *channel);
    }
    if (graph.ptasks.empty()) {
        toml.fail_at(root.source(), "graph {} has no ptask; add a table [ptask.NAME]", in_quotes(graph.name));
    }
}

void check_wiring(GraphReading& reading) {
    if (const auto wrong = find_miswiring(reading.graph)) {
        const auto& places = wrong->kind == Miswiring::Kind::port    ? reading.port_places
                             : wrong->kind == Miswiring::Kind::ptask ? reading.ptask_places
                                                                     : reading.channel_places;
        reading.toml.fail_at(places[wrong->index], "{}", wrong->message);
    }
}

}  // namespace

Result<GraphDefinition> parse_graph(std::string_view toml, const std::string& file, const std::string& directory) {
    if (toml.size() > graph_file_bytes_max) {
        return fail(EMSGSIZE, "graph file {} is longer than {} bytes", printable(file), graph_file_bytes_max);
    }
    GraphReading reading(printable(file), directory);
    const toml::table root = reading.toml.parse(toml);
    if (!reading.toml.error()) {
        read_root(reading, root);
    }
    if (!reading.toml.error()) {
        check_wiring(reading);
    }
    if (reading.toml.error()) {
        return tl::unexpected(*reading.toml.error());
    }
    return std::move(reading.graph);
}

Result<GraphDefinition> load_graph(const std::string& path) {
    auto text = read_file(path, graph_file_bytes_max);
    if (!text) {
        return tl::unexpected(text.error());
    }
    const std::size_t slash = path.rfind('/');
    return parse_graph(*text, path, slash == std::string::npos ? "." : path.substr(0, slash + (slash == 0 ? 1 : 0)));
}

void rename_graph(GraphDefinition& graph, const std::string& name) {
    const std::string old = graph.name + "/";
    const auto rename = [&](std::string& object) {
        if (object.starts_with(old)) {
            object.replace(0, graph.name.size(), name);
        }
    };
    const auto rename_in = [&](KernelDefinition& kernel) { std::ranges::for_each(kernel.geometry_from, rename); };
    for (PortDefinition& port : graph.ports) {
        rename(port.name);
        rename(port.of);
    }
    for (PtaskDefinition& ptask : graph.ptasks) {
        rename(ptask.name);
        rename_in(ptask.kernel);
        std::ranges::for_each(ptask.others, rename_in);
        for (ArgumentDefinition& argument : ptask.arguments) {
            if (argument.port) {
                rename(*argument.port);
            }
        }
    }
    for (ChannelDefinition& channel : graph.channels) {
        rename(channel.name);
        for (std::optional<std::string>* const end : {&channel.source, &channel.destination}) {
            if (*end) {
                rename(**end);
            }
        }
    }
    graph.name = name;
}

}  // namespace yoke::control
