// The AES block cipher (FIPS 197) by tables, for several blocks at a time.
//
// One round of a column is four look-ups in one table whose rows hold the four multiples of MixColumns; the other three
// classical tables are its rotations. Where the tables lie is the caller's matter: a plain array on the host; in shared
// memory, one copy for each bank, on the device, so that look-ups of a warp never collide.
#pragma once

#include "service/device/call.hpp"

namespace yoke::service::device {

struct AesTables {
    std::uint32_t encrypt[256];  // bytes, least first: 2S, S, S, 3S
    std::uint32_t decrypt[256];  // 14, 9, 13, 11 times the inverse box
    std::uint8_t inverse[256];
};

namespace detail {
constexpr std::uint8_t times(std::uint8_t a, std::uint8_t b) {
    unsigned product = 0;
    unsigned factor = a;
    for (unsigned bits = b; bits != 0; bits >>= 1) {
        product ^= (bits & 1U) != 0 ? factor : 0;
        factor = (factor << 1) ^ ((factor & 0x80U) != 0 ? 0x11bU : 0);
    }
    return static_cast<std::uint8_t>(product);
}
constexpr std::uint32_t word(unsigned a, unsigned b, unsigned c, unsigned d) {
    return a | b << 8 | c << 16 | d << 24;
}
}  // namespace detail

constexpr AesTables make_aes_tables() {
    AesTables tables{};
    std::uint8_t p = 1;
    std::uint8_t q = 1;  // p * q = 1 throughout: p runs through the powers of 3, q through those of its inverse
    do {
        p = detail::times(p, 3);
        q = detail::times(q, 0xf6);
        unsigned s = q ^ 0x63U;
        for (unsigned turn = 1; turn <= 4; ++turn) {
            s ^= ((unsigned{q} << turn) | (unsigned{q} >> (8 - turn))) & 0xffU;
        }
        tables.inverse[s] = p;
        tables.encrypt[p] = s;
    } while (p != 1);
    tables.inverse[0x63] = 0;
    tables.encrypt[0] = 0x63;
    for (unsigned i = 0; i < 256; ++i) {
        const auto s = static_cast<std::uint8_t>(tables.encrypt[i]);
        const std::uint8_t v = tables.inverse[i];
        tables.encrypt[i] = detail::word(detail::times(s, 2), s, s, detail::times(s, 3));
        tables.decrypt[i] =
            detail::word(detail::times(v, 14), detail::times(v, 9), detail::times(v, 13), detail::times(v, 11));
    }
    return tables;
}

// Tables of the host. A look-up is told the word and which of its bytes is meant: how that becomes an address is the
// larger part of a round's work.
struct PlainTables {
    const AesTables* tables;
    template <unsigned byte>
    std::uint32_t encrypt(std::uint32_t word) const {
        return tables->encrypt[(word >> (8 * byte)) & 0xffU];
    }
    template <unsigned byte>
    std::uint32_t decrypt(std::uint32_t word) const {
        return tables->decrypt[(word >> (8 * byte)) & 0xffU];
    }
    template <unsigned byte>
    std::uint32_t inverse(std::uint32_t word) const {
        return tables->inverse[(word >> (8 * byte)) & 0xffU];
    }
};

template <int blocks, typename Tables>
YOKE_HD void encrypt(const Tables& t, const Block* schedule, std::uint32_t rounds, Block (&v)[blocks]) {
    Block k = schedule[0];
    YOKE_UNROLL
    for (int n = 0; n < blocks; ++n) {
        v[n] = v[n] ^ k;
    }
    for (std::uint32_t round = 1; round < rounds; ++round) {
        k = schedule[round];
        YOKE_UNROLL
        for (int n = 0; n < blocks; ++n) {
            const Block s = v[n];
            YOKE_UNROLL
            for (unsigned c = 0; c < 4; ++c) {
                v[n].w[c] = t.template encrypt<0>(s.w[c]) ^ rotate_left(t.template encrypt<1>(s.w[(c + 1) % 4]), 8) ^
                            rotate_left(t.template encrypt<2>(s.w[(c + 2) % 4]), 16) ^
                            rotate_left(t.template encrypt<3>(s.w[(c + 3) % 4]), 24) ^ k.w[c];
            }
        }
    }
    k = schedule[rounds];
    YOKE_UNROLL
    for (int n = 0; n < blocks; ++n) {
        const Block s = v[n];
        YOKE_UNROLL
        for (unsigned c = 0; c < 4; ++c) {
            v[n].w[c] =
                (((t.template encrypt<0>(s.w[c]) >> 8) & 0xffU) | (t.template encrypt<1>(s.w[(c + 1) % 4]) & 0xff00U) |
                 ((t.template encrypt<2>(s.w[(c + 2) % 4]) << 8) & 0xff0000U) |
                 ((t.template encrypt<3>(s.w[(c + 3) % 4]) << 16) & 0xff000000U)) ^
                k.w[c];
        }
    }
}

template <int blocks, typename Tables>
YOKE_HD void decrypt(const Tables& t, const Block* schedule, std::uint32_t rounds, Block (&v)[blocks]) {
    Block k = schedule[0];
    YOKE_UNROLL
    for (int n = 0; n < blocks; ++n) {
        v[n] = v[n] ^ k;
    }
    for (std::uint32_t round = 1; round < rounds; ++round) {
        k = schedule[round];
        YOKE_UNROLL
        for (int n = 0; n < blocks; ++n) {
            const Block s = v[n];
            YOKE_UNROLL
            for (unsigned c = 0; c < 4; ++c) {
                v[n].w[c] = t.template decrypt<0>(s.w[c]) ^ rotate_left(t.template decrypt<1>(s.w[(c + 3) % 4]), 8) ^
                            rotate_left(t.template decrypt<2>(s.w[(c + 2) % 4]), 16) ^
                            rotate_left(t.template decrypt<3>(s.w[(c + 1) % 4]), 24) ^ k.w[c];
            }
        }
    }
    k = schedule[rounds];
    YOKE_UNROLL
    for (int n = 0; n < blocks; ++n) {
        const Block s = v[n];
        YOKE_UNROLL
        for (unsigned c = 0; c < 4; ++c) {
            v[n].w[c] =
                (t.template inverse<0>(s.w[c]) | t.template inverse<1>(s.w[(c + 3) % 4]) << 8 |
                 t.template inverse<2>(s.w[(c + 2) % 4]) << 16 | t.template inverse<3>(s.w[(c + 1) % 4]) << 24) ^
                k.w[c];
        }
    }
}

}  // namespace yoke::service::device
