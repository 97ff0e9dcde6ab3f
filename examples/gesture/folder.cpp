// See folder.hpp.
#include "gesture/folder.hpp"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <tuple>

#include <yoke/yoke.hpp>

#include "tour/image.hpp"

namespace gesture {

namespace fs = std::filesystem;

Folder::Folder(const std::string& path) {
    std::error_code error;
    std::error_code unknown;
    for (fs::recursive_directory_iterator entry(path, error), end; !error && entry != end; entry.increment(error)) {
        if (entry->path().extension() != ".png" || entry->is_directory(unknown)) {
            continue;
        }
        if (entry->is_fifo(unknown) || entry->is_other(unknown)) {
            throw yoke::error(EINVAL, entry->path().string() + " is no file; keep nothing but files in the folder");
        }
        paths_.push_back(entry->path().string());  // one that cannot be read says so in its turn
    }
    if (error || paths_.empty()) {
        throw yoke::error(error ? error.value() : ENOENT, "no PNG file can be found below " + path +
                                                              "; name a folder of depth frames that may be read");
    }
    std::sort(paths_.begin(), paths_.end(), [](const fs::path& a, const fs::path& b) {
        const auto key = [](const fs::path& one) {
            return std::tuple(one.parent_path(), one.string().size(), one.filename());
        };
        return key(a) < key(b);
    });
    const auto first = tour::read_depth_png(paths_[0]);
    if (!first) {
        throw yoke::error(EINVAL, first.error().message);
    }
    width_ = first->width;
    height_ = first->height;
    bytes_ = width_ * height_ * sizeof(std::uint16_t);
}

void Folder::read(std::size_t place, std::span<std::byte> frame) const {
    const auto done = tour::read_depth_png(paths_[place], [&](std::size_t width, std::size_t height) {
        if (width != width_ || height != height_) {
            throw yoke::error(EINVAL, paths_[place] + " has " + std::to_string(width) + " x " + std::to_string(height) +
                                          " pixels and the frames before it " + std::to_string(width_) + " x " +
                                          std::to_string(height_) + "; give frames of one size");
        }
        return reinterpret_cast<std::uint16_t*>(frame.data());
    });
    if (!done) {
        throw yoke::error(EINVAL, done.error().message);
    }
}

std::optional<std::span<const std::byte>> Folder::frame(std::size_t number, const Memory& room) const {
    if (number >= paths_.size()) {
        return std::nullopt;
    }
    const std::span<std::byte> frame = room(bytes_);
    read(number, frame);
    return frame;
}

std::span<const std::byte> Folder::repeated(std::size_t number, const Memory& shelf) {
    if (kept_.empty()) {
        kept_ = shelf(bytes_ * paths_.size());
    }
    const std::span<std::byte> frame = kept_.subspan(number % paths_.size() * bytes_, bytes_);
    if (number < paths_.size()) {
        read(number, frame);
    }
    return frame;
}

}  // namespace gesture
