// A V4L2 camera that gives 16-bit depth frames (Z16) or raw ones (Y16).
//
// Where the driver can, it writes its frames straight into memory of the caller (USERPTR): catdepth gives it the arena,
// which is pinned for the device already. A driver that only maps memory of its own (MMAP), or pads its rows, costs a
// copy.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace gesture {

class DepthCamera {
   public:
    // Gives room for that many bytes, aligned to pages; nothing: the driver's own memory is used.
    using Memory = std::function<std::span<std::byte>(std::size_t)>;

    // Throws yoke::error, also for a device that gives no such frames.
    DepthCamera(const std::string& path, const Memory& memory);
    DepthCamera(const DepthCamera&) = delete;
    DepthCamera& operator=(const DepthCamera&) = delete;
    ~DepthCamera();

    [[nodiscard]] std::size_t width() const { return width_; }
    [[nodiscard]] std::size_t height() const { return height_; }
    [[nodiscard]] bool copies() const { return !user_memory_ || !packed_.empty(); }
    // Waits for the next frame, packed rows; valid until the next one. EIO when none comes for some seconds.
    std::span<const std::byte> frame();

   private:
    void choose_format();
    bool take_user_memory(const Memory& memory);
    void map_own_memory();
    void enqueue(std::size_t buffer);
    void request(unsigned long code, void* argument, const char* what) const;
    bool try_request(unsigned long code, void* argument) const;
    void close_all();

    std::string path_;
    int fd_ = -1;
    bool user_memory_ = false;
    std::size_t width_ = 0;
    std::size_t height_ = 0;
    std::size_t row_bytes_ = 0;
    std::size_t frame_bytes_ = 0;
    std::vector<std::span<std::byte>> buffers_;
    std::vector<std::byte> packed_;  // where rows are padded
    std::size_t held_;               // buffer that the caller reads; none: no_buffer
    static constexpr std::size_t no_buffer = ~std::size_t{0};
};

}  // namespace gesture
