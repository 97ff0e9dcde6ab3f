// CTR: a key stream from a 128-bit big-endian counter, so a chunk starts at a counter of its own and the input may have
// any length. Decryption is encryption.
#include "service/aes/aes.hpp"
#include "service/aes/mode.hpp"

namespace yoke::service {
namespace {

class Ctr final : public AesMode {
   public:
    Ctr()
        : AesMode(
              {YOKE_SERVICE_AES_CTR, "aes-ctr", "AES in counter mode, any length", "AES-128-CTR", "AES-256-CTR", 1}) {}

   protected:
    [[nodiscard]] Plan plan_mode(const Shape& shape) const noexcept override {
        if (!all_zero(params_of<yoke_params_aes_iv>(shape).zero)) {
            return refuse(EINVAL, YOKE_MEMBER_PARAMS);
        }
        return finish(shape, shape.in_length, 0, divide_up(shape.in_length, chunk_bytes));
    }

    [[nodiscard]] int run_mode(const Work& work, std::uint32_t chunk, EVP_CIPHER_CTX* context) const noexcept override {
        const Range range = chunk_range(work.shape.in_length, chunk_bytes, chunk);
        Counter counter = Counter::from_big_endian(params_of<yoke_params_aes_iv>(work.shape).iv);
        counter.add(range.begin / block_bytes);
        return process(context, counter.big_endian().data(), work.in + range.begin, work.out + range.begin,
                       range.length)
                   ? 0
                   : -EIO;
    }
};

}  // namespace

const Service& aes_ctr() {
    static const Ctr service;
    return service;
}

}  // namespace yoke::service
