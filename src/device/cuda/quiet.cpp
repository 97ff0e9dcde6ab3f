// One lock for the tenant's name and for the one Quiet that is held.
#include "device/cuda/quiet.hpp"

namespace yoke::device::cuda {
namespace {

struct House {
    std::mutex mutex;
    Tenant* tenant = nullptr;
};

House& house() {
    static House instance;
    return instance;
}

}  // namespace

void set_tenant(Tenant* tenant) {
    const std::lock_guard lock(house().mutex);
    house().tenant = tenant;
}

Quiet::Quiet() : lock_(house().mutex) {
    if (house().tenant != nullptr) {
        house().tenant->leave_context();
    }
}

Quiet::~Quiet() {
    if (house().tenant != nullptr) {
        house().tenant->stay();
    }
}

}  // namespace yoke::device::cuda
