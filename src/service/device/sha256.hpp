// SHA-256 (FIPS 180-4), one message per thread: a message is a chain, many messages are as parallel as a device wants.
#pragma once

#include "service/device/modes.hpp"

namespace yoke::service::device {

YOKE_HD std::uint32_t rotate_right(std::uint32_t x, unsigned n) {
    return rotate_left(x, 32 - n);
}

struct Digest {
    std::uint32_t h[8];
};

YOKE_HD void compress(Digest& digest, std::uint32_t (&w)[16]) {
    constexpr std::uint32_t k[64] = {
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
        0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
        0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
        0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
        0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
        0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
        0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
        0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};
    std::uint32_t a = digest.h[0], b = digest.h[1], c = digest.h[2], d = digest.h[3];
    std::uint32_t e = digest.h[4], f = digest.h[5], g = digest.h[6], h = digest.h[7];
    YOKE_UNROLL
    for (int i = 0; i < 64; ++i) {
        if (i >= 16) {
            const std::uint32_t w15 = w[(i + 1) & 15];
            const std::uint32_t w2 = w[(i + 14) & 15];
            w[i & 15] += (rotate_right(w15, 7) ^ rotate_right(w15, 18) ^ w15 >> 3) + w[(i + 9) & 15] +
                         (rotate_right(w2, 17) ^ rotate_right(w2, 19) ^ w2 >> 10);
        }
        const std::uint32_t t1 = h + (rotate_right(e, 6) ^ rotate_right(e, 11) ^ rotate_right(e, 25)) +
                                 ((e & f) ^ (~e & g)) + k[i] + w[i & 15];
        const std::uint32_t t2 =
            (rotate_right(a, 2) ^ rotate_right(a, 13) ^ rotate_right(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
        h = g;
        g = f;
        f = e;
        e = d + t1;
        d = c;
        c = b;
        b = a;
        a = t1 + t2;
    }
    digest.h[0] += a;
    digest.h[1] += b;
    digest.h[2] += c;
    digest.h[3] += d;
    digest.h[4] += e;
    digest.h[5] += f;
    digest.h[6] += g;
    digest.h[7] += h;
}

YOKE_HD Digest hash_message(const std::uint8_t* message, std::uint32_t length) {
    Digest digest{{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19}};
    // The message, one byte 0x80, zeros, and the length in bits in the last eight bytes of a block.
    const std::uint64_t blocks = (std::uint64_t{length} + 9 + 63) / 64;
    for (std::uint64_t n = 0; n < blocks; ++n) {
        std::uint32_t w[16];
        const std::uint64_t at = 64 * n;
        if (at + 64 <= length) {
            YOKE_UNROLL
            for (unsigned q = 0; q < 4; ++q) {
                const Block b = load(message + at + std::size_t{16} * q);
                YOKE_UNROLL
                for (unsigned i = 0; i < 4; ++i) {
                    w[4 * q + i] = swap_bytes(b.w[i]);
                }
            }
        } else {
            YOKE_UNROLL
            for (unsigned i = 0; i < 16; ++i) {
                w[i] = 0;
                for (unsigned byte = 0; byte < 4; ++byte) {
                    const std::uint64_t p = at + std::uint64_t{4} * i + byte;
                    const std::uint32_t value = p < length ? message[p] : p == length ? 0x80U : 0U;
                    w[i] |= value << (24 - 8 * byte);
                }
            }
            if (n + 1 == blocks) {
                w[14] = length >> 29;
                w[15] = length << 3;
            }
        }
        compress(digest, w);
    }
    return digest;
}

YOKE_HD std::uint32_t sha256_messages(const Call& call) {
    return call.params[0] == 0 ? 1 : call.in_length / call.params[0];
}

YOKE_HD void run_sha256(const Call& call, const Share& share) {
    const std::uint32_t length = call.params[0] == 0 ? call.in_length : call.params[0];
    for (std::uint32_t m = share.first + share.index; m < share.last; m += share.count) {
        const Digest digest = hash_message(call.in + std::uint64_t{m} * length, length);
        Block half[2];
        YOKE_UNROLL
        for (unsigned i = 0; i < 8; ++i) {
            half[i / 4].w[i % 4] = swap_bytes(digest.h[i]);
        }
        store(call.out + std::uint64_t{32} * m, half[0]);
        store(call.out + std::uint64_t{32} * m + 16, half[1]);
    }
}

}  // namespace yoke::service::device
