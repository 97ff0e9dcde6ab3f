// The bytes of a key on their way from a client's sealed memfd into a service: in locked memory that no core dump and
// no child gets, wiped at the end.
#pragma once

#include <cstddef>
#include <span>
#include <utility>

#include "base/error.hpp"
#include "base/fd.hpp"

namespace yoke::worker {

class KeyBytes {
   public:
    static constexpr std::size_t bytes_max = 4096;  // far more than any key; one page

    // Copies the content of a memfd with all seals. EINVAL, EMSGSIZE; ENOMEM: no locked memory is left.
    static Result<KeyBytes> read_untrusted(const Fd& memfd_untrusted);
    KeyBytes(KeyBytes&& other) noexcept
        : page_(std::exchange(other.page_, nullptr)), size_(std::exchange(other.size_, 0)) {}
    KeyBytes& operator=(KeyBytes&&) = delete;
    KeyBytes(const KeyBytes&) = delete;
    KeyBytes& operator=(const KeyBytes&) = delete;
    ~KeyBytes();

    [[nodiscard]] std::span<const std::byte> view() const { return {page_, size_}; }

   private:
    KeyBytes() = default;
    std::byte* page_ = nullptr;
    std::size_t size_ = 0;
};

}  // namespace yoke::worker
