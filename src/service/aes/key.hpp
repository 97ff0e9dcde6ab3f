// An AES key made ready: one cipher context per lane and direction, with the key schedule inside.
//
// The raw bytes are not kept: what remains of a key is the schedules in OpenSSL's contexts, which OpenSSL wipes when it
// frees them. Where they lie is the process's choice: a worker makes OpenSSL put them into locked memory
// (worker/locked_heap.hpp), a caller's process has its own heap. A context is prepared once and only gets a new IV
// afterwards, which allocates nothing.
#pragma once

#include <openssl/evp.h>

#include <memory>
#include <span>
#include <vector>

#include "service/service.hpp"

namespace yoke::service {

struct FreeContext {
    void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, FreeContext>;

class AesKey final : public Key {
   public:
    // `bytes` must have the length of `cipher`'s key. nullptr where OpenSSL refuses the key or has no memory.
    [[nodiscard]] static std::unique_ptr<AesKey> make(std::uint16_t service, const EVP_CIPHER* cipher,
                                                      std::span<const std::byte> bytes, unsigned lanes);

    [[nodiscard]] unsigned lanes() const noexcept { return static_cast<unsigned>(lanes_.size()); }
    // The context of a lane, to be used by one thread at a time; `lane` is below lanes().
    [[nodiscard]] EVP_CIPHER_CTX* context(unsigned lane, bool decrypt) const noexcept {
        return decrypt ? lanes_[lane].decrypt.get() : lanes_[lane].encrypt.get();
    }

   private:
    explicit AesKey(std::uint16_t service) : Key(service) {}

    struct Lane {
        Context encrypt;
        Context decrypt;
    };
    std::vector<Lane> lanes_;
};

}  // namespace yoke::service
