// One end of a stage's pipe, and the channel that may stand in for it.
//
// The pipe is always there and decides what matters: who reads and writes, and when the stream ends. A joint makes the
// channel beside it when both ends want that, and comes back to the pipe whenever they cannot agree, so that bytes,
// order and exit statuses are those of the pipe. The protocol of the two ends is in docs/stage.md.
//
// What both ends have in common is here: the claim, the pact with the other stage, the session that the channel is
// opened in, and memory of its arena for one record.
#pragma once

#include <poll.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <yoke/yoke.h>

#include "base/error.hpp"
#include "client/stage_claim.hpp"
#include "client/stage_pact.hpp"

namespace yoke::client {

struct SessionCloser {
    void operator()(yoke_session* session) const { yoke_close(session); }
};
using OwnedSession = std::unique_ptr<yoke_session, SessionCloser>;

class StageJoint {
   public:
    StageJoint(const StageJoint&) = delete;
    StageJoint& operator=(const StageJoint&) = delete;

    // The stream is known: claims the pipe, if it is one.
    void claim(const ClaimOptions& options);
    // The session in which channels are to be opened; without it the joint opens one of its own. A channel that is open
    // stays in the session that it was opened in.
    void use(yoke_session* session);
    // Whether records go through the channel.
    [[nodiscard]] bool joined() const { return channel_ != 0; }
    [[nodiscard]] std::uint32_t channel() const { return channel_; }
    [[nodiscard]] yoke_session* session() const { return session_; }
    // What has come or gone which way; of plain bytes, pieces count as records.
    struct Counts {
        std::uint64_t piped = 0;         // records through the pipe
        std::uint64_t joined = 0;        // records through channels
        std::uint64_t copied_bytes = 0;  // of the latter, between the arena and other memory, by this process
    };
    [[nodiscard]] const Counts& counts() const { return counts_; }
    // Whether there is anybody to listen to beside the pipe.
    [[nodiscard]] bool listening() const { return claim_ != nullptr || pact_; }
    // Whether anything has happened at those, or at the pipe, of which `events` matter. One system call.
    [[nodiscard]] bool has_news(short events) const;
    // Descriptors at which news of yoked and of the other stage arrive.
    void add_news(std::vector<pollfd>& fds) const;

   protected:
    explicit StageJoint(int fd) : fd_(fd) {}
    ~StageJoint() = default;

    // Hears of a new pair; false: nobody is there to join with.
    bool meet();
    // Opens the channel of an attempt. `must_exist`: the other end has made it.
    Status attach(std::uint32_t attempt, bool must_exist);
    // After a wait without a datablock: whether that was because the channel is empty. Error: because it is gone.
    Status confirm();
    void detach();
    void forget_pact();
    // Whether yoked has parted the two stages.
    [[nodiscard]] bool parted() const { return claim_ && pact_ && claim_->parted(pact_->pair()); }
    // A pull into the joint's own memory that does not wait. -ETIME: there is no datablock.
    int pull(std::size_t& length);
    [[nodiscard]] Error lost() const;
    [[nodiscard]] std::size_t bytes_in_pipe() const;
    // Of the pipe's other end: nobody has it open any more.
    [[nodiscard]] bool pipe_hung_up() const;
    void tell(const char* state, const std::string& why);
    // A record in the arena.
    [[nodiscard]] std::span<std::byte> room() const { return {static_cast<std::byte*>(memory_), record_bytes_}; }
    // Another one, for who makes records in place; empty: the arena has no room for it. To be wanted before the session
    // is opened.
    void want_spare() { wants_spare_ = true; }
    [[nodiscard]] std::span<std::byte> spare();
    [[nodiscard]] bool in_arena(std::span<const std::byte> record) const;

    const int fd_;
    std::optional<StagePact> pact_;
    std::uint32_t attempt_ = 0;
    bool hopeless_ = false;       // this pair cannot join
    std::uint32_t draining_ = 0;  // reader: attempt for which this pair's writer has paused
    std::size_t record_bytes_ = 0;
    Counts counts_;

   private:
    void prepare_or_despair();
    Status prepare();
    Result<bool> open_channel();

    ClaimOptions options_;
    std::unique_ptr<StageClaim> claim_;
    OwnedSession own_;
    yoke_session* session_ = nullptr;
    void* memory_ = nullptr;
    bool wants_spare_ = false;
    void* spare_ = nullptr;
    std::uint32_t channel_ = 0;
    std::string channel_name_;
    std::uint64_t workers_ = 0;  // that had died when the channel was opened
    std::string told_;           // last state and why
};

// From a timeout on, how long a wait for a transfer may be before somebody looks at the pipe: short when something has
// just happened.
class WaitSlice {
   public:
    std::uint64_t next_ns() {
        const std::uint64_t now = slice_ns_;
        slice_ns_ = slice_ns_ * 2 < longest_ns ? slice_ns_ * 2 : longest_ns;
        return now;
    }
    void reset() { slice_ns_ = shortest_ns; }

   private:
    static constexpr std::uint64_t shortest_ns = 500'000;
    static constexpr std::uint64_t longest_ns = 16'000'000;
    std::uint64_t slice_ns_ = shortest_ns;
};

}  // namespace yoke::client
