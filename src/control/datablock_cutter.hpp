// Cuts a stream of bytes into datablocks of one port.
//
// An input is raw: datablock after datablock, nothing between them. Or it is what a stage has written (docs/stage.md):
// it then begins with a header line, which must fit the port and is no data. The line cannot be mistaken: eleven fixed
// characters begin it; where a raw input may begin like that, the user says that it is raw.
//
// The cutter reads nothing itself: it says where the next bytes go and how many at most. In search of a header that is
// one byte at a time, since nobody knows how long the line is; then the rest of a datablock, straight into its place.
// Whoever wrote the input is a stranger.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/error.hpp"
#include "control/template.hpp"

namespace yoke::control {

class DatablockCutter {
   public:
    struct Setup {
        std::string input;  // as messages call it
        std::string port;   // "/graph/ptask:port"
        TemplateDefinition form;
        bool variable = false;             // datablocks may be shorter, by whole elements
        bool raw = false;                  // what looks like a header is data
        std::string raw_option = "--raw";  // what the user writes to say so
    };
    enum class Cut : std::uint8_t {
        read,   // read into `to`, then took()
        whole,  // the room holds a datablock of length() bytes; the next cut begins another one
        over,   // the input is over; length() bytes, if not 0, are its last datablock
    };
    struct Next {
        Cut cut = Cut::read;
        std::span<std::byte> to{};
    };

    // EINVAL and others of template_bytes().
    static Result<DatablockCutter> create(Setup setup);

    // `room` has datablock_bytes() at least and is the same until a datablock is whole. EINVAL: it is too small.
    // EPROTO: the input ends in the middle of a datablock, or has a header that is cut off or says something else than
    // the port; no cut follows.
    Result<Next> next(std::span<std::byte> room);
    // So many bytes came where the last cut said; 0: the input is over.
    void took(std::size_t count);
    // Another input begins: what had come of a datablock that is not whole is dropped. Returns so many bytes.
    std::size_t begin_again();

    // Nothing has come of a datablock that is not whole.
    [[nodiscard]] bool at_boundary() const {
        return filled_ == 0 && begin_taken_ == begin_.size() && record_length_filled_ == 0;
    }
    [[nodiscard]] std::size_t length() const { return length_; }
    [[nodiscard]] std::size_t datablock_bytes() const { return bytes_; }
    [[nodiscard]] std::uint64_t bytes_taken() const { return taken_; }  // of this input
    [[nodiscard]] std::uint64_t datablocks() const { return count_; }   // that were whole

   private:
    DatablockCutter(Setup setup, std::size_t bytes, std::size_t element_bytes)
        : setup_(std::move(setup)), bytes_(bytes), element_bytes_(element_bytes), header_known_(setup_.raw) {}
    Status look_for_header();
    Status take_header();
    Status take_length();
    [[nodiscard]] tl::unexpected<Error> cut_off(std::size_t whole) const;
    [[nodiscard]] Next whole();

    Setup setup_;
    std::size_t bytes_;
    std::size_t element_bytes_;
    bool header_known_;
    bool ended_ = false;
    bool lengths_ = false;         // each record begins with its length
    bool stream_ = false;          // it has a header
    std::string begin_;            // read in search of a header
    std::size_t begin_taken_ = 0;  // of these, bytes that are in datablocks
    std::byte letter_{};           // the next of them
    std::array<std::byte, 8> record_length_{};
    std::size_t record_length_filled_ = 0;
    std::size_t record_bytes_ = 0;  // what it says
    std::size_t filled_ = 0;        // of the room
    std::size_t length_ = 0;
    std::uint64_t taken_ = 0;
    std::uint64_t count_ = 0;
};

}  // namespace yoke::control
