// See definition.hpp.
#include "client/definition.hpp"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <span>

#include "base/text.hpp"
#include "client/key.hpp"
#include "control/definition.hpp"

namespace yoke::client {

namespace {

using control::ArgumentDefinition;
using control::Direction;
using control::EndpointDefinition;
using control::KernelDefinition;

std::string text_of(const char* text) {
    return text != nullptr ? text : "";
}

std::optional<std::string> name_of(const char* name) {
    return name != nullptr ? std::optional<std::string>(name) : std::nullopt;
}

std::vector<std::uint8_t> bytes_of(const void* bytes, std::size_t length) {
    const auto* first = static_cast<const std::uint8_t*>(bytes);
    return length != 0 ? std::vector<std::uint8_t>(first, first + length) : std::vector<std::uint8_t>();
}

// "/graph/ptask:port" of itself or of "port".
std::string port_name(const std::string& ptask, const std::string& port) {
    return port.empty() || port.starts_with('/') ? port : ptask + ":" + port;
}

std::string geometry_source(const std::string& ptask, const char* from) {
    const std::string text = text_of(from);
    return text == "first-input" || text == "largest-input" || text == "first-output" ? text : port_name(ptask, text);
}

Result<KernelDefinition> kernel_of(const std::string& ptask, const yoke_form& form) {
    if ((form.flags & ~YOKE_FLAG_DECRYPT) != 0 || form.reserved != 0) {
        return fail(EINVAL, "ptask {} has a form with flags {:#x}; YOKE_FLAG_DECRYPT is the only one", ptask,
                    form.flags);
    }
    KernelDefinition kernel;
    kernel.form = form.form != nullptr ? form.form : "opencl";
    if (form.source != nullptr) {
        kernel.source = form.source_bytes != 0 ? std::string(form.source, form.source_bytes) : form.source;
    }
    kernel.source_name = text_of(form.source_name);
    kernel.function = text_of(form.function);
    kernel.options = text_of(form.options);
    std::copy_n(form.geometry, 3, kernel.geometry.begin());
    std::ranges::transform(form.geometry_from, kernel.geometry_from.begin(),
                           [&](const char* from) { return geometry_source(ptask, from); });
    std::copy_n(form.local, 3, kernel.local.begin());
    kernel.parameters = bytes_of(form.params, form.params != nullptr ? YOKE_PAYLOAD_BYTES : 0);
    kernel.decrypt = (form.flags & YOKE_FLAG_DECRYPT) != 0;
    kernel.key = form.key != nullptr ? Key::from(form.key)->number : 0;
    return kernel;
}

Result<ArgumentDefinition> argument_of(const std::string& ptask, std::size_t index,
                                       const yoke_ptask_argument& written) {
    ArgumentDefinition argument;
    if (written.tells > YOKE_TELLS_EXTENT || written.reserved != 0) {
        return fail(EINVAL, "argument {} of ptask {} tells {}, which is no enum yoke_tells", index, ptask,
                    written.tells);
    }
    if (written.port != nullptr) {
        argument.port = port_name(ptask, written.port);
        argument.tells = static_cast<ArgumentDefinition::Tells>(written.tells);
        return argument;
    }
    if (written.bytes == nullptr || written.length == 0 || written.length > control::constant_bytes_max) {
        return fail(EINVAL, "argument {} of ptask {} is neither a port nor a constant of at most {} bytes", index,
                    ptask, control::constant_bytes_max);
    }
    argument.constant = bytes_of(written.bytes, written.length);
    return argument;
}

Status check_counts(const std::string& name, const yoke_ptask& ptask) {
    if (ptask.forms == nullptr || ptask.form_count == 0 || ptask.form_count > control::forms_max + 1) {
        return fail(EINVAL, "ptask {} has {} forms; 1 to {} are allowed", name, ptask.form_count,
                    control::forms_max + 1);
    }
    if (ptask.argument_count > control::arguments_max || (ptask.arguments == nullptr && ptask.argument_count != 0)) {
        return fail(EINVAL, "ptask {} has {} arguments; at most {} are allowed", name, ptask.argument_count,
                    control::arguments_max);
    }
    if (ptask.priority > control::priority_max || ptask.reserved != 0) {
        return fail(EINVAL, "ptask {} has priority {}; 0 to {} are allowed", name, ptask.priority,
                    control::priority_max);
    }
    return {};
}

Status read_predicate(const char* text, control::Predicate& predicate) {
    if (text == nullptr) {
        return {};
    }
    auto parsed = control::parse_predicate(text);
    if (!parsed) {
        return tl::unexpected(parsed.error());
    }
    predicate = *parsed;
    return {};
}

// The worker opens endpoints; it knows nothing of this process's working directory.
std::string absolute_path(const char* path) {
    const std::string text = text_of(path);
    std::error_code ignored;
    const auto found = text.empty() ? std::filesystem::path() : std::filesystem::absolute(text, ignored);
    return found.empty() ? text : found.lexically_normal().string();
}

}  // namespace

control::TemplateDefinition template_of(const yoke_template& form) {
    control::TemplateDefinition definition;
    definition.type.assign(form.type, ::strnlen(form.type, sizeof(form.type)));
    std::copy_n(form.extent, 3, definition.extent.begin());
    definition.stride = form.stride;
    return definition;
}

Result<control::PortDefinition> port_of(const std::string& name, const yoke_port& port) {
    constexpr unsigned flags =
        YOKE_PORT_STICKY | YOKE_PORT_INIT | YOKE_PORT_HOLD | YOKE_PORT_VARIABLE | YOKE_PORT_DESCRIPTOR;
    if (port.direction < YOKE_IN || port.direction > YOKE_IN_OUT) {
        return fail(EINVAL, "direction {} of port {} is none of YOKE_IN, YOKE_OUT and YOKE_IN_OUT", port.direction,
                    name);
    }
    if ((port.flags & ~flags) != 0 || port.meta > YOKE_META_ITERATIONS) {
        return fail(EINVAL, "port {} has flags {:#x} and meta {}; use YOKE_PORT_* and enum yoke_meta", name, port.flags,
                    port.meta);
    }
    if (port.initial == nullptr && port.initial_bytes != 0) {
        return fail(EINVAL, "port {} has no initial value of {}; give one", name, counted(port.initial_bytes, "byte"));
    }
    control::PortDefinition definition;
    definition.name = name;
    definition.direction = static_cast<Direction>(port.direction - YOKE_IN);
    definition.form = template_of(port.form);
    definition.sticky = (port.flags & YOKE_PORT_STICKY) != 0;
    definition.init = (port.flags & YOKE_PORT_INIT) != 0;
    definition.hold = (port.flags & YOKE_PORT_HOLD) != 0;
    definition.variable = (port.flags & YOKE_PORT_VARIABLE) != 0;
    definition.descriptor = (port.flags & YOKE_PORT_DESCRIPTOR) != 0;
    definition.meta = static_cast<control::Meta>(port.meta);
    const std::size_t colon = name.rfind(':');
    definition.of = port_name(name.substr(0, colon), text_of(port.of));
    definition.initial = bytes_of(port.initial, port.initial_bytes);
    auto checked = control::check_port(definition);
    return checked ? Result<control::PortDefinition>(std::move(definition)) : tl::unexpected(checked.error());
}

Result<control::PtaskDefinition> ptask_of(const std::string& name, const yoke_ptask& ptask) {
    if (auto checked = check_counts(name, ptask); !checked) {
        return tl::unexpected(checked.error());
    }
    control::PtaskDefinition definition;
    definition.name = name;
    for (std::size_t i = 0; i < ptask.form_count; i++) {
        auto kernel = kernel_of(name, ptask.forms[i]);
        if (!kernel) {
            return tl::unexpected(kernel.error());
        }
        (i == 0 ? definition.kernel : definition.others.emplace_back()) = std::move(*kernel);
    }
    for (std::size_t i = 0; i < ptask.argument_count; i++) {
        auto argument = argument_of(name, i, ptask.arguments[i]);
        if (!argument) {
            return tl::unexpected(argument.error());
        }
        definition.arguments.push_back(std::move(*argument));
    }
    if (ptask.priority != 0) {
        definition.priority = static_cast<std::uint8_t>(ptask.priority);
    }
    definition.deadline_ns = ptask.deadline_ns;
    auto checked = control::check_ptask(definition);
    return checked ? Result<control::PtaskDefinition>(std::move(definition)) : tl::unexpected(checked.error());
}

Result<control::ChannelDefinition> channel_of(const std::string& name, const yoke_channel& channel) {
    if ((channel.flags & ~(YOKE_CHANNEL_BACK | YOKE_CHANNEL_REPEAT | YOKE_CHANNEL_RAW)) != 0 || channel.reserved != 0 ||
        channel.endpoint > YOKE_ENDPOINT_UINPUT) {
        return fail(EINVAL, "channel {} has flags {:#x} and endpoint {}; use YOKE_CHANNEL_* and enum yoke_endpoint",
                    name, channel.flags, channel.endpoint);
    }
    control::ChannelDefinition definition;
    definition.name = name;
    definition.source = name_of(channel.source);
    definition.destination = name_of(channel.destination);
    definition.capacity = channel.capacity != 0 ? channel.capacity : control::capacity_default;
    definition.back = (channel.flags & YOKE_CHANNEL_BACK) != 0;
    const bool repeat = (channel.flags & YOKE_CHANNEL_REPEAT) != 0;
    const bool raw_bytes = (channel.flags & YOKE_CHANNEL_RAW) != 0;
    auto checked = read_predicate(channel.source_when, definition.source_when).and_then([&] {
        return read_predicate(channel.destination_when, definition.destination_when);
    });
    if (checked && channel.endpoint != YOKE_ENDPOINT_NONE) {
        definition.endpoint =
            EndpointDefinition{static_cast<EndpointDefinition::Kind>(channel.endpoint - YOKE_ENDPOINT_FILE),
                               absolute_path(channel.path), repeat, raw_bytes};
    } else if (checked && (repeat || raw_bytes || channel.path != nullptr)) {
        checked = fail(EINVAL, "channel {} has a path, repeats or is raw but has no endpoint; give its kind", name);
    }
    checked = checked.and_then([&] { return control::check_channel(definition); });
    return checked ? Result<control::ChannelDefinition>(std::move(definition)) : tl::unexpected(checked.error());
}

}  // namespace yoke::client
