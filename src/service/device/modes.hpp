// The modes of AES as shares: thread `index` of `count` does grains first + index, + count, ... of [first, last).
//
// Grains are taken a few at a time, all loads before the first store: over PCIe the reads must be on their way
// together. Blocks of one thread lie `count` apart, so a warp reads and writes whole lines.
#pragma once

#include "service/device/aes.hpp"
#include "service/device/galois.hpp"

namespace yoke::service::device {

// Two: a page is two blocks for each of the 128 threads that share it, and more would only compute on nothing.
constexpr int batch = 2;

struct Share {
    std::uint32_t first;
    std::uint32_t last;
    std::uint32_t index;
    std::uint32_t count;
};

// Blocks only, and all of them aligned: the loads need no branches.
YOKE_HD bool is_plain(const Call& call) {
    return call.in_length % 16 == 0 && aligned16(call.in) && aligned16(call.out);
}

// The batch of blocks that begins with grain g; a part behind `length` is zero.
template <int blocks>
YOKE_HD void load_batch(Block (&v)[blocks], const std::uint8_t* in, const Share& share, std::uint32_t g,
                        std::uint32_t length, bool plain) {
    if (plain) {
        YOKE_UNROLL
        for (std::uint32_t k = 0; k < blocks; ++k) {
            const std::uint32_t at = g + k * share.count;
            load_if(v[k], in + std::uint64_t{16} * at, at < share.last);
        }
        return;
    }
    YOKE_UNROLL
    for (std::uint32_t k = 0; k < blocks; ++k) {
        const std::uint32_t at = g + k * share.count;
        if (at < share.last) {
            v[k] = load_part(in + std::uint64_t{16} * at, length - 16 * at);
        }
    }
}

template <int blocks>
YOKE_HD void store_batch(std::uint8_t* out, const Block (&v)[blocks], const Share& share, std::uint32_t g,
                         std::uint32_t length, bool plain) {
    YOKE_UNROLL
    for (std::uint32_t k = 0; k < blocks; ++k) {
        const std::uint32_t at = g + k * share.count;
        if (at < share.last) {
            if (plain) {
                *reinterpret_cast<Block*>(out + std::uint64_t{16} * at) = v[k];
            } else {
                store_part(out + std::uint64_t{16} * at, v[k], length - 16 * at);
            }
        }
    }
}

// 128-bit big-endian counter block plus n; GCM's counter is the last 32 bits alone.
YOKE_HD Block counter_plus(const Block& start, std::uint32_t n, bool narrow) {
    const std::uint32_t low = swap_bytes(start.w[3]) + n;
    Block b = start;
    b.w[3] = swap_bytes(low);
    if (!narrow && low < n) {
        const std::uint32_t second = swap_bytes(start.w[2]) + 1;
        b.w[2] = swap_bytes(second);
        if (second == 0) {
            const std::uint32_t third = swap_bytes(start.w[1]) + 1;
            b.w[1] = swap_bytes(third);
            b.w[0] = third == 0 ? swap_bytes(swap_bytes(start.w[0]) + 1) : start.w[0];
        }
    }
    return b;
}

template <typename Tables>
YOKE_HD void run_ecb(const Tables& t, const Key& key, const Call& call, const Share& share) {
    const bool plain = is_plain(call);
    for (std::uint32_t g = share.first + share.index; g < share.last; g += batch * share.count) {
        Block v[batch] = {};
        load_batch(v, call.in, share, g, call.in_length, plain);
        if (decrypts(call)) {
            decrypt(t, key.decrypt, key.rounds, v);
        } else {
            encrypt(t, key.encrypt, key.rounds, v);
        }
        store_batch(call.out, v, share, g, call.in_length, plain);
    }
}

// Decryption only: encryption is a chain.
template <typename Tables>
YOKE_HD void run_cbc(const Tables& t, const Key& key, const Call& call, const Share& share) {
    const Block iv{{call.params[0], call.params[1], call.params[2], call.params[3]}};
    const bool plain = is_plain(call);
    for (std::uint32_t g = share.first + share.index; g < share.last; g += batch * share.count) {
        Block v[batch] = {};
        Block before[batch] = {};
        load_batch(v, call.in, share, g, call.in_length, plain);
        // The first block of the call has none before it; its slot loads nothing and gets the IV.
        if (g == 0) {
            before[0] = iv;
            YOKE_UNROLL
            for (std::uint32_t k = 1; k < batch; ++k) {
                if (k * share.count < share.last) {
                    before[k] = load(call.in + std::uint64_t{16} * k * share.count - 16);
                }
            }
        } else {
            load_batch(before, call.in - 16, share, g, call.in_length + 16, plain);
        }
        decrypt(t, key.decrypt, key.rounds, v);
        YOKE_UNROLL
        for (std::uint32_t k = 0; k < batch; ++k) {
            v[k] = v[k] ^ before[k];
        }
        store_batch(call.out, v, share, g, call.in_length, plain);
    }
}

// CTR, and the encryption in GCM. `hash` gets the share's part of GHASH over the ciphertext, not yet multiplied for the
// blocks behind the share's last one; `hashed` that block's number plus one, or 0.
template <bool authenticated, typename Tables>
YOKE_HD void run_counter(const Tables& t, const Key& key, const Call& call, const Share& share, const Block& start,
                         std::uint32_t length, Element& hash, std::uint32_t& hashed) {
    const bool plain = length % 16 == 0 && aligned16(call.in) && aligned16(call.out);
    Element stride{0, 0};
    if (authenticated) {
        unsigned power = 0;
        while ((1U << power) < share.count) {
            ++power;
        }
        stride = hash_element(key.power[power]);
    }
    for (std::uint32_t g = share.first + share.index; g < share.last; g += batch * share.count) {
        Block in[batch] = {};
        Block v[batch] = {};
        load_batch(in, call.in, share, g, length, plain);
        YOKE_UNROLL
        for (std::uint32_t k = 0; k < batch; ++k) {
            v[k] = counter_plus(start, g + k * share.count, authenticated);
        }
        encrypt(t, key.encrypt, key.rounds, v);
        YOKE_UNROLL
        for (std::uint32_t k = 0; k < batch; ++k) {
            const std::uint32_t at = g + k * share.count;
            v[k] = v[k] ^ in[k];
            if (authenticated) {
                if (at < share.last) {
                    const std::uint32_t left = length - 16 * at;
                    Block c = decrypts(call) ? in[k] : v[k];
                    YOKE_UNROLL
                    for (std::uint32_t i = 0; i < 16; ++i) {
                        c.w[i / 4] &= i < left ? 0xffffffffU : ~(0xffU << (8 * (i % 4)));
                    }
                    hash = hash_product(hash, stride) ^ hash_element(c);
                    hashed = at + 1;
                }
            }
        }
        store_batch(call.out, v, share, g, length, plain);
    }
}

// A grain of XTS is a block, or the last whole block of a unit together with the part of one behind it.
struct XtsShape {
    std::uint32_t unit;
    std::uint32_t per_unit;  // grains
};

YOKE_HD XtsShape xts_shape(const Call& call) {
    return {call.params[4], call.params[4] / 16};
}

YOKE_HD std::uint32_t xts_grains(const Call& call) {
    const XtsShape shape = xts_shape(call);
    return call.in_length / shape.unit * shape.per_unit + call.in_length % shape.unit / 16;
}

// What the tweak of a unit is the encryption of.
YOKE_HD Block unit_number(const Call& call, std::uint32_t unit) {
    Element start = element_of({{call.params[0], call.params[1], call.params[2], call.params[3]}});
    start.low += unit;
    start.high += start.low < unit ? 1U : 0U;
    return block_of(start);
}

template <typename Tables>
YOKE_HD Block unit_tweak(const Tables& t, const Key& key, const Call& call, std::uint32_t unit) {
    Block tweak[1] = {unit_number(call, unit)};
    encrypt(t, key.tweak, key.rounds, tweak);
    return tweak[0];
}

// Ciphertext stealing: the last whole block and `rest` bytes behind it, with the tweaks of both.
template <typename Tables>
YOKE_HD void steal(const Tables& t, const Key& key, const Call& call, std::uint64_t offset, std::uint32_t rest,
                   const Block& tweak) {
    const Block next = block_of(times_small_power(element_of(tweak), 1));
    const Block first_tweak = decrypts(call) ? next : tweak;
    const Block last_tweak = decrypts(call) ? tweak : next;
    const Block part = load_part(call.in + offset + 16, rest);
    Block v[1] = {load(call.in + offset) ^ first_tweak};
    if (decrypts(call)) {
        decrypt(t, key.decrypt, key.rounds, v);
    } else {
        encrypt(t, key.encrypt, key.rounds, v);
    }
    const Block middle = v[0] ^ first_tweak;
    v[0] = middle;
    for (std::uint32_t i = 0; i < rest; ++i) {
        const unsigned shift = 8 * (i % 4);
        v[0].w[i / 4] = (v[0].w[i / 4] & ~(0xffU << shift)) | (part.w[i / 4] & (0xffU << shift));
    }
    v[0] = v[0] ^ last_tweak;
    if (decrypts(call)) {
        decrypt(t, key.decrypt, key.rounds, v);
    } else {
        encrypt(t, key.encrypt, key.rounds, v);
    }
    store(call.out + offset, v[0] ^ last_tweak);
    store_part(call.out + offset + 16, middle, rest);
}

template <typename Tables>
YOKE_HD void run_xts(const Tables& t, const Key& key, const Call& call, const Share& share) {
    const XtsShape shape = xts_shape(call);
    const bool plain = is_plain(call) && shape.unit % 16 == 0;
    std::uint32_t unit = 0xffffffffU;
    std::uint32_t at_block = 0;
    Element tweak{0, 0};
    for (std::uint32_t g = share.first + share.index; g < share.last; g += batch * share.count) {
        Block v[batch] = {};
        Block tweaks[batch] = {};
        std::uint64_t offset[batch] = {};
        std::uint32_t rest[batch] = {};
        YOKE_UNROLL
        for (std::uint32_t k = 0; k < batch; ++k) {
            const std::uint32_t at = g + k * share.count;
            if (at < share.last) {
                const std::uint32_t n = at / shape.per_unit;
                const std::uint32_t j = at % shape.per_unit;
                const std::uint64_t begin = std::uint64_t{n} * shape.unit;
                const std::uint64_t left = call.in_length - begin;
                const std::uint32_t bytes = left < shape.unit ? static_cast<std::uint32_t>(left) : shape.unit;
                offset[k] = begin + std::uint64_t{16} * j;
                rest[k] = j + 1 == bytes / 16 ? bytes % 16 : 0;
            }
        }
        if (plain) {
            YOKE_UNROLL
            for (std::uint32_t k = 0; k < batch; ++k) {
                load_if(v[k], call.in + offset[k], g + k * share.count < share.last);
            }
        } else {
            YOKE_UNROLL
            for (std::uint32_t k = 0; k < batch; ++k) {
                if (g + k * share.count < share.last && rest[k] == 0) {
                    v[k] = load(call.in + offset[k]);
                }
            }
        }
        YOKE_UNROLL
        for (std::uint32_t k = 0; k < batch; ++k) {
            const std::uint32_t at = g + k * share.count;
            if (at < share.last) {
                const std::uint32_t n = at / shape.per_unit;
                const std::uint32_t j = at % shape.per_unit;
                if (n != unit) {
                    unit = n;
                    at_block = 0;
                    tweak = element_of(unit_tweak(t, key, call, n));
                }
                tweak = times_power(tweak, j - at_block);
                at_block = j;
                tweaks[k] = block_of(tweak);
                v[k] = v[k] ^ tweaks[k];
            }
        }
        if (decrypts(call)) {
            decrypt(t, key.decrypt, key.rounds, v);
        } else {
            encrypt(t, key.encrypt, key.rounds, v);
        }
        YOKE_UNROLL
        for (std::uint32_t k = 0; k < batch; ++k) {
            if (g + k * share.count < share.last) {
                if (plain) {
                    *reinterpret_cast<Block*>(call.out + offset[k]) = v[k] ^ tweaks[k];
                } else if (rest[k] == 0) {
                    store(call.out + offset[k], v[k] ^ tweaks[k]);
                } else {
                    steal(t, key, call, offset[k], rest[k], tweaks[k]);
                }
            }
        }
    }
}

// Blocks only, in units of blocks and aligned, and no block needs another: make_masks() or tweaks_of_unit(), then
// transform() do all there is to do.
YOKE_HD bool is_blockwise(const Call& call) {
    switch (call.service) {
        case YOKE_SERVICE_AES_ECB:
        case YOKE_SERVICE_AES_CTR:
            return is_plain(call);
        case YOKE_SERVICE_AES_XTS:
            return is_plain(call) && call.params[4] % 16 == 0;
        default:
            return false;
    }
}

// Whether a call of XTS lies in one unit: unit_tweak() of unit 0 is all of its tweaks that has to be encrypted.
YOKE_HD bool is_one_unit(const Call& call) {
    return call.service == YOKE_SERVICE_AES_XTS && call.in_length <= call.params[4];
}

// The tweaks of the blocks with numbers at[], ascending, of a unit whose first is `first`.
template <int blocks>
YOKE_HD void tweaks_of_unit(Element first, const std::uint32_t (&at)[blocks], Block (&mask)[blocks]) {
    YOKE_UNROLL
    for (int k = 0; k < blocks; ++k) {
        first = times_power(first, k == 0 ? at[0] : at[k] - at[k == 0 ? 0 : k - 1]);
        mask[k] = block_of(first);
    }
}

// What the blocks with numbers at[], ascending, of a blockwise call are combined with: it needs no input, so that it is
// made while that is on its way. Numbers behind the last block give nothing that is used.
template <int blocks, typename Tables>
YOKE_HD void make_masks(const Tables& t, const Key& key, const Call& call, const std::uint32_t (&at)[blocks],
                        Block (&mask)[blocks]) {
    if (call.service == YOKE_SERVICE_AES_CTR) {
        const Block start{{call.params[0], call.params[1], call.params[2], call.params[3]}};
        YOKE_UNROLL
        for (int k = 0; k < blocks; ++k) {
            mask[k] = counter_plus(start, at[k], false);
        }
        encrypt(t, key.encrypt, key.rounds, mask);
        return;
    }
    if (call.service == YOKE_SERVICE_AES_XTS) {
        const std::uint32_t per_unit = xts_shape(call).per_unit;
        std::uint32_t unit = 0;
        Element first{0, 0};
        YOKE_UNROLL
        for (int k = 0; k < blocks; ++k) {
            const std::uint32_t n = at[k] / per_unit;
            if (k == 0 || n != unit) {
                unit = n;
                first = element_of(unit_tweak(t, key, call, n));
            }
            mask[k] = block_of(times_power(first, at[k] % per_unit));
        }
    }
}

// Of a blockwise call, blocks with their masks: v[] becomes their output.
template <int blocks, typename Tables>
YOKE_HD void transform(const Tables& t, const Key& key, const Call& call, const Block (&mask)[blocks],
                       Block (&v)[blocks]) {
    if (call.service != YOKE_SERVICE_AES_CTR) {
        YOKE_UNROLL
        for (int k = 0; k < blocks; ++k) {
            v[k] = v[k] ^ mask[k];
        }
        if (decrypts(call)) {
            decrypt(t, key.decrypt, key.rounds, v);
        } else {
            encrypt(t, key.encrypt, key.rounds, v);
        }
    }
    YOKE_UNROLL
    for (int k = 0; k < blocks; ++k) {
        v[k] = v[k] ^ mask[k];
    }
}

// GCM beside its encryption: where the counter starts, what is hashed besides the ciphertext, and the tag.

struct GcmShape {
    std::uint32_t iv;
    std::uint32_t aad;
    std::uint32_t tag;
    std::uint32_t length;  // of the ciphertext, without the tag
};

YOKE_HD GcmShape gcm_shape(const Call& call) {
    return {call.params[0], call.params[1], call.params[2],
            decrypts(call) ? call.in_length - call.params[2] : call.in_length};
}

YOKE_HD std::uint32_t blocks_of(std::uint32_t bytes) {
    return bytes / 16 + (bytes % 16 != 0 ? 1U : 0U);
}

// Counter block 0; the ciphertext starts with the next one.
YOKE_HD Block gcm_start(const Key& key, const Call& call) {
    const GcmShape shape = gcm_shape(call);
    if (shape.iv == 12) {
        Block b = load_part(call.aux, 12);
        b.w[3] = 0x01000000U;
        return b;
    }
    const Element h = hash_element(key.power[0]);
    Element hash{0, 0};
    for (std::uint32_t done = 0; done < shape.iv; done += 16) {
        hash = hash_product(hash ^ hash_element(load_part(call.aux + done, shape.iv - done)), h);
    }
    return hash_block(hash_product(hash ^ Element{std::uint64_t{shape.iv} * 8, 0}, h));
}

// The share's part of GHASH over everything; the parts of all shares add up (XOR) to it. `count` is a power of two.
template <typename Tables>
YOKE_HD Element run_gcm(const Tables& t, const Key& key, const Call& call, const Share& share, const Block& start) {
    const GcmShape shape = gcm_shape(call);
    const std::uint32_t data_blocks = blocks_of(shape.length);
    Element hash{0, 0};
    std::uint32_t hashed = 0;
    run_counter<true>(t, key, call, share, counter_plus(start, 1, true), shape.length, hash, hashed);
    // The last of n blocks is multiplied by H once, and block i by H^(n - i + 1).
    return hashed == 0 ? hash : times_hash_power(hash, key.power, data_blocks - hashed + 2);
}

YOKE_HD Element hash_aad(const Key& key, const Call& call, std::uint32_t index, std::uint32_t count) {
    const GcmShape shape = gcm_shape(call);
    const std::uint32_t blocks = blocks_of(shape.aad);
    unsigned power = 0;
    while ((1U << power) < count) {
        ++power;
    }
    Element hash{0, 0};
    std::uint32_t hashed = 0;
    for (std::uint32_t a = index; a < blocks; a += count) {
        const Block b = load_part(call.aux + shape.iv + std::uint64_t{16} * a, shape.aad - 16 * a);
        hash = hash_product(hash, hash_element(key.power[power])) ^ hash_element(b);
        hashed = a + 1;
    }
    Element sum{0, 0};
    if (hashed != 0) {
        sum = times_hash_power(hash, key.power, blocks - hashed + blocks_of(shape.length) + 2);
    }
    if (index == 0) {
        const Element lengths{std::uint64_t{shape.length} * 8, std::uint64_t{shape.aad} * 8};
        sum = sum ^ hash_product(lengths, hash_element(key.power[0]));
    }
    return sum;
}

template <typename Tables>
YOKE_HD Block gcm_tag(const Tables& t, const Key& key, const Block& start, const Element& hash) {
    Block mask[1] = {start};
    encrypt(t, key.encrypt, key.rounds, mask);
    return mask[0] ^ hash_block(hash);
}

// Writes the tag, or compares it; false: it is wrong.
YOKE_HD bool gcm_finish(const Call& call, const Block& tag) {
    const GcmShape shape = gcm_shape(call);
    if (!decrypts(call)) {
        store_part(call.out + shape.length, tag, shape.tag);
        return true;
    }
    const Block given = load_part(call.in + shape.length, shape.tag);
    std::uint32_t differs = 0;
    for (unsigned i = 0; i < shape.tag; ++i) {
        differs |= byte_of(given, i) ^ byte_of(tag, i);
    }
    return differs == 0;
}

}  // namespace yoke::service::device
