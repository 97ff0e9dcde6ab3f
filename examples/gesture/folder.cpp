// See folder.hpp.
#include "gesture/folder.hpp"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <tuple>

#include <yoke/yoke.hpp>

namespace gesture {

namespace fs = std::filesystem;

Folder::Folder(const std::string& path, bool loop) : loop_(loop) {
    std::error_code error;
    for (fs::recursive_directory_iterator entry(path, error), end; !error && entry != end; entry.increment(error)) {
        if (entry->path().extension() == ".png") {
            paths_.push_back(entry->path().string());
        }
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
    const tour::DepthFrame first = read(0);
    width_ = first.width;
    height_ = first.height;
}

tour::DepthFrame Folder::read(std::size_t place) const {
    auto frame = tour::read_depth_png(paths_[place]);
    if (!frame) {
        throw yoke::error(EINVAL, frame.error().message);
    }
    if (width_ != 0 && (frame->width != width_ || frame->height != height_)) {
        throw yoke::error(EINVAL, paths_[place] + " has another size than the frames before it; a stream has one");
    }
    return std::move(*frame);
}

std::optional<std::span<const std::byte>> Folder::frame(std::size_t number) {
    if (number >= paths_.size() && !loop_) {
        return std::nullopt;
    }
    const std::size_t place = loop_ ? number % paths_.size() : 0;
    if (!loop_) {
        kept_.clear();
    }
    if (kept_.size() == place) {
        kept_.push_back(read(number % paths_.size()));
    }
    return std::as_bytes(std::span(kept_[place].pixels));
}

}  // namespace gesture
