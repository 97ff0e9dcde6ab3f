// See ticket.hpp.
#include "client/ticket.hpp"

namespace yoke::client {

static_assert(2 * YOKE_SLOTS_MAX + 1 < 1U << 16, "an index of a ticket must fit its bits");

Tickets::Tickets(std::uint32_t count) : tickets_(count) {
    for (std::uint32_t index = count; index-- != 0;) {
        tickets_[index].next = free_first_;
        free_first_ = index;
    }
    free_count_ = count;
}

std::uint32_t Tickets::take(std::uint32_t reserve, yoke_callback callback, void* user) {
    if (free_count_ <= reserve) {
        return none;
    }
    const std::uint32_t index = free_first_;
    Ticket& ticket = tickets_[index];
    free_first_ = ticket.next;
    free_count_--;
    in_flight_++;
    ticket.id = ++generation_ << index_bits | index;
    ticket.state = Ticket::State::flying;
    ticket.callback = callback;
    ticket.user = user;
    ticket.result = {};
    awaiting_callback_ += callback != nullptr ? 1 : 0;
    return index;
}

std::uint32_t Tickets::find(yoke_ticket id) const {
    const auto index = static_cast<std::uint32_t>(id & ((1U << index_bits) - 1));
    if (index >= tickets_.size() || tickets_[index].state == Ticket::State::free || tickets_[index].id != id) {
        return none;
    }
    return index;
}

void Tickets::end(std::uint32_t index) {
    Ticket& ticket = tickets_[index];
    ticket.state = Ticket::State::ended;
    in_flight_--;
    if (ticket.callback == nullptr) {
        return;
    }
    awaiting_callback_--;
    ticket.next = none;
    if (ended_last_ == none) {
        ended_first_ = index;
    } else {
        tickets_[ended_last_].next = index;
    }
    ended_last_ = index;
}

std::uint32_t Tickets::take_ended() {
    const std::uint32_t index = ended_first_;
    if (index != none) {
        ended_first_ = tickets_[index].next;
        if (ended_first_ == none) {
            ended_last_ = none;
        }
    }
    return index;
}

void Tickets::give_back(std::uint32_t index) {
    Ticket& ticket = tickets_[index];
    ticket.state = Ticket::State::free;
    ticket.next = free_first_;
    free_first_ = index;
    free_count_++;
}

void Tickets::abandon(std::uint32_t index) {
    in_flight_--;
    awaiting_callback_ -= tickets_[index].callback != nullptr ? 1 : 0;
    give_back(index);
}

}  // namespace yoke::client
