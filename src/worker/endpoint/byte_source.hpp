// A source that is a stream of bytes: file, FIFO or socket. It is cut into datablocks as what is pushed is
// (control/datablock_cutter.hpp): a stage's output brings a header, which must fit the port and is no data.
//
// The end of the stream travels as the end of the channel: that of a file (unless it is repeated), and in a graph that
// does not persist also the hang-up of the last writer of a FIFO or of a socket's other side. An end in the middle of a
// datablock, and what cannot be read, is an error that travels behind the last whole datablock. A persistent graph
// waits for the next one; what the last one has left of a datablock that it did not finish is dropped, so that the next
// begins at the boundary of one.
#pragma once

#include <array>

#include "control/datablock_cutter.hpp"
#include "worker/endpoint/endpoint.hpp"
#include "worker/endpoint/frames.hpp"

namespace yoke::worker {

class ByteSource final : public Endpoint {
   public:
    static constexpr unsigned depth = 4;                               // datablocks in flight
    static constexpr std::size_t piece_bytes = std::size_t{1} << 20U;  // of one read
    static constexpr unsigned pieces_per_turn = 8;  // reads, and datablocks that are whole; then others have their turn
    static constexpr std::uint64_t retry_ns = 100'000'000;  // between attempts to connect again

    static Result<std::unique_ptr<Endpoint>> open(const Place& place);
    Status begin(control::Loop& loop, Wire& wire) override;
    void run() override;
    void completed(unsigned transfer, const yoke_completion& completion) override;
    void close() override;

   private:
    static constexpr unsigned end_transfer = depth;

    ByteSource(Place place, Fd fd, Frames frames, control::DatablockCutter cutter)
        : place_(std::move(place)), fd_(std::move(fd)), frames_(std::move(frames)), cutter_(std::move(cutter)) {}
    Status watch();
    bool read_piece();
    void push_datablock();
    bool on_end();
    void end(const std::string& why);
    void wait_for_next();
    void retry();

    Place place_;
    Fd fd_;
    Frames frames_;
    control::Loop* loop_ = nullptr;
    Wire* wire_ = nullptr;
    control::Source source_;
    control::Source timer_;
    std::array<bool, depth> in_flight_{};
    control::DatablockCutter cutter_;
    unsigned filling_ = 0;  // frame that is being filled
    bool ready_ = false;    // there may be something to read
    bool ended_ = false;    // nothing more will be read
};

}  // namespace yoke::worker
