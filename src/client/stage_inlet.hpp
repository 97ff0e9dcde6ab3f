// The reading end of a stage's pipe.
//
// It reads the pipe until that is empty between two records and the writer has paused; then it takes datablocks out of
// the channel, and looks at the pipe only to see whether somebody else writes or nobody does any more.
#pragma once

#include <functional>
#include <optional>

#include "client/stage_joint.hpp"
#include "client/stage_pipe.hpp"

namespace yoke::client {

class StageInlet : public StageJoint {
   public:
    // `raw`: bytes without a header, `form` says what a datablock of them is.
    StageInlet(int fd, bool raw) : StageJoint(fd), pipe_(fd), raw_(raw) {}

    Result<const control::StageHeader*> header(const std::string& socket);
    void begin_raw(const control::StageHeader& header, const std::string& socket);
    [[nodiscard]] const control::StageHeader* known() const { return pipe_.known(); }
    // The next record, whichever way it comes; nothing at the end. While it waits, `idle` is called whenever something
    // has happened at one of `others`.
    Result<std::optional<std::size_t>> read(std::span<std::byte> room, const StageJoint* others,
                                            const std::function<Status()>& idle);

    // For a stage whose records the worker moves. Between two records, with no transfer in flight: joins if it can.
    void settle();
    [[nodiscard]] bool pipe_ready() const { return pipe_.ready(); }
    void add_pipe(std::vector<pollfd>& fds) const { fds.push_back({fd_, POLLIN, 0}); }
    Result<std::optional<std::size_t>> read_from_pipe(std::span<std::byte> room) { return read_pipe(room); }
    enum class Verdict : std::uint8_t {
        goes_on,    // there may be more in the channel
        exhausted,  // all has been taken
        abandoned,  // the writer is gone: all has been taken when none comes
    };
    // What is to be expected of the channel. Never blocks.
    Verdict look();
    // A datablock has been taken out of the channel.
    void took() {
        ++taken_;
        ++counts_.joined;
        pipe_.passed_by();
    }
    // Back to the pipe: the channel is empty.
    void leave_channel();
    // The same after a wait in which nothing came. Error: the channel was not empty but gone.
    Status leave_empty_channel();
    // Takes no more: what is left goes back into the pipe. No transfer is in flight.
    void end();

   private:
    Result<std::optional<std::size_t>> read_pipe(std::span<std::byte> room);
    Result<bool> take(const StageJoint* others, const std::function<Status()>& idle);
    Result<bool> take_last();
    Result<bool> received(int status, std::size_t length);
    std::size_t hand_over(std::span<std::byte> room);
    void hear();
    void put_back();
    bool write_back(std::span<const std::byte> bytes);

    StageReader pipe_;
    bool raw_;
    std::uint64_t taken_ = 0;            // out of the present channel
    std::optional<std::uint64_t> sent_;  // into it, as the writer said when it left
    bool strangers_said_ = false;
    std::span<const std::byte> held_;  // a record in room(), or the rest of one
    bool holds_ = false;
};

}  // namespace yoke::client
