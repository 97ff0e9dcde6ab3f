// See flight.hpp.
#include "client/flight.hpp"

namespace yoke::client {

namespace {

std::array<ring::Producer, YOKE_RINGS> make_producers(const ring::ClientView& view) {
    return {ring::Producer(view, YOKE_RING_EXPRESS), ring::Producer(view, YOKE_RING_BULK)};
}

}  // namespace

Flights::Flights(const ring::ClientView& view) : producers_(make_producers(view)) {
    for (unsigned ring = 0; ring < YOKE_RINGS; ring++) {
        flights_[ring].resize(view.layout.ring[ring].slots);
    }
}

std::int64_t Flights::begin(unsigned ring, const yoke_submission& entry, const void* params, const Flight& flight) {
    const std::int64_t position = producers_[ring].submit(entry, params);
    if (position >= 0) {
        at(ring, static_cast<std::uint64_t>(position)) = flight;
        expected_ns_ += flight.expected_ns;
        if (flight.key != nullptr) {
            flight.key->uses++;
        }
    }
    return position;
}

bool Flights::take(unsigned ring, std::uint64_t position, yoke_completion& completion) {
    if (!producers_[ring].take_completion(position, completion)) {
        return false;
    }
    finish(ring, position);
    return true;
}

void Flights::finish(unsigned ring, std::uint64_t position) {
    Flight& flight = at(ring, position);
    expected_ns_ -= flight.expected_ns;
    if (flight.key != nullptr) {
        flight.key->uses--;
    }
    if (flight.ticket == Flight::quarantined) {
        quarantined_--;
    }
    flight = {};
}

void Flights::quarantine(unsigned ring, std::uint64_t position) {
    at(ring, position).ticket = Flight::quarantined;
    quarantined_++;
}

void Flights::drop() {
    for (unsigned ring = 0; ring < YOKE_RINGS; ring++) {
        for (const std::uint64_t position : producers_[ring].positions()) {
            finish(ring, position);
        }
    }
}

void Flights::restart(const ring::ClientView& view) {
    producers_ = make_producers(view);
}

bool Flights::busy(const Range& range) const {
    bool found = false;
    each([&](const Flight& flight, unsigned, std::uint64_t) { found = found || flight.touches(range); });
    return found;
}

bool Flights::conflicts(const Range& in, const Range& aux, const Range& out) const {
    bool found = false;
    each([&](const Flight& flight, unsigned, std::uint64_t) {
        found = found || (flight.ticket == Flight::quarantined &&
                          (flight.touches(out) || flight.out.overlaps(in) || flight.out.overlaps(aux)));
    });
    return found;
}

std::uint64_t Flights::quarantined_bytes() const {
    std::uint64_t bytes = 0;
    each([&](const Flight& flight, unsigned, std::uint64_t) {
        if (flight.ticket == Flight::quarantined) {
            bytes += flight.in.bytes + flight.aux.bytes + flight.out.bytes;
        }
    });
    return bytes;
}

}  // namespace yoke::client
