// The file is believed only if nobody else can have read it; otherwise a new one is made, which costs no more than the
// workers that hold tokens of the old.
#include "daemon/secret.hpp"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <sys/stat.h>
#include <unistd.h>

#include <optional>

#include "base/fd.hpp"
#include "daemon/state_file.hpp"

namespace yoke::daemon {
namespace {

std::optional<Secret> read_secret(const std::string& path) {
    const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    struct stat info {};
    if (!file || ::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode) || info.st_uid != ::geteuid() ||
        (info.st_mode & 077U) != 0 || info.st_size != static_cast<off_t>(Secret::bytes)) {
        return std::nullopt;
    }
    std::array<unsigned char, Secret::bytes> key{};
    if (::read(file.get(), key.data(), key.size()) != static_cast<ssize_t>(key.size())) {
        return std::nullopt;
    }
    Secret secret(key);
    OPENSSL_cleanse(key.data(), key.size());
    return secret;
}

}  // namespace

Result<Secret> Secret::load_or_create(const std::string& path) {
    if (auto secret = read_secret(path)) {
        return *secret;
    }
    std::array<unsigned char, bytes> key{};
    if (RAND_bytes(key.data(), static_cast<int>(key.size())) != 1) {
        return fail(EIO, "secret {} cannot be made: OpenSSL has no random bytes", path);
    }
    const Secret secret(key);
    const auto written = write_state_file(path, {reinterpret_cast<const char*>(key.data()), key.size()});
    OPENSSL_cleanse(key.data(), key.size());
    if (!written) {
        return tl::unexpected(written.error());
    }
    return secret;
}

Secret::~Secret() {
    OPENSSL_cleanse(key_.data(), key_.size());
}

std::string Secret::token(uid_t account, std::uint64_t generation) const {
    const std::string text = fmt::format("{}|{}", account, generation);
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned length = 0;
    HMAC(EVP_sha256(), key_.data(), static_cast<int>(key_.size()), reinterpret_cast<const unsigned char*>(text.data()),
         text.size(), digest.data(), &length);
    std::string hex;
    for (unsigned i = 0; i < length; ++i) {
        hex += fmt::format("{:02x}", digest[i]);
    }
    return hex;
}

bool Secret::verify(std::string_view token_untrusted, uid_t account, std::uint64_t generation) const {
    const std::string right = token(account, generation);
    return token_untrusted.size() == right.size() &&
           CRYPTO_memcmp(token_untrusted.data(), right.data(), right.size()) == 0;
}

}  // namespace yoke::daemon
