// Plans a service for whole datablocks when the ptask is opened, so that wrong shapes are told then, and again for each
// run with the lengths at hand; see service_kernel.hpp.
#include "graph/service_kernel.hpp"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <utility>

#include "base/text.hpp"
#include "service/service.hpp"

namespace yoke::graph {

namespace {

// A service with what it is given beside data.
struct Use {
    const service::Service* service = nullptr;
    control::KernelDefinition kernel;
    LentKey key;
};

// What to write into the port's template so that a datablock has that many bytes.
std::string extent_for(const Port& port, std::uint64_t bytes) {
    if (bytes % port.element_bytes != 0) {
        return fmt::format("give it elements that {} can be cut into", counted(bytes, "byte"));
    }
    return fmt::format("give it {} of {}", counted(bytes / port.element_bytes, "element"), port.definition.form.type);
}

service::Shape shape_of(const Use& use, std::size_t in_length, std::size_t out_length) {
    service::Shape shape;
    shape.flags = use.kernel.decrypt ? YOKE_FLAG_DECRYPT : 0;
    if (!use.kernel.parameters.empty()) {
        shape.flags |= YOKE_FLAG_PARAMS;
        std::memcpy(shape.params.data(), use.kernel.parameters.data(), use.kernel.parameters.size());
    }
    shape.in_length = static_cast<std::uint32_t>(in_length);
    shape.out_length = static_cast<std::uint32_t>(out_length);
    shape.key = use.key.key.get();
    return shape;
}

// Arguments: input, perhaps aux, output.
int run_service(const Use& use, std::span<const device::HostArgument> arguments) {
    const bool has_aux = arguments.size() > 2;
    const device::HostArgument out = arguments.back();
    service::Work work;
    work.shape = shape_of(use, arguments[0].size(), out.size());
    work.plan = use.service->plan(work.shape);
    if (work.plan.status != 0) {
        return work.plan.status;
    }
    if (work.plan.aux_length > (has_aux ? arguments[1].size() : 0)) {
        return -EMSGSIZE;
    }
    work.in = arguments[0].data();
    work.aux = has_aux ? arguments[1].data() : nullptr;
    work.out = out.data();
    std::unique_lock<std::mutex> turn;
    if (use.key.turn) {
        turn = std::unique_lock(*use.key.turn);
    }
    for (std::uint32_t chunk = 0; chunk < work.plan.chunks; ++chunk) {
        if (const int status = use.service->run(work, chunk, use.key.lane); status != 0) {
            return status;
        }
    }
    return 0;
}

// An in port, perhaps another one, and an out port.
Status check_ports(const control::PtaskDefinition& ptask, const std::vector<Port*>& ports) {
    const auto is = [](const Port* port, control::Direction direction) {
        return port != nullptr && port->definition.direction == direction;
    };
    const bool right =
        (ports.size() == 2 || ports.size() == 3) && is(ports.back(), control::Direction::out) &&
        std::all_of(ports.begin(), ports.end() - 1, [&](const Port* port) { return is(port, control::Direction::in); });
    if (!right) {
        return fail(
            EINVAL,
            "ptask {} with a service needs an in port, for a second input (aux) another one, and an out port as "
            "its arguments, in that order",
            ptask.name);
    }
    return {};
}

Result<LentKey> key_of(const control::PtaskDefinition& ptask, const control::KernelDefinition& kernel,
                       const service::Service& service, const LendKey& lend) {
    if (service.needs_key() != (kernel.key != 0)) {
        return kernel.key != 0
                   ? fail(EINVAL, "ptask {}: service {} takes no key", ptask.name, service.name())
                   : fail(ENOKEY, "ptask {}: service {} needs a key of the session", ptask.name, service.name());
    }
    if (kernel.key == 0) {
        return LentKey{};
    }
    auto key = lend(kernel.key, service);
    if (!key) {
        return fail(key.error().code, "ptask {}: {}", ptask.name, key.error().message);
    }
    return key;
}

}  // namespace

Result<std::unique_ptr<device::Kernel>> make_service_kernel(device::Device& device,
                                                            const control::PtaskDefinition& ptask,
                                                            const control::KernelDefinition& kernel,
                                                            const std::vector<Port*>& ports, const LendKey& lend) {
    const service::Service* const service = service::find(kernel.function);
    if (service == nullptr) {
        return fail(ENOENT, "ptask {}: there is no service {}; yoke ls services shows those there are", ptask.name,
                    in_quotes(kernel.function));
    }
    if (auto right = check_ports(ptask, ports); !right) {
        return tl::unexpected(right.error());
    }
    if (kernel.parameters.size() > YOKE_PAYLOAD_BYTES) {
        return fail(EINVAL, "ptask {} gives service {} {} bytes of parameters; at most {} are allowed", ptask.name,
                    kernel.function, kernel.parameters.size(), YOKE_PAYLOAD_BYTES);
    }
    auto key = key_of(ptask, kernel, *service, lend);
    if (!key) {
        return tl::unexpected(key.error());
    }
    const Use use{service, kernel, std::move(*key)};
    const Port& in = *ports.front();
    const Port& out = *ports.back();
    const service::Plan plan = service->plan(shape_of(use, in.bytes, out.bytes));
    if (plan.status != 0) {
        return fail(EINVAL, "ptask {}: service {} does not take datablocks of {} into {}: {}", ptask.name,
                    kernel.function, counted(in.bytes, "byte"), counted(out.bytes, "byte"),
                    std::strerror(-plan.status));
    }
    const std::uint64_t aux_bytes = ports.size() == 3 ? ports[1]->bytes : 0;
    if (plan.aux_length > aux_bytes) {
        return fail(EINVAL, "ptask {}: service {} reads {} of a second input; give an in port of that size", ptask.name,
                    kernel.function, counted(plan.aux_length, "byte"));
    }
    if (!out.definition.variable && plan.out_length != out.bytes) {
        return fail(EINVAL, "ptask {}: service {} makes {} of {}, but port {} has {}; {}", ptask.name, kernel.function,
                    counted(plan.out_length, "byte"), in.bytes, out.definition.name, out.bytes,
                    extent_for(out, plan.out_length));
    }
    const device::Parameter buffer{device::Parameter::Kind::buffer, 0, "", ""};
    return device.host_kernel(
        std::vector<device::Parameter>(ports.size(), buffer),
        [use](std::span<const device::HostArgument> arguments, const device::Geometry& /*geometry*/) {
            return run_service(use, arguments);
        },
        device::Geometry{});
}

}  // namespace yoke::graph
