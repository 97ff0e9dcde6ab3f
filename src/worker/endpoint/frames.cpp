// Anonymous pages: they are aligned for every device, and only what is used of them takes memory where the limit of
// locked memory is too small to lock all.
#include "worker/endpoint/frames.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include "base/log.hpp"

namespace yoke::worker {

Result<Frames> Frames::allocate(unsigned count, std::size_t bytes) {
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    Frames frames;
    frames.step_ = (bytes + page - 1) / page * page;
    frames.count_ = count;
    const std::size_t all = frames.step_ * count;
    void* memory = ::mmap(nullptr, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        return fail_errno("{} bytes for an endpoint's datablocks cannot be had", all);
    }
    frames.memory_ = static_cast<std::byte*>(memory);
    if (::mlock(memory, all) != 0) {
        log_debug(Topic::worker, "memory of an endpoint is not locked",
                  {{"bytes", all}, {"why", std::strerror(errno)}});
    }
    return frames;
}

Frames& Frames::operator=(Frames&& other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(step_, other.step_);
    std::swap(count_, other.count_);
    return *this;
}

Frames::~Frames() {
    if (memory_ != nullptr) {
        ::munmap(memory_, step_ * count_);
    }
}

}  // namespace yoke::worker
