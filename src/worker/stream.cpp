// A ticket fits into the 64-bit key of a transfer, so nothing is allocated or looked up per push, pull and move.
#include "worker/stream.hpp"

namespace yoke::worker {
namespace {

// A ticket, less its session, in one number: slots are below 2^12, rings below 2.
constexpr unsigned slot_shift = 32;
constexpr unsigned ring_shift = 56;

std::uint64_t key_of(const executive::Ticket& ticket) {
    return static_cast<std::uint64_t>(ticket.ring) << ring_shift |
           static_cast<std::uint64_t>(ticket.slot) << slot_shift | ticket.tag;
}

executive::Ticket ticket_of(std::uint32_t session, std::uint64_t key) {
    return {session, static_cast<std::uint8_t>(key >> ring_shift),
            static_cast<std::uint32_t>(key >> slot_shift) & 0x00ff'ffffU, static_cast<std::uint32_t>(key)};
}

}  // namespace

void Streams::start(const executive::StreamEntry& entry, void (graph::Runtime::*operation)(graph::Transfer)) noexcept {
    graph::Runtime* runtime = engine_.runtime();
    if (runtime == nullptr) {
        // No graph has ever been opened, so there is no such channel.
        yoke_completion completion{};
        completion.status = -ENOENT;
        completion.detail = YOKE_MEMBER_OBJECT;
        executive_->complete(entry.ticket, completion);
        return;
    }
    graph::Transfer transfer;
    transfer.sink = this;
    transfer.channel = entry.channel;
    transfer.session = entry.ticket.session;
    transfer.key = key_of(entry.ticket);
    transfer.flags = entry.flags;
    transfer.signals = entry.signals;
    transfer.to = entry.to;
    transfer.extent = entry.extent;
    transfer.data = entry.data;
    transfer.length = entry.length;
    transfer.deadline_ns = entry.deadline_ns;
    (runtime->*operation)(transfer);
}

void Streams::push(const executive::StreamEntry& entry) noexcept {
    start(entry, &graph::Runtime::push);
}

void Streams::pull(const executive::StreamEntry& entry) noexcept {
    start(entry, &graph::Runtime::pull);
}

void Streams::move(const executive::StreamEntry& entry) noexcept {
    start(entry, &graph::Runtime::move);
}

void Streams::cancel(const executive::Ticket& ticket) noexcept {
    if (graph::Runtime* runtime = engine_.runtime()) {
        runtime->cancel(ticket.session, key_of(ticket));
    }
}

void Streams::forget(executive::SessionId session) noexcept {
    if (graph::Runtime* runtime = engine_.runtime()) {
        runtime->forget(session);
    }
}

void Streams::complete(const graph::Transfer& transfer, const yoke_completion& completion) noexcept {
    executive_->complete(ticket_of(transfer.session, transfer.key), completion);
}

}  // namespace yoke::worker
