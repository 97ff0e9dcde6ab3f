// AES-256-XTS by libgcrypt: code that shares nothing with yoke's, to compare with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "tour/outcome.hpp"

struct gcry_cipher_handle;

namespace tour {

class ReferenceXts {
   public:
    // @key: 64 bytes.
    static Outcome<ReferenceXts> create(std::span<const std::byte> key, std::size_t unit_bytes);
    // Encrypts whole data units from number @first_unit on; the last one may be shorter, but not under 16 bytes.
    Done encrypt(std::uint64_t first_unit, std::span<const std::byte> in, std::span<std::byte> out);

   private:
    struct Closer {
        void operator()(gcry_cipher_handle* handle) const;
    };
    ReferenceXts(gcry_cipher_handle* handle, std::size_t unit_bytes) : handle_(handle), unit_bytes_(unit_bytes) {}
    std::unique_ptr<gcry_cipher_handle, Closer> handle_;
    std::size_t unit_bytes_;
};

}  // namespace tour
