// See dma_memory.hpp. The calls of DRM for dumb buffers and PRIME, and those of DMA-BUF for who looks when, as the
// kernel's documentation has them. A buffer's descriptor and mapping keep its memory; its handle goes with the device.
#include "gesture/dma_memory.hpp"

#include <drm.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include <yoke/yoke.hpp>

namespace gesture {
namespace {

constexpr std::uint32_t row_bytes = 4096;  // a dumb buffer is a picture: rows of a page, as many as it takes
constexpr std::uint32_t bits_per_pixel = 8;

void sync(int descriptor, std::uint64_t flags) {
    dma_buf_sync wish{};
    wish.flags = flags | DMA_BUF_SYNC_READ;
    int status = 0;
    do {
        status = ::ioctl(descriptor, DMA_BUF_IOCTL_SYNC, &wish);
    } while (status != 0 && (errno == EINTR || errno == EAGAIN));
    if (status != 0) {
        const int code = errno;
        throw yoke::error(code, std::string("a DMA-BUF cannot be read: ") + std::strerror(code));
    }
}

}  // namespace

DmaMemory::DmaMemory(std::string path) : path_(std::move(path)), fd_(::open(path_.c_str(), O_RDWR | O_CLOEXEC)) {
    if (fd_ < 0) {
        const int code = errno;
        throw yoke::error(code,
                          "cannot open " + path_ + ": " + std::strerror(code) + "; name a DRM device, see ls /dev/dri");
    }
}

DmaMemory::~DmaMemory() {
    for (const auto& buffer : buffers_) {
        ::munmap(buffer.bytes.data(), buffer.bytes.size());
        ::close(buffer.descriptor);
    }
    ::close(fd_);
}

void DmaMemory::request(unsigned long code, void* argument, const char* what) const {
    int status = 0;
    do {
        status = ::ioctl(fd_, code, argument);
    } while (status != 0 && (errno == EINTR || errno == EAGAIN));
    if (status != 0) {
        const int error = errno;
        throw yoke::error(error, path_ + " does not " + what + ": " + std::strerror(error) + "; name a DRM device");
    }
}

DepthCamera::Room DmaMemory::allocate(std::size_t bytes) {
    drm_mode_create_dumb made{};
    made.width = row_bytes;
    made.height = static_cast<std::uint32_t>((bytes + row_bytes - 1) / row_bytes);
    made.bpp = bits_per_pixel;
    request(DRM_IOCTL_MODE_CREATE_DUMB, &made, "give memory");
    drm_mode_map_dumb place{};
    place.handle = made.handle;
    request(DRM_IOCTL_MODE_MAP_DUMB, &place, "tell where its memory is");
    drm_prime_handle exported{};
    exported.handle = made.handle;
    exported.flags = DRM_CLOEXEC | DRM_RDWR;
    request(DRM_IOCTL_PRIME_HANDLE_TO_FD, &exported, "lend its memory");
    void* const mapped =
        ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, static_cast<off_t>(place.offset));
    if (mapped == MAP_FAILED) {
        const int code = errno;
        ::close(exported.fd);
        throw yoke::error(code, "memory of " + path_ + " cannot be mapped: " + std::strerror(code));
    }
    return buffers_.emplace_back(DepthCamera::Room{{static_cast<std::byte*>(mapped), bytes}, exported.fd});
}

DepthCamera::Memory DmaMemory::rooms() {
    return [this](std::size_t bytes, std::size_t count) {
        std::vector<DepthCamera::Room> rooms;
        for (std::size_t k = 0; k < count; ++k) {
            rooms.push_back(allocate(bytes));
        }
        return rooms;
    };
}

void DmaMemory::begin_reading(int descriptor) {
    sync(descriptor, DMA_BUF_SYNC_START);
}

void DmaMemory::end_reading(int descriptor) {
    sync(descriptor, DMA_BUF_SYNC_END);
}

}  // namespace gesture
