// FIPS 197's key expansion. The decryption schedule is that of the equivalent inverse cipher: reversed, its inner round
// keys passed through InvMixColumns.
#include "service/device/key.hpp"

#include <string.h>

#include <algorithm>
#include <array>

#include "service/device/aes.hpp"
#include "service/device/galois.hpp"

namespace yoke::service::device {
namespace {

constexpr AesTables tables = make_aes_tables();

std::uint32_t box(std::uint32_t x) {
    return (tables.encrypt[x & 0xffU] >> 8) & 0xffU;
}

std::uint32_t box_word(std::uint32_t w) {
    return box(w) | box(w >> 8) << 8 | box(w >> 16) << 16 | box(w >> 24) << 24;
}

// Returns the number of rounds.
std::uint32_t expand(std::span<const std::byte> bytes, Block* schedule) {
    const std::size_t words = std::max<std::size_t>(bytes.size() / 4, 1);
    const auto rounds = static_cast<std::uint32_t>(words + 6);
    const auto word = [schedule](std::size_t i) -> std::uint32_t& { return schedule[i / 4].w[i % 4]; };
    for (std::size_t i = 0; i < words; ++i) {
        ::memcpy(&word(i), bytes.data() + 4 * i, 4);
    }
    std::uint32_t constant = 1;
    for (std::size_t i = words; i < std::size_t{4} * (rounds + 1); ++i) {
        std::uint32_t next = word(i - 1);
        if (i % words == 0) {
            next = box_word(next >> 8 | next << 24) ^ constant;
            constant = detail::times(static_cast<std::uint8_t>(constant), 2);
        } else if (words > 6 && i % words == 4) {
            next = box_word(next);
        }
        word(i) = word(i - words) ^ next;
    }
    return rounds;
}

std::uint32_t inverse_mix(std::uint32_t w) {
    std::uint32_t mixed = 0;
    for (unsigned i = 0; i < 4; ++i) {
        mixed ^= rotate_left(tables.decrypt[box(w >> (8 * i))], 8 * i);
    }
    return mixed;
}

}  // namespace

Key make_key(std::uint16_t service, std::span<const std::byte> bytes) noexcept {
    Key key{};
    key.service = service;
    const std::size_t one = service == YOKE_SERVICE_AES_XTS ? bytes.size() / 2 : bytes.size();
    key.rounds = expand(bytes.first(one), key.encrypt);
    for (std::uint32_t round = 0; round <= key.rounds; ++round) {
        key.decrypt[round] = key.encrypt[key.rounds - round];
        for (std::uint32_t& word : key.decrypt[round].w) {
            word = round == 0 || round == key.rounds ? word : inverse_mix(word);
        }
    }
    if (service == YOKE_SERVICE_AES_XTS) {
        expand(bytes.subspan(one), key.tweak);
    }
    if (service == YOKE_SERVICE_AES_GCM) {
        Block zero[1] = {};
        encrypt(PlainTables{&tables}, key.encrypt, key.rounds, zero);
        Element power = hash_element(zero[0]);
        for (Block& place : key.power) {
            place = hash_block(power);
            power = hash_product(power, power);
        }
    }
    return key;
}

void wipe(Key& key) noexcept {
    ::explicit_bzero(&key, sizeof(key));
}

}  // namespace yoke::service::device
