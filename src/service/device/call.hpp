// A planned call as device code sees it, and a key as device memory holds it.
//
// This folder is host/device C++: nvcc compiles it for the non-stop kernel and the bulk kernels, and the C++ compiler
// for the tests, which run official vectors and random calls through it on any machine. The code knows no blocks and
// warps: a thread does the share `index` of `count` of a range of grains (blocks of a cipher, messages of a hash).
#pragma once

#include <cstdint>

#include <uapi/yoke.h>

#if defined(__CUDACC__)
#define YOKE_HD __host__ __device__ __forceinline__
#define YOKE_UNROLL _Pragma("unroll")
#else
#define YOKE_HD inline
#define YOKE_UNROLL
#endif

namespace yoke::service::device {

// 16 bytes as four little-endian words.
struct alignas(16) Block {
    std::uint32_t w[4];
};

YOKE_HD Block operator^(const Block& a, const Block& b) {
    return {{a.w[0] ^ b.w[0], a.w[1] ^ b.w[1], a.w[2] ^ b.w[2], a.w[3] ^ b.w[3]}};
}

constexpr std::uint32_t schedule_blocks = 15;  // AES-256: 14 rounds and the first whitening
constexpr std::uint32_t hash_powers = 32;      // calls have up to 2^26 blocks of data and as many of AAD

// A key with all that is derived from it; host code makes it, device memory holds it until the key goes.
struct Key {
    std::uint32_t service;
    std::uint32_t rounds;  // 10 or 14
    std::uint32_t reserved[2];
    Block encrypt[schedule_blocks];
    Block decrypt[schedule_blocks];  // of the equivalent inverse cipher
    Block tweak[schedule_blocks];    // XTS: the second key
    Block power[hash_powers];        // GCM: H^(2^i)
};

// Checked: ranges, lengths and parameters are those that the service's plan() accepts.
struct Call {
    std::uint16_t service;
    std::uint8_t flags;
    std::uint8_t reserved;
    std::uint32_t in_length;
    const std::uint8_t* in;
    const std::uint8_t* aux;
    std::uint8_t* out;
    alignas(16) std::uint32_t params[YOKE_PAYLOAD_BYTES / 4];
};

// A service that only tests can call (executive::Limits::device_faults): it never ends, or writes where nothing is.
inline constexpr std::uint16_t fault_service = 0xffff;
inline constexpr std::uint32_t fault_endless = 16;  // input lengths
inline constexpr std::uint32_t fault_stray = 32;

YOKE_HD bool decrypts(const Call& call) {
    return (call.flags & YOKE_FLAG_DECRYPT) != 0;
}

YOKE_HD bool aligned16(const void* p) {
    return (reinterpret_cast<std::uintptr_t>(p) & 15U) == 0;
}

YOKE_HD Block load(const std::uint8_t* from) {
    if (aligned16(from)) {
#if defined(__CUDA_ARCH__)
        Block b;
        asm volatile("ld.global.v4.u32 {%0, %1, %2, %3}, [%4];"
                     : "=r"(b.w[0]), "=r"(b.w[1]), "=r"(b.w[2]), "=r"(b.w[3])
                     : "l"(from));
        return b;
#else
        Block b;
        __builtin_memcpy(&b, from, sizeof(b));
        return b;
#endif
    }
    Block b;
    YOKE_UNROLL
    for (unsigned i = 0; i < 4; ++i) {
        const std::uint8_t* const bytes = from + std::size_t{4} * i;
        b.w[i] = std::uint32_t{bytes[0]} | std::uint32_t{bytes[1]} << 8 | std::uint32_t{bytes[2]} << 16 |
                 std::uint32_t{bytes[3]} << 24;
    }
    return b;
}

YOKE_HD void store(std::uint8_t* to, const Block& b) {
    if (aligned16(to)) {
        *reinterpret_cast<Block*>(to) = b;
        return;
    }
    YOKE_UNROLL
    for (unsigned i = 0; i < 16; ++i) {
        to[i] = static_cast<std::uint8_t>(b.w[i / 4] >> (8 * (i % 4)));
    }
}

YOKE_HD std::uint32_t byte_of(const Block& b, unsigned i) {
    return (b.w[i / 4] >> (8 * (i % 4))) & 0xffU;
}

// Up to 16 bytes; what is not there is zero.
YOKE_HD Block load_part(const std::uint8_t* from, std::uint32_t length) {
    if (length >= 16) {
        return load(from);
    }
    Block b{};
    YOKE_UNROLL
    for (unsigned i = 0; i < 16; ++i) {
        if (i < length) {
            b.w[i / 4] |= std::uint32_t{from[i]} << (8 * (i % 4));
        }
    }
    return b;
}

YOKE_HD void store_part(std::uint8_t* to, const Block& b, std::uint32_t length) {
    if (length >= 16) {
        store(to, b);
        return;
    }
    YOKE_UNROLL
    for (unsigned i = 0; i < 16; ++i) {
        if (i < length) {
            to[i] = static_cast<std::uint8_t>(byte_of(b, i));
        }
    }
}

// An aligned block if `wanted`, else `b` as it is: no branch, so that the loads of a batch are on their way together.
YOKE_HD void load_if(Block& b, const std::uint8_t* from, bool wanted) {
#if defined(__CUDA_ARCH__)
    asm volatile("{ .reg .pred p; setp.ne.u32 p, %5, 0; @p ld.global.v4.u32 {%0, %1, %2, %3}, [%4]; }"
                 : "+r"(b.w[0]), "+r"(b.w[1]), "+r"(b.w[2]), "+r"(b.w[3])
                 : "l"(from), "r"(static_cast<std::uint32_t>(wanted)));
#else
    if (wanted) {
        __builtin_memcpy(&b, from, sizeof(b));
    }
#endif
}

YOKE_HD std::uint32_t swap_bytes(std::uint32_t x) {
#if defined(__CUDA_ARCH__)
    return __byte_perm(x, 0, 0x0123);
#else
    return __builtin_bswap32(x);
#endif
}

YOKE_HD std::uint32_t rotate_left(std::uint32_t x, unsigned n) {
#if defined(__CUDA_ARCH__)
    return __funnelshift_l(x, x, n);
#else
    return n == 0 ? x : x << n | x >> (32 - n);
#endif
}

}  // namespace yoke::service::device
