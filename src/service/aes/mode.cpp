// Key lengths are told apart by the number of bytes alone, so 192-bit keys, which yoke does not offer, are refused like
// any other length that does not fit.
#include "service/aes/mode.hpp"

#include <openssl/crypto.h>
#include <openssl/err.h>

#include "service/library_context.hpp"

namespace yoke::service {

const AesMode::Ciphers& AesMode::ciphers() const {
    std::call_once(fetched_, [this] {
        OSSL_LIB_CTX* const library = library_context();
        if (library == nullptr) {
            return;
        }
        ERR_set_mark();
        ciphers_.with_128 = EVP_CIPHER_fetch(library, traits_.cipher_128, nullptr);
        ciphers_.with_256 = EVP_CIPHER_fetch(library, traits_.cipher_256, nullptr);
        ERR_pop_to_mark();
    });
    return ciphers_;
}

Result<std::unique_ptr<Key>> AesMode::make_key(std::span<const std::byte> bytes, unsigned lanes) const {
    const std::size_t length_128 = std::size_t{16} * traits_.keys;
    const std::size_t length_256 = std::size_t{32} * traits_.keys;
    if (bytes.size() != length_128 && bytes.size() != length_256) {
        return fail(EKEYREJECTED, "key for {} has {} bytes; give {} (AES-128) or {} (AES-256)", traits_.name,
                    bytes.size(), length_128, length_256);
    }
    const std::size_t half = bytes.size() / 2;
    if (traits_.keys == 2 && CRYPTO_memcmp(bytes.data(), bytes.data() + half, half) == 0) {
        return fail(EKEYREJECTED, "key for {} has two equal halves, which IEEE 1619 forbids; give {} random bytes",
                    traits_.name, bytes.size());
    }
    if (lanes == 0 || lanes > lanes_max) {
        return fail(EINVAL, "key for {} was asked for {} lanes; ask for 1 to {}", traits_.name, lanes, lanes_max);
    }
    const EVP_CIPHER* const cipher = bytes.size() == length_128 ? ciphers().with_128 : ciphers().with_256;
    if (cipher == nullptr) {
        return fail(ENOSYS, "OpenSSL has no {}; install libssl3 with its default provider",
                    bytes.size() == length_128 ? traits_.cipher_128 : traits_.cipher_256);
    }
    std::unique_ptr<Key> key = AesKey::make(traits_.id, cipher, bytes, lanes);
    if (key == nullptr) {
        return fail(ENOMEM, "key for {} could not be prepared for {} lanes; free memory or use fewer keys",
                    traits_.name, lanes);
    }
    return key;
}

Plan AesMode::plan(const Shape& shape) const noexcept {
    if (unknown_flags(shape, YOKE_FLAG_DECRYPT)) {
        return refuse(EINVAL, YOKE_MEMBER_FLAGS);
    }
    if (shape.key == nullptr || shape.key->service() != traits_.id) {
        return refuse(ENOKEY, YOKE_MEMBER_OBJECT);
    }
    // An IV of zeros that nobody chose would be a weakness that nobody sees.
    if (takes_params() && (shape.flags & YOKE_FLAG_PARAMS) == 0) {
        return refuse(EINVAL, YOKE_MEMBER_PARAMS);
    }
    return plan_mode(shape);
}

int AesMode::run(const Work& work, std::uint32_t chunk, unsigned lane) const noexcept {
    const auto* key = static_cast<const AesKey*>(work.shape.key);
    if (lane >= key->lanes() || chunk >= work.plan.chunks) {
        return -EINVAL;
    }
    return run_mode(work, chunk, key->context(lane, decrypts(work.shape)));
}

bool AesMode::process(EVP_CIPHER_CTX* context, const std::uint8_t* iv, const std::byte* in, std::byte* out,
                      std::size_t length) noexcept {
    // A call has at most 2^30 bytes, so the length fits int.
    const int wanted = static_cast<int>(length);
    int written = 0;
    if (iv != nullptr && EVP_CipherInit_ex2(context, nullptr, nullptr, iv, -1, nullptr) != 1) {
        return false;
    }
    return EVP_CipherUpdate(context, reinterpret_cast<unsigned char*>(out), &written,
                            reinterpret_cast<const unsigned char*>(in), wanted) == 1 &&
           written == wanted;
}

}  // namespace yoke::service
