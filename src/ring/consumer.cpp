// The executive's side of one ring; see consumer.hpp and the essay in uapi/yoke.h for the protocol.
#include "ring/consumer.hpp"

#include <sys/ioctl.h>
#include <uapi/yoke_kernel.h>

#include <bit>

#include "ring/futex.hpp"

namespace yoke::ring {

void ClientBell::ring() const {
    __atomic_fetch_add(bell_, 1U, __ATOMIC_SEQ_CST);
    if (kernel_device_ >= 0) {
        static_cast<void>(::ioctl(kernel_device_, YOKE_KERNEL_BELL));  // fails where the kernel serves us no more
    } else {
        static_cast<void>(futex_wake(bell_));
    }
}

Consumer::Consumer(const WorkerView& view, unsigned ring, std::uint64_t first) : head_(first) {
    const yoke_ring_layout& place = view.layout.ring[ring];
    submission_ = reinterpret_cast<const yoke_line*>(view.arena + place.submission);
    params_ = reinterpret_cast<const yoke_line*>(view.arena + place.params);
    completion_ = reinterpret_cast<yoke_line*>(view.arena + place.completion);
    cancel_untrusted_ = reinterpret_cast<const std::uint32_t*>(view.arena + place.cancel);
    running_ = reinterpret_cast<std::uint32_t*>(view.status + place.running);
    asleep_ = &view.status_page().ring[ring].asleep;
    mask_ = place.slots - 1;
    slots_log2_ = static_cast<std::uint32_t>(std::countr_zero(place.slots));
    head_tag_ = yoke_lap_tag(head_, slots_log2_);
    busy_ = std::make_unique<std::atomic<std::uint32_t>[]>(place.slots);
}

Take Consumer::take(Entry& entry) {
    const std::uint32_t slot = head_slot();
    if (yoke_line_read(&submission_[slot], &entry.submission, head_tag_) == 0) {
        return Take::nothing;
    }
    if (entry.submission.opcode == YOKE_OP_SKIP) {
        advance();
        return Take::skipped;
    }
    if (busy_[slot].load(std::memory_order_acquire) != 0) {
        return Take::fault;
    }
    entry.position = head_;
    entry.slot = slot;
    entry.tag = head_tag_;
    entry.params_valid = (entry.submission.flags & YOKE_FLAG_PARAMS) != 0 &&
                         yoke_line_read(&params_[slot], entry.params.data(), head_tag_) != 0;
    if (!entry.params_valid) {
        entry.params = {};
    }
    busy_[slot].store(head_tag_, std::memory_order_relaxed);
    advance();
    return Take::entry;
}

bool Consumer::release(std::uint32_t slot, std::uint32_t tag) {
    // Before the completion is written: the client may use the slot again as soon as it has seen it.
    std::uint32_t expected = tag;
    return slot <= mask_ && tag != 0 && busy_[slot].compare_exchange_strong(expected, 0, std::memory_order_acq_rel);
}

void Consumer::advance() {
    ++head_;
    if (head_slot() == 0) {
        head_tag_ = yoke_lap_tag(head_, slots_log2_);
    }
}

}  // namespace yoke::ring
