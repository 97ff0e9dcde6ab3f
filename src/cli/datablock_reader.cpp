// See datablock_reader.hpp.
#include "cli/datablock_reader.hpp"

#include <algorithm>
#include <cstring>

#include "cli/interrupt.hpp"

namespace yoke::cli {

Done DatablockReader::open() {
    yoke_cutter_options options{};
    options.input = input_.name().c_str();
    options.port = shape_.port.c_str();
    options.raw_option = "--raw";
    shape_.type.copy(options.template_.type, sizeof options.template_.type - 1);
    std::copy(shape_.extent.begin(), shape_.extent.end(), options.template_.extent);
    options.template_.stride = shape_.stride;
    options.variable = shape_.variable ? 1 : 0;
    options.raw = raw_ ? 1 : 0;
    yoke_cutter* cutter = nullptr;
    if (const int error = yoke_cutter_open(&cutter, &options); error != 0) {
        return fail(exit_failed, "{}", yoke_cutter_error(nullptr));
    }
    cutter_.reset(cutter);
    return {};
}

Outcome<std::optional<std::size_t>> DatablockReader::read(std::span<std::byte> room) {
    constexpr int no_wait = 0;
    if (!wait_readable(input_.fd(), no_wait)) {
        return std::optional<std::size_t>();
    }
    const auto count = input_.read_some(room);
    return count ? Outcome<std::optional<std::size_t>>(*count) : tl::unexpected<Failure>(count.error());
}

Outcome<DatablockReader::Step> DatablockReader::fill(std::span<std::byte> room, std::size_t& filled) {
    if (auto opened = cutter_ ? Done() : open(); !opened) {
        return tl::unexpected<Failure>(opened.error());
    }
    for (;;) {
        void* to = nullptr;
        std::size_t length = 0;
        const int cut = yoke_cutter_next(cutter_.get(), room.data(), &to, &length);
        if (cut < 0) {
            return fail(exit_failed, "{}", yoke_cutter_error(cutter_.get()));
        }
        if (cut != YOKE_CUT_READ) {
            filled = length;
            return cut == YOKE_CUT_WHOLE ? Step::complete : Step::ended;
        }
        const auto count = read({static_cast<std::byte*>(to), length});
        if (!count) {
            return tl::unexpected<Failure>(count.error());
        }
        if (!*count) {
            return Step::quiet;
        }
        yoke_cutter_took(cutter_.get(), **count);
    }
}

}  // namespace yoke::cli
