// See graph.hpp.
#include "gesture/graph.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <set>

#include "gesture/slow_notice.hpp"

namespace gesture {
namespace {

constexpr std::uint32_t capacity = 4;  // datablocks of an inner channel: frames in flight that are worth their memory

void check(int status, const yoke_session* session) {
    if (status < 0) {
        throw yoke::error(-status, yoke_error(session));
    }
}

std::string text_of(const std::string& path) {
    std::ifstream stream(path, std::ios::binary);
    std::string text{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
    if (!stream || text.empty()) {
        throw yoke::error(ENOENT, "cannot read kernel " + path + "; keep the folder of the example where it was built");
    }
    return text;
}

int direction_of(Access access) {
    return access == Access::In ? YOKE_IN : access == Access::Out ? YOKE_OUT : YOKE_IN_OUT;
}

const char* direction_name(Access access) {
    return access == Access::In ? "in" : access == Access::Out ? "out" : "in-out";
}

yoke_template template_of(const Shape& shape) {
    yoke_template form{};
    shape.type.copy(form.type, sizeof form.type - 1);
    form.extent[0] = shape.extent[0];
    form.extent[1] = shape.extent[1];
    form.extent[2] = 1;
    return form;
}

void open_step(yoke_session* session, const std::string& ptask, const Pipeline& pipeline, const Step& step,
               const std::string& file, const std::string& source) {
    std::vector<yoke_argument> arguments;
    for (const Argument& argument : step.arguments) {
        if (argument.access == Access::Constant) {
            arguments.push_back({nullptr, argument.bytes.data(), argument.bytes.size()});
            continue;
        }
        arguments.push_back({argument.buffer.c_str(), nullptr, 0});
        const yoke_template form = template_of(pipeline.buffers.at(argument.buffer));
        check(yoke_open_port(session, (ptask + ":" + argument.buffer).c_str(), direction_of(argument.access), &form),
              session);
    }
    yoke_kernel kernel{};
    kernel.source = source.c_str();
    kernel.source_name = file.c_str();
    kernel.function = step.function.c_str();
    kernel.options = step.options.c_str();
    std::copy(step.geometry.begin(), step.geometry.end(), kernel.geometry);
    kernel.geometry[2] = 1;
    if (step.local != 0) {
        kernel.local[0] = step.local;
        kernel.local[1] = kernel.local[2] = 1;
    }
    check(yoke_open_ptask(session, ptask.c_str(), &kernel, arguments.data(), arguments.size()), session);
}

template <typename Scalar>
std::vector<Scalar> scalars_of(const std::vector<std::byte>& bytes) {
    std::vector<Scalar> values(bytes.size() / sizeof(Scalar));
    std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
}

std::string argument_text(const Argument& argument) {
    if (argument.access != Access::Constant) {
        return fmt::format("\"{}\"", argument.buffer);
    }
    const auto values = argument.type == "f32"
                            ? fmt::format("{}", fmt::join(scalars_of<float>(argument.bytes), ", "))
                            : fmt::format("{}", fmt::join(scalars_of<std::int32_t>(argument.bytes), ", "));
    const bool vector = argument.bytes.size() > sizeof(float);
    return fmt::format("{{ {} = {}{}{} }}", argument.type, vector ? "[" : "", values, vector ? "]" : "");
}

std::string ptask_text(const Pipeline& pipeline, const Step& step, const std::string& kernel) {
    std::vector<std::string> arguments;
    std::string ports;
    for (const Argument& argument : step.arguments) {
        arguments.push_back(argument_text(argument));
        if (argument.access != Access::Constant) {
            const Shape& shape = pipeline.buffers.at(argument.buffer);
            ports += fmt::format("port.{} = {{ direction = \"{}\", type = \"{}\", extent = [{}] }}\n", argument.buffer,
                                 direction_name(argument.access), shape.type, fmt::join(shape.extent, ", "));
        }
    }
    std::string text = fmt::format("\n[ptask.{}]\nkernel = \"{}\"\nfunction = \"{}\"\ngeometry = [{}]\n", step.name,
                                   kernel, step.function, fmt::join(step.geometry, ", "));
    if (!step.options.empty()) {
        text += fmt::format("options = \"{}\"\n", step.options);
    }
    if (step.local != 0) {
        text += fmt::format("local = [{}, 1]\n", step.local);
    }
    return text + fmt::format("arguments = [{}]\n", fmt::join(arguments, ", ")) + ports;
}

}  // namespace

std::vector<Wire> wires_of(const Pipeline& pipeline) {
    std::vector<Wire> wires;
    std::map<std::string, std::string> writer;  // port that wrote a buffer last
    std::set<std::string> read;                 // ports that a channel leads from
    for (const Step& step : pipeline.steps) {
        for (const Argument& argument : step.arguments) {
            const std::string port = step.name + ":" + argument.buffer;
            if (argument.access == Access::In || argument.access == Access::InOut) {
                const auto from = writer.find(argument.buffer);
                const bool outside = from == writer.end();
                wires.push_back(
                    {outside ? argument.buffer : step.name + "." + argument.buffer, outside ? "" : from->second, port});
                read.insert(wires.back().source);
            }
            if (argument.access == Access::Out || argument.access == Access::InOut) {
                writer[argument.buffer] = port;
            }
        }
    }
    for (const auto& [buffer, port] : writer) {
        if (!read.contains(port)) {
            wires.push_back({buffer, port, ""});
        }
    }
    return wires;
}

void open_pipeline(yoke_session* session, const std::string& graph, const Pipeline& pipeline,
                   const std::string& folder) {
    const SlowNotice notice;
    std::map<std::string, std::string> sources;
    for (const Step& step : pipeline.steps) {
        const std::string file = folder + "/" + step.file;
        std::string& source = sources[file];
        if (source.empty()) {
            source = text_of(file);
        }
        open_step(session, graph + "/" + step.name, pipeline, step, file, source);
    }
    for (const Wire& wire : wires_of(pipeline)) {
        if (!wire.source.empty() && !wire.destination.empty()) {
            std::uint32_t id = 0;
            check(yoke_open_channel(session, (graph + "/" + wire.name).c_str(), (graph + "/" + wire.source).c_str(),
                                    (graph + "/" + wire.destination).c_str(), capacity, &id),
                  session);
        }
    }
}

std::string outer_port(const Pipeline& pipeline, const std::string& buffer) {
    const auto wires = wires_of(pipeline);
    const auto wire = std::find_if(wires.begin(), wires.end(), [&](const Wire& one) { return one.name == buffer; });
    return wire->source.empty() ? wire->destination : wire->source;
}

std::string graph_file(const std::string& name, const Pipeline& pipeline, const std::string& folder,
                       const std::map<std::string, Outer>& outer) {
    const bool alone =
        std::all_of(outer.begin(), outer.end(), [](const auto& one) { return !one.second.fifo.empty(); });
    std::string text = fmt::format("name = \"{}\"\n{}", name, alone ? "persist = true\n" : "");
    for (const Step& step : pipeline.steps) {
        text += ptask_text(pipeline, step, folder.empty() ? step.file : folder + "/" + step.file);
    }
    for (const Wire& wire : wires_of(pipeline)) {
        const auto end = [](const std::string& port, const std::string& fifo) {
            return port.empty() ? fmt::format("{{ fifo = \"{}\" }}", fifo) : fmt::format("\"{}\"", port);
        };
        const bool inner = !wire.source.empty() && !wire.destination.empty();
        const Outer outside = inner ? Outer{fmt::format("\"{}\"", wire.name), ""} : outer.at(wire.name);
        text += fmt::format("\n[channel.{}]\n", outside.channel);
        if (!wire.source.empty() || !outside.fifo.empty()) {
            text += fmt::format("source = {}\n", end(wire.source, outside.fifo));
        }
        if (!wire.destination.empty() || !outside.fifo.empty()) {
            text += fmt::format("destination = {}\n", end(wire.destination, outside.fifo));
        }
        text += inner ? fmt::format("capacity = {}\n", capacity) : "";
    }
    return text;
}

}  // namespace gesture
