// GCM: counter mode with a tag over everything, so a call is one chunk. aux holds the IV, then the additional data; the
// tag follows the ciphertext.
//
// A wrong tag ends in EBADMSG with the output zeroed. While the call runs, the output holds plaintext whose tag is not
// yet checked: the owner of the memory can look at it there, as far as it is its own key and its own risk. IV and tag
// are copied before they are used, so that each is one value however often the memory changes.
#include <openssl/crypto.h>

#include <cstring>

#include "service/aes/aes.hpp"
#include "service/aes/mode.hpp"

namespace yoke::service {
namespace {

constexpr std::uint32_t iv_bytes_max = 128;  // OpenSSL's limit
constexpr std::uint32_t tag_bytes_max = 16;

bool tag_length_is_valid(std::uint32_t length) {
    return length == 4 || length == 8 || (length >= 12 && length <= 16);
}

class Gcm final : public AesMode {
   public:
    Gcm()
        : AesMode({YOKE_SERVICE_AES_GCM, "aes-gcm", "AES in Galois/counter mode: encryption with a tag", "AES-128-GCM",
                   "AES-256-GCM", 1}) {}

   protected:
    [[nodiscard]] Plan plan_mode(const Shape& shape) const noexcept override {
        const auto params = params_of<yoke_params_aes_gcm>(shape);
        if (!all_zero(params.zero) || params.iv_length < 1 || params.iv_length > iv_bytes_max ||
            params.aad_length > YOKE_CALL_BYTES_MAX || !tag_length_is_valid(params.tag_length)) {
            return refuse(EINVAL, YOKE_MEMBER_PARAMS);
        }
        if (decrypts(shape) && shape.in_length < params.tag_length) {
            return refuse(EINVAL, YOKE_MEMBER_INPUT);
        }
        const std::uint64_t in_length = shape.in_length;
        const std::uint64_t out_length =
            decrypts(shape) ? in_length - params.tag_length : in_length + params.tag_length;
        return finish(shape, out_length, std::uint64_t{params.iv_length} + params.aad_length, 1);
    }

    [[nodiscard]] int run_mode(const Work& work, std::uint32_t /*chunk*/,
                               EVP_CIPHER_CTX* context) const noexcept override {
        const auto params = params_of<yoke_params_aes_gcm>(work.shape);
        if (!begin(work, params, context)) {
            return -EIO;
        }
        if (decrypts(work.shape)) {
            return open(work, params.tag_length, context);
        }
        return seal(work, params.tag_length, context) ? 0 : -EIO;
    }

   private:
    [[nodiscard]] static bool begin(const Work& work, const yoke_params_aes_gcm& params,
                                    EVP_CIPHER_CTX* context) noexcept {
        std::array<std::uint8_t, iv_bytes_max> iv;
        std::memcpy(iv.data(), work.aux, params.iv_length);
        int written = 0;
        return EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_IVLEN, static_cast<int>(params.iv_length), nullptr) ==
                   1 &&
               EVP_CipherInit_ex2(context, nullptr, nullptr, iv.data(), -1, nullptr) == 1 &&
               (params.aad_length == 0 ||
                EVP_CipherUpdate(context, nullptr, &written,
                                 reinterpret_cast<const unsigned char*>(work.aux + params.iv_length),
                                 static_cast<int>(params.aad_length)) == 1);
    }

    [[nodiscard]] static bool seal(const Work& work, std::uint32_t tag_length, EVP_CIPHER_CTX* context) noexcept {
        const std::uint32_t length = work.shape.in_length;
        std::array<std::uint8_t, tag_bytes_max> tag;
        int written = 0;
        if ((length != 0 && !process(context, nullptr, work.in, work.out, length)) ||
            EVP_CipherFinal_ex(context, tag.data(), &written) != 1 ||
            EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, static_cast<int>(tag_length), tag.data()) != 1) {
            return false;
        }
        std::memcpy(work.out + length, tag.data(), tag_length);
        return true;
    }

    [[nodiscard]] static int open(const Work& work, std::uint32_t tag_length, EVP_CIPHER_CTX* context) noexcept {
        const std::uint32_t length = work.plan.out_length;
        std::array<std::uint8_t, tag_bytes_max> tag;
        std::memcpy(tag.data(), work.in + length, tag_length);
        std::array<std::uint8_t, tag_bytes_max> rest;
        int written = 0;
        const bool processed =
            (length == 0 || process(context, nullptr, work.in, work.out, length)) &&
            EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, static_cast<int>(tag_length), tag.data()) == 1;
        if (processed && EVP_CipherFinal_ex(context, rest.data(), &written) == 1) {
            return 0;
        }
        if (length != 0) {
            OPENSSL_cleanse(work.out, length);
        }
        return processed ? -EBADMSG : -EIO;
    }
};

}  // namespace

const Service& aes_gcm() {
    static const Gcm service;
    return service;
}

}  // namespace yoke::service
