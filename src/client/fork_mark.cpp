// See fork_mark.hpp.
#include "client/fork_mark.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <atomic>

#include <uapi/yoke.h>

namespace yoke::client {

namespace {

using Mark = std::atomic<std::uint32_t>;

std::atomic<Mark*> page{nullptr};

}  // namespace

Result<std::uint32_t> mark_process() {
    // No lock: a child of fork could inherit it held. The page is never unmapped: sessions read it until the process
    // ends.
    Mark* mark = page.load(std::memory_order_acquire);
    if (mark == nullptr) {
        void* memory = ::mmap(nullptr, YOKE_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) {
            return fail_errno("no memory to mark this process");
        }
        if (::madvise(memory, YOKE_PAGE_BYTES, MADV_WIPEONFORK) != 0) {
            auto failed = fail_errno("this kernel cannot wipe memory on fork; yoke needs Linux 4.14 or newer");
            ::munmap(memory, YOKE_PAGE_BYTES);
            return failed;
        }
        auto* made = new (memory) Mark(0);
        if (page.compare_exchange_strong(mark, made, std::memory_order_acq_rel)) {
            mark = made;
        } else {
            ::munmap(memory, YOKE_PAGE_BYTES);  // another thread was faster; `mark` is its page
        }
    }
    mark->store(static_cast<std::uint32_t>(::getpid()), std::memory_order_relaxed);
    return static_cast<std::uint32_t>(::getpid());
}

std::uint32_t process_mark() {
    const Mark* mark = page.load(std::memory_order_relaxed);
    return mark == nullptr ? 0 : mark->load(std::memory_order_relaxed);
}

}  // namespace yoke::client
