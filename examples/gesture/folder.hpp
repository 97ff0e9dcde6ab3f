// Depth frames as 16-bit PNG files below a folder: folder by folder, and within one 9.png before 10.png.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tour/image.hpp"

namespace gesture {

class Folder {
   public:
    // Throws yoke::error. @loop: after the last frame comes the first one; all are then kept in memory.
    Folder(const std::string& path, bool loop);
    [[nodiscard]] std::size_t width() const { return width_; }
    [[nodiscard]] std::size_t height() const { return height_; }
    // Frame @number, to be asked for in order; valid until the next one. Nothing after the last one.
    std::optional<std::span<const std::byte>> frame(std::size_t number);

   private:
    tour::DepthFrame read(std::size_t place) const;

    std::vector<std::string> paths_;
    std::vector<tour::DepthFrame> kept_;  // without loop only the last one
    std::size_t width_ = 0;
    std::size_t height_ = 0;
    bool loop_;
};

}  // namespace gesture
