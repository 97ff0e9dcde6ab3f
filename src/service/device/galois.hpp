// GF(2^128) in the two bit orders of XTS and GCM.
//
// XTS only ever multiplies a tweak by a power of x, which is a shift and a fold of what was shifted out. GCM multiplies
// two elements; done bit by bit, without tables that a key would have to carry and without branches on data.
#pragma once

#include "service/device/call.hpp"

namespace yoke::service::device {

struct Element {
    std::uint64_t low;
    std::uint64_t high;
};

YOKE_HD Element element_of(const Block& b) {
    return {b.w[0] | static_cast<std::uint64_t>(b.w[1]) << 32, b.w[2] | static_cast<std::uint64_t>(b.w[3]) << 32};
}

YOKE_HD Block block_of(const Element& e) {
    return {{static_cast<std::uint32_t>(e.low), static_cast<std::uint32_t>(e.low >> 32),
             static_cast<std::uint32_t>(e.high), static_cast<std::uint32_t>(e.high >> 32)}};
}

// XTS (IEEE 1619): bit i of the little-endian number is the coefficient of x^i; x^128 = x^7 + x^2 + x + 1.

// By x^n, 0 <= n <= 56: what is shifted out, times x^7, still fits a word.
YOKE_HD Element times_small_power(Element e, unsigned n) {
    if (n == 0) {
        return e;
    }
    const std::uint64_t out = e.high >> (64 - n);
    const std::uint64_t folded = out ^ out << 1 ^ out << 2 ^ out << 7;
    return {e.low << n ^ folded, e.high << n | e.low >> (64 - n)};
}

YOKE_HD Element xts_product(Element a, Element b) {
    Element sum{0, 0};
    for (unsigned i = 0; i < 128; ++i) {
        const std::uint64_t take = 0 - (b.low & 1U);
        b.low = b.low >> 1 | b.high << 63;
        b.high >>= 1;
        sum.low ^= a.low & take;
        sum.high ^= a.high & take;
        a = times_small_power(a, 1);
    }
    return sum;
}

YOKE_HD Element times_power(Element e, std::uint32_t n) {
    constexpr std::uint32_t step = 56;
    constexpr std::uint32_t worth_a_product = 64 * step;
    if (n >= worth_a_product) {
        Element power{1, 0};
        for (int bit = 31; bit >= 0; --bit) {
            power = xts_product(power, power);
            if ((n >> bit & 1U) != 0) {
                power = times_small_power(power, 1);
            }
        }
        return xts_product(e, power);
    }
    for (; n > step; n -= step) {
        e = times_small_power(e, step);
    }
    return times_small_power(e, n);
}

// GCM (SP 800-38D): the first bit of the first byte is the coefficient of x^0. Kept as two numbers in which that bit is
// the highest of `high`.
YOKE_HD Element hash_element(const Block& b) {
    return {static_cast<std::uint64_t>(swap_bytes(b.w[2])) << 32 | swap_bytes(b.w[3]),
            static_cast<std::uint64_t>(swap_bytes(b.w[0])) << 32 | swap_bytes(b.w[1])};
}

YOKE_HD Block hash_block(const Element& e) {
    return {{swap_bytes(static_cast<std::uint32_t>(e.high >> 32)), swap_bytes(static_cast<std::uint32_t>(e.high)),
             swap_bytes(static_cast<std::uint32_t>(e.low >> 32)), swap_bytes(static_cast<std::uint32_t>(e.low))}};
}

YOKE_HD Element operator^(const Element& a, const Element& b) {
    return {a.low ^ b.low, a.high ^ b.high};
}

YOKE_HD Element hash_product(Element a, Element b) {
    Element sum{0, 0};
#if defined(__CUDA_ARCH__)
#pragma unroll 8
#endif
    for (unsigned i = 0; i < 128; ++i) {
        const std::uint64_t take = 0 - (a.high >> 63);
        a.high = a.high << 1 | a.low >> 63;
        a.low <<= 1;
        sum.low ^= b.low & take;
        sum.high ^= b.high & take;
        const std::uint64_t fold = (0 - (b.low & 1U)) & 0xe100000000000000ULL;
        b.low = b.low >> 1 | b.high << 63;
        b.high = b.high >> 1 ^ fold;
    }
    return sum;
}

// Times H^n, by the key's powers H^(2^i).
YOKE_HD Element times_hash_power(Element e, const Block* power, std::uint32_t n) {
    for (unsigned i = 0; n != 0; ++i, n >>= 1) {
        if ((n & 1U) != 0) {
            e = hash_product(e, hash_element(power[i]));
        }
    }
    return e;
}

}  // namespace yoke::service::device
