// Shared memory between processes that do not trust each other: memfds, their seals and their mappings.
//
// The side that creates a memfd seals its size, so that the other cannot make an access fault by shrinking it. A memfd
// that comes from another process is checked before it is mapped: seals, kind of file system (a hole punched into
// hugetlbfs can fault, into tmpfs it cannot) and size.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/error.hpp"
#include "base/fd.hpp"

namespace yoke {

// A mapping of a whole memfd, or of a part of a device, unmapped with its owner.
class Mapping {
   public:
    Mapping() = default;
    Mapping(Mapping&& other) noexcept;
    Mapping& operator=(Mapping&& other) noexcept;
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;
    ~Mapping();

    // Maps `bytes` of `fd` from `offset` on, shared. Error: that of mmap.
    static Result<Mapping> map(const Fd& fd, std::size_t bytes, bool writable, std::uint64_t offset = 0);

    [[nodiscard]] std::byte* data() const { return data_; }
    [[nodiscard]] std::size_t size() const { return size_; }

   private:
    std::byte* data_ = nullptr;
    std::size_t size_ = 0;
};

// A fresh memfd of `bytes` with seals SHRINK, GROW and SEAL set (the last one only when `final`).
Result<Fd> create_sealed_memfd(const std::string& name, std::size_t bytes, bool final = true);
// A memfd that holds `content` and can never be written again (all seals). For texts and keys.
Result<Fd> create_content_memfd(const std::string& name, std::span<const std::byte> content);
// Adds F_SEAL_FUTURE_WRITE and F_SEAL_SEAL: mappings that exist stay writable, new ones are read-only.
Status seal_future_writes(const Fd& fd);
// Checks a descriptor that came from another process: tmpfs memfd, seals SHRINK and GROW (and WRITE if `immutable`),
// size within [min_bytes, max_bytes]. Returns its size. EINVAL names what is missing, EMSGSIZE the limit.
Result<std::size_t> check_untrusted_memfd(const Fd& fd, std::size_t min_bytes, std::size_t max_bytes, bool immutable);
// Reads the first into.size() bytes of a memfd. This, not a mapping, is how the content of an immutable memfd is
// copied: kernels before 6.7 refuse to map one shared. ENODATA: it is shorter.
Status read_content(const Fd& fd, std::span<std::byte> into);

}  // namespace yoke
