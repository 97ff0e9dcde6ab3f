// The schema has been checked, so the arrays hold records; numbers in them may still be anything.
#include "daemon/inventory.hpp"

#include <algorithm>
#include <limits>

namespace yoke::daemon {
namespace {

std::uint64_t number_of(const control::Json& object, const char* name) {
    const auto found = object.find(name);
    return found != object.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

}  // namespace

Inventory::Inventory(const control::Json& inventory) {
    for (const std::string_view kind : inventory_kinds) {
        if (const auto found = inventory.find(kind); found != inventory.end()) {
            kinds_[std::string(kind)] = *found;
        }
    }
    for (const control::Json& session : of("sessions")) {
        const std::uint64_t room = std::numeric_limits<std::uint64_t>::max() - arena_bytes_;
        arena_bytes_ += std::min(number_of(session, "arena_bytes"), room);
    }
    adopted_ = number_of(inventory, "adopted");
}

const control::Json& Inventory::of(std::string_view kind) const {
    static const control::Json none = control::Json::array();
    const auto found = kinds_.find(kind);
    return found == kinds_.end() ? none : *found;
}

}  // namespace yoke::daemon
