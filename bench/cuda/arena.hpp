// Pinned host memory as a session's arena is: a memfd, mapped shared, registered with the driver. Never managed memory.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>

#include "check.hpp"

namespace measure {

// Shared pages that are not pinned yet.
class SharedMemory {
   public:
    explicit SharedMemory(size_t bytes) : bytes_(bytes) {
        const int fd = memfd_create("yoke-measure", MFD_CLOEXEC);
        if (fd < 0 || ftruncate(fd, static_cast<off_t>(bytes)) != 0) die("no memfd of the wanted size");
        base_ = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
        if (base_ == MAP_FAILED) die("memfd cannot be mapped");
        close(fd);
    }
    ~SharedMemory() { munmap(base_, bytes_); }
    SharedMemory(const SharedMemory&) = delete;
    SharedMemory& operator=(const SharedMemory&) = delete;

    void* base() const { return base_; }
    size_t bytes() const { return bytes_; }

   private:
    size_t bytes_;
    void* base_ = nullptr;
};

class Arena {
   public:
    explicit Arena(size_t bytes) : memory_(bytes) {
        check(cudaHostRegister(memory_.base(), bytes, cudaHostRegisterMapped | cudaHostRegisterPortable));
        check(cudaHostGetDevicePointer(&device_, memory_.base(), 0));
    }
    ~Arena() { check(cudaHostUnregister(memory_.base())); }
    Arena(const Arena&) = delete;
    Arena& operator=(const Arena&) = delete;

    template <typename T>
    T* host(size_t offset = 0) const {
        return reinterpret_cast<T*>(static_cast<uint8_t*>(memory_.base()) + offset);
    }
    template <typename T>
    T* device(size_t offset = 0) const {
        return reinterpret_cast<T*>(static_cast<uint8_t*>(device_) + offset);
    }

   private:
    SharedMemory memory_;
    void* device_ = nullptr;
};

}  // namespace measure
