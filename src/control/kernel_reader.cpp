// The code of a ptask out of a graph file: a program's text or file, or the name of a service, and its geometry. A
// further form takes from the first what it does not say itself, so that a .cu file beside a .cl file is one line.
#include <climits>

#include "base/file.hpp"
#include "base/text.hpp"
#include "control/constant.hpp"
#include "control/definition.hpp"
#include "control/graph_reader.hpp"

#include <uapi/yoke.h>

namespace yoke::control {

namespace {

// What a compiler's messages call a program: short enough for a control message, its end kept.
std::string short_name(const std::string& name) {
    const std::string shown = printable(name, PATH_MAX);
    return shown.size() <= source_name_bytes_max ? shown
                                                 : "..." + shown.substr(shown.size() - source_name_bytes_max + 3);
}

void read_kernel_file(GraphReading& reading, KernelDefinition& kernel, const toml::node& node) {
    const std::string name = reading.toml.string(&node, "kernel", PATH_MAX);
    if (reading.directory.empty()) {
        reading.toml.fail_at(node.source(), "kernel files are not read here; give the program as source");
        return;
    }
    const std::string path = reading.path_of(name);
    auto content = read_file(path, kernel_bytes_max);
    if (!content) {
        reading.toml.keep(content.error().code, node.source(), content.error().message);
        return;
    }
    if (is_text_form(kernel.form) && (!is_utf8(*content) || content->find('\0') != std::string::npos)) {
        reading.toml.fail_at(node.source(), "kernel file {} is no UTF-8 text", printable(path));
    }
    kernel.source = std::move(*content);
    kernel.source_name = short_name(path);
}

void read_form(GraphReading& reading, KernelDefinition& kernel, const toml::table& table, bool first) {
    const toml::node* form = table.get("form");
    if (first && form != nullptr && form->is_array()) {
        form = nullptr;  // [[ptask.NAME.form]]: the further forms, so this one is said by its file
    }
    const toml::node* const file = table.get("kernel");
    if (table.contains("service")) {
        kernel.form = "service";
        if (form != nullptr) {
            reading.toml.fail_at(form->source(), "a service has no other form; leave form out");
        }
    } else if (form != nullptr) {
        kernel.form = reading.toml.string(form, "form", name_part_bytes_max);
        if (!is_kernel_form(kernel.form) || kernel.form == "service") {
            reading.toml.fail_at(form->source(),
                                 "form {} must be \"opencl\", \"cuda\", \"ptx\", \"cubin\" or \"client\"",
                                 in_quotes(kernel.form));
        }
    } else if (file != nullptr && file->is_string()) {
        kernel.form = form_of_file(file->as_string()->get());
    }
}

void read_program(GraphReading& reading, KernelDefinition& kernel, const toml::table& table, const std::string& what) {
    TomlReader& toml = reading.toml;
    const toml::node* const file = table.get("kernel");
    const toml::node* const text = table.get("source");
    if (kernel.form == "service" || kernel.form == "client") {
        if (file != nullptr || text != nullptr) {
            toml.fail_at((file != nullptr ? file : text)->source(),
                         "{} is a service or a function of the client; leave its program out", what);
        }
        return;
    }
    if ((file == nullptr) == (text == nullptr)) {
        toml.fail_at(table.source(), "{} must have either kernel, the name of a file, or source, a program's text",
                     what);
        return;
    }
    if (text != nullptr) {
        kernel.source = toml.string(text, "source", kernel_bytes_max);
        kernel.source_name = short_name(fmt::format("{}:{}", toml.file(), what));
    } else {
        read_kernel_file(reading, kernel, *file);
    }
    if (kernel.source.empty()) {
        toml.fail_at((text != nullptr ? text : file)->source(), "the program of {} is empty", what);
    }
}

// Constants one after the other, as struct yoke_params_* has them.
void read_parameters(GraphReading& reading, KernelDefinition& kernel, const toml::table& table) {
    TomlReader& toml = reading.toml;
    const toml::node* const node = table.get("params");
    for (const char* const key : {"params", "decrypt"}) {
        if (const toml::node* const member = table.get(key); member != nullptr && kernel.form != "service") {
            toml.fail_at(member->source(), "{} is for services only; leave it out", key);
        }
    }
    kernel.decrypt = toml.boolean(table.get("decrypt"), "decrypt");
    const toml::array* const constants = toml.array(node, "params");
    if (constants == nullptr) {
        return;
    }
    for (const toml::node& constant : *constants) {
        if (const toml::table* const written = constant.as_table()) {
            const auto bytes = encode_constant(toml, *written);
            kernel.parameters.insert(kernel.parameters.end(), bytes.begin(), bytes.end());
        } else {
            toml.fail_at(constant.source(), "params must be constants, for example [{{ u32 = 64 }}]");
        }
    }
    if (kernel.parameters.empty() || kernel.parameters.size() > YOKE_PAYLOAD_BYTES) {
        toml.fail_at(node->source(), "params have {} bytes; 1 to {} are allowed", kernel.parameters.size(),
                     YOKE_PAYLOAD_BYTES);
    }
    kernel.parameters.resize(YOKE_PAYLOAD_BYTES);
}

std::string read_from(GraphReading& reading, const std::string& ptask, const toml::node& node) {
    const std::string from = reading.toml.string(&node, "geometry_from", name_part_bytes_max);
    return from == "first-input" || from == "largest-input" || from == "first-output"
               ? from
               : reading.port_name(ptask, &node, "geometry_from");
}

void read_geometry_from(GraphReading& reading, KernelDefinition& kernel, const std::string& ptask,
                        const toml::node& node) {
    const toml::array* const dimensions = node.as_array();
    if (dimensions == nullptr) {
        kernel.geometry_from.fill(read_from(reading, ptask, node));
        return;
    }
    if (dimensions->empty() || dimensions->size() > kernel.geometry_from.size()) {
        reading.toml.fail_at(node.source(),
                             "geometry_from has {} elements; give one for each of at most three "
                             "dimensions",
                             dimensions->size());
        return;
    }
    for (std::size_t i = 0; i < dimensions->size(); ++i) {
        kernel.geometry_from[i] = read_from(reading, ptask, *dimensions->get(i));
    }
}

void read_geometry(GraphReading& reading, KernelDefinition& kernel, const std::string& ptask,
                   const toml::table& table) {
    TomlReader& toml = reading.toml;
    const toml::node* const geometry = table.get("geometry");
    const toml::node* const from = table.get("geometry_from");
    const toml::node* const local = table.get("local");
    if (geometry != nullptr) {
        kernel.geometry = reading.extent(geometry, "geometry", work_items_max);
    }
    if (from != nullptr) {
        read_geometry_from(reading, kernel, ptask, *from);
        if (geometry != nullptr) {
            toml.fail_at(from->source(), "geometry is given too; leave one of them out");
        }
    }
    if (local != nullptr) {
        kernel.local = reading.extent(local, "local", work_items_max);
    }
}

void read_function(GraphReading& reading, KernelDefinition& kernel, const toml::table& table, const std::string& what,
                   const KernelDefinition* first) {
    TomlReader& toml = reading.toml;
    if (kernel.form == "service" || kernel.form == "client") {
        if (const toml::node* const function = table.get("function")) {
            toml.fail_at(function->source(), "{} is a service or a function of the client; leave function out", what);
        }
        kernel.function = toml.string(table.get("service"), "service", function_bytes_max);
    } else if (first != nullptr && !table.contains("function")) {
        kernel.function = first->function;
    } else if (const toml::node* const function = toml.need(table, "function", what)) {
        kernel.function = toml.string(function, "function", function_bytes_max);
        if (kernel.function.empty()) {
            toml.fail_at(function->source(), "function must not be empty");
        }
    }
}

}  // namespace

KernelDefinition read_kernel(GraphReading& reading, const std::string& ptask, const std::string& what,
                             const toml::table& table, const KernelDefinition* first) {
    KernelDefinition kernel;
    read_form(reading, kernel, table, first == nullptr);
    read_program(reading, kernel, table, what);
    read_function(reading, kernel, table, what, first);
    kernel.options = reading.toml.string(table.get("options"), "options", options_bytes_max);
    read_parameters(reading, kernel, table);
    if (first != nullptr && !table.contains("geometry") && !table.contains("geometry_from")) {
        kernel.geometry = first->geometry;
        kernel.geometry_from = first->geometry_from;
        kernel.local = first->local;
    }
    read_geometry(reading, kernel, ptask, table);
    return kernel;
}

}  // namespace yoke::control
