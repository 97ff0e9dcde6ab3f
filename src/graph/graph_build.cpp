// Graph: itself, and opening its ports.
#include <algorithm>
#include <set>

#include "base/text.hpp"
#include "control/definition.hpp"
#include "control/graph_wiring.hpp"
#include "control/name.hpp"
#include "control/template.hpp"
#include "graph/graph.hpp"

namespace yoke::graph {

namespace {}  // namespace

Graph::Graph(GraphSetup setup, device::Device& device, std::unique_ptr<device::Queue> queue, Budget& budget,
             const Limits& limits, GraphHost& host)
    : setup_(std::move(setup)),
      device_(device),
      where_(static_cast<std::uint8_t>(device.name() == "cuda" ? YOKE_WHERE_CUDA : YOKE_WHERE_CPU)),
      budget_(budget),
      limits_(limits),
      host_(host),
      queue_(std::move(queue)),
      pool_(std::make_shared<DatablockPool>(device, *queue_, budget)) {}

Graph::~Graph() {
    terminate();
}

bool Graph::may(std::uint32_t session, std::uint32_t bits) const {
    return setup_.pipe ? members_.contains(session)
                       : session == 0 || session == setup_.creator || (setup_.mode & bits) == bits;
}

Status Graph::allows(std::uint32_t session, std::uint32_t bits, std::string_view what) const {
    if (may(session, bits)) {
        return {};
    }
    return fail(EACCES, "cannot {}: graph {} has mode {:04o}, and another session has created it", what, name(),
                setup_.mode);
}

Status Graph::changeable(const std::string& object) const {
    if (state_ == State::built) {
        return {};
    }
    return fail(EBUSY, "cannot open {}: graph {} is {}; terminate it before changing it", object, name(), state_text());
}

// Other graphs may take the account's last places meanwhile: as many more as threads open objects, which hurts nobody.
Status Graph::room_for(const std::string& object) const {
    if (ports_.size() + ptasks_.size() + channels_.size() >= limits_.objects_per_graph) {
        return fail(ENOBUFS, "cannot open {}: graph {} has {} already, which is the limit", object, name(),
                    counted(limits_.objects_per_graph, "object"));
    }
    if (budget_.objects.load() >= limits_.objects) {
        return fail(ENOBUFS, "cannot open {}: the account's graphs have {} already, which is the limit", object,
                    counted(limits_.objects, "object"));
    }
    return {};
}

std::string Graph::state_text() const {
    switch (state_) {
        case State::built:
            return "built";
        case State::running:
            return failed_ ? "failed" : "running";
        case State::ended:
            return failed_ ? "failed" : "ended";
        case State::failed:
            return "failed";
        case State::terminated:
            break;
    }
    return "terminated";
}

namespace {

// What flags of a port go together.
Status check_flags(const control::PortDefinition& port) {
    using control::Direction;
    const auto wrong = [&](const char* what) { return fail(EINVAL, "port {}: {}", port.name, what); };
    const bool meta = port.meta != control::Meta::none;
    if (port.direction != Direction::in && (port.sticky || port.hold || meta)) {
        return wrong("only an in port can be sticky, hold or meta");
    }
    if (port.direction == Direction::out && port.init) {
        return wrong("an out port cannot be init; give its ptask an init in-out port");
    }
    if (static_cast<int>(port.sticky) + static_cast<int>(port.hold) + static_cast<int>(port.init) +
            static_cast<int>(meta) >
        1) {
        return wrong("sticky, hold, init and meta exclude each other");
    }
    if (port.descriptor && (port.direction != Direction::out || port.form.type != "u64" ||
                            port.form.extent != std::array<std::uint64_t, 3>{4, 1, 1})) {
        return wrong("a descriptor is an out port of four u64: bytes and three extents");
    }
    if (port.descriptor == port.of.empty() && port.meta != control::Meta::size) {
        return wrong(port.descriptor ? "a descriptor needs the port that it describes (of)"
                                     : "of goes with descriptor "
                                       "or meta size");
    }
    if (port.meta == control::Meta::size && port.of.empty()) {
        return wrong("meta size needs the out port whose size it is (of)");
    }
    const auto element = control::parse_element_type(port.form.type);
    if (meta && (!element || element->scalar == control::ElementType::Scalar::floating || element->lanes != 1)) {
        return wrong("a number for the runtime is an integer; give a meta port an integer type");
    }
    if (!port.initial.empty() && element && port.initial.size() != element->bytes()) {
        return fail(EINVAL, "port {}: its initial value has {}, but an element has {}", port.name,
                    counted(port.initial.size(), "byte"), element->bytes());
    }
    return {};
}

}  // namespace

Result<Opened> Graph::open_port(const control::PortDefinition& definition) {
    if (auto name = control::parse_name(definition.name, control::NameKind::port); !name) {
        return tl::unexpected(name.error());
    }
    auto bytes = control::template_bytes(definition.form);
    if (!bytes) {
        return fail(bytes.error().code, "port {}: {}", definition.name, bytes.error().message);
    }
    if (auto right = check_flags(definition); !right) {
        return tl::unexpected(right.error());
    }
    const std::lock_guard lock(mutex_);
    if (const auto found = ports_.find(definition.name); found != ports_.end()) {
        const control::PortDefinition& there = found->second->definition;
        if (there.direction != definition.direction) {
            return fail(EEXIST, "port {} exists with another direction: it is an {} port", there.name,
                        control::direction_text(there.direction));
        }
        if (!control::same_form(there.form, definition.form)) {
            return fail(EEXIST, "port {} exists with another template: it is {}", there.name,
                        control::template_text(there.form));
        }
        control::PortDefinition same = definition;
        same.form = there.form;
        if (!(there == same)) {
            return fail(EEXIST, "port {} exists with other flags; use another name or the same definition", there.name);
        }
        return Opened{};
    }
    if (auto can = changeable(definition.name); !can) {
        return tl::unexpected(can.error());
    }
    if (auto can = room_for(definition.name); !can) {
        return tl::unexpected(can.error());
    }
    if (ptasks_.contains(control::ptask_of(definition.name))) {
        return fail(EBUSY, "ptask {} exists without port {}; open the port before the ptask",
                    control::ptask_of(definition.name), definition.name);
    }
    auto port = std::make_unique<Port>();
    port->definition = definition;
    port->bytes = *bytes;
    port->element_bytes = control::parse_element_type(definition.form.type)->bytes();
    if (definition.meta != control::Meta::none) {
        port->meta = std::make_unique<MetaReading>(host_);
    }
    ports_.emplace(definition.name, std::move(port));
    ++budget_.objects;
    return Opened{true, 0, {}};
}

}  // namespace yoke::graph
