// The page is mapped writable here before it is sealed against every future writer, so that no copy of the descriptor
// can ever give a writable mapping.
#include "daemon/gate.hpp"

#include <fcntl.h>

#include <new>

namespace yoke::daemon {

Result<Gate> Gate::create(uid_t account, std::uint64_t generation, std::uint64_t until_ns) {
    Gate gate;
    auto memory = create_sealed_memfd("yoke-gate", control::gate_bytes, false);
    if (!memory) {
        return tl::unexpected(memory.error());
    }
    gate.memory_ = std::move(*memory);
    auto mapping = Mapping::map(gate.memory_, control::gate_bytes, true);
    if (!mapping) {
        return tl::unexpected(mapping.error());
    }
    gate.mapping_ = std::move(*mapping);
    if (auto sealed = seal_future_writes(gate.memory_); !sealed) {
        return tl::unexpected(sealed.error());
    }
    auto* page = new (gate.mapping_.data()) control::GatePage;
    page->account = account;
    page->generation = static_cast<std::uint32_t>(generation);
    page->turn.store(1, std::memory_order_relaxed);
    page->lease_until_ns.store(until_ns, std::memory_order_relaxed);
    page->open.store(1, std::memory_order_release);
    return gate;
}

control::GatePage& Gate::page() const {
    return *std::launder(reinterpret_cast<control::GatePage*>(mapping_.data()));
}

void Gate::renew(std::uint64_t until_ns) {
    page().lease_until_ns.store(until_ns, std::memory_order_relaxed);
}

control::GateState Gate::state(std::uint64_t now_ns) const {
    return control::gate_state(page(), now_ns);
}

std::uint64_t Gate::lease_until_ns() const {
    return page().lease_until_ns.load(std::memory_order_relaxed);
}

Result<Fd> Gate::share() const {
    Fd copy(::fcntl(memory_.get(), F_DUPFD_CLOEXEC, 0));
    if (!copy) {
        return fail_errno("gate cannot be shared");
    }
    return copy;
}

}  // namespace yoke::daemon
