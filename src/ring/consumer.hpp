// The executive's side of one ring, written against memory that the client may change at any moment.
//
// What decides is private: the head position, the tags and the table of busy slots live in the worker's own memory. An
// entry is copied once; only the copy goes on. A client that breaks the protocol (an entry on a busy slot) is reported
// as a fault and harms nobody else.
//
// Threads: one thread takes (take, pending, begin of what it took, the asleep word); completing a slot is possible from
// any thread, once per entry.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include <uapi/yoke.h>
#include <uapi/yoke_ring.h>

namespace yoke::ring {

// What a worker maps: arena and status page, both read-write. The mappings outlive their users.
struct WorkerView {
    std::byte* arena = nullptr;
    std::byte* status = nullptr;
    yoke_layout layout{};  // private copy
    // The client is the kernel: its device, which wakes it (uapi/yoke_kernel.h). -1: a process, woken by futex.
    int kernel_device = -1;

    [[nodiscard]] yoke_status_page& status_page() const { return *reinterpret_cast<yoke_status_page*>(status); }
    [[nodiscard]] const yoke_client_words& words_untrusted() const {
        return *reinterpret_cast<const yoke_client_words*>(arena + layout.client);
    }
};

// Private copy of an entry; its members are still the client's claims.
struct Entry {
    std::uint64_t position = 0;
    std::uint32_t slot = 0;
    std::uint32_t tag = 0;
    bool params_valid = false;  // YOKE_FLAG_PARAMS was set and the parameter line carried the tag
    yoke_submission submission{};
    std::array<std::byte, YOKE_PAYLOAD_BYTES> params{};  // zero unless params_valid
};

enum class Take {
    nothing,  // no whole entry at the head
    entry,
    skipped,  // a SKIP was passed over; there may be more
    fault,    // an entry on a busy slot: the ring must not be served any more
};

// Wakes a client that sleeps. One per session.
class ClientBell {
   public:
    explicit ClientBell(const WorkerView& view)
        : want_untrusted_(&view.words_untrusted().want_bell),
          bell_(&view.status_page().bell),
          kernel_device_(view.kernel_device) {}

    // After a completion (or a fault) has been written: rings if the client wants it. Any thread; never blocks.
    void ring_if_wanted() const {
        yoke_full_fence();
        if (yoke_load_acquire32(want_untrusted_) != 0) [[unlikely]] {
            ring();
        }
    }
    void ring() const;

   private:
    const std::uint32_t* want_untrusted_;
    std::uint32_t* bell_;
    int kernel_device_;
};

class Consumer {
   public:
    // `ring` is an enum yoke_ring_id. Positions begin at `first`: 0 in every session; tests begin elsewhere.
    Consumer(const WorkerView& view, unsigned ring, std::uint64_t first = 0);

    // Takes the entry at the head, if there is one.
    [[nodiscard]] Take take(Entry& entry);
    // A cheap look whether take() is worth trying.
    [[nodiscard]] bool pending() const {
        return (yoke_load_acquire64(&submission_[head_slot()].quarter[3].high) >> 32) == head_tag_;
    }

    // Execution of an entry begins: from now on it is a suspect if the worker dies. Any thread.
    void begin(std::uint32_t slot, std::uint32_t tag) const { yoke_store_release32(&running_[slot], tag); }
    // The client asks to cancel this entry.
    [[nodiscard]] bool cancelled(std::uint32_t slot, std::uint32_t tag) const {
        return yoke_load_acquire32(&cancel_untrusted_[slot]) == tag;
    }
    // Completing an entry: release() frees its slot, once; false: it is not in flight (any more) and publish() must not
    // follow. publish() writes the completion; ring the client's bell afterwards. Any thread.
    [[nodiscard]] bool release(std::uint32_t slot, std::uint32_t tag);
    void publish(std::uint32_t slot, std::uint32_t tag, const yoke_completion& completion) {
        yoke_line_write(&completion_[slot], &completion, tag);
    }
    // Both. Returns what release() returned.
    bool complete(std::uint32_t slot, std::uint32_t tag, const yoke_completion& completion) {
        const bool released = release(slot, tag);
        if (released) {
            publish(slot, tag, completion);
        }
        return released;
    }
    [[nodiscard]] bool busy(std::uint32_t slot, std::uint32_t tag) const {
        return slot <= mask_ && busy_[slot].load(std::memory_order_acquire) == tag;
    }

    // The word that makes the client ring. After set_asleep(true): full fence, then look at the ring once more.
    void set_asleep(bool asleep) const { yoke_store_release32(asleep_, asleep ? 1 : 0); }

    [[nodiscard]] std::uint64_t position() const { return head_; }
    // Somebody else has taken and completed what lies before `position`: goes on there.
    void resume(std::uint64_t position) {
        head_ = position;
        head_tag_ = yoke_lap_tag(head_, slots_log2_);
    }
    [[nodiscard]] std::uint32_t slots() const { return mask_ + 1; }

   private:
    [[nodiscard]] std::uint32_t head_slot() const { return static_cast<std::uint32_t>(head_) & mask_; }
    void advance();

    const yoke_line* submission_ = nullptr;
    const yoke_line* params_ = nullptr;
    yoke_line* completion_ = nullptr;
    const std::uint32_t* cancel_untrusted_ = nullptr;
    std::uint32_t* running_ = nullptr;
    std::uint32_t* asleep_ = nullptr;
    std::uint32_t mask_ = 0;
    std::uint32_t slots_log2_ = 0;
    std::uint32_t head_tag_ = 0;
    std::uint64_t head_ = 0;
    std::unique_ptr<std::atomic<std::uint32_t>[]> busy_;  // tag of the entry in flight in each slot, or 0
};

}  // namespace yoke::ring
