// Plans a service for whole datablocks when the ptask is opened, so that wrong shapes are told then, and again for each
// run with the lengths at hand; see service_kernel.hpp.
#include "graph/service_kernel.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/text.hpp"
#include "service/service.hpp"

namespace yoke::graph {

namespace {

service::Shape shape_of(const control::KernelDefinition& kernel, std::size_t in_length, std::size_t out_length) {
    service::Shape shape;
    shape.flags = kernel.decrypt ? YOKE_FLAG_DECRYPT : 0;
    if (!kernel.parameters.empty()) {
        shape.flags |= YOKE_FLAG_PARAMS;
        std::memcpy(shape.params.data(), kernel.parameters.data(), kernel.parameters.size());
    }
    shape.in_length = static_cast<std::uint32_t>(in_length);
    shape.out_length = static_cast<std::uint32_t>(out_length);
    return shape;
}

int run_service(const service::Service& service, const control::KernelDefinition& kernel,
                std::span<const device::HostArgument> arguments) {
    service::Work work;
    work.shape = shape_of(kernel, arguments[0].size(), arguments[1].size());
    work.plan = service.plan(work.shape);
    if (work.plan.status != 0) {
        return work.plan.status;
    }
    work.in = arguments[0].data();
    work.out = arguments[1].data();
    for (std::uint32_t chunk = 0; chunk < work.plan.chunks; ++chunk) {
        if (const int status = service.run(work, chunk, 0); status != 0) {
            return status;
        }
    }
    return 0;
}

}  // namespace

Result<std::unique_ptr<device::Kernel>> make_service_kernel(device::Device& device,
                                                            const control::PtaskDefinition& ptask,
                                                            const control::KernelDefinition& kernel,
                                                            const std::vector<Port*>& ports) {
    const service::Service* const service = service::find(kernel.function);
    if (service == nullptr) {
        return fail(ENOENT, "ptask {}: there is no service {}; yoke ls services shows those there are", ptask.name,
                    in_quotes(kernel.function));
    }
    if (service->needs_key()) {
        return fail(ENOTSUP, "ptask {}: service {} needs a key, which a ptask cannot have; call it instead", ptask.name,
                    kernel.function);
    }
    if (ports.size() != 2 || ports[0] == nullptr || ports[1] == nullptr ||
        ports[0]->definition.direction != control::Direction::in ||
        ports[1]->definition.direction != control::Direction::out) {
        return fail(EINVAL, "ptask {} with service {} needs two arguments: an in port, then an out port", ptask.name,
                    kernel.function);
    }
    if (kernel.parameters.size() > YOKE_PAYLOAD_BYTES) {
        return fail(EINVAL, "ptask {} gives service {} {} bytes of parameters; at most {} are allowed", ptask.name,
                    kernel.function, kernel.parameters.size(), YOKE_PAYLOAD_BYTES);
    }
    const service::Plan plan = service->plan(shape_of(kernel, ports[0]->bytes, ports[1]->bytes));
    if (plan.status != 0) {
        return fail(EINVAL, "ptask {}: service {} does not take datablocks of {} bytes into {} bytes: {}", ptask.name,
                    kernel.function, ports[0]->bytes, ports[1]->bytes, std::strerror(-plan.status));
    }
    if (!ports[1]->definition.variable && plan.out_length != ports[1]->bytes) {
        return fail(EINVAL, "ptask {}: service {} makes {} bytes of {}, but port {} has {}; change its template",
                    ptask.name, kernel.function, plan.out_length, ports[0]->bytes, ports[1]->definition.name,
                    ports[1]->bytes);
    }
    const device::Parameter buffer{device::Parameter::Kind::buffer, 0, "", ""};
    return device.host_kernel(
        {buffer, buffer},
        [service, kernel](std::span<const device::HostArgument> arguments, const device::Geometry& /*geometry*/) {
            return run_service(*service, kernel, arguments);
        },
        device::Geometry{});
}

}  // namespace yoke::graph
