// A 128-bit number in the byte order of a mode: XTS counts its units from the low end, CTR its blocks from the high
// end.
//
// Chunks run in any order, so each finds its own start by one addition. Sums wrap at 2^128, as the modes demand.
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace yoke::service {

using Block = std::array<std::uint8_t, 16>;

class Counter {
   public:
    [[nodiscard]] static Counter from_little_endian(std::span<const std::uint8_t, 16> bytes) noexcept {
        Counter counter;
        for (unsigned i = 0; i < 8; ++i) {
            counter.low_ |= std::uint64_t{bytes[i]} << (8 * i);
            counter.high_ |= std::uint64_t{bytes[8 + i]} << (8 * i);
        }
        return counter;
    }

    [[nodiscard]] static Counter from_big_endian(std::span<const std::uint8_t, 16> bytes) noexcept {
        Counter counter;
        for (unsigned i = 0; i < 8; ++i) {
            counter.high_ = counter.high_ << 8 | bytes[i];
            counter.low_ = counter.low_ << 8 | bytes[8 + i];
        }
        return counter;
    }

    void add(std::uint64_t value) noexcept {
        low_ += value;
        high_ += low_ < value ? 1U : 0U;
    }

    [[nodiscard]] Block little_endian() const noexcept {
        Block bytes;
        for (unsigned i = 0; i < 8; ++i) {
            bytes[i] = static_cast<std::uint8_t>(low_ >> (8 * i));
            bytes[8 + i] = static_cast<std::uint8_t>(high_ >> (8 * i));
        }
        return bytes;
    }

    [[nodiscard]] Block big_endian() const noexcept {
        Block bytes;
        for (unsigned i = 0; i < 8; ++i) {
            bytes[i] = static_cast<std::uint8_t>(high_ >> (56 - 8 * i));
            bytes[8 + i] = static_cast<std::uint8_t>(low_ >> (56 - 8 * i));
        }
        return bytes;
    }

   private:
    std::uint64_t low_ = 0;
    std::uint64_t high_ = 0;
};

}  // namespace yoke::service
