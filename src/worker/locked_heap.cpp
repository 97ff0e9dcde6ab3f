// Slabs of equal blocks: a slab's block size is found by its number, so blocks need no headers.
#include "worker/locked_heap.hpp"

#include <openssl/crypto.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <mutex>

#include "base/log.hpp"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#endif

namespace yoke::worker {
namespace {

constexpr std::size_t range_bytes = std::size_t{64} << 20U;  // as LimitMEMLOCK= of yoked.service
constexpr std::size_t slab_bytes = std::size_t{64} << 10U;
constexpr std::size_t slabs_max = range_bytes / slab_bytes;
constexpr std::size_t granule = 64;
constexpr std::size_t block_bytes_max = 4096;                 // no cipher context is longer
constexpr std::size_t reserve_bytes = std::size_t{1} << 20U;  // left for keys on their way (key_bytes.hpp)

thread_local unsigned scopes = 0;

struct FreeBlock {
    FreeBlock* next;
};

class Slabs {
   public:
    // nullptr: no locked memory is left.
    void* take(std::size_t bytes) {
        const std::size_t kind = (std::max<std::size_t>(bytes, 1) + granule - 1) / granule;
        const std::lock_guard lock(mutex_);
        if (free_[kind] == nullptr && !grow(kind)) {
            return nullptr;
        }
        FreeBlock* const block = free_[kind];
        free_[kind] = block->next;
        block->next = nullptr;
        return block;
    }

    void give_back(void* memory) {
        const std::size_t bytes = bytes_of(memory);
        ::explicit_bzero(memory, bytes);
        auto* const block = static_cast<FreeBlock*>(memory);
        const std::lock_guard lock(mutex_);
        block->next = free_[bytes / granule];
        free_[bytes / granule] = block;
    }

    [[nodiscard]] std::size_t bytes_of(const void* memory) const {
        return kinds_[static_cast<std::size_t>(static_cast<const std::byte*>(memory) - begin_) / slab_bytes] * granule;
    }
    [[nodiscard]] bool owns(const void* memory) const {
        const auto begin = reinterpret_cast<std::uintptr_t>(begin_);
        const auto place = reinterpret_cast<std::uintptr_t>(memory);
        return begin_ != nullptr && place >= begin && place - begin < range_bytes;
    }
    [[nodiscard]] std::size_t locked() const { return slabs_.load(std::memory_order_relaxed) * slab_bytes; }

    // Before any thread uses it.
    void reserve() {
        void* const range = ::mmap(nullptr, range_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (range == MAP_FAILED) {
            return;
        }
        begin_ = static_cast<std::byte*>(range);
        ::madvise(range, range_bytes, MADV_DONTDUMP);
        ::madvise(range, range_bytes, MADV_DONTFORK);
        rlimit limit{};
        if (::getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
            bytes_max_ = limit.rlim_cur > 2 * reserve_bytes ? limit.rlim_cur - reserve_bytes : limit.rlim_cur / 2;
        }
#if defined(__SANITIZE_ADDRESS__)
        __lsan_register_root_region(range, range_bytes);
#endif
    }

   private:
    // One more slab of blocks of `kind` granules.
    bool grow(std::size_t kind) {
        const std::size_t number = slabs_.load(std::memory_order_relaxed);
        if (begin_ == nullptr || number == slabs_max || (number + 1) * slab_bytes > bytes_max_) {
            return false;
        }
        std::byte* const slab = begin_ + number * slab_bytes;
        if (::mprotect(slab, slab_bytes, PROT_READ | PROT_WRITE) != 0 || ::mlock(slab, slab_bytes) != 0) {
            return false;
        }
        kinds_[number] = static_cast<std::uint8_t>(kind);
        const std::size_t bytes = kind * granule;
        for (std::size_t at = 0; at + bytes <= slab_bytes; at += bytes) {
            auto* const block = reinterpret_cast<FreeBlock*>(slab + at);
            block->next = free_[kind];
            free_[kind] = block;
        }
        slabs_.store(number + 1, std::memory_order_relaxed);
        return true;
    }

    std::byte* begin_ = nullptr;
    std::size_t bytes_max_ = range_bytes;
    std::mutex mutex_;
    std::atomic<std::size_t> slabs_{0};
    std::array<std::uint8_t, slabs_max> kinds_{};  // of a slab: granules of a block
    std::array<FreeBlock*, block_bytes_max / granule + 1> free_{};
};

// Never destroyed: OpenSSL frees at the very end of the process.
Slabs& slabs() {
    static auto* const all = new Slabs();
    return *all;
}

void* allocate(std::size_t bytes, const char* /*file*/, int /*line*/) {
    if (scopes == 0 || bytes > block_bytes_max) {
        return std::malloc(bytes);
    }
    if (void* const memory = slabs().take(bytes); memory != nullptr) {
        return memory;
    }
    static std::once_flag told;
    std::call_once(told, [] {
        log_warning(Topic::worker, "locked memory is used up: further keys could be swapped out; raise LimitMEMLOCK",
                    {{"locked_bytes", slabs().locked()}});
    });
    return std::malloc(bytes);
}

void release(void* memory, const char* /*file*/, int /*line*/) {
    if (slabs().owns(memory)) {
        slabs().give_back(memory);
    } else {
        std::free(memory);
    }
}

void* reallocate(void* memory, std::size_t bytes, const char* file, int line) {
    if (memory == nullptr) {
        return allocate(bytes, file, line);
    }
    if (!slabs().owns(memory)) {
        return std::realloc(memory, bytes);
    }
    const LockedHeap::Scope stays;  // whoever grows it
    void* const larger = allocate(bytes, file, line);
    if (larger != nullptr) {
        std::memcpy(larger, memory, std::min(bytes, slabs().bytes_of(memory)));
        release(memory, file, line);
    }
    return larger;
}

}  // namespace

LockedHeap::Scope::Scope() {
    ++scopes;
}

LockedHeap::Scope::~Scope() {
    --scopes;
}

bool LockedHeap::install() {
    if (CRYPTO_set_mem_functions(allocate, reallocate, release) != 1) {
        return false;
    }
    slabs().reserve();
    return true;
}

bool LockedHeap::owns(const void* memory) {
    return slabs().owns(memory);
}

std::size_t LockedHeap::locked_bytes() {
    return slabs().locked();
}

}  // namespace yoke::worker
