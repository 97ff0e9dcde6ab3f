// Records of yoked's list and messages from a graph file have nearly the same members; a file's are brought into the
// form of records, so that one writer draws both. Names are parts of ids, so every text is quoted on its way out.
#include "cli/graph_picture.hpp"

#include <stdlib.h>
#include <unistd.h>
#include <yoke/yoke.h>

#include <algorithm>
#include <map>
#include <memory>

#include "cli/daemon.hpp"
#include "cli/record.hpp"

namespace yoke::cli {

using nlohmann::json;

namespace {

std::uint64_t natural(const json& value) {
    return value.is_number_unsigned() || (value.is_number_integer() && value.get<std::int64_t>() >= 0)
               ? value.get<std::uint64_t>()
               : 0;
}

std::uint64_t number_in(const json& object, const char* member) {
    const auto found = object.find(member);
    return found != object.end() ? natural(*found) : 0;
}

bool flag_in(const json& object, const char* member) {
    const auto found = object.find(member);
    return found != object.end() && found->is_boolean() && found->get<bool>();
}

// Graphviz: in double quotes only quotes and backslashes mean something; a line break is an escape.
std::string dot_string(const std::string& text) {
    std::string made = "\"";
    for (const char c : text) {
        if (c == '\n') {
            made += "\\n";
            continue;
        }
        if (c == '"' || c == '\\') {
            made += '\\';
        }
        made += static_cast<unsigned char>(c) < ' ' ? '?' : c;
    }
    return made + "\"";
}

// In a record's label these have a meaning, too.
std::string field(const std::string& text) {
    std::string made;
    for (const char c : text) {
        if (std::string_view("{}|<>\\\" ").find(c) != std::string_view::npos) {
            made += '\\';
        }
        made += static_cast<unsigned char>(c) < ' ' ? '?' : c;
    }
    return made;
}

std::string last_part(const std::string& name, char separator) {
    return name.substr(name.rfind(separator) + 1);
}

std::string ptask_of(const std::string& port) {
    return port.substr(0, port.rfind(':'));
}

// "in.NAME" or "out.NAME": an in-out port stands in both rows.
std::string anchor(const std::string& port, bool out) {
    return dot_string(ptask_of(port)) + ":" + dot_string((out ? "out." : "in.") + last_part(port, ':')) +
           (out ? ":s" : ":n");
}

std::string row_of(const std::vector<const json*>& ports, bool out) {
    std::string row;
    for (const json* port : ports) {
        const std::string name = last_part(text_in(*port, "name"), ':');
        std::string label = field(name) + "\\n" + field(template_text(port->value("template", json::object())));
        if (const auto flags = port->find("flags"); flags != port->end() && flags->is_array() && !flags->empty()) {
            for (const json& flag : *flags) {
                label += "\\n" + (flag.is_string() ? field(flag.get<std::string>()) : "");
            }
        }
        row += (row.empty() ? "" : "|") + std::string("<") + (out ? "out." : "in.") + field(name) + "> " + label;
    }
    return row.empty() ? row : "{" + row + "}";
}

std::string node_of(const GraphPicture& picture, const json& ptask, bool counts) {
    const std::string name = text_in(ptask, "name");
    std::vector<const json*> in;
    std::vector<const json*> out;
    for (const json& port : picture.ports) {
        if (ptask_of(text_in(port, "name")) != name) {
            continue;
        }
        const std::string direction = text_in(port, "direction");
        if (direction != "out") {
            in.push_back(&port);
        }
        if (direction != "in") {
            out.push_back(&port);
        }
    }
    std::string title = field(last_part(name, '/'));
    if (const std::string function = text_in(ptask, "function");
        !function.empty() && function != last_part(name, '/')) {
        title += "\\n" + field(function + "()");
    }
    if (counts) {
        title += fmt::format("\\n{} runs", number_in(ptask, "runs"));
    }
    std::string label = "{";
    for (const std::string& row : {row_of(in, false), title, row_of(out, true)}) {
        label += row.empty() ? "" : (label == "{" ? "" : "|") + row;
    }
    return fmt::format("    {} [shape=Mrecord, label=\"{}}}\"];\n", dot_string(name), label);
}

std::string label_of(const json& channel, bool counts) {
    std::string label = last_part(text_in(channel, "name"), '/');
    if (counts) {
        label += fmt::format("\n{} of {}, {} passed", number_in(channel, "datablocks"), number_in(channel, "capacity"),
                             number_in(channel, "pulled"));
        if (const std::uint64_t discarded = number_in(channel, "discarded"); discarded != 0) {
            label += fmt::format(", {} dropped", discarded);
        }
        if (flag_in(channel, "ended")) {
            label += ", ended";
        }
    } else {
        label += fmt::format("\n{}", number_in(channel, "capacity"));
    }
    for (const char* when : {"source_when", "destination_when"}) {
        if (const std::string predicate = text_in(channel, when); !predicate.empty() && predicate != "always") {
            label += "\n" + predicate;
        }
    }
    return label;
}

// The outer end of a channel.
std::string outside_of(const json& channel, std::string& nodes) {
    const std::string name = text_in(channel, "name");
    const std::string id = dot_string("outside " + name);
    const std::string path = text_in(channel, "endpoint");
    if (path.empty()) {
        nodes += fmt::format("    {} [shape=circle, width=0.2, label=\"\"];\n", id);
    } else {
        nodes += fmt::format("    {} [shape=note, label={}];\n", id,
                             dot_string(text_in(channel, "endpoint_kind") + "\n" + path));
    }
    return id;
}

std::string edge_of(const json& channel, bool counts, std::string& nodes) {
    const std::string source = text_in(channel, "source");
    const std::string destination = text_in(channel, "destination");
    const std::string from = source.empty() ? outside_of(channel, nodes) : anchor(source, true);
    const std::string to = destination.empty() ? outside_of(channel, nodes) : anchor(destination, false);
    std::string attributes = "label=" + dot_string(label_of(channel, counts));
    if (flag_in(channel, "back")) {
        attributes += ", style=dashed, constraint=false";
    }
    if (counts && number_in(channel, "capacity") != 0 &&
        number_in(channel, "datablocks") >= number_in(channel, "capacity")) {
        attributes += ", color=red";
    }
    return fmt::format("    {} -> {} [{}];\n", from, to, attributes);
}

bool belongs(const json& object, const std::string& graph) {
    const std::string name = text_in(object, "name");
    return object.value("account", ::getuid()) == ::getuid() && name.starts_with(graph + "/");
}

// The members of a control message that a record of yoked's list has likewise; the others by that record's names.
json record_of(const std::string& op, json message) {
    message.erase("op");
    if (op == "open_ptask") {
        const json kernel = message.value("kernel", json::object());
        message["function"] = kernel.value("function", "");
        message["form"] = kernel.value("form", "opencl");
        message["source_name"] = kernel.value("source_name", "");
        for (const char* member : {"kernel", "arguments", "others"}) {
            message.erase(member);
        }
    } else if (op == "open_port") {
        json flags = json::array();
        for (const char* flag : {"sticky", "init", "hold", "variable", "descriptor"}) {
            if (flag_in(message, flag)) {
                flags.push_back(flag);
            }
            message.erase(flag);
        }
        if (const std::string meta = text_in(message, "meta"); !meta.empty()) {
            flags.push_back(meta);
        }
        message["flags"] = flags;
    } else if (op == "open_channel") {
        const json endpoint = message.value("endpoint", json::object());
        message["endpoint"] = endpoint.empty() ? json() : endpoint["path"];
        message["endpoint_kind"] = endpoint.empty() ? json() : endpoint["kind"];
    }
    return message;
}

}  // namespace

std::string template_text(const json& form) {
    std::string text = text_in(form, "type");
    const auto found = form.find("extent");
    if (found == form.end() || !found->is_array()) {
        return text;
    }
    std::vector<std::uint64_t> extents;
    for (const json& extent : *found) {
        extents.push_back(natural(extent));
    }
    while (extents.size() > 1 && extents.back() == 1) {
        extents.pop_back();
    }
    return fmt::format("{} {}", text, fmt::join(extents, "x"));
}

Outcome<GraphPicture> picture_of_running(const std::string& socket, const std::string& name) {
    const auto answer = ask_list(socket);
    if (!answer) {
        return tl::unexpected<Failure>(answer.error());
    }
    GraphPicture picture;
    picture.name = name;
    picture.live = true;
    picture.stale = is_stale(*answer);
    bool found = false;
    for (const json& graph : answer->value("graphs", json::array())) {
        if (graph.value("account", 0U) == ::getuid() && text_in(graph, "name") == name) {
            picture.graph = graph;
            found = true;
        }
    }
    if (!found) {
        return fail(exit_no_object, "there is no graph {}; `yoke graph ls` lists yours", name);
    }
    for (const auto& [kind, objects] :
         {std::pair{"ptasks", &picture.ptasks}, {"ports", &picture.ports}, {"channels", &picture.channels}}) {
        for (const json& object : answer->value(kind, json::array())) {
            if (belongs(object, name)) {
                objects->push_back(object);
            }
        }
    }
    return picture;
}

Outcome<GraphPicture> picture_of_file(const std::string& path) {
    char* text = nullptr;
    const int error = yoke_describe_graph(path.c_str(), &text);
    const std::unique_ptr<char, decltype(&::free)> owner(text, &::free);
    if (error != 0) {
        const std::string sentence = yoke_error(nullptr);
        return fail(exit_of(-error), "{}", sentence.empty() ? std::strerror(-error) : sentence);
    }
    GraphPicture picture;
    for (const json& message : json::parse(text)) {
        const std::string op = text_in(message, "op");
        json record = record_of(op, message);
        if (op == "open_graph") {
            picture.name = text_in(record, "name");
            picture.graph = std::move(record);
        } else {
            (op == "open_port"    ? picture.ports
             : op == "open_ptask" ? picture.ptasks
                                  : picture.channels)
                .push_back(std::move(record));
        }
    }
    return picture;
}

std::string dot_of(const GraphPicture& picture, bool counts) {
    std::string nodes;
    std::string edges;
    for (const json& ptask : picture.ptasks) {
        nodes += node_of(picture, ptask, counts);
    }
    for (const json& channel : picture.channels) {
        edges += edge_of(channel, counts, nodes);
    }
    std::string label = picture.name;
    if (counts) {
        label += ": " + text_in(picture.graph, "state");
        if (const std::string error = text_in(picture.graph, "error"); !error.empty()) {
            label += ", " + error;
        }
    }
    return fmt::format(
        "digraph {} {{\n"
        "    label={};\n"
        "    rankdir=TB;\n"
        "    node [fontname=\"sans-serif\", fontsize=11];\n"
        "    edge [fontname=\"sans-serif\", fontsize=9];\n"
        "{}{}}}\n",
        dot_string(picture.name), dot_string(label), nodes, edges);
}

}  // namespace yoke::cli
