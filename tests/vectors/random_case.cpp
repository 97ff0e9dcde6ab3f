// The counterpart of every encryption is its decryption, so a case is made by encrypting at random and then perhaps
// turning it round.
#include "vectors/random_case.hpp"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>

#include "vectors/reference.hpp"

namespace yoke::vectors {
namespace {

constexpr std::size_t block = 16;

// How long the input of a case may be, in bytes.
struct Span {
    std::size_t least;
    std::size_t most;
};

// Spread evenly over orders of magnitude, sometimes next to a multiple of 64 KiB.
std::size_t random_length(Random& random, Span span) {
    constexpr std::size_t chunk = 65536;
    std::size_t length = 0;
    if (span.most > 2 * chunk && random_between(random, 0, 3) == 0) {
        length = random_between(random, std::max<std::size_t>(span.least / chunk, 1), span.most / chunk) * chunk +
                 random_between(random, 0, 32) - 16;
    } else {
        const auto magnitude = random_between(random, static_cast<std::uint64_t>(std::bit_width(span.least)),
                                              static_cast<std::uint64_t>(std::bit_width(span.most)));
        length = random_between(random, 0, (std::uint64_t{1} << magnitude) - 1);
    }
    return std::clamp(length, span.least, span.most);
}

// 16 bytes of which many may be 0xff, so that counters carry.
void fill_counter(Random& random, std::uint8_t (&bytes)[16]) {
    const Bytes noise = random_bytes(random, sizeof bytes);
    std::memcpy(bytes, noise.data(), sizeof bytes);
    const std::size_t full = random_between(random, 0, 1) == 0 ? 0 : random_between(random, 1, sizeof bytes);
    const bool low_end = random_between(random, 0, 1) == 0;
    std::memset(low_end ? bytes : bytes + sizeof bytes - full, 0xff, full);
}

template <typename T>
void set_params(Case& made, const T& params) {
    made.flags |= YOKE_FLAG_PARAMS;
    made.params = std::bit_cast<decltype(made.params)>(params);
}

void fill_xts(Random& random, Case& made, Span span) {
    yoke_params_aes_xts params{};
    fill_counter(random, params.start);
    constexpr std::uint32_t usual[] = {16, 17, 31, 512, 520, 4096, 4104, 65536, 65537, 1U << 20};
    params.unit =
        random_between(random, 0, 1) == 0
            ? usual[random_between(random, 0, std::size(usual) - 1)]
            : static_cast<std::uint32_t>(random_length(random, {block, std::max<std::size_t>(span.most, 64)}));
    std::size_t length = random_length(random, span);
    if (const std::size_t rest = length % params.unit; rest < block) {
        length -= rest;
    }
    made.in = random_bytes(random, length);
    set_params(made, params);
}

void fill_gcm(Random& random, Case& made, Span span) {
    constexpr std::uint32_t tags[] = {4, 8, 12, 13, 14, 15, 16};
    yoke_params_aes_gcm params{};
    params.iv_length =
        random_between(random, 0, 1) == 0 ? 12 : static_cast<std::uint32_t>(random_between(random, 1, 128));
    params.aad_length =
        static_cast<std::uint32_t>(random_between(random, 0, 3) == 0 ? 0 : random_length(random, {1, 70000}));
    params.tag_length = tags[random_between(random, 0, std::size(tags) - 1)];
    made.aux = random_bytes(random, std::size_t{params.iv_length} + params.aad_length);
    made.in = random_bytes(random, random_length(random, span));
    set_params(made, params);
}

void fill_sha256(Random& random, Case& made, Span span) {
    yoke_params_sha256 params{};
    made.in = random_bytes(random, random_length(random, span));
    if (random_between(random, 0, 2) != 0) {
        params.message =
            static_cast<std::uint32_t>(random_length(random, {1, std::min<std::size_t>(span.most, 100000)}));
        made.in.resize(made.in.size() / params.message * params.message);
    }
    set_params(made, params);
}

void fill_iv(Random& random, Case& made, Span span) {
    yoke_params_aes_iv params{};
    fill_counter(random, params.iv);
    const std::size_t length = random_length(random, span);
    made.in = random_bytes(random, made.service == YOKE_SERVICE_AES_CTR ? length : length / block * block);
    set_params(made, params);
}

void fill(Random& random, Case& made, Span span) {
    switch (made.service) {
        case YOKE_SERVICE_AES_CBC:
        case YOKE_SERVICE_AES_CTR:
            return fill_iv(random, made, span);
        case YOKE_SERVICE_AES_XTS:
            return fill_xts(random, made, span);
        case YOKE_SERVICE_AES_GCM:
            return fill_gcm(random, made, span);
        case YOKE_SERVICE_SHA256:
            return fill_sha256(random, made, span);
        case YOKE_SERVICE_AES_ECB:
            made.in = random_bytes(random, random_length(random, span) / block * block);
            return;
        default:
            made.in = random_bytes(random, random_length(random, span));
    }
}

bool is_cipher(std::uint16_t service) {
    return service >= YOKE_SERVICE_AES_ECB && service <= YOKE_SERVICE_AES_GCM;
}

// Services that take any length, nothing included.
bool is_stream(std::uint16_t service) {
    return service == YOKE_SERVICE_ECHO || service == YOKE_SERVICE_SHA256 || service == YOKE_SERVICE_AES_GCM ||
           service == YOKE_SERVICE_AES_CTR;
}

}  // namespace

std::uint64_t test_seed() {
    const char* const chosen = std::getenv("YOKE_TEST_SEED");
    return chosen != nullptr ? std::strtoull(chosen, nullptr, 0) : 0x796f6b65;
}

unsigned test_rounds(unsigned normal) {
    constexpr unsigned soak_factor = 30;
    const char* const soak = std::getenv("YOKE_SOAK");
    if (soak != nullptr && std::strcmp(soak, "1") == 0) {
        return normal * soak_factor;
    }
    const char* const share = std::getenv("YOKE_TEST_SHARE");
    const unsigned long parts = share != nullptr ? std::strtoul(share, nullptr, 10) : 1;
    return std::max(1U, static_cast<unsigned>(normal / std::max(parts, 1UL)));
}

Bytes random_bytes(Random& random, std::size_t length) {
    Bytes bytes((length + 7) / 8 * 8);
    for (std::size_t i = 0; i < bytes.size(); i += 8) {
        const std::uint64_t word = random();
        std::memcpy(bytes.data() + i, &word, sizeof word);
    }
    bytes.resize(length);
    return bytes;
}

std::uint64_t random_between(Random& random, std::uint64_t least, std::uint64_t most) {
    return std::uniform_int_distribution<std::uint64_t>(least, most)(random);
}

Result<Case> random_case(Random& random, std::uint16_t service, std::size_t least_bytes, std::size_t most_bytes) {
    Case made;
    made.service = service;
    if (is_cipher(service)) {
        const std::size_t keys = service == YOKE_SERVICE_AES_XTS ? 2 : 1;
        made.key = random_bytes(random, keys * (random_between(random, 0, 1) == 0 ? 16 : 32));
    }
    const std::size_t least = is_stream(service) ? least_bytes : std::max(least_bytes, block);
    fill(random, made, {least, std::max(least, most_bytes)});
    auto expected = reference(made);
    if (!expected) {
        return tl::unexpected(expected.error());
    }
    made.expected = std::move(*expected);
    if (is_cipher(service) && random_between(random, 0, 1) == 0) {
        made.flags |= YOKE_FLAG_DECRYPT;
        std::swap(made.in, made.expected);
        // libgcrypt must agree with itself, else the fault is not ours.
        const auto back = reference(made);
        if (!back || *back != made.expected) {
            return tl::unexpected(std::string("libgcrypt does not decrypt what it encrypted"));
        }
    }
    made.name = "service " + std::to_string(service) + ", " + std::to_string(made.in.size()) + " bytes, flags " +
                std::to_string(made.flags) + ", key of " + std::to_string(made.key.size()) + " bytes";
    return made;
}

}  // namespace yoke::vectors
