// Depth frames as 16-bit PNG files below a folder: folder by folder, and within one 9.png before 10.png.
//
// A frame is decoded where the caller wants it, which for a stage is its arena: nothing copies it once more.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace gesture {

class Folder {
   public:
    // Gives memory for so many bytes.
    using Memory = std::function<std::span<std::byte>(std::size_t)>;
    // Throws yoke::error, also where the first frame is none.
    explicit Folder(const std::string& path);
    [[nodiscard]] std::size_t width() const { return width_; }
    [[nodiscard]] std::size_t height() const { return height_; }
    // Frame @number, decoded into what @room gives. Nothing after the last one.
    std::optional<std::span<const std::byte>> frame(std::size_t number, const Memory& room) const;
    // The same without end: after the last frame comes the first one. To be asked for in order: each is decoded once,
    // into memory that @shelf gives for all, at first.
    std::span<const std::byte> repeated(std::size_t number, const Memory& shelf);

   private:
    void read(std::size_t place, std::span<std::byte> frame) const;

    std::vector<std::string> paths_;
    std::span<std::byte> kept_;
    std::size_t width_ = 0;
    std::size_t height_ = 0;
    std::size_t bytes_ = 0;
};

}  // namespace gesture
