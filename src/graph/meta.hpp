// The number in a datablock that the runtime itself needs: fetched from the device before the ptask can run.
//
// TRADE-OFF. The host waits for what the device computes here, once per datablock: that is what a size or a count that
// decides the next launch costs. The reading is asynchronous, so nothing else waits.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "device/device.hpp"

namespace yoke::graph {

class GraphHost;

class MetaReading final : public device::Done {
   public:
    enum class State : std::uint8_t { empty, reading, arrived, failed };

    explicit MetaReading(GraphHost& host) : host_(host) {}
    void done(int status) noexcept override;

    void begin() { state_.store(State::reading, std::memory_order_release); }
    // A datablock without content has come: the run passes its signals on, and asks for no number.
    void pass_on() { state_.store(State::arrived, std::memory_order_release); }
    void clear() { state_.store(State::empty, std::memory_order_release); }
    [[nodiscard]] State state() const { return state_.load(std::memory_order_acquire); }
    [[nodiscard]] std::byte* place() { return bytes_.data(); }
    // The first `width` bytes, an unsigned little-endian number.
    [[nodiscard]] std::uint64_t value(std::size_t width) const {
        std::uint64_t number = 0;
        std::memcpy(&number, bytes_.data(), width);
        return number;
    }

    std::uint8_t signals = 0;  // of the datablock

   private:
    GraphHost& host_;
    std::array<std::byte, 8> bytes_{};
    std::atomic<State> state_{State::empty};
};

}  // namespace yoke::graph
