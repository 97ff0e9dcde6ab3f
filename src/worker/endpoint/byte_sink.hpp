// A sink that is a stream of bytes: file, FIFO or socket. Datablocks are written one behind the other, in order.
//
// Nobody is waited for: a FIFO without a reader, like a full pipe, leaves datablocks in the channel. At the end of the
// stream, and when the graph fails, what came before it is written and the path is closed, which its reader sees as
// the end of file; a FIFO that had no reader yet is kept for one, so that he sees it, too. When the reader goes, the
// graph fails; a graph that persists waits for the next reader, which begins at the boundary of a datablock (what the
// last one had not taken from the pipe is lost).
#pragma once

#include <array>

#include "worker/endpoint/endpoint.hpp"
#include "worker/endpoint/frames.hpp"

namespace yoke::worker {

class ByteSink final : public Endpoint {
   public:
    static constexpr unsigned depth = 3;                   // pulls in flight, and what is being written
    static constexpr std::uint64_t retry_ns = 50'000'000;  // between looks for a reader

    static Result<std::unique_ptr<Endpoint>> open(const Place& place);
    Status begin(control::Loop& loop, Wire& wire) override;
    void run() override;
    void completed(unsigned transfer, const yoke_completion& completion) override;
    void close() override;

   private:
    enum class State : std::uint8_t { idle, pulling, filled, end };
    struct Datablock {
        State state = State::idle;
        std::size_t length = 0;
    };

    ByteSink(Place place, Fd fd, Frames frames)
        : place_(std::move(place)), fd_(std::move(fd)), frames_(std::move(frames)) {}
    Status watch();
    void pull(unsigned transfer);
    bool write_piece();
    void advance();
    void finish();
    void on_reader_gone(int code);
    void look_for_reader();
    [[nodiscard]] bool has_reader() const;

    Place place_;
    Fd fd_;  // not valid, or not watched: nobody reads at the moment
    Frames frames_;
    control::Loop* loop_ = nullptr;
    Wire* wire_ = nullptr;
    control::Source source_;
    control::Source timer_;
    std::array<Datablock, depth> datablocks_{};
    unsigned writing_ = 0;     // which one is next
    std::size_t written_ = 0;  // bytes of it
    bool ready_ = false;       // there may be room
    bool failed_ = false;      // the stream has ended by an error, or the graph has failed
    bool closed_ = false;
};

}  // namespace yoke::worker
