// The ports of a ptask out of a graph file; see graph_reader.hpp.
#include "base/text.hpp"
#include "control/constant.hpp"
#include "control/definition.hpp"
#include "control/graph_reader.hpp"

namespace yoke::control {

namespace {

void read_template(GraphReading& reading, TemplateDefinition& form, const toml::table& table, const std::string& what) {
    TomlReader& toml = reading.toml;
    const toml::node* const type = toml.need(table, "type", what);
    const toml::node* const extent = toml.need(table, "extent", what);
    const toml::node* const stride = table.get("stride");
    if (type == nullptr || extent == nullptr) {
        return;
    }
    form.type = toml.string(type, "type", name_part_bytes_max);
    form.extent = reading.extent(extent, "extent", extent_max);
    form.stride = toml.number(stride, "stride", 0, extent_max);
    if (auto known = parse_element_type(form.type); !known) {
        toml.fail_at(type->source(), "{}", known.error().message);
    } else if (auto bytes = template_bytes(form); !bytes) {
        toml.fail_at((stride != nullptr ? stride : extent)->source(), "{}", bytes.error().message);
    }
}

void read_direction(GraphReading& reading, PortDefinition& port, const toml::table& table, const std::string& what) {
    const toml::node* const node = reading.toml.need(table, "direction", what);
    if (node == nullptr) {
        return;
    }
    const std::string way = reading.toml.string(node, "direction", name_part_bytes_max);
    for (const Direction direction : {Direction::in, Direction::out, Direction::in_out}) {
        if (way == direction_text(direction)) {
            port.direction = direction;
            return;
        }
    }
    reading.toml.fail_at(node->source(), "direction {} must be \"in\", \"out\" or \"in-out\"", in_quotes(way));
}

// What the runtime reads from the port, or tells by it.
void read_meta(GraphReading& reading, PortDefinition& port, const std::string& ptask, const toml::table& table) {
    TomlReader& toml = reading.toml;
    const toml::node* const of = table.get("of");
    if (const toml::node* const meta = table.get("meta")) {
        const std::string what = toml.string(meta, "meta", name_part_bytes_max);
        port.meta = what == "size" ? Meta::size : Meta::iterations;
        if (what != "size" && what != "iterations") {
            toml.fail_at(meta->source(), "meta {} must be \"size\" or \"iterations\"", in_quotes(what));
        }
        port.of = reading.port_name(ptask, of, "of");
        if (port.meta == Meta::size && of == nullptr) {
            toml.fail_at(meta->source(), "meta size needs of, the out port whose size is meant; add it");
        }
    } else if (of != nullptr) {
        toml.fail_at(of->source(), "of is for meta ports only; leave it out");
    }
    if (const toml::node* const described = table.get("descriptor")) {
        port.descriptor = true;
        port.of = reading.port_name(ptask, described, "descriptor");
    }
}

}  // namespace

std::size_t read_port(GraphReading& reading, const std::string& ptask, const toml::key& key, const toml::table& table) {
    TomlReader& toml = reading.toml;
    const std::string what = fmt::format("port {}", in_quotes(key.str()));
    toml.refuse_unknown(table, what,
                        {"direction", "type", "extent", "stride", "sticky", "init", "initial", "hold", "variable",
                         "meta", "of", "descriptor"});
    PortDefinition port;
    port.name = fmt::format("{}:{}", ptask, key.str());
    reading.check_name(key.source(), port.name, NameKind::port);
    read_direction(reading, port, table, what);
    read_template(reading, port.form, table, what);
    port.sticky = toml.boolean(table.get("sticky"), "sticky");
    port.hold = toml.boolean(table.get("hold"), "hold");
    port.variable = toml.boolean(table.get("variable"), "variable");
    port.init = toml.boolean(table.get("init"), "init");
    if (const toml::node* const initial = table.get("initial")) {
        if (const toml::table* const constant = initial->as_table()) {
            port.initial = encode_element(toml, *constant);
        } else {
            toml.fail_at(initial->source(), "initial must be a constant; write for example {{ f32 = 0.5 }}");
        }
    }
    read_meta(reading, port, ptask, table);
    if (auto checked = check_port(port); !checked) {
        toml.fail_at(key.source(), "{}", checked.error().message);
    }
    reading.graph.ports.push_back(std::move(port));
    reading.port_places.push_back(key.source());
    return reading.graph.ports.size() - 1;
}

}  // namespace yoke::control
