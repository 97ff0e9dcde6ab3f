// A 128-bit number in the byte order of a mode: XTS counts its units from the low end, CTR its blocks from the high
// end.
//
// Chunks run in any order, so each finds its own start by one addition. Sums wrap at 2^128, as the modes demand.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <span>

namespace yoke::service {

using Block = std::array<std::uint8_t, 16>;

static_assert(std::endian::native == std::endian::little, "conversions below and the ABI are little-endian");

class Counter {
   public:
    [[nodiscard]] static Counter from_little_endian(std::span<const std::uint8_t, 16> bytes) noexcept {
        Counter counter;
        std::memcpy(&counter.low_, bytes.data(), 8);
        std::memcpy(&counter.high_, bytes.data() + 8, 8);
        return counter;
    }

    [[nodiscard]] static Counter from_big_endian(std::span<const std::uint8_t, 16> bytes) noexcept {
        Counter counter;
        std::memcpy(&counter.high_, bytes.data(), 8);
        std::memcpy(&counter.low_, bytes.data() + 8, 8);
        counter.high_ = __builtin_bswap64(counter.high_);
        counter.low_ = __builtin_bswap64(counter.low_);
        return counter;
    }

    void add(std::uint64_t value) noexcept {
        low_ += value;
        high_ += low_ < value ? 1U : 0U;
    }

    [[nodiscard]] Block little_endian() const noexcept { return joined(low_, high_); }
    [[nodiscard]] Block big_endian() const noexcept {
        return joined(__builtin_bswap64(high_), __builtin_bswap64(low_));
    }

   private:
    [[nodiscard]] static Block joined(std::uint64_t first, std::uint64_t second) noexcept {
        Block bytes;
        std::memcpy(bytes.data(), &first, 8);
        std::memcpy(bytes.data() + 8, &second, 8);
        return bytes;
    }

    std::uint64_t low_ = 0;
    std::uint64_t high_ = 0;
};

}  // namespace yoke::service
