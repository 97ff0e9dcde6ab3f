// PNG files in and out, by libpng. Its errors come by longjmp, so each function that libpng may jump out of owns
// nothing and lives in a small frame of its own.
#include <png.h>

#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <memory>

#include "tour/image.hpp"

namespace tour {
namespace {

constexpr std::size_t side_max = 16384;

struct FileCloser {
    void operator()(std::FILE* file) const { std::fclose(file); }
};
using FilePointer = std::unique_ptr<std::FILE, FileCloser>;

struct Header {
    std::size_t width = 0;
    std::size_t height = 0;
    int depth = 0;
    int colour = 0;
};

struct Sentence {
    char text[200] = "it is no PNG file";
};

void on_error(png_structp png, png_const_charp message) {
    auto* sentence = static_cast<Sentence*>(png_get_error_ptr(png));
    std::snprintf(sentence->text, sizeof sentence->text, "%s", message);
    png_longjmp(png, 1);
}

void on_warning(png_structp /*png*/, png_const_charp /*message*/) {}

bool read_header(png_structp png, png_infop info, std::FILE* file, Header* header) {
    if (setjmp(png_jmpbuf(png)) != 0) {
        return false;
    }
    png_init_io(png, file);
    png_read_info(png, info);
    header->width = png_get_image_width(png, info);
    header->height = png_get_image_height(png, info);
    header->depth = png_get_bit_depth(png, info);
    header->colour = png_get_color_type(png, info);
    return true;
}

bool read_rows(png_structp png, png_infop info, std::uint16_t* pixels, const Header* header) {
    if (setjmp(png_jmpbuf(png)) != 0) {
        return false;
    }
    png_set_swap(png);  // PNG is big-endian
    const int passes = png_set_interlace_handling(png);
    png_read_update_info(png, info);
    for (int pass = 0; pass < passes; ++pass) {
        for (std::size_t y = 0; y < header->height; ++y) {
            png_read_row(png, reinterpret_cast<png_bytep>(pixels + y * header->width), nullptr);
        }
    }
    png_read_end(png, nullptr);
    return true;
}

struct Reader {
    Sentence sentence;
    png_structp png = nullptr;
    png_infop info = nullptr;
    Reader() {
        png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &sentence, on_error, on_warning);
        info = png == nullptr ? nullptr : png_create_info_struct(png);
    }
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;
    ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }
};

}  // namespace

Done read_depth_png(const std::string& path, const std::function<std::uint16_t*(std::size_t, std::size_t)>& room) {
    const FilePointer file(std::fopen(path.c_str(), "rbe"));
    if (!file) {
        return fail("cannot read {}: {}; give files that may be read", path, std::strerror(errno));
    }
    Reader reader;
    Header header;
    if (reader.info == nullptr || !read_header(reader.png, reader.info, file.get(), &header)) {
        return fail("cannot read {}: {}; give 16-bit grey PNG files", path, reader.sentence.text);
    }
    if (header.depth != 16 || header.colour != PNG_COLOR_TYPE_GRAY) {
        return fail("{} is no depth frame: it has {} bits a channel and colour type {}; give 16-bit grey PNG files",
                    path, header.depth, header.colour);
    }
    if (header.width > side_max || header.height > side_max) {
        return fail("{} has {} x {} pixels; at most {} a side", path, header.width, header.height, side_max);
    }
    if (!read_rows(reader.png, reader.info, room(header.width, header.height), &header)) {
        return fail("cannot read {}: {}; the file is damaged, copy it once more", path, reader.sentence.text);
    }
    return {};
}

Outcome<DepthFrame> read_depth_png(const std::string& path) {
    DepthFrame frame;
    const auto room = [&](std::size_t width, std::size_t height) {
        frame.width = width;
        frame.height = height;
        frame.pixels.resize(width * height);
        return frame.pixels.data();
    };
    if (auto done = read_depth_png(path, room); !done) {
        return tl::unexpected(done.error());
    }
    frame.name = path;
    return frame;
}

Done write_png(const std::string& path, const Picture& picture) {
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    image.width = static_cast<png_uint_32>(picture.width);
    image.height = static_cast<png_uint_32>(picture.height);
    image.format = PNG_FORMAT_RGB;
    if (png_image_write_to_file(&image, path.c_str(), 0, picture.pixels.data(), 0, nullptr) == 0) {
        return fail("cannot write {}: {}", path, image.message);
    }
    return {};
}

}  // namespace tour
