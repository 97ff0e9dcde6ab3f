// SHA-256 by OpenSSL. A message is a chain, so the unit of work is a whole message: one long message is a single chunk,
// many messages are shared out so that a chunk takes about as long as one of chunk_bytes.
//
// There is no key that could hold scratch space for lanes, therefore each thread keeps one digest context, made when
// the thread hashes for the first time and reused ever after.
#include "service/sha256/sha256.hpp"

#include <openssl/err.h>
#include <openssl/evp.h>

#include <cstring>

#include "service/library_context.hpp"
#include "service/plan.hpp"

namespace yoke::service {
namespace {

constexpr std::uint32_t digest_bytes = 32;
// What a message costs besides its own bytes (padding, start and end), in bytes hashed in the same time.
constexpr std::uint32_t message_overhead_bytes = 256;

std::uint32_t messages_per_chunk(std::uint32_t message) {
    return std::max(1U, chunk_bytes / (std::min(message, chunk_bytes) + message_overhead_bytes));
}

EVP_MD* fetch() {
    OSSL_LIB_CTX* const library = library_context();
    if (library == nullptr) {
        return nullptr;
    }
    ERR_set_mark();
    EVP_MD* const digest = EVP_MD_fetch(library, "SHA2-256", nullptr);
    ERR_pop_to_mark();
    return digest;
}

// The digest context of this thread, reset for each message.
class Hasher {
   public:
    Hasher() {
        static EVP_MD* const digest = fetch();  // as long-lived as the library context
        context_ = EVP_MD_CTX_new();
        if (digest == nullptr || context_ == nullptr || EVP_DigestInit_ex2(context_, digest, nullptr) != 1) {
            EVP_MD_CTX_free(context_);
            context_ = nullptr;
        }
    }
    ~Hasher() { EVP_MD_CTX_free(context_); }
    Hasher(const Hasher&) = delete;
    Hasher& operator=(const Hasher&) = delete;

    [[nodiscard]] bool hash(const std::byte* message, std::size_t length, std::byte* out) {
        return context_ != nullptr && EVP_DigestInit_ex2(context_, nullptr, nullptr) == 1 &&
               (length == 0 || EVP_DigestUpdate(context_, message, length) == 1) &&
               EVP_DigestFinal_ex(context_, reinterpret_cast<unsigned char*>(out), nullptr) == 1;
    }

   private:
    EVP_MD_CTX* context_ = nullptr;
};

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
        thread_local Hasher hasher;
        const std::uint32_t message = params_of<yoke_params_sha256>(work.shape).message;
        if (message == 0) {
            return hasher.hash(work.in, work.shape.in_length, work.out) ? 0 : -EIO;
        }
        const std::size_t messages = work.shape.in_length / message;
        const std::size_t first = std::size_t{chunk} * messages_per_chunk(message);
        const std::size_t last = std::min(messages, first + messages_per_chunk(message));
        for (std::size_t i = first; i < last; ++i) {
            if (!hasher.hash(work.in + i * message, message, work.out + i * digest_bytes)) {
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
