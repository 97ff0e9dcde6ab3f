// See stage_pipe.hpp.
#include "client/stage_pipe.hpp"
#include "base/text.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace yoke::client {
namespace {

constexpr std::size_t length_bytes = 8;

void wait_for(int fd, short events) {
    pollfd wait{.fd = fd, .events = events, .revents = 0};
    ::poll(&wait, 1, -1);  // what went wrong, the next read or write says
}

std::uint64_t element_bytes_of(const control::StreamForm& stream) {
    return control::parse_element_type(stream.form.type)->bytes();
}

}  // namespace

// Bytes read; fewer than asked for only at the end.
Result<std::size_t> StageReader::fill(std::span<std::byte> room) {
    std::size_t filled = 0;
    while (filled < room.size()) {
        const ssize_t count = ::read(fd_, room.data() + filled, room.size() - filled);
        if (count > 0) {
            filled += static_cast<std::size_t>(count);
        } else if (count == 0) {
            break;
        } else if (errno == EAGAIN) {
            wait_for(fd_, POLLIN);
        } else if (errno != EINTR) {
            return fail_errno("cannot read the stream from descriptor {}", fd_);
        }
    }
    return filled;
}

// Byte by byte: what follows the line may be somebody else's, as after the `read` of a shell.
Result<std::string> StageReader::read_line() {
    std::string line;
    for (;;) {
        std::byte byte{};
        const auto count = fill({&byte, 1});
        if (!count) {
            return tl::unexpected(count.error());
        }
        if (*count == 0 && line.empty()) {
            return fail(ENODATA, "the input ended before its header; look at what the stage before this one says");
        }
        if (*count == 0 && line.size() >= control::stage_magic.size()) {
            return fail(EPROTO, "the input ends within its header; the stage before this one was cut off");
        }
        if (*count == 0 || static_cast<char>(byte) == '\n') {
            return line;  // too short for a header; its parser says so
        }
        line += static_cast<char>(byte);
        const std::size_t known = std::min(line.size(), control::stage_magic.size());
        if (line.compare(0, known, control::stage_magic.substr(0, known)) != 0 ||
            line.size() >= control::stage_header_bytes_max) {
            return line;  // no header; its parser says so
        }
    }
}

Result<const control::StageHeader*> StageReader::header() {
    if (!header_) {
        auto line = read_line();
        if (!line) {
            return tl::unexpected(line.error());
        }
        auto parsed = control::parse_stage_header(*line);
        if (!parsed) {
            return tl::unexpected(parsed.error());
        }
        record_bytes_ = *control::template_bytes(parsed->stream.form);
        element_bytes_ = element_bytes_of(parsed->stream);
        header_ = std::move(*parsed);
    }
    return &*header_;
}

Error StageReader::cut() const {
    return {EPROTO, fmt::format("the input ends within record {}; the stage before this one was cut off", records_)};
}

Result<std::optional<std::size_t>> StageReader::read(std::span<std::byte> room) {
    if (auto known = header(); !known) {
        return tl::unexpected(known.error());
    }
    if (header_->stream.variable && !length_) {
        std::array<std::byte, length_bytes> bytes{};
        const auto count = fill(bytes);
        if (!count) {
            return tl::unexpected(count.error());
        }
        if (*count != length_bytes) {
            return *count == 0 ? Result<std::optional<std::size_t>>(std::nullopt) : tl::unexpected(cut());
        }
        std::uint64_t length_untrusted = 0;
        std::memcpy(&length_untrusted, bytes.data(), length_bytes);
        if (length_untrusted > record_bytes_ || length_untrusted % element_bytes_ != 0) {
            return fail(EPROTO,
                        "record {} of the input says that it has {}; at most {} and whole elements of {} are "
                        "allowed",
                        records_, counted(length_untrusted, "byte"), record_bytes_, element_bytes_);
        }
        length_ = length_untrusted;
    }
    const std::size_t length = length_.value_or(record_bytes_);
    if (length > room.size()) {
        return fail(EMSGSIZE, "record {} has {}, but there is room for {} only; give more", records_,
                    counted(length, "byte"), room.size());
    }
    const auto count = fill(room.first(length));
    if (!count) {
        return tl::unexpected(count.error());
    }
    if (*count != length) {
        return *count == 0 && !length_ ? Result<std::optional<std::size_t>>(std::nullopt) : tl::unexpected(cut());
    }
    length_.reset();
    ++records_;
    return length;
}

Result<std::optional<std::size_t>> StageReader::read_raw(std::span<std::byte> room) const {
    for (;;) {
        const ssize_t count = ::read(fd_, room.data(), room.size());
        if (count >= 0) {
            return count == 0 ? std::nullopt : std::optional(static_cast<std::size_t>(count));
        }
        if (errno == EAGAIN) {
            wait_for(fd_, POLLIN);
        } else {
            return fail_errno("cannot read descriptor {}", fd_);
        }
    }
}

bool StageReader::ready() const {
    pollfd wait{.fd = fd_, .events = POLLIN, .revents = 0};
    return ::poll(&wait, 1, 0) > 0;
}

Status StageWriter::begin(const control::StageHeader& header) {
    if (header_) {
        return fail(EALREADY, "the output has its header already; a stream has one");
    }
    auto text = control::format_stage_header(header);
    if (!text) {
        return tl::unexpected(text.error());
    }
    line_ = std::move(*text);
    record_bytes_ = *control::template_bytes(header.stream.form);
    element_bytes_ = element_bytes_of(header.stream);
    header_ = header;
    return {};
}

Status StageWriter::announce() {
    const std::string line = std::exchange(line_, {});
    return put(std::as_bytes(std::span(line)));
}

Status StageWriter::check(std::size_t bytes) const {
    if (!header_) {
        return fail(EINVAL, "the output has no header yet; call yoke_stage_output before records are written");
    }
    const bool variable = header_->stream.variable;
    if (variable ? bytes > record_bytes_ || bytes % element_bytes_ != 0 : bytes != record_bytes_) {
        return fail(EINVAL, "a record of {} does not fit the output, whose records have {}{}", counted(bytes, "byte"),
                    variable ? "at most " : "", counted(record_bytes_, "byte"));
    }
    return {};
}

Status StageWriter::write(std::span<const std::byte> record) {
    if (auto done = check(record.size()); !done) {
        return done;
    }
    if (header_->stream.variable) {
        const std::uint64_t length = record.size();
        if (auto done = put(std::as_bytes(std::span(&length, 1))); !done) {
            return done;
        }
    }
    return put(record);
}

Status StageWriter::put(std::span<const std::byte> bytes, bool interruptible) const {
    while (!bytes.empty()) {
        const ssize_t count = ::write(fd_, bytes.data(), bytes.size());
        if (count >= 0) {
            bytes = bytes.subspan(static_cast<std::size_t>(count));
        } else if (errno == EAGAIN) {
            wait_for(fd_, POLLOUT);
        } else if (errno == EPIPE) {
            return fail(EPIPE, "nobody reads the output any more");
        } else if (errno != EINTR || interruptible) {
            const int code = errno;
            return fail(code,
                        "cannot write the stream to descriptor {}: {}; connect the stage to a pipe or a file with room",
                        fd_, std::strerror(code));
        }
    }
    return {};
}

}  // namespace yoke::client
