// A failed preparation leaves nothing behind in the thread's queue of OpenSSL errors, which belongs to the application.
#include "service/aes/key.hpp"

#include <openssl/err.h>

namespace yoke::service {
namespace {

Context prepare(const EVP_CIPHER* cipher, const unsigned char* key, bool decrypt) {
    Context context(EVP_CIPHER_CTX_new());
    if (context == nullptr || EVP_CipherInit_ex2(context.get(), cipher, key, nullptr, decrypt ? 0 : 1, nullptr) != 1) {
        return nullptr;
    }
    // Only the modes of whole blocks pad. Elsewhere the flag would only make every new IV slower.
    if (EVP_CIPHER_get_block_size(cipher) > 1 && EVP_CIPHER_CTX_set_padding(context.get(), 0) != 1) {
        return nullptr;
    }
    return context;
}

}  // namespace

std::unique_ptr<AesKey> AesKey::make(std::uint16_t service, const EVP_CIPHER* cipher, std::span<const std::byte> bytes,
                                     unsigned lanes) {
    std::unique_ptr<AesKey> key(new AesKey(service));
    const auto* raw = reinterpret_cast<const unsigned char*>(bytes.data());
    ERR_set_mark();
    for (unsigned i = 0; i < lanes && key != nullptr; ++i) {
        Lane lane{prepare(cipher, raw, false), prepare(cipher, raw, true)};
        if (lane.encrypt == nullptr || lane.decrypt == nullptr) {
            key = nullptr;
        } else {
            key->lanes_.push_back(std::move(lane));
        }
    }
    ERR_pop_to_mark();
    return key;
}

}  // namespace yoke::service
