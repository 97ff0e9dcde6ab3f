// What two stages at the ends of a pipe say to each other, once yoked has introduced them.
//
// Both know when the other is gone: the socket hangs up, or the process ends (a child of fork may keep the socket open,
// but not the process alive). Attempts to join are numbered by the writer; each has a channel of its own, so that
// nothing of one can be taken for another's. The other stage belongs to the same account and may still be of another
// version or out of its mind: a message that is none, or more of them than anybody has to say, ends the pact, and the
// pipe is used.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/error.hpp"
#include "base/fd.hpp"

namespace yoke::client {

enum class PactWord : std::uint32_t {
    paused = 1,   // writer: a record has ended, and nothing follows through the pipe for now
    resumed = 2,  // writer: the pipe is used again; the channel was not
    joined = 3,   // writer: the channel is used from now on
    left = 4,     // writer: `count` records have gone into the channel in all, and no more will
    refused = 5,  // reader: it cannot join
    drained = 6,  // reader: the pipe is empty, and the channel is watched
    leave = 7,    // reader: bytes of somebody else are in the pipe
    leaving = 8,  // reader: it has taken `count` records and takes no more
    empty = 9,    // reader: all of them have been taken
};

struct PactMessage {
    PactWord word = PactWord::paused;
    std::uint32_t attempt = 0;
    std::uint64_t count = 0;
};

class StagePact {
   public:
    StagePact(std::uint64_t pair, Fd socket, Fd process)
        : pair_(pair), socket_(std::move(socket)), process_(std::move(process)) {}

    // The next message that has come; nothing: there is none. Messages that are none break the pact.
    std::optional<PactMessage> receive();
    // False: the other stage has closed its end. A pact that cannot be spoken over is broken.
    bool send(const PactMessage& message);
    // From here on nothing can be sent, from either side; what was sent before can still be received.
    void close() const;
    // The other stage has closed its end or ended; what it said before can still be received.
    [[nodiscard]] bool gone() const;
    // Waits until there may be something to receive, at most `timeout_ms`.
    void wait(int timeout_ms) const;
    [[nodiscard]] const Fd& socket() const { return socket_; }
    [[nodiscard]] const Fd& process() const { return process_; }
    [[nodiscard]] std::uint64_t pair() const { return pair_; }
    [[nodiscard]] std::string channel_name(std::uint32_t attempt) const;

   private:
    std::uint64_t pair_;
    Fd socket_;
    Fd process_;
    bool broken_ = false;
    int heard_ = 0;  // messages since there was none
};

}  // namespace yoke::client
