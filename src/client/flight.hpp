// What an executor may still touch: the entries in both rings of a session, and the memory and keys that they use.
//
// A flight begins with an entry and ends with its completion, or when the worker is gone. Its ticket may end before
// (deadline): the flight is then quarantined. Until a flight ends its slot, its ranges and its key are in use. Memory
// is looked up only when something is freed or quarantined, so that an ordinary call pays nothing for this.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include <uapi/yoke.h>

#include "client/allocator.hpp"
#include "client/key.hpp"
#include "ring/producer.hpp"

namespace yoke::client {

struct Flight {
    static constexpr std::uint32_t quarantined = ~std::uint32_t{0};

    std::uint32_t ticket = quarantined;  // index
    std::uint32_t expected_ns = 0;
    Range in;
    Range aux;
    Range out;
    Key* key = nullptr;

    [[nodiscard]] bool touches(const Range& range) const {
        return out.overlaps(range) || in.overlaps(range) || aux.overlaps(range);
    }
};

class Flights {
   public:
    explicit Flights(const ring::ClientView& view);

    // Submits an entry. Returns its position, or -EAGAIN: the ring has no slot at the moment.
    [[nodiscard]] std::int64_t begin(unsigned ring, const yoke_submission& entry, const void* params,
                                     const Flight& flight);
    // Takes the completion of one flight.
    [[nodiscard]] bool take(unsigned ring, std::uint64_t position, yoke_completion& completion);
    // Takes all completions that there are; `end(ticket, completion)` for those whose ticket still waits. Returns
    // whether there was any, quarantined ones included.
    template <typename End>
    bool take_all(End&& end) {
        bool any = false;
        for (unsigned ring = 0; ring < YOKE_RINGS; ring++) {
            std::uint64_t position = 0;
            yoke_completion completion;
            while (producers_[ring].take_any(position, completion)) {
                const std::uint32_t ticket = at(ring, position).ticket;
                finish(ring, position);
                any = true;
                if (ticket != Flight::quarantined) {
                    end(ticket, completion);
                }
            }
        }
        return any;
    }
    // Visits all flights: visit(flight, ring, position).
    template <typename Visit>
    void each(Visit&& visit) const {
        for (unsigned ring = 0; ring < YOKE_RINGS; ring++) {
            for (const std::uint64_t position : producers_[ring].positions()) {
                visit(at(ring, position), ring, position);
            }
        }
    }
    // The ticket of a flight has ended before the flight.
    void quarantine(unsigned ring, std::uint64_t position);
    void cancel(unsigned ring, std::uint64_t position) { producers_[ring].cancel(position); }
    // Execution has begun (see Producer::running).
    [[nodiscard]] bool running(unsigned ring, std::uint64_t position) const {
        return producers_[ring].running(position);
    }
    // The worker is gone, and with it all flights: forgets them and begins anew in fresh rings.
    void restart(const ring::ClientView& view);
    // The same without rings to begin anew in.
    void drop();

    // Whether an executor may touch a range.
    [[nodiscard]] bool busy(const Range& range) const;
    // Whether a new call would write what a quarantined flight may touch, or read what it may write.
    [[nodiscard]] bool conflicts(const Range& in, const Range& aux, const Range& out) const;
    [[nodiscard]] std::uint32_t quarantined() const { return quarantined_; }
    [[nodiscard]] std::uint64_t quarantined_bytes() const;
    [[nodiscard]] std::uint32_t count() const { return producers_[0].in_flight() + producers_[1].in_flight(); }
    // Time that the flights are expected to take, together.
    [[nodiscard]] std::uint64_t expected_ns() const { return expected_ns_; }

   private:
    [[nodiscard]] Flight& at(unsigned ring, std::uint64_t position) {
        return flights_[ring][position & (flights_[ring].size() - 1)];
    }
    [[nodiscard]] const Flight& at(unsigned ring, std::uint64_t position) const {
        return flights_[ring][position & (flights_[ring].size() - 1)];
    }
    void finish(unsigned ring, std::uint64_t position);

    std::array<ring::Producer, YOKE_RINGS> producers_;
    std::array<std::vector<Flight>, YOKE_RINGS> flights_;  // by slot
    std::uint32_t quarantined_ = 0;
    std::uint64_t expected_ns_ = 0;
};

}  // namespace yoke::client
