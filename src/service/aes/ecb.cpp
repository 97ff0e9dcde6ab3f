// ECB: every block by itself, so any chunk can run at any time. No padding: the input is whole blocks.
#include "service/aes/aes.hpp"
#include "service/aes/mode.hpp"

namespace yoke::service {
namespace {

class Ecb final : public AesMode {
   public:
    Ecb()
        : AesMode({YOKE_SERVICE_AES_ECB, "aes-ecb", "AES in ECB mode, whole blocks without padding", "AES-128-ECB",
                   "AES-256-ECB", 1}) {}

   protected:
    [[nodiscard]] bool takes_params() const noexcept override { return false; }

    [[nodiscard]] Plan plan_mode(const Shape& shape) const noexcept override {
        if (shape.params != Params{}) {
            return refuse(EINVAL, YOKE_MEMBER_PARAMS);
        }
        if (shape.in_length % block_bytes != 0) {
            return refuse(EINVAL, YOKE_MEMBER_INPUT);
        }
        return finish(shape, shape.in_length, 0, divide_up(shape.in_length, chunk_bytes));
    }

    [[nodiscard]] int run_mode(const Work& work, std::uint32_t chunk, EVP_CIPHER_CTX* context) const noexcept override {
        const Range range = chunk_range(work.shape.in_length, chunk_bytes, chunk);
        return process(context, nullptr, work.in + range.begin, work.out + range.begin, range.length) ? 0 : -EIO;
    }
};

}  // namespace

const Service& aes_ecb() {
    static const Ecb service;
    return service;
}

}  // namespace yoke::service
