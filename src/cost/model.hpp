// Cost models of all services at one place, learned by several threads and read by others without a lock.
//
// A model is eight bytes (struct yoke_cost) and is always loaded and stored as one, also in the status page, so that no
// reader ever combines an old overhead with a new rate. Two threads that learn at the same time may lose one
// measurement; an estimate can bear that.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include <uapi/yoke.h>
#include <uapi/yoke_cost.h>

namespace yoke::cost {

// One model in memory shared with another process (struct yoke_status_page.cost), read as one.
[[nodiscard]] yoke_cost load_shared(const yoke_cost& from);
// The same, written as one.
void store_shared(yoke_cost& to, yoke_cost cost);

class Models {
   public:
    // The model of a service id; unmeasured for ids beyond the table.
    [[nodiscard]] yoke_cost of(std::uint16_t service) const;
    // Corrects it by a call of `bytes` that took `measured_ns`. Ids beyond the table are ignored.
    void learn(std::uint16_t service, std::uint64_t bytes, std::uint64_t measured_ns);
    // Sets it, for example from a calibration.
    void set(std::uint16_t service, yoke_cost cost);
    // Expected time in ns; ~0 when not measured.
    [[nodiscard]] std::uint64_t expected_ns(std::uint16_t service, std::uint64_t bytes) const {
        return yoke_cost_ns(of(service), bytes);
    }
    // Copies all models into a table of YOKE_SERVICES_MAX shared ones.
    void publish(yoke_cost* to) const;

   private:
    std::array<std::atomic<std::uint64_t>, YOKE_SERVICES_MAX> models_{};
};

}  // namespace yoke::cost
