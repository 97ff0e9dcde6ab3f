// The tickets of a session: calls that were submitted and whose end has not been reported yet.
//
// A ticket keeps what is needed to repeat its call after the worker's death. All are made when the session opens. The
// number that the caller holds contains a generation that never repeats, so a stale one is recognised.
#pragma once

#include <cstdint>
#include <vector>

#include <yoke/yoke.h>

#include "client/prepare.hpp"

namespace yoke::client {

// A call, push, pull or move as it was asked for.
struct Job {
    std::uint8_t opcode = YOKE_OP_CALL;
    std::uint8_t flags = 0;     // YOKE_FLAG_NOWAIT; push: END; pull: PEEK, DRAIN
    std::uint32_t channel = 0;  // push, pull; move: source
    std::uint32_t to = 0;       // move: destination
    bool quiet = false;         // a function's (function.hpp): leaves the news of a restart to the caller's next one
    // service == nullptr for all but calls, which only use work.in/out, lengths and parameters.
    Prepared prepared;
};

struct Ticket {
    enum class State : std::uint8_t {
        free,
        flying,    // in a ring
        stranded,  // its worker died; waits for the next one
        ended,     // its result waits to be reported
    };
    State state = State::free;
    std::uint8_t ring = 0;
    bool suspect = false;    // stranded: its execution had begun
    std::uint32_t next = 0;  // in the list of free tickets, or of ended ones with callbacks
    std::uint64_t id = 0;
    std::uint64_t position = 0;
    Job job;
    yoke_callback callback = nullptr;
    void* user = nullptr;
    yoke_result result{};
};

class Tickets {
   public:
    static constexpr std::uint32_t none = ~std::uint32_t{0};

    explicit Tickets(std::uint32_t count);

    // Index of a fresh ticket; none when all are in use but `reserve`.
    [[nodiscard]] std::uint32_t take(std::uint32_t reserve, yoke_callback callback, void* user);
    [[nodiscard]] Ticket& operator[](std::uint32_t index) { return tickets_[index]; }
    [[nodiscard]] const Ticket& operator[](std::uint32_t index) const { return tickets_[index]; }
    // Index of the ticket with that number; none when there is no such ticket any more.
    [[nodiscard]] std::uint32_t find(yoke_ticket id) const;
    // Ends a ticket with the result that it holds; queues it for dispatch when it has a callback.
    void end(std::uint32_t index);
    // The first ended ticket with a callback, taken out of the queue; none when there is none.
    [[nodiscard]] std::uint32_t take_ended();
    [[nodiscard]] bool has_ended() const { return ended_first_ != none; }
    // Frees a ticket whose end has been reported.
    void give_back(std::uint32_t index);
    // Frees a ticket whose call could not be submitted.
    void abandon(std::uint32_t index);

    [[nodiscard]] std::uint32_t in_flight() const { return in_flight_; }  // neither free nor ended
    // Of those, the ones with a callback.
    [[nodiscard]] std::uint32_t awaiting_callback() const { return awaiting_callback_; }
    [[nodiscard]] std::uint32_t count() const { return static_cast<std::uint32_t>(tickets_.size()); }

   private:
    static constexpr unsigned index_bits = 16;

    std::vector<Ticket> tickets_;
    std::uint32_t free_first_ = none;
    std::uint32_t free_count_ = 0;
    std::uint32_t ended_first_ = none;
    std::uint32_t ended_last_ = none;
    std::uint32_t in_flight_ = 0;
    std::uint32_t awaiting_callback_ = 0;
    std::uint64_t generation_ = 0;
};

}  // namespace yoke::client
