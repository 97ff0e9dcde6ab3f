// The client's side of one ring: submits entries, takes completions in any order.
//
// One thread uses a producer at a time, so it needs no atomics of its own: what is shared are the lines, the cancel
// words and the status page. Everything is allocated when it is made. A call is named by its position, which never
// repeats.
//
// A call that its caller no longer waits for stays in flight here until its completion has been taken: its slot cannot
// be used, so submit() passes over it with SKIP entries. An entry may only be overwritten once the executive has taken
// it; what proves that is a completion of a later position, or the running table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <uapi/yoke.h>
#include <uapi/yoke_ring.h>

namespace yoke::ring {

// What a client maps: the arena read-write, the status page read-only. The mappings outlive their users.
struct ClientView {
    std::byte* arena = nullptr;
    const std::byte* status = nullptr;
    yoke_layout layout{};  // checked, private copy
    int bell = -1;         // eventfd that the worker watches

    [[nodiscard]] const yoke_status_page& status_page() const {
        return *reinterpret_cast<const yoke_status_page*>(status);
    }
    [[nodiscard]] yoke_client_words& words() const {
        return *reinterpret_cast<yoke_client_words*>(arena + layout.client);
    }
};

class Producer {
   public:
    // `ring` is an enum yoke_ring_id. Positions begin at `first`: 0 in every session; tests begin elsewhere.
    Producer(const ClientView& view, unsigned ring, std::uint64_t first = 0);

    // Writes an entry, and its parameter line when `params` (YOKE_PAYLOAD_BYTES) is given; sets YOKE_FLAG_PARAMS
    // accordingly; rings when the executive sleeps. Returns the call's position, or -EAGAIN when no slot can be used
    // until a completion has been taken.
    [[nodiscard]] std::int64_t submit(const yoke_submission& submission, const void* params);

    // Takes the completion of one position. False: not completed yet, or not in flight. Lengths in the completion are
    // the worker's word: clamp them to the ranges of the call.
    [[nodiscard]] bool take_completion(std::uint64_t position, yoke_completion& completion);
    // Takes any completion there is; costs O(in flight).
    [[nodiscard]] bool take_any(std::uint64_t& position, yoke_completion& completion);
    // True when the next take_completion of the position would succeed.
    [[nodiscard]] bool completed(std::uint64_t position) const;

    // Asks the executive to stop the call at its next chunk. Its completion still comes.
    void cancel(std::uint64_t position);
    // The worker has begun to execute the call (also true when it has completed it since).
    [[nodiscard]] bool running(std::uint64_t position) const;

    [[nodiscard]] std::uint32_t in_flight() const { return static_cast<std::uint32_t>(in_flight_.size()); }
    // Positions in flight, in no order. Valid until the next submit or take.
    [[nodiscard]] const std::vector<std::uint64_t>& positions() const { return in_flight_; }
    [[nodiscard]] std::uint32_t slots() const { return mask_ + 1; }

   private:
    static constexpr std::uint64_t none = ~std::uint64_t{0};
    struct Slot {
        std::uint64_t written = none;  // last position whose entry was written here
        std::uint64_t busy = none;     // position in flight
        std::uint32_t place = 0;       // index of `busy` in in_flight_
    };

    [[nodiscard]] std::uint32_t slot_of(std::uint64_t position) const {
        return static_cast<std::uint32_t>(position) & mask_;
    }
    [[nodiscard]] std::uint32_t tag_of(std::uint64_t position) const { return yoke_lap_tag(position, slots_log2_); }
    [[nodiscard]] bool is_busy(std::uint64_t position) const { return slots_[slot_of(position)].busy == position; }
    [[nodiscard]] bool taken(std::uint64_t position) const;
    void retire(std::uint64_t position);
    void ring_if_asleep() const;

    yoke_line* submission_ = nullptr;
    yoke_line* params_ = nullptr;
    const yoke_line* completion_ = nullptr;
    std::uint32_t* cancel_ = nullptr;
    const std::uint32_t* running_ = nullptr;
    const std::uint32_t* asleep_ = nullptr;
    int bell_ = -1;
    std::uint32_t mask_ = 0;
    std::uint32_t slots_log2_ = 0;
    std::uint64_t next_ = 0;
    std::uint64_t taken_before_ = 0;  // positions below are known to have been taken
    std::vector<Slot> slots_;
    std::vector<std::uint64_t> in_flight_;
    std::size_t look_from_ = 0;  // where take_any begins, so that no call is looked at last for ever
};

}  // namespace yoke::ring
