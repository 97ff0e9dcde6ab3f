// XTS: data units of one length, each with the tweak start + n. A chunk is as many units as make up chunk_bytes, or one
// long unit. A unit that is not whole blocks ends with ciphertext stealing; the last unit of a call may be shorter.
//
// A new tweak costs about 80 ns in OpenSSL 3.0, as much as 512 bytes of AES: units of 4096 bytes are twice as fast.
#include "service/aes/aes.hpp"
#include "service/aes/mode.hpp"

namespace yoke::service {
namespace {

constexpr std::uint32_t unit_bytes_max = 1U << 24;  // IEEE 1619: 2^20 blocks

class Xts final : public AesMode {
   public:
    Xts()
        : AesMode({YOKE_SERVICE_AES_XTS, "aes-xts", "AES in XTS mode over numbered data units, as disks use it",
                   "AES-128-XTS", "AES-256-XTS", 2}) {}

   protected:
    [[nodiscard]] Plan plan_mode(const Shape& shape) const noexcept override {
        const auto params = params_of<yoke_params_aes_xts>(shape);
        if (!all_zero(params.zero) || params.unit < block_bytes || params.unit > unit_bytes_max) {
            return refuse(EINVAL, YOKE_MEMBER_PARAMS);
        }
        const std::uint32_t last = shape.in_length % params.unit;
        if (last != 0 && last < block_bytes) {
            return refuse(EINVAL, YOKE_MEMBER_INPUT);
        }
        return finish(shape, shape.in_length, 0, divide_up(shape.in_length, step(params.unit)));
    }

    [[nodiscard]] int run_mode(const Work& work, std::uint32_t chunk, EVP_CIPHER_CTX* context) const noexcept override {
        const auto params = params_of<yoke_params_aes_xts>(work.shape);
        const Range range = chunk_range(work.shape.in_length, step(params.unit), chunk);
        Counter tweak = Counter::from_little_endian(params.start);
        tweak.add(range.begin / params.unit);
        for (std::size_t done = 0; done < range.length; done += params.unit) {
            const std::size_t offset = range.begin + done;
            const std::size_t length = std::min<std::size_t>(params.unit, range.length - done);
            if (!process(context, tweak.little_endian().data(), work.in + offset, work.out + offset, length)) {
                return -EIO;
            }
            tweak.add(1);
        }
        return 0;
    }

   private:
    // Bytes per chunk: whole units.
    [[nodiscard]] static std::uint64_t step(std::uint32_t unit) noexcept {
        return std::uint64_t{unit} * std::max(1U, chunk_bytes / unit);
    }
};

}  // namespace

const Service& aes_xts() {
    static const Xts service;
    return service;
}

}  // namespace yoke::service
