// Cuts an input into datablocks of one port.
//
// An input is raw: datablock after datablock, nothing between them. Or it is what a stage has written (docs/stage.md):
// it then begins with a header line, which must fit the port and is no data. The line cannot be mistaken: eleven fixed
// characters begin it; where a raw input may begin like that, the user says that it is raw.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "cli/file.hpp"

namespace yoke::cli {

// What a datablock of a port is.
struct DatablockShape {
    std::string port;  // "/graph/ptask:port"
    std::string type;
    std::array<std::uint64_t, 3> extent{1, 1, 1};
    std::uint64_t stride = 0;
    bool variable = false;  // datablocks may be shorter
    std::size_t bytes = 0;
};

class DatablockReader {
   public:
    DatablockReader(Input& input, DatablockShape shape, bool raw)
        : input_(input), shape_(std::move(shape)), header_known_(raw) {}

    enum class Step : std::uint8_t {
        quiet,     // the input has nothing at the moment
        complete,  // the room holds a datablock
        ended,     // the input is over; what is filled is its last datablock, if anything
    };
    // Reads on into @room, which has shape.bytes and of which @filled are there. Never waits. Exit 1: the input ends in
    // the middle of a datablock, or has a header that is cut off or says something else than the port.
    Outcome<Step> fill(std::span<std::byte> room, std::size_t& filled);

   private:
    // True: enough has been read to know whether there is a header.
    Outcome<bool> read_header();
    Outcome<bool> read_length();
    Done take_header();
    [[nodiscard]] std::uint64_t element_bytes() const;
    [[nodiscard]] tl::unexpected<Failure> fail_cut_off(std::size_t filled, std::size_t whole) const;
    // As Input::read_some, but begins with what was read in search of a header. Nothing: the input is quiet.
    Outcome<std::optional<std::size_t>> read(std::span<std::byte> room);

    Input& input_;
    DatablockShape shape_;
    bool header_known_;
    bool ended_ = false;
    bool any_ = false;                   // a datablock was complete
    bool stream_ = false;                // it has a header
    bool lengths_ = false;               // each record begins with its length
    std::string begin_;                  // read in search of a header
    std::size_t begin_taken_ = 0;        // of these bytes
    std::array<std::byte, 8> length_{};  // of the record at hand
    std::size_t length_filled_ = 0;      // bytes of that
    std::size_t record_bytes_ = 0;       // what it says
};

}  // namespace yoke::cli
