// See datablock_reader.hpp. A header is read byte by byte, since nobody knows how long it is; libyoke says what it
// means.
#include "cli/datablock_reader.hpp"

#include <sys/mman.h>
#include <unistd.h>
#include <yoke/stage.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <string_view>

#include "cli/interrupt.hpp"
#include "cli/number.hpp"

namespace yoke::cli {
namespace {

constexpr std::string_view header_begin = "YOKESTREAM ";
constexpr std::size_t header_bytes_max = 4096;  // stage.h
constexpr int no_wait = 0;

std::string records_text(std::string_view type, const std::uint64_t* extent) {
    std::string text = fmt::format("{} {}", type, extent[0]);
    if (extent[1] != 1 || extent[2] != 1) {
        text += fmt::format("x{}", extent[1]);
    }
    return extent[2] != 1 ? text + fmt::format("x{}", extent[2]) : text;
}

// What a header line, with its newline, says of the records: libyoke reads it as a stage would.
Outcome<yoke_stream> parse_header(const std::string& line, const std::string& input) {
    const int fd = ::memfd_create("yoke-header", MFD_CLOEXEC);
    if (fd < 0 || ::pwrite(fd, line.data(), line.size(), 0) != static_cast<ssize_t>(line.size())) {
        auto failure = fail_errno("cannot keep the header of {}", input);
        ::close(fd);
        return failure;
    }
    yoke_stage_options options{};
    options.flags = YOKE_STAGE_SINK;
    options.input = fd;
    yoke_stage* opened = nullptr;
    yoke_stream stream{};
    int status = yoke_stage_open(&opened, &options);
    const StagePtr stage(opened);
    status = status == 0 ? yoke_stage_input(opened, &stream) : status;
    ::close(fd);
    if (status != 0) {
        return fail(exit_failed, "{} begins with the header of a stream that means nothing: {}; --raw takes it as data",
                    input, yoke_stage_error(opened));
    }
    return stream;
}

}  // namespace

Outcome<std::optional<std::size_t>> DatablockReader::read(std::span<std::byte> room) {
    if (header_known_ && begin_taken_ < begin_.size()) {
        const std::size_t count = std::min(room.size(), begin_.size() - begin_taken_);
        std::memcpy(room.data(), begin_.data() + begin_taken_, count);
        begin_taken_ += count;
        return std::optional(count);
    }
    if (ended_) {
        return std::optional<std::size_t>(0);
    }
    if (!wait_readable(input_.fd(), no_wait)) {
        return std::optional<std::size_t>();
    }
    const auto count = input_.read_some(room);
    if (!count) {
        return tl::unexpected<Failure>(count.error());
    }
    ended_ = *count == 0;
    return std::optional(*count);
}

Outcome<bool> DatablockReader::read_header() {
    while (!header_known_) {
        std::byte next{};
        const auto count = read(std::span(&next, 1));
        if (!count) {
            return tl::unexpected<Failure>(count.error());
        }
        if (!*count) {
            return false;
        }
        begin_.append(**count, static_cast<char>(next));
        const bool like_header = begin_.starts_with(header_begin);
        if (like_header && next == std::byte{'\n'}) {
            if (auto done = take_header(); !done) {
                return tl::unexpected<Failure>(done.error());
            }
        } else if (like_header && (ended_ || begin_.size() == header_bytes_max)) {
            return fail(exit_failed,
                        "{} begins with the header of a stream that has no end: the line is cut off, or longer than {} "
                        "bytes; --raw takes it as data",
                        input_.name(), header_bytes_max);
        }
        header_known_ = header_known_ || ended_ || (!like_header && !header_begin.starts_with(begin_));
    }
    return true;
}

std::uint64_t DatablockReader::element_bytes() const {
    unsigned bits = 8;
    unsigned lanes = 1;
    const std::string& type = shape_.type;
    const std::size_t x = std::min(type.find('x'), type.size());
    std::from_chars(type.data() + std::min<std::size_t>(1, x), type.data() + x, bits);
    std::from_chars(type.data() + std::min(x + 1, type.size()), type.data() + type.size(), lanes);
    return std::uint64_t{bits} / 8 * lanes;
}

Done DatablockReader::take_header() {
    const auto stream = parse_header(begin_, input_.name());
    if (!stream) {
        return tl::unexpected<Failure>(stream.error());
    }
    const yoke_template& records = stream->template_;
    const auto refuse = [&](const std::string& why) {
        return fail(exit_failed, "{} is a stream of {} {} records, but port {} takes {}{}", input_.name(),
                    stream->variable != 0 ? "variable" : "fixed", records_text(records.type, records.extent),
                    shape_.port, records_text(shape_.type, shape_.extent.data()), why);
    };
    if (shape_.type != records.type ||
        !std::equal(shape_.extent.begin(), shape_.extent.end(), std::begin(records.extent))) {
        return refuse("; push what fits, or --raw to take the bytes as they are");
    }
    if (stream->variable != 0 && !shape_.variable) {
        return refuse(" of that size only; make the port variable");
    }
    if (shape_.stride != 0 && shape_.stride != shape_.extent[0] * element_bytes()) {
        return refuse(
            fmt::format(" with rows of {}; the rows of a stream have no gaps", counted(shape_.stride, "byte")));
    }
    stream_ = true;
    lengths_ = stream->variable != 0;
    begin_.clear();
    header_known_ = true;
    return {};
}

// Of a record of variable size. False: quiet, or the stream is over.
Outcome<bool> DatablockReader::read_length() {
    while (length_filled_ < length_.size()) {
        const auto count = read(std::span(length_).subspan(length_filled_));
        if (!count) {
            return tl::unexpected<Failure>(count.error());
        }
        if (count->value_or(0) == 0) {
            break;
        }
        length_filled_ += **count;
        if (length_filled_ == length_.size()) {
            std::uint64_t bytes = 0;
            for (std::size_t i = length_.size(); i-- > 0;) {
                bytes = bytes << 8U | std::to_integer<std::uint64_t>(length_[i]);
            }
            if (bytes == 0 || bytes > shape_.bytes || bytes % element_bytes() != 0) {
                return fail(exit_failed, "a record of {} has {}; port {} takes 1 to {} of {}", input_.name(),
                            counted(bytes, "byte"), shape_.port, counted(shape_.bytes / element_bytes(), "element"),
                            counted(element_bytes(), "byte"));
            }
            record_bytes_ = bytes;
        }
    }
    if (ended_ && length_filled_ != 0 && length_filled_ < length_.size()) {
        return fail(exit_failed, "{} ends in the middle of a record's length", input_.name());
    }
    return length_filled_ == length_.size();
}

// The input ends in the middle of a datablock. Where that was its first one, its datablocks may all be shorter than
// those of the port.
tl::unexpected<Failure> DatablockReader::fail_cut_off(std::size_t filled, std::size_t whole) const {
    const bool shorter = !any_ && !lengths_ && filled % element_bytes() == 0;
    return fail(exit_failed, "{} ends in the middle of a datablock: {} {} left of {} that {} takes{}", input_.name(),
                counted(filled, "byte"), filled == 1 ? "is" : "are", whole, shape_.port,
                shorter ? fmt::format(" ({}); push as many, or give the ports of its ptask an extent of {}",
                                      records_text(shape_.type, shape_.extent.data()), filled / element_bytes())
                        : std::string());
}

Outcome<DatablockReader::Step> DatablockReader::fill(std::span<std::byte> room, std::size_t& filled) {
    if (const auto known = read_header(); !known || !*known) {
        return known ? Outcome<Step>(Step::quiet) : tl::unexpected<Failure>(known.error());
    }
    if (lengths_) {
        const auto known = read_length();
        if (!known || !*known) {
            return known ? Outcome<Step>(ended_ ? Step::ended : Step::quiet) : tl::unexpected<Failure>(known.error());
        }
    }
    const std::size_t whole = lengths_ ? record_bytes_ : room.size();
    while (filled < whole) {
        const auto count = read(room.subspan(filled, whole - filled));
        if (!count) {
            return tl::unexpected<Failure>(count.error());
        }
        if (!*count) {
            return Step::quiet;
        }
        if (**count == 0) {
            if ((filled != 0 || lengths_) && (stream_ || !shape_.variable)) {
                return fail_cut_off(filled, whole);
            }
            return Step::ended;
        }
        filled += **count;
    }
    length_filled_ = 0;
    any_ = true;
    return Step::complete;
}

}  // namespace yoke::cli
