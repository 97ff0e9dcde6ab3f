// What the modes of AES have in common: their keys, the checks before their own, and one pass of the cipher.
#pragma once

#include <mutex>

#include "service/aes/counter.hpp"
#include "service/aes/key.hpp"
#include "service/plan.hpp"

namespace yoke::service {

inline constexpr std::uint32_t block_bytes = 16;

class AesMode : public Service {
   public:
    struct Traits {
        std::uint16_t id;
        std::string_view name;
        std::string_view summary;
        const char* cipher_128;  // OpenSSL's names
        const char* cipher_256;
        unsigned keys;  // AES keys in one key: XTS has two
    };
    explicit AesMode(const Traits& traits) : traits_(traits) {}

    [[nodiscard]] std::uint16_t id() const override { return traits_.id; }
    [[nodiscard]] std::string_view name() const override { return traits_.name; }
    [[nodiscard]] std::string_view summary() const override { return traits_.summary; }
    [[nodiscard]] bool needs_key() const override { return true; }

    // EKEYREJECTED: length, or equal halves of an XTS key. EINVAL: lanes not in 1 .. lanes_max. ENOSYS: this OpenSSL
    // has no such cipher.
    [[nodiscard]] Result<std::unique_ptr<Key>> make_key(std::span<const std::byte> bytes,
                                                        unsigned lanes) const override;

    // The checks common to all modes, then the mode's own.
    [[nodiscard]] Plan plan(const Shape& shape) const noexcept final;
    [[nodiscard]] int run(const Work& work, std::uint32_t chunk, unsigned lane) const noexcept final;

   protected:
    // The flags and the key are in order; parameters are there unless the mode takes none.
    [[nodiscard]] virtual Plan plan_mode(const Shape& shape) const noexcept = 0;
    // The chunk and the lane exist.
    [[nodiscard]] virtual int run_mode(const Work& work, std::uint32_t chunk,
                                       EVP_CIPHER_CTX* context) const noexcept = 0;
    [[nodiscard]] virtual bool takes_params() const noexcept { return true; }

    [[nodiscard]] static bool decrypts(const Shape& shape) noexcept { return (shape.flags & YOKE_FLAG_DECRYPT) != 0; }
    // Starts the context anew with an IV (nullptr: the mode has none) and sends `length` bytes through it.
    [[nodiscard]] static bool process(EVP_CIPHER_CTX* context, const std::uint8_t* iv, const std::byte* in,
                                      std::byte* out, std::size_t length) noexcept;

   private:
    struct Ciphers {
        const EVP_CIPHER* with_128 = nullptr;
        const EVP_CIPHER* with_256 = nullptr;
    };
    [[nodiscard]] const Ciphers& ciphers() const;

    const Traits traits_;
    mutable std::once_flag fetched_;
    mutable Ciphers ciphers_;  // fetched with the first key, kept as long as the process, like their library context
};

}  // namespace yoke::service
