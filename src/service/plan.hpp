// Plans: the few sentences that every service repeats when it checks a call.
//
// A service checks what is its own (flags, parameters, the shape of its input) and ends with finish(), which checks
// what is common to all: the limit of a call and the room for its output. All arithmetic is in 64 bits, so that no
// length that fits the ABI can overflow.
#pragma once

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdint>
#include <span>

#include "service/service.hpp"

namespace yoke::service {

[[nodiscard]] inline Plan refuse(int code, yoke_member member) noexcept {
    Plan plan;
    plan.status = -code;
    plan.detail = static_cast<std::uint32_t>(member);
    return plan;
}

// The parameters of a call as the structure that its service expects.
template <typename T>
[[nodiscard]] T params_of(const Shape& shape) noexcept {
    static_assert(sizeof(T) == sizeof(Params));
    return std::bit_cast<T>(shape.params);
}

// True if a flag is set that the service does not know. YOKE_FLAG_PARAMS says only that parameters were sent.
[[nodiscard]] inline bool unknown_flags(const Shape& shape, std::uint32_t known) noexcept {
    return (shape.flags & ~(known | YOKE_FLAG_PARAMS)) != 0;
}

[[nodiscard]] inline bool all_zero(std::span<const std::uint8_t> bytes) noexcept {
    return std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t byte) { return byte == 0; });
}

[[nodiscard]] constexpr std::uint64_t divide_up(std::uint64_t value, std::uint64_t by) noexcept {
    return (value + by - 1) / by;
}

// Completes the plan of a call whose input is in order. EMSGSIZE names the side that is too long or too short.
[[nodiscard]] inline Plan finish(const Shape& shape, std::uint64_t out_length, std::uint64_t aux_length,
                                 std::uint64_t chunks) noexcept {
    if (shape.in_length > YOKE_CALL_BYTES_MAX || out_length > YOKE_CALL_BYTES_MAX) {
        return refuse(EMSGSIZE, YOKE_MEMBER_INPUT);
    }
    Plan plan;
    plan.out_length = static_cast<std::uint32_t>(out_length);
    if (shape.out_length < out_length) {
        plan.status = -EMSGSIZE;
        plan.detail = YOKE_MEMBER_OUTPUT;
        return plan;
    }
    plan.aux_length = static_cast<std::uint32_t>(aux_length);
    plan.chunks = static_cast<std::uint32_t>(chunks);
    return plan;
}

// Bytes [begin, begin + length) of the input that chunk `chunk` covers when each chunk but the last has `step` bytes.
struct Range {
    std::size_t begin;
    std::size_t length;
};

[[nodiscard]] inline Range chunk_range(std::uint32_t in_length, std::uint64_t step, std::uint32_t chunk) noexcept {
    const std::uint64_t begin = std::min<std::uint64_t>(step * chunk, in_length);
    return {begin, std::min<std::uint64_t>(step, in_length - begin)};
}

}  // namespace yoke::service
