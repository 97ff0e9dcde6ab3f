// A V4L2 camera that gives 16-bit depth frames (Z16) or raw ones (Y16).
//
// Where the driver can, it writes its frames straight into memory of the caller: by address (USERPTR), for which
// catdepth gives it the arena of its stage, from where nothing copies them on the host; or into a buffer of another
// driver (DMABUF). From there, from a driver that only maps memory of its own (MMAP), and out of padded rows one copy
// remains.
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
    // Gives so many rooms for so many bytes each, aligned to pages.
    using Memory = std::function<std::vector<Room>(std::size_t bytes, std::size_t count)>;
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
    [[nodiscard]] bool copies() const { return lending_ == Lending::none || padded(); }
    // Waits for the next frame, packed rows; valid until the next one. Padded rows are packed into what @room gives for
    // so many bytes. EIO when none comes for some seconds.
    std::span<const std::byte> frame(const std::function<std::span<std::byte>(std::size_t)>& room);

   private:
    void choose_format();
    bool take_memory(const Memory& memory);
    void give_back();
    void map_own_memory();
    void enqueue(std::size_t buffer);
    void request(unsigned long code, void* argument, const char* what) const;
    bool try_request(unsigned long code, void* argument) const;
    void close_all();
    [[nodiscard]] bool padded() const { return row_bytes_ > 2 * width_; }

    std::string path_;
    int fd_ = -1;
    Lending lending_;
    std::size_t width_ = 0;
    std::size_t height_ = 0;
    std::size_t row_bytes_ = 0;
    std::size_t frame_bytes_ = 0;
    std::vector<Room> buffers_;
    std::size_t held_;  // buffer that the caller reads; none: no_buffer
    static constexpr std::size_t no_buffer = ~std::size_t{0};
};

}  // namespace gesture
