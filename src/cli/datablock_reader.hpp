// Cuts an input into datablocks of one port: raw, or what a stage has written (yoke_cutter).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include <yoke/stage.h>

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
        : input_(input), shape_(std::move(shape)), raw_(raw) {}

    enum class Step : std::uint8_t {
        quiet,     // the input has nothing at the moment
        complete,  // the room holds a datablock
        ended,     // the input is over; what is filled is its last datablock, if anything
    };
    // Reads on into @room, which has shape.bytes and is the same until it is complete; then @filled of them are there.
    // Never waits. Exit 1: the input ends in the middle of a datablock, or has a header that is cut off or says
    // something else than the port.
    Outcome<Step> fill(std::span<std::byte> room, std::size_t& filled);

   private:
    struct CutterCloser {
        void operator()(yoke_cutter* cutter) const { yoke_cutter_close(cutter); }
    };
    Done open();
    // As Input::read_some; nothing: the input is quiet.
    Outcome<std::optional<std::size_t>> read(std::span<std::byte> room);

    Input& input_;
    DatablockShape shape_;
    bool raw_;
    std::unique_ptr<yoke_cutter, CutterCloser> cutter_;
};

}  // namespace yoke::cli
