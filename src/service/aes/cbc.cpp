// CBC: encryption is a chain, so it is one chunk. Decryption needs only the ciphertext block before, so it has many:
// the IV of a chunk is the last block of input before it. No padding: the input is whole blocks.
#include <cstring>

#include "service/aes/aes.hpp"
#include "service/aes/mode.hpp"

namespace yoke::service {
namespace {

class Cbc final : public AesMode {
   public:
    Cbc()
        : AesMode({YOKE_SERVICE_AES_CBC, "aes-cbc", "AES in CBC mode, whole blocks without padding", "AES-128-CBC",
                   "AES-256-CBC", 1}) {}

   protected:
    [[nodiscard]] Plan plan_mode(const Shape& shape) const noexcept override {
        if (!all_zero(params_of<yoke_params_aes_iv>(shape).zero)) {
            return refuse(EINVAL, YOKE_MEMBER_PARAMS);
        }
        if (shape.in_length % block_bytes != 0) {
            return refuse(EINVAL, YOKE_MEMBER_INPUT);
        }
        return finish(shape, shape.in_length, 0, divide_up(shape.in_length, step(shape)));
    }

    [[nodiscard]] int run_mode(const Work& work, std::uint32_t chunk, EVP_CIPHER_CTX* context) const noexcept override {
        const Range range = chunk_range(work.shape.in_length, step(work.shape), chunk);
        Block iv;
        if (chunk == 0) {
            std::memcpy(iv.data(), params_of<yoke_params_aes_iv>(work.shape).iv, iv.size());
        } else {
            std::memcpy(iv.data(), work.in + range.begin - iv.size(), iv.size());
        }
        return process(context, iv.data(), work.in + range.begin, work.out + range.begin, range.length) ? 0 : -EIO;
    }

   private:
    [[nodiscard]] static std::uint32_t step(const Shape& shape) noexcept {
        return decrypts(shape) ? chunk_bytes : YOKE_CALL_BYTES_MAX;
    }
};

}  // namespace

const Service& aes_cbc() {
    static const Cbc service;
    return service;
}

}  // namespace yoke::service
