// Cost models as eight-byte atomics; see model.hpp, and uapi/yoke_cost.h for the arithmetic.
#include "cost/model.hpp"

namespace yoke::cost {

static_assert(sizeof(yoke_cost) == sizeof(std::uint64_t));
static_assert(offsetof(yoke_status_page, cost) % sizeof(std::uint64_t) == 0);

yoke_cost load_shared(const yoke_cost& from) {
    return std::bit_cast<yoke_cost>(__atomic_load_n(reinterpret_cast<const std::uint64_t*>(&from), __ATOMIC_RELAXED));
}

void store_shared(yoke_cost& to, yoke_cost cost) {
    __atomic_store_n(reinterpret_cast<std::uint64_t*>(&to), std::bit_cast<std::uint64_t>(cost), __ATOMIC_RELAXED);
}

yoke_cost Models::of(std::uint16_t service) const {
    if (service >= models_.size()) {
        return {};
    }
    return std::bit_cast<yoke_cost>(models_[service].load(std::memory_order_relaxed));
}

void Models::learn(std::uint16_t service, std::uint64_t bytes, std::uint64_t measured_ns) {
    if (service < models_.size()) {
        set(service, yoke_cost_learn(of(service), bytes, measured_ns));
    }
}

void Models::set(std::uint16_t service, yoke_cost cost) {
    if (service < models_.size()) {
        models_[service].store(std::bit_cast<std::uint64_t>(cost), std::memory_order_relaxed);
    }
}

void Models::publish(yoke_cost* to) const {
    for (unsigned service = 0; service < YOKE_SERVICES_MAX; ++service) {
        store_shared(to[service], of(static_cast<std::uint16_t>(service)));
    }
}

}  // namespace yoke::cost
