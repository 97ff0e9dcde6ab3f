// SHA-256 by OpenSSL. A message is a chain, so the unit of work is a whole message: one long message is a single chunk,
// many messages are shared out so that a chunk takes about as long as one of chunk_bytes.
//
// EVP of OpenSSL 3.0 allocates for every message, which a chunk must not do and which makes short ones half as slow
// again (64 bytes: 159 ns, here 106). So the functions beneath EVP are used: deprecated for newcomers, but the same
// code, on a context that lies on the stack and belongs to no library context.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "service/sha256/sha256.hpp"

#include <openssl/sha.h>

#include "service/plan.hpp"

namespace yoke::service {
namespace {

constexpr std::uint32_t digest_bytes = 32;
// What a message costs besides its own bytes (padding, start and end), in bytes hashed in the same time.
constexpr std::uint32_t message_overhead_bytes = 256;

std::uint32_t messages_per_chunk(std::uint32_t message) {
    return std::max(1U, chunk_bytes / (std::min(message, chunk_bytes) + message_overhead_bytes));
}

bool hash(const std::byte* message, std::size_t length, std::byte* out) noexcept {
    SHA256_CTX context;
    return SHA256_Init(&context) == 1 && (length == 0 || SHA256_Update(&context, message, length) == 1) &&
           SHA256_Final(reinterpret_cast<unsigned char*>(out), &context) == 1;
}

class Sha256 final : public Service {
   public:
    [[nodiscard]] std::uint16_t id() const override { return YOKE_SERVICE_SHA256; }
    [[nodiscard]] std::string_view name() const override { return "sha256"; }
    [[nodiscard]] std::string_view summary() const override {
        return "SHA-256 digests of many messages of equal length, or of one message";
    }
    [[nodiscard]] bool needs_key() const override { return false; }

    [[nodiscard]] Result<std::unique_ptr<Key>> make_key(std::span<const std::byte> /*bytes*/,
                                                        unsigned /*lanes*/) const override {
        return fail(ENOSYS, "service sha256 takes no key; call it without one");
    }

    [[nodiscard]] Plan plan(const Shape& shape) const noexcept override {
        if (unknown_flags(shape, 0)) {
            return refuse(EINVAL, YOKE_MEMBER_FLAGS);
        }
        if (shape.key != nullptr) {
            return refuse(EINVAL, YOKE_MEMBER_OBJECT);
        }
        const auto params = params_of<yoke_params_sha256>(shape);
        if (!all_zero(params.zero)) {
            return refuse(EINVAL, YOKE_MEMBER_PARAMS);
        }
        if (params.message == 0) {
            return finish(shape, digest_bytes, 0, 1);
        }
        if (shape.in_length % params.message != 0) {
            return refuse(EINVAL, YOKE_MEMBER_INPUT);
        }
        const std::uint64_t messages = shape.in_length / params.message;
        return finish(shape, messages * digest_bytes, 0, divide_up(messages, messages_per_chunk(params.message)));
    }

    [[nodiscard]] int run(const Work& work, std::uint32_t chunk, unsigned /*lane*/) const noexcept override {
        const std::uint32_t message = params_of<yoke_params_sha256>(work.shape).message;
        if (message == 0) {
            return hash(work.in, work.shape.in_length, work.out) ? 0 : -EIO;
        }
        const std::size_t messages = work.shape.in_length / message;
        const std::size_t first = std::size_t{chunk} * messages_per_chunk(message);
        const std::size_t last = std::min(messages, first + messages_per_chunk(message));
        for (std::size_t i = first; i < last; ++i) {
            if (!hash(work.in + i * message, message, work.out + i * digest_bytes)) {
                return -EIO;
            }
        }
        return 0;
    }
};

}  // namespace

const Service& sha256() {
    static const Sha256 service;
    return service;
}

}  // namespace yoke::service
