// A V4L2 camera that gives 16-bit depth frames (Z16) or raw ones (Y16).
//
// Where the driver can, it writes its frames straight into memory of the caller: by address (USERPTR), for which
// catdepth gives it the arena, which is pinned for the device already; or into a buffer of another driver (DMABUF). A
// driver that only maps memory of its own (MMAP), or pads its rows, costs a copy.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace gesture {

class DepthCamera {
   public:
    struct Room {
        std::span<std::byte> bytes;
        int descriptor = -1;  // DMA-BUF of these bytes; -1: plain memory
    };
    // Gives room for that many bytes, aligned to pages; nothing: the driver's own memory is used.
    using Memory = std::function<Room(std::size_t)>;
    enum class Lending { none, address, descriptor };

    // `lending`: what `memory` gives. A driver that does not take addresses uses its own memory; one that does not take
    // descriptors is refused, since they were asked for. Throws yoke::error, also for a device that gives no such
    // frames.
    DepthCamera(const std::string& path, Lending lending, const Memory& memory);
    DepthCamera(const DepthCamera&) = delete;
    DepthCamera& operator=(const DepthCamera&) = delete;
    ~DepthCamera();

    [[nodiscard]] std::size_t width() const { return width_; }
    [[nodiscard]] std::size_t height() const { return height_; }
    [[nodiscard]] bool copies() const { return lending_ == Lending::none || !packed_.empty(); }
    // Waits for the next frame, packed rows; valid until the next one. EIO when none comes for some seconds.
    std::span<const std::byte> frame();

   private:
    void choose_format();
    bool take_memory(const Memory& memory);
    void give_back();
    void map_own_memory();
    void enqueue(std::size_t buffer);
    void request(unsigned long code, void* argument, const char* what) const;
    bool try_request(unsigned long code, void* argument) const;
    void close_all();

    std::string path_;
    int fd_ = -1;
    Lending lending_;
    std::size_t width_ = 0;
    std::size_t height_ = 0;
    std::size_t row_bytes_ = 0;
    std::size_t frame_bytes_ = 0;
    std::vector<Room> buffers_;
    std::vector<std::byte> packed_;  // where rows are padded
    std::size_t held_;               // buffer that the caller reads; none: no_buffer
    static constexpr std::size_t no_buffer = ~std::size_t{0};
};

}  // namespace gesture
