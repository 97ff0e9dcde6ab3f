// A graph's definition out of TOML; see graph_file.hpp. Reading goes on after a mistake with whatever is there, so
// that code need not look after every member; the first mistake, with line and column, is what the caller gets.
#include "control/graph_file.hpp"

#include <climits>
#include <set>

#include "base/file.hpp"
#include "base/text.hpp"
#include "control/constant.hpp"
#include "control/graph_wiring.hpp"
#include "control/name.hpp"
#include "control/toml_reader.hpp"

namespace yoke::control {

namespace {

// What a compiler's messages call a program: short enough for a control message, its end kept.
std::string short_name(const std::string& name) {
    const std::string shown = printable(name, PATH_MAX);
    return shown.size() <= source_name_bytes_max ? shown
                                                 : "..." + shown.substr(shown.size() - source_name_bytes_max + 3);
}

// Reads a file's tables into a definition. Mistakes are kept by the TOML reader; what is read after one is thrown away.
class GraphReader {
   public:
    GraphReader(std::string file, std::string directory) : toml_(std::move(file)), directory_(std::move(directory)) {}

    Result<GraphDefinition> read(std::string_view text) {
        const toml::table root = toml_.parse(text);
        if (!toml_.error()) {
            read_root(root);
        }
        if (!toml_.error()) {
            check_wiring();
        }
        if (toml_.error()) {
            return tl::unexpected(*toml_.error());
        }
        return std::move(graph_);
    }

   private:
    using Source = toml::source_region;
    using Extent = std::array<std::uint64_t, 3>;

    void read_root(const toml::table& root) {
        toml_.refuse_unknown(root, "a graph file", {"name", "ptask", "channel"});
        if (const toml::node* const name = toml_.need(root, "name", "the file")) {
            graph_.name = toml_.string(name, "name", name_bytes_max);
            check_name(name->source(), graph_.name, NameKind::graph);
        }
        for (const auto& [key, ptask] : toml_.tables(root, "ptask")) {
            read_ptask(*key, *ptask);
        }
        for (const auto& [key, channel] : toml_.tables(root, "channel")) {
            read_channel(*key, *channel);
        }
        if (graph_.ptasks.empty()) {
            toml_.fail_at(root.source(), "graph {} has no ptask; add a table [ptask.NAME]", in_quotes(graph_.name));
        }
    }

    void check_wiring() {
        if (const auto wrong = find_miswiring(graph_)) {
            const bool port = wrong->kind == Miswiring::Kind::port;
            toml_.fail_at(port ? port_places_[wrong->index] : channel_places_[wrong->index], "{}", wrong->message);
        }
    }

    void check_name(const Source& at, const std::string& name, NameKind kind) {
        if (auto parts = parse_name(name, kind); !parts) {
            toml_.fail_at(at, "{}", parts.error().message);
        }
    }

    // "/graph/filter" of "filter"; a ptask and a channel must not have the same.
    std::string member_name(const toml::key& key) {
        std::string name = fmt::format("{}/{}", graph_.name, key.str());
        check_name(key.source(), name, NameKind::member);
        if (!members_.insert(name).second) {
            toml_.fail_at(key.source(), "{} names a ptask and a channel; rename one of them", in_quotes(name));
        }
        return name;
    }

    void read_ptask(const toml::key& key, const toml::table& table) {
        const std::string what = fmt::format("ptask {}", in_quotes(key.str()));
        toml_.refuse_unknown(table, what,
                             {"kernel", "source", "function", "options", "geometry", "local", "arguments", "port"});
        PtaskDefinition ptask;
        ptask.name = member_name(key);
        std::set<std::string> ports;
        for (const auto& [port_key, port] : toml_.tables(table, "port")) {
            ports.insert(read_port(ptask.name, *port_key, *port));
        }
        read_program(ptask.kernel, table, what);
        if (const toml::node* const function = toml_.need(table, "function", what)) {
            ptask.kernel.function = toml_.string(function, "function", function_bytes_max);
            if (ptask.kernel.function.empty()) {
                toml_.fail_at(function->source(), "function must not be empty");
            }
        }
        ptask.kernel.options = toml_.string(table.get("options"), "options", options_bytes_max);
        read_geometry(ptask.kernel, table);
        read_arguments(ptask, toml_.need(table, "arguments", what), ports);
        graph_.ptasks.push_back(std::move(ptask));
    }

    void read_program(KernelDefinition& kernel, const toml::table& table, const std::string& what) {
        const toml::node* const file = table.get("kernel");
        const toml::node* const text = table.get("source");
        if ((file == nullptr) == (text == nullptr)) {
            toml_.fail_at(table.source(), "{} must have either kernel, the name of a file, or source, a program's text",
                          what);
            return;
        }
        if (text != nullptr) {
            kernel.source = toml_.string(text, "source", kernel_bytes_max);
            kernel.source_name = short_name(fmt::format("{}:{}", toml_.file(), what));
        } else {
            read_kernel_file(kernel, *file);
        }
        if (kernel.source.empty()) {
            toml_.fail_at((text != nullptr ? text : file)->source(), "the program of {} is empty", what);
        }
    }

    void read_kernel_file(KernelDefinition& kernel, const toml::node& node) {
        const std::string name = toml_.string(&node, "kernel", PATH_MAX);
        if (directory_.empty()) {
            toml_.fail_at(node.source(), "kernel files are not read here; give the program as source");
            return;
        }
        const std::string path = name.starts_with('/') ? name : fmt::format("{}/{}", directory_, name);
        auto content = read_file(path, kernel_bytes_max);
        if (!content) {
            toml_.keep(content.error().code, node.source(), content.error().message);
            return;
        }
        if (!is_utf8(*content) || content->find('\0') != std::string::npos) {
            toml_.fail_at(node.source(), "kernel file {} is no UTF-8 text", printable(path));
        }
        kernel.source = std::move(*content);
        kernel.source_name = short_name(path);
    }

    // One to three integers; missing ones are 1.
    Extent read_extent(const toml::node* node, std::string_view name, std::uint64_t max) {
        Extent extent{1, 1, 1};
        const toml::array* const numbers = toml_.array(node, name);
        if (numbers == nullptr) {
            return extent;
        }
        if (numbers->empty() || numbers->size() > extent.size()) {
            toml_.fail_at(node->source(), "{} has {} numbers; give one for each of at most three dimensions", name,
                          numbers->size());
            return extent;
        }
        for (std::size_t i = 0; i < numbers->size(); ++i) {
            extent[i] = toml_.number(numbers->get(i), name, 1, max);
        }
        return extent;
    }

    void read_geometry(KernelDefinition& kernel, const toml::table& table) {
        const toml::node* const geometry = table.get("geometry");
        const toml::node* const local = table.get("local");
        if (geometry != nullptr) {
            kernel.geometry = read_extent(geometry, "geometry", work_items_max);
        }
        if (local == nullptr) {
            return;
        }
        kernel.local = read_extent(local, "local", work_items_max);
        for (std::size_t i = 0; geometry != nullptr && i < 3; ++i) {
            if (kernel.geometry[i] % kernel.local[i] != 0) {
                toml_.fail_at(local->source(), "local {} does not divide geometry {} in dimension {}", kernel.local[i],
                              kernel.geometry[i], i + 1);
            }
        }
    }

    void read_arguments(PtaskDefinition& ptask, const toml::node* node, const std::set<std::string>& ports) {
        const toml::array* const arguments = toml_.array(node, "arguments");
        if (arguments == nullptr) {
            return;
        }
        if (arguments->size() > arguments_max) {
            toml_.fail_at(node->source(), "arguments has {} elements; at most {} are allowed", arguments->size(),
                          arguments_max);
            return;
        }
        std::set<std::string> passed;
        for (const toml::node& argument : *arguments) {
            if (const toml::table* const constant = argument.as_table()) {
                ptask.arguments.push_back({{}, encode_constant(toml_, *constant)});
                continue;
            }
            const std::string port = toml_.string(&argument, "an argument that is no constant", name_part_bytes_max);
            const std::string name = fmt::format("{}:{}", ptask.name, port);
            if (!ports.contains(name)) {
                toml_.fail_at(argument.source(), "argument {} is no port of this ptask; add a table [ptask.{}.port.{}]",
                              in_quotes(port), ptask.name.substr(graph_.name.size() + 1),
                              is_name_part(port) ? port : "NAME");
            }
            passed.insert(name);
            ptask.arguments.push_back({name, {}});
        }
        for (const std::string& port : ports) {
            if (!passed.contains(port)) {
                toml_.fail_at(node->source(), "port {} is not among the arguments; add it or remove the port",
                              in_quotes(port));
            }
        }
    }

    std::string read_port(const std::string& ptask, const toml::key& key, const toml::table& table) {
        const std::string what = fmt::format("port {}", in_quotes(key.str()));
        toml_.refuse_unknown(table, what, {"direction", "type", "extent", "stride"});
        PortDefinition port;
        port.name = fmt::format("{}:{}", ptask, key.str());
        check_name(key.source(), port.name, NameKind::port);
        if (const toml::node* const direction = toml_.need(table, "direction", what)) {
            const std::string way = toml_.string(direction, "direction", name_part_bytes_max);
            if (way != "in" && way != "out") {
                toml_.fail_at(direction->source(), "direction {} must be \"in\" or \"out\"", in_quotes(way));
            }
            port.out = way == "out";
        }
        read_template(port.form, table, what);
        graph_.ports.push_back(port);
        port_places_.push_back(key.source());
        return port.name;
    }

    void read_template(TemplateDefinition& form, const toml::table& table, const std::string& what) {
        const toml::node* const type = toml_.need(table, "type", what);
        const toml::node* const extent = toml_.need(table, "extent", what);
        const toml::node* const stride = table.get("stride");
        if (type == nullptr || extent == nullptr) {
            return;
        }
        form.type = toml_.string(type, "type", name_part_bytes_max);
        form.extent = read_extent(extent, "extent", extent_max);
        form.stride = toml_.number(stride, "stride", 0, extent_max);
        if (auto known = parse_element_type(form.type); !known) {
            toml_.fail_at(type->source(), "{}", known.error().message);
        } else if (auto bytes = template_bytes(form); !bytes) {
            toml_.fail_at((stride != nullptr ? stride : extent)->source(), "{}", bytes.error().message);
        }
    }

    // "/graph/filter:in" of "filter:in".
    std::optional<std::string> read_end(const toml::table& table, std::string_view key) {
        const toml::node* const node = table.get(key);
        if (node == nullptr) {
            return std::nullopt;
        }
        const std::string port = toml_.string(node, key, name_bytes_max);
        const std::string name = fmt::format("{}/{}", graph_.name, port);
        if (!parse_name(name, NameKind::port)) {
            toml_.fail_at(node->source(), "{} {} is no port; write ptask:port, without the graph's name", key,
                          in_quotes(port));
        }
        return name;
    }

    void read_channel(const toml::key& key, const toml::table& table) {
        toml_.refuse_unknown(table, fmt::format("channel {}", in_quotes(key.str())),
                             {"source", "destination", "capacity"});
        ChannelDefinition channel;
        channel.name = member_name(key);
        channel.source = read_end(table, "source");
        channel.destination = read_end(table, "destination");
        if (const toml::node* const capacity = table.get("capacity")) {
            channel.capacity = static_cast<std::uint32_t>(toml_.number(capacity, "capacity", 1, capacity_max));
        }
        graph_.channels.push_back(std::move(channel));
        channel_places_.push_back(key.source());
    }

    TomlReader toml_;
    std::string directory_;
    GraphDefinition graph_;
    std::set<std::string> members_;
    std::vector<Source> port_places_;
    std::vector<Source> channel_places_;
};

}  // namespace

Result<GraphDefinition> parse_graph(std::string_view toml, const std::string& file, const std::string& directory) {
    if (toml.size() > graph_file_bytes_max) {
        return fail(EMSGSIZE, "graph file {} is longer than {} bytes", printable(file), graph_file_bytes_max);
    }
    return GraphReader(printable(file), directory).read(toml);
}

Result<GraphDefinition> load_graph(const std::string& path) {
    auto text = read_file(path, graph_file_bytes_max);
    if (!text) {
        return tl::unexpected(text.error());
    }
    const std::size_t slash = path.rfind('/');
    return parse_graph(*text, path, slash == std::string::npos ? "." : path.substr(0, slash + (slash == 0 ? 1 : 0)));
}

}  // namespace yoke::control
