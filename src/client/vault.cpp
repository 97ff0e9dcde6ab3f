// See vault.hpp.
#include "client/vault.hpp"

#include <string.h>
#include <sys/mman.h>

#include <uapi/yoke.h>

namespace yoke::client {

Secret::~Secret() {
    if (vault_ != nullptr) {
        vault_->forget(place_);
    }
}

Vault::~Vault() {
    for (std::byte* page : pages_) {
        ::explicit_bzero(page, YOKE_PAGE_BYTES);
        ::munmap(page, YOKE_PAGE_BYTES);
    }
}

Result<Secret> Vault::keep(std::span<const std::byte> bytes) {
    if (bytes.size() > place_bytes) {
        return fail(EMSGSIZE, "a key of {} bytes is longer than any service takes ({})", bytes.size(), place_bytes);
    }
    if (spare_.empty()) {
        if (auto grown = grow(); !grown) {
            return tl::unexpected(grown.error());
        }
    }
    std::byte* place = spare_.back();
    spare_.pop_back();
    std::memcpy(place, bytes.data(), bytes.size());
    return Secret(this, place, bytes.size());
}

Status Vault::grow() {
    constexpr std::size_t places = YOKE_PAGE_BYTES / place_bytes;
    pages_.reserve(pages_.size() + 1);
    spare_.reserve((pages_.size() + 1) * places);  // so that forget() never allocates
    void* memory = ::mmap(nullptr, YOKE_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        return fail_errno("no memory for a page of keys");
    }
    // Each of these narrows who could see the bytes; where the system refuses one, the others still hold.
    ::mlock(memory, YOKE_PAGE_BYTES);
    ::madvise(memory, YOKE_PAGE_BYTES, MADV_DONTDUMP);
    ::madvise(memory, YOKE_PAGE_BYTES, MADV_WIPEONFORK);
    auto* page = static_cast<std::byte*>(memory);
    pages_.push_back(page);
    for (std::size_t place = places; place-- != 0;) {
        spare_.push_back(page + place * place_bytes);
    }
    return {};
}

void Vault::forget(std::byte* place) {
    ::explicit_bzero(place, place_bytes);
    spare_.push_back(place);
}

}  // namespace yoke::client
