// A stream of calls: input is read piece by piece into the arena, several calls are in flight, results are written in
// order. Memory is bounded by the number of pieces, however long the input.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "cli/file.hpp"
#include "cli/recipe.hpp"
#include "cli/session.hpp"

namespace yoke::cli {

struct Summary {
    std::uint64_t calls = 0;
    std::uint64_t in_bytes = 0;
    std::uint64_t out_bytes = 0;
    std::uint64_t queued_ns = 0;  // sums over the calls
    std::uint64_t run_ns = 0;
    std::map<std::pair<std::uint8_t, std::uint8_t>, std::uint64_t> places;  // (where, why) -> calls
};

class Stream {
   public:
    // @hexadecimal: results are digests, written as lines of text. Everything referred to outlives the stream.
    Stream(Recipe& recipe, Input& input, Output& output, bool hexadecimal)
        : recipe_(recipe), input_(input), output_(output), hexadecimal_(hexadecimal) {}

    // Bytes of arena that run() will allocate. Reads an input whose length only reading tells, if it must be whole.
    Outcome<std::uint64_t> prepare();
    // Runs to the end of the input. @place: enum yoke_place.
    Outcome<Summary> run(yoke_session* session, const yoke_key* key, std::uint8_t place);

   private:
    struct Piece {
        std::span<std::byte> in_room;
        std::span<std::byte> out_room;
        std::size_t in_bytes = 0;
        std::array<std::byte, YOKE_PAYLOAD_BYTES> params{};
        yoke_ticket ticket = 0;
    };

    Outcome<std::size_t> read_whole(std::span<std::byte> room);
    Done allocate_pieces(yoke_session* session);
    Done fill(Piece& piece);
    Done submit(Piece& piece);
    Outcome<bool> finish(Piece& piece, std::uint64_t timeout_ns);
    Done run_pieces();
    void count(const yoke_result& result);
    Done write_result(std::span<const std::byte> bytes);

    Recipe& recipe_;
    Input& input_;
    Output& output_;
    bool hexadecimal_;
    std::size_t room_bytes_ = 0;      // input of one piece
    std::size_t depth_ = 1;           // pieces
    std::vector<std::byte> spooled_;  // whole input that came through a pipe
    bool input_spooled_ = false;
    bool at_end_ = false;

    yoke_session* session_ = nullptr;
    const yoke_key* key_ = nullptr;
    std::uint8_t place_ = YOKE_PLACE_AUTO;
    std::span<std::byte> aux_;
    std::vector<Piece> pieces_;
    Summary summary_;
};

}  // namespace yoke::cli
