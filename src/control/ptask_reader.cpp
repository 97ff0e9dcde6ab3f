// The ptasks of a graph file: their ports, their kernel forms and what their functions take; see graph_reader.hpp.
#include <algorithm>
#include <map>

#include "base/text.hpp"
#include "control/constant.hpp"
#include "control/definition.hpp"
#include "control/geometry.hpp"
#include "control/graph_reader.hpp"

namespace yoke::control {

namespace {

using Tells = ArgumentDefinition::Tells;

// Reads one ptask; knows its ports.
class PtaskReader {
   public:
    PtaskReader(GraphReading& reading, const toml::key& key, const toml::table& table)
        : reading_(reading), toml_(reading.toml), table_(table), what_(fmt::format("ptask {}", in_quotes(key.str()))) {
        ptask_.name = reading.member_name(key);
    }

    PtaskDefinition read() {
        toml_.refuse_unknown(table_, what_,
                             {"kernel", "source", "function", "options", "geometry", "geometry_from", "local",
                              "arguments", "port", "form", "service", "params", "decrypt", "priority", "deadline"});
        for (const auto& [key, port] : toml_.tables(table_, "port")) {
            ports_.push_back(read_port(reading_, ptask_.name, *key, *port));
        }
        read_kernels();
        const bool plain = ptask_.kernel.form != "service" && ptask_.kernel.form != "client";
        if (const toml::node* const arguments = table_.get("arguments"); arguments != nullptr || plain) {
            read_arguments(toml_.need(table_, "arguments", what_));
        } else {
            pass_all_ports();
        }
        check_geometries();
        if (const toml::node* const priority = table_.get("priority")) {
            ptask_.priority = static_cast<std::uint8_t>(toml_.number(priority, "priority", 0, priority_max));
        }
        if (const toml::node* const deadline = table_.get("deadline")) {
            constexpr std::uint64_t ns_of_ms = 1'000'000;
            ptask_.deadline_ns = toml_.number(deadline, "deadline", 1, ptask_deadline_ns_max / ns_of_ms) * ns_of_ms;
        }
        return std::move(ptask_);
    }

   private:
    const PortDefinition* find_port(const std::string& name) const {
        for (const std::size_t index : ports_) {
            if (reading_.graph.ports[index].name == name) {
                return &reading_.graph.ports[index];
            }
        }
        return nullptr;
    }

    // Meta and descriptor ports are the runtime's.
    static bool is_argument(const PortDefinition& port) { return port.meta == Meta::none && !port.descriptor; }

    void read_kernels() {
        const toml::node* const form = table_.get("form");
        const toml::array* const others = form != nullptr ? form->as_array() : nullptr;
        ptask_.kernel = read_kernel(reading_, ptask_.name, what_, table_, nullptr);
        if (others == nullptr) {
            return;
        }
        if (others->size() > forms_max) {
            toml_.fail_at(form->source(), "{} has {} further forms; at most {} are allowed", what_, others->size(),
                          forms_max);
            return;
        }
        for (const toml::node& other : *others) {
            const toml::table* const table = other.as_table();
            if (table == nullptr) {
                toml_.fail_at(other.source(), "form must be tables; write [[ptask.NAME.form]]");
                return;
            }
            toml_.refuse_unknown(*table, "a form of " + what_,
                                 {"form", "kernel", "source", "function", "options", "geometry", "geometry_from",
                                  "local", "service", "params", "decrypt"});
            ptask_.others.push_back(read_kernel(reading_, ptask_.name, what_, *table, &ptask_.kernel));
        }
    }

    // Where the ports are known, each form's geometry can be; a mistake stands where the form says most of it.
    void check_geometries() {
        const auto check = [&](const KernelDefinition& kernel, const toml::table& table) {
            const toml::node* place = table.get("local");
            place = place != nullptr ? place : table.get("geometry_from");
            if (auto checked = check_geometry(ptask_, kernel, reading_.graph.ports); !checked) {
                toml_.fail_at(place != nullptr ? place->source() : table_.source(), "{}", checked.error().message);
            }
        };
        check(ptask_.kernel, table_);
        const toml::node* const form = table_.get("form");
        for (std::size_t i = 0; i < ptask_.others.size(); ++i) {
            check(ptask_.others[i], *form->as_array()->get(i)->as_table());
        }
    }

    void pass_all_ports() {
        for (const std::size_t index : ports_) {
            if (const PortDefinition& port = reading_.graph.ports[index]; is_argument(port)) {
                ptask_.arguments.push_back({port.name, {}, Tells::datablock});
            }
        }
    }

    void read_arguments(const toml::node* node) {
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
            read_argument(argument, passed);
        }
        for (const std::size_t index : ports_) {
            const PortDefinition& port = reading_.graph.ports[index];
            if (is_argument(port) && !passed.contains(port.name)) {
                toml_.fail_at(node->source(), "port {} is not among the arguments; add it or remove the port",
                              in_quotes(port.name));
            }
        }
    }

    void read_argument(const toml::node& node, std::set<std::string>& passed) {
        const toml::table* const table = node.as_table();
        if (table == nullptr) {
            if (const std::string port = read_port_argument(node, Tells::datablock); !passed.insert(port).second) {
                toml_.fail_at(node.source(), "port {} is among the arguments twice; give it once", in_quotes(port));
            }
        } else if (const toml::node* const counted = table->get("count"); counted != nullptr && table->size() == 1) {
            read_port_argument(*counted, Tells::count);
        } else if (const toml::node* const box = table->get("extent"); box != nullptr && table->size() == 1) {
            read_port_argument(*box, Tells::extent);
        } else {
            ptask_.arguments.push_back({{}, encode_constant(toml_, *table), Tells::datablock});
        }
    }

    std::string read_port_argument(const toml::node& node, Tells tells) {
        const std::string port = toml_.string(&node, "an argument that is no constant", name_part_bytes_max);
        std::string name = fmt::format("{}:{}", ptask_.name, port);
        const PortDefinition* const known = find_port(name);
        if (known == nullptr) {
            toml_.fail_at(node.source(), "argument {} is no port of this ptask; add a table [ptask.{}.port.{}]",
                          in_quotes(port), ptask_.name.substr(reading_.graph.name.size() + 1),
                          is_name_part(port) ? port : "NAME");
        } else if (!is_argument(*known)) {
            toml_.fail_at(node.source(),
                          "argument {} is a meta or descriptor port, which the runtime serves; remove "
                          "it from the arguments",
                          in_quotes(port));
        }
        ptask_.arguments.push_back({name, {}, tells});
        return name;
    }

    GraphReading& reading_;
    TomlReader& toml_;
    const toml::table& table_;
    std::string what_;
    PtaskDefinition ptask_;
    std::vector<std::size_t> ports_;  // in the graph
};

}  // namespace

void read_ptask(GraphReading& reading, const toml::key& key, const toml::table& table) {
    PtaskDefinition ptask = PtaskReader(reading, key, table).read();
    if (auto checked = check_ptask(ptask); !checked) {
        reading.toml.fail_at(key.source(), "{}", checked.error().message);
    }
    reading.graph.ptasks.push_back(std::move(ptask));
    reading.ptask_places.push_back(key.source());
}

}  // namespace yoke::control
