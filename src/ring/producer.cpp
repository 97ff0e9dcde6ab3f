// The client's side of one ring; see producer.hpp and the essay in uapi/yoke.h for the protocol.
#include "ring/producer.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>

namespace yoke::ring {
namespace {

// The submission's words with YOKE_FLAG_PARAMS as it must be. Set within the word, not in the member: a store of one
// byte would make the load of the whole word wait.
std::array<std::uint64_t, 6> with_params_flag(const yoke_submission& submission, bool params) {
    static_assert(offsetof(yoke_submission, flags) == 1 && std::endian::native == std::endian::little);
    constexpr std::uint64_t flag = std::uint64_t{YOKE_FLAG_PARAMS} << 8;
    auto words = std::bit_cast<std::array<std::uint64_t, 6>>(submission);
    words[0] = params ? words[0] | flag : words[0] & ~flag;
    return words;
}

}  // namespace

Producer::Producer(const ClientView& view, unsigned ring, std::uint64_t first)
    : bell_(view.bell), next_(first), taken_before_(first) {
    const yoke_ring_layout& place = view.layout.ring[ring];
    submission_ = reinterpret_cast<yoke_line*>(view.arena + place.submission);
    params_ = reinterpret_cast<yoke_line*>(view.arena + place.params);
    completion_ = reinterpret_cast<const yoke_line*>(view.arena + place.completion);
    cancel_ = reinterpret_cast<std::uint32_t*>(view.arena + place.cancel);
    running_ = reinterpret_cast<const std::uint32_t*>(view.status + place.running);
    asleep_ = &view.status_page().ring[ring].asleep;
    mask_ = place.slots - 1;
    slots_log2_ = static_cast<std::uint32_t>(std::countr_zero(place.slots));
    slots_.resize(place.slots);
    in_flight_.reserve(place.slots);
}

std::int64_t Producer::submit(const yoke_submission& submission, const void* params) {
    if (in_flight_.size() == slots_.size()) {
        return -EAGAIN;
    }
    for (;;) {
        Slot& slot = slots_[slot_of(next_)];
        const std::uint32_t tag = tag_of(next_);
        if (slot.written != none && !taken(slot.written)) {
            return -EAGAIN;
        }
        yoke_line* const line = &submission_[slot_of(next_)];
        if (slot.busy != none) {
            yoke_submission skip{};
            skip.opcode = YOKE_OP_SKIP;
            yoke_line_write(line, &skip, tag);
            slot.written = next_++;
            continue;
        }
        if (params != nullptr) {
            yoke_line_write(&params_[slot_of(next_)], params, tag);
        }
        const std::array<std::uint64_t, 6> words = with_params_flag(submission, params != nullptr);
        yoke_line_write(line, words.data(), tag);
        ring_if_asleep();
        slot.written = next_;
        slot.busy = next_;
        slot.place = static_cast<std::uint32_t>(in_flight_.size());
        in_flight_.push_back(next_);
        return static_cast<std::int64_t>(next_++);
    }
}

bool Producer::take_completion(std::uint64_t position, yoke_completion& completion) {
    if (!is_busy(position) || yoke_line_read(&completion_[slot_of(position)], &completion, tag_of(position)) == 0) {
        return false;
    }
    retire(position);
    return true;
}

bool Producer::take_any(std::uint64_t& position, yoke_completion& completion) {
    const std::size_t count = in_flight_.size();
    for (std::size_t i = 0; i < count; ++i) {
        look_from_ = look_from_ + 1 < count ? look_from_ + 1 : 0;
        const std::uint64_t candidate = in_flight_[look_from_];
        if (take_completion(candidate, completion)) {
            position = candidate;
            return true;
        }
    }
    return false;
}

bool Producer::completed(std::uint64_t position) const {
    yoke_completion completion;
    return is_busy(position) && yoke_line_read(&completion_[slot_of(position)], &completion, tag_of(position)) != 0;
}

void Producer::cancel(std::uint64_t position) {
    if (!is_busy(position)) {
        return;
    }
    yoke_store_release32(&cancel_[slot_of(position)], tag_of(position));
    ring_if_asleep();
}

bool Producer::running(std::uint64_t position) const {
    return yoke_load_acquire32(&running_[slot_of(position)]) == tag_of(position);
}

bool Producer::taken(std::uint64_t position) const {
    return position < taken_before_ || running(position);
}

void Producer::retire(std::uint64_t position) {
    Slot& slot = slots_[slot_of(position)];
    const std::uint64_t last = in_flight_.back();
    in_flight_[slot.place] = last;
    slots_[slot_of(last)].place = slot.place;
    in_flight_.pop_back();
    slot.busy = none;
    taken_before_ = std::max(taken_before_, position + 1);
}

void Producer::ring_if_asleep() const {
    yoke_full_fence();
    if (yoke_load_acquire32(asleep_) == 0) [[likely]] {
        return;
    }
    const std::uint64_t one = 1;
    while (::write(bell_, &one, sizeof(one)) < 0) {
        if (errno == EINTR) {
            continue;
        }
        // A full counter would swallow the edge that the worker waits for: empty it and ring again.
        std::uint64_t count = 0;
        if (errno != EAGAIN || ::read(bell_, &count, sizeof(count)) < 0) {
            return;  // the bell is closed: the session is ending and its owner looks at the worker's pidfd
        }
    }
}

}  // namespace yoke::ring
