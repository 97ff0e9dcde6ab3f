// yoked's side of a gate: the page, and the lease on it.
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "base/memory.hpp"
#include "control/gate.hpp"

namespace yoke::daemon {

class Gate {
   public:
    // An open gate for one worker, with a lease until `until_ns`.
    static Result<Gate> create(uid_t account, std::uint64_t generation, std::uint64_t until_ns);

    void renew(std::uint64_t until_ns);
    [[nodiscard]] control::GateState state(std::uint64_t now_ns) const;
    [[nodiscard]] std::uint64_t lease_until_ns() const;
    // The descriptor for the worker: it can be mapped read-only and nothing else.
    [[nodiscard]] Result<Fd> share() const;

   private:
    [[nodiscard]] control::GatePage& page() const;
    Fd memory_;
    Mapping mapping_;
};

}  // namespace yoke::daemon
