// See reference_xts.hpp.
#include "tour/reference_xts.hpp"

#include <gcrypt.h>

#include <algorithm>
#include <array>
#include <type_traits>

namespace tour {

static_assert(std::is_same_v<gcry_cipher_hd_t, gcry_cipher_handle*>);

void ReferenceXts::Closer::operator()(gcry_cipher_handle* handle) const {
    gcry_cipher_close(handle);
}

Outcome<ReferenceXts> ReferenceXts::create(std::span<const std::byte> key, std::size_t unit_bytes) {
    if (gcry_check_version(GCRYPT_VERSION) == nullptr) {
        return fail("libgcrypt is older than {}; upgrade libgcrypt20", GCRYPT_VERSION);
    }
    gcry_control(GCRYCTL_DISABLE_SECMEM, 0);
    gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
    gcry_cipher_hd_t handle = nullptr;
    gcry_error_t error = gcry_cipher_open(&handle, GCRY_CIPHER_AES256, GCRY_CIPHER_MODE_XTS, 0);
    if (error == 0) {
        error = gcry_cipher_setkey(handle, key.data(), key.size());
    }
    if (error != 0) {
        gcry_cipher_close(handle);
        return fail("libgcrypt offers no AES-256-XTS: {}", gcry_strerror(error));
    }
    return ReferenceXts(handle, unit_bytes);
}

Done ReferenceXts::encrypt(std::uint64_t first_unit, std::span<const std::byte> in, std::span<std::byte> out) {
    for (std::uint64_t unit = first_unit; !in.empty(); ++unit) {
        std::array<unsigned char, 16> tweak{};
        for (std::size_t i = 0; i < 8; ++i) {
            tweak[i] = static_cast<unsigned char>(unit >> (8 * i));
        }
        const std::size_t length = std::min(unit_bytes_, in.size());
        gcry_error_t error = gcry_cipher_setiv(handle_.get(), tweak.data(), tweak.size());
        if (error == 0) {
            error = gcry_cipher_encrypt(handle_.get(), out.data(), length, in.data(), length);
        }
        if (error != 0) {
            return fail("libgcrypt failed at data unit {}: {}", unit, gcry_strerror(error));
        }
        in = in.subspan(length);
        out = out.subspan(length);
    }
    return {};
}

}  // namespace tour
