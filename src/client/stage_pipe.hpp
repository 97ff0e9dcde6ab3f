// Records through a descriptor: the plain way of a stream, and what it must be equal to when it takes another.
//
// Reads and writes whole records over pipes, sockets and files, in blocking or non-blocking mode (a descriptor's mode
// belongs to all who share it, so it is taken as it is). A length that comes with a variable record is checked before
// it is used.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "control/stage_header.hpp"

namespace yoke::client {

class StageReader {
   public:
    explicit StageReader(int fd) : fd_(fd) {}

    // The header, read once. ENODATA: the input ends before; EPROTO.
    Result<const control::StageHeader*> header();
    // The header if it has been read.
    [[nodiscard]] const control::StageHeader* known() const { return header_ ? &*header_ : nullptr; }
    // The next record into `room`; its bytes, or nothing at the end of the stream. EPROTO, EMSGSIZE (try again with
    // more room).
    Result<std::optional<std::size_t>> read(std::span<std::byte> room);
    // Whether read() would find something, be it the end.
    [[nodiscard]] bool ready() const;
    // Not in the middle of a record.
    [[nodiscard]] bool at_boundary() const { return !length_; }
    // A record of the stream has come another way.
    void passed_by() { ++records_; }

    // For bytes without a header: takes `header` as read; then what there is, at most `room`. Nothing: the end.
    void begin_raw(const control::StageHeader& header) { header_ = header; }
    Result<std::optional<std::size_t>> read_raw(std::span<std::byte> room) const;

   private:
    Result<std::size_t> fill(std::span<std::byte> room);
    Result<std::string> read_line();
    [[nodiscard]] Error cut() const;

    int fd_;
    std::optional<control::StageHeader> header_;
    std::size_t record_bytes_ = 0;  // of the template
    std::size_t element_bytes_ = 1;
    std::optional<std::uint64_t> length_;  // of a variable record whose bytes have not been read
    std::uint64_t records_ = 0;
};

class StageWriter {
   public:
    explicit StageWriter(int fd) : fd_(fd) {}

    // What the stream is; nothing is written yet. EALREADY, EINVAL, E2BIG.
    Status begin(const control::StageHeader& header);
    // Writes the header, if nobody has. EPIPE.
    Status announce();
    [[nodiscard]] bool announced() const { return line_.empty(); }
    [[nodiscard]] const std::optional<control::StageHeader>& header() const { return header_; }
    Status write(std::span<const std::byte> record);
    // EINVAL: no record of the stream has so many bytes, or there is no header.
    [[nodiscard]] Status check(std::size_t bytes) const;

    // For bytes without a header: takes `header` as written.
    void begin_raw(const control::StageHeader& header) { header_ = header; }
    // EINTR: a signal came.
    Status write_raw(std::span<const std::byte> bytes) const { return put(bytes, true); }

   private:
    Status put(std::span<const std::byte> bytes, bool interruptible = false) const;

    int fd_;
    std::optional<control::StageHeader> header_;
    std::string line_;  // the header as it is to be written; empty: there is none, or it has been
    std::size_t record_bytes_ = 0;
    std::size_t element_bytes_ = 1;
};

}  // namespace yoke::client
