// The secret of an instance, and the tokens that it gives to workers.
//
// A token is HMAC-SHA256 over "account|generation". It says to a yoked that has just started: "your predecessor started
// me for this account". The secret lies in the runtime directory, readable by yoked only, so that it survives yoked.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace yoke::daemon {

class Secret {
   public:
    static constexpr std::size_t bytes = 32;

    // Reads `path`, or makes it (mode 0600). A file that is not ours, that others can read or that has another length
    // is replaced: the workers that hold its tokens then end.
    static Result<Secret> load_or_create(const std::string& path);
    explicit Secret(const std::array<unsigned char, bytes>& key) : key_(key) {}
    Secret(const Secret&) = default;
    Secret& operator=(const Secret&) = default;
    ~Secret();

    [[nodiscard]] std::string token(uid_t account, std::uint64_t generation) const;  // 64 hex digits
    // In constant time.
    [[nodiscard]] bool verify(std::string_view token_untrusted, uid_t account, std::uint64_t generation) const;

   private:
    std::array<unsigned char, bytes> key_{};
};

}  // namespace yoke::daemon
