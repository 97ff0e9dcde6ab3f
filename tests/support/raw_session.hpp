// A client written by hand: control messages and one ring, nothing of libyoke. What a hostile client would start from.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "base/memory.hpp"
#include "control/message.hpp"
#include "ring/producer.hpp"
#include "support/instance.hpp"

namespace yoke::test {

// What yoked gives for `connect`.
struct Connected {
    Fd session;  // socket to the worker
    Fd pidfd;    // of the worker
    pid_t worker = 0;
    std::uint64_t generation = 0;
};
// Over a fresh connection to yoked. `suspects`: member of the request if not 0.
Result<Connected> connect_to_worker(const Instance& instance, std::uint64_t suspects = 0);

// Request that opens a session with an arena of `arena_bytes` and 16 slots per ring.
control::Json open_session_request(std::uint64_t arena_bytes = 1U << 20U);

class RawSession {
   public:
    // Connects and opens a session; with `old_arena` that one is handed over.
    static Result<std::unique_ptr<RawSession>> open(const Instance& instance, std::uint64_t arena_bytes = 1U << 20U,
                                                    const Fd* old_arena = nullptr);

    [[nodiscard]] Connected& connected() { return connected_; }
    [[nodiscard]] const Fd& socket() const { return connected_.session; }
    [[nodiscard]] const Fd& arena_fd() const { return arena_fd_; }
    [[nodiscard]] const Fd& status_fd() const { return status_fd_; }
    [[nodiscard]] const Fd& bell_fd() const { return bell_fd_; }
    void close_bell() { bell_fd_.reset(); }
    [[nodiscard]] std::uint32_t id() const { return id_; }
    [[nodiscard]] const yoke_layout& layout() const { return layout_; }
    // The part of the arena that calls may name.
    [[nodiscard]] std::span<std::byte> data() const;
    [[nodiscard]] const yoke_status_page& status_page() const {
        return *reinterpret_cast<const yoke_status_page*>(status_.data());
    }
    [[nodiscard]] ring::Producer& producer(unsigned ring) { return producers_.at(ring); }

    // Submits over the express or bulk ring and waits for the completion; nothing when none comes within a minute or
    // the ring takes no entry.
    std::optional<yoke_completion> call(const yoke_submission& submission, unsigned ring = YOKE_RING_EXPRESS,
                                        const void* params = nullptr);
    // One echo of `bytes` bytes of a pattern; true when they came back.
    bool echo(std::uint32_t bytes, unsigned ring = YOKE_RING_EXPRESS);

   private:
    RawSession() = default;
    Connected connected_;
    Fd arena_fd_;
    Fd status_fd_;
    Fd bell_fd_;
    Mapping arena_;
    Mapping status_;
    yoke_layout layout_{};
    std::uint32_t id_ = 0;
    std::vector<ring::Producer> producers_;
};

}  // namespace yoke::test
