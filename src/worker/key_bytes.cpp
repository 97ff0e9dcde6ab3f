// One page of its own, locked before anything is written to it.
#include "worker/key_bytes.hpp"

#include <string.h>
#include <sys/mman.h>

#include "base/memory.hpp"

namespace yoke::worker {

Result<KeyBytes> KeyBytes::read_untrusted(const Fd& memfd_untrusted) {
    const auto size = check_untrusted_memfd(memfd_untrusted, 1, bytes_max, true);
    if (!size) {
        return fail(size.error().code, "key cannot be taken: {}", size.error().message);
    }
    void* page = ::mmap(nullptr, bytes_max, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) {
        return fail_errno("key cannot be taken");
    }
    KeyBytes key;
    key.page_ = static_cast<std::byte*>(page);
    if (::mlock(page, bytes_max) != 0) {
        return fail_errno("key cannot be kept in locked memory; raise the limit of locked memory (RLIMIT_MEMLOCK)");
    }
    ::madvise(page, bytes_max, MADV_DONTDUMP);
    ::madvise(page, bytes_max, MADV_DONTFORK);
    key.size_ = *size;
    if (auto read = read_content(memfd_untrusted, {key.page_, key.size_}); !read) {
        return tl::unexpected(read.error());
    }
    return key;
}

KeyBytes::~KeyBytes() {
    if (page_ != nullptr) {
        ::explicit_bzero(page_, bytes_max);
        ::munmap(page_, bytes_max);
    }
}

}  // namespace yoke::worker
