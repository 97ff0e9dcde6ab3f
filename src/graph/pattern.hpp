// The initial value of a port's template as a whole datablock, on its way to the device.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "device/device.hpp"

namespace yoke::graph {

class PatternWrite final : public device::Done {
   public:
    // `element` repeated, zeros where it is empty.
    PatternWrite(std::span<const std::uint8_t> element, std::size_t bytes, device::Done& failed)
        : failed_(failed), bytes_(bytes) {
        for (std::size_t i = 0; !element.empty() && i < bytes; ++i) {
            bytes_[i] = static_cast<std::byte>(element[i % element.size()]);
        }
    }

    void done(int status) noexcept override {
        bytes_ = {};  // the device has them
        if (status != 0) {
            failed_.done(status);
        }
    }
    [[nodiscard]] const std::byte* data() const { return bytes_.data(); }

   private:
    device::Done& failed_;
    std::vector<std::byte> bytes_;
};

}  // namespace yoke::graph
