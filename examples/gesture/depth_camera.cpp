// See depth_camera.hpp. Streaming I/O as in the V4L2 documentation: request buffers, queue them, turn the stream on,
// then take the filled ones in turn.
#include "gesture/depth_camera.hpp"

#include <fcntl.h>
#include <linux/videodev2.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include <yoke/yoke.hpp>

#include "gesture/dma_memory.hpp"

namespace gesture {
namespace {

constexpr std::uint32_t buffers_wanted = 4;  // the driver fills one while others wait or are read
constexpr int patience_ms = 5000;

std::uint32_t memory_of(DepthCamera::Lending lending) {
    return lending == DepthCamera::Lending::address      ? V4L2_MEMORY_USERPTR
           : lending == DepthCamera::Lending::descriptor ? V4L2_MEMORY_DMABUF
                                                         : V4L2_MEMORY_MMAP;
}

}  // namespace

DepthCamera::DepthCamera(const std::string& path, Lending lending, const Memory& memory)
    : path_(path), fd_(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK)), lending_(lending), held_(no_buffer) {
    if (fd_ < 0) {
        const int code = errno;
        throw yoke::error(code, "cannot open camera " + path + ": " + std::strerror(code) + "; see ls -l /dev/video*");
    }
    try {
        choose_format();
        if (!take_memory(memory)) {
            lending_ = Lending::none;
            map_own_memory();
        }
        for (std::size_t i = 0; i < buffers_.size(); ++i) {
            enqueue(i);
        }
        int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
        request(VIDIOC_STREAMON, &type, "start");
    } catch (...) {
        close_all();
        throw;
    }
}

DepthCamera::~DepthCamera() {
    int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    try_request(VIDIOC_STREAMOFF, &type);
    close_all();
}

void DepthCamera::close_all() {
    for (const auto& buffer : buffers_) {
        if (lending_ == Lending::none) {
            ::munmap(buffer.bytes.data(), buffer.bytes.size());
        }
    }
    ::close(fd_);
}

bool DepthCamera::try_request(unsigned long code, void* argument) const {
    int status = 0;
    do {
        status = ::ioctl(fd_, code, argument);
    } while (status < 0 && errno == EINTR);
    return status == 0;
}

void DepthCamera::request(unsigned long code, void* argument, const char* what) const {
    if (!try_request(code, argument)) {
        const int error = errno;
        throw yoke::error(error, "camera " + path_ + " does not " + what + ": " + std::strerror(error) +
                                     "; see v4l2-ctl --list-formats, and whether another program uses it");
    }
}

void DepthCamera::choose_format() {
    v4l2_capability capability{};
    request(VIDIOC_QUERYCAP, &capability, "say what it can, it is no camera");
    v4l2_format format{};
    format.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    request(VIDIOC_G_FMT, &format, "capture pictures");
    for (const std::uint32_t wanted : {V4L2_PIX_FMT_Z16, V4L2_PIX_FMT_Y16}) {
        format.fmt.pix.pixelformat = wanted;
        if (try_request(VIDIOC_S_FMT, &format) && format.fmt.pix.pixelformat == wanted) {
            width_ = format.fmt.pix.width;
            height_ = format.fmt.pix.height;
            row_bytes_ = format.fmt.pix.bytesperline != 0 ? format.fmt.pix.bytesperline : 2 * width_;
            frame_bytes_ = format.fmt.pix.sizeimage;
            if (width_ == 0 || row_bytes_ < 2 * width_ || frame_bytes_ < row_bytes_ * height_) {
                throw yoke::error(EPROTO, "camera " + path_ + " tells sizes that do not fit; its driver is broken");
            }
            return;
        }
    }
    throw yoke::error(EINVAL, "camera " + path_ + " gives neither Z16 nor Y16; name a depth camera");
}

bool DepthCamera::take_memory(const Memory& memory) {
    if (lending_ == Lending::none) {
        return false;
    }
    v4l2_requestbuffers buffers{};
    buffers.count = buffers_wanted;
    buffers.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    buffers.memory = memory_of(lending_);
    if (lending_ == Lending::descriptor) {
        request(VIDIOC_REQBUFS, &buffers, "write into other drivers' memory (DMABUF)");
    } else if (!try_request(VIDIOC_REQBUFS, &buffers) || buffers.count == 0) {
        return false;
    }
    buffers_ = memory(frame_bytes_, buffers.count);
    return true;
}

void DepthCamera::map_own_memory() {
    v4l2_requestbuffers buffers{};
    buffers.count = buffers_wanted;
    buffers.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    buffers.memory = V4L2_MEMORY_MMAP;
    request(VIDIOC_REQBUFS, &buffers, "give buffers");
    for (std::uint32_t i = 0; i < buffers.count; ++i) {
        v4l2_buffer buffer{};
        buffer.index = i;
        buffer.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
        buffer.memory = V4L2_MEMORY_MMAP;
        request(VIDIOC_QUERYBUF, &buffer, "tell where its buffers are");
        void* mapped = ::mmap(nullptr, buffer.length, PROT_READ | PROT_WRITE, MAP_SHARED, fd_,
                              static_cast<off_t>(buffer.m.offset));
        if (mapped == MAP_FAILED) {
            throw yoke::error(errno, "the buffers of camera " + path_ + " cannot be mapped; see the limits of memory");
        }
        buffers_.push_back({{static_cast<std::byte*>(mapped), buffer.length}, -1});
    }
}

void DepthCamera::enqueue(std::size_t number) {
    v4l2_buffer buffer{};
    buffer.index = static_cast<std::uint32_t>(number);
    buffer.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    buffer.memory = memory_of(lending_);
    const Room& room = buffers_[number];
    if (lending_ == Lending::address) {
        buffer.m.userptr = reinterpret_cast<unsigned long>(room.bytes.data());
        buffer.length = static_cast<std::uint32_t>(room.bytes.size());
    } else if (lending_ == Lending::descriptor) {
        buffer.m.fd = room.descriptor;
        buffer.length = static_cast<std::uint32_t>(room.bytes.size());
    }
    request(VIDIOC_QBUF, &buffer, "take a buffer");
}

// The driver may write the frame's memory again.
void DepthCamera::give_back() {
    if (held_ == no_buffer) {
        return;
    }
    const std::size_t number = std::exchange(held_, no_buffer);
    if (lending_ == Lending::descriptor) {
        DmaMemory::end_reading(buffers_[number].descriptor);
    }
    enqueue(number);
}

std::span<const std::byte> DepthCamera::frame(const std::function<std::span<std::byte>(std::size_t)>& room) {
    give_back();
    v4l2_buffer buffer{};
    do {
        pollfd ready{fd_, POLLIN, 0};
        if (::poll(&ready, 1, patience_ms) == 0) {
            throw yoke::error(EIO,
                              "camera " + path_ + " gives no frame for five seconds; see whether it is plugged in");
        }
        buffer = {};
        buffer.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
        buffer.memory = memory_of(lending_);
    } while (!try_request(VIDIOC_DQBUF, &buffer) && errno == EAGAIN);
    if (buffer.length == 0 || buffer.index >= buffers_.size()) {
        throw yoke::error(EIO, "camera " + path_ + " gives no more frames: " + std::strerror(errno));
    }
    held_ = buffer.index;
    const std::span<const std::byte> filled = buffers_[held_].bytes;
    if (lending_ == Lending::descriptor) {
        DmaMemory::begin_reading(buffers_[held_].descriptor);
    }
    if (!padded()) {
        return filled.first(2 * width_ * height_);
    }
    const std::span<std::byte> packed = room(2 * width_ * height_);
    for (std::size_t y = 0; y < height_; ++y) {
        std::memcpy(packed.data() + y * 2 * width_, filled.data() + y * row_bytes_, 2 * width_);
    }
    return packed;
}

}  // namespace gesture
