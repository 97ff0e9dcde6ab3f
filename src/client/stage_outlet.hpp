// The writing end of a stage's pipe.
//
// Through the pipe: header and records as the format says. Through the channel: each record is a datablock, pushed from
// the arena, or moved out of a graph by the worker. Every push has been accepted before the next begins, so that what
// has been written stays written when the stage ends.
#pragma once

#include <optional>

#include "client/stage_joint.hpp"
#include "client/stage_pipe.hpp"

namespace yoke::client {

class StageOutlet : public StageJoint {
   public:
    StageOutlet(int fd, bool raw) : StageJoint(fd), pipe_(fd), raw_(raw) {}

    // What the stream is. Until announce(), nobody hears of it.
    Status begin(const control::StageHeader& header, const std::string& socket);
    // Writes the header and claims the pipe, unless that has been done. To be called before the stage waits for
    // anything but whether it can do its work at all. EPIPE.
    Status announce();
    [[nodiscard]] bool announced() const { return pipe_.announced(); }
    void begin_raw(const control::StageHeader& header, const std::string& socket);
    [[nodiscard]] const std::optional<control::StageHeader>& header() const { return pipe_.header(); }
    // A record, whichever way. Returns when the pipe or the channel has taken it. In the channel it is copied unless it
    // lies in the arena of session().
    Status write(std::span<const std::byte> record);
    // Memory for the next record, where write() need not copy it.
    Result<std::span<std::byte>> room_for(std::size_t bytes);
    // In the channel: whether it must come back to the pipe. Never blocks.
    bool must_leave();
    // Whether transfers into the channel must be cancelled because nobody takes them. Never blocks.
    bool reader_goes();
    // For a stage that has nothing to write at the moment: leaves when it is told to, joins nobody.
    Status attend();
    // A datablock has been moved into the channel.
    void moved() {
        ++sent_;
        ++counts_.joined;
        sent_bytes_ += record_bytes_;
    }
    // As use(); leaves a channel that is in another session. It can be joined again.
    Status change_session(yoke_session* session);
    // No more records: waits until the reader has taken those in the channel.
    Status end();

   private:
    enum class Leave : std::uint8_t { no, stranger, reader };

    // Between two records, with no transfer in flight: leaves if it must; settle() also joins if the reader can.
    Status leave_if_must();
    Status settle();
    void try_to_join();
    bool await_drained();
    void hear();
    Leave reason_to_leave();
    Status leave(Leave reason);
    void go_back(const std::string& why);
    Status take_back();
    Status push(std::span<const std::byte> record, bool& taken);
    Status write_plain(std::span<const std::byte> record);
    void postpone(const std::string& why);

    StageWriter pipe_;
    bool raw_;
    std::string socket_;  // of yoked
    Leave leave_ = Leave::no;
    std::uint64_t sent_ = 0;              // into the present channel
    std::uint64_t sent_bytes_ = 0;        // the same
    std::optional<std::uint64_t> taken_;  // of them, as the reader said when it left
    bool said_left_ = false;              // at the end of the stream, still in the channel
    bool emptied_ = false;                // the reader has taken all
    std::uint64_t next_attempt_ns_ = 0;
    std::uint64_t backoff_ns_ = 0;
    std::vector<std::byte> outside_;  // a record that is made while nobody has joined
};

}  // namespace yoke::client
