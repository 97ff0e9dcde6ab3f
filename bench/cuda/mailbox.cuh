// One express ring with one call in flight: the client's end on the CPU, the poller's end on the device. The client
// waits by spinning, and gives up loudly after two seconds: a lost call is a failed measurement.
#pragma once

#include "arena.hpp"
#include "line.cuh"
#include "samples.hpp"

namespace measure {

constexpr uint32_t kSlotsLog2 = 6;
constexpr uint32_t kSlots = 1u << kSlotsLog2;
constexpr size_t kMailboxBytes = 2 * kSlots * sizeof(yoke_line);

enum Opcode : uint32_t { kCall = 1, kPark = 2 };

struct Words {
    uint32_t word[12] = {};
};

// What a kernel gets of a mailbox; @position is the first that it serves.
struct RingView {
    const yoke_line* submission;
    yoke_line* completion;
    uint64_t position;
};

class Mailbox {
   public:
    explicit Mailbox(const Arena& arena, size_t offset = 0)
        : submission_(arena.host<yoke_line>(offset)),
          completion_(submission_ + kSlots),
          device_(arena.device<yoke_line>(offset)) {}

    RingView view() const { return {device_, device_ + kSlots, position_}; }

    void submit(const Words& words) {
        yoke_line_write(&submission_[position_ % kSlots], words.word, yoke_lap_tag(position_, kSlotsLog2));
    }

    bool poll(Words& words) {
        if (!yoke_line_read(&completion_[position_ % kSlots], words.word, yoke_lap_tag(position_, kSlotsLog2)))
            return false;
        position_++;
        return true;
    }

    Words wait() {
        Words words;
        for (uint64_t spins = 1, until = 0; !poll(words); spins++) {
            if (spins % 4096 != 0) continue;
            if (until == 0) until = now_ns() + 2'000'000'000u;
            if (now_ns() > until) die("a call to a resident kernel was not answered within two seconds");
        }
        return words;
    }

    // Returns the round trip in nanoseconds.
    uint64_t call(const Words& in, Words& out) {
        const uint64_t begin = now_ns();
        submit(in);
        out = wait();
        return now_ns() - begin;
    }

    uint64_t null_call() {
        Words out;
        return call({{kCall}}, out);
    }

    void park() {
        Words out;
        call({{kPark}}, out);
    }

   private:
    yoke_line* submission_;
    yoke_line* completion_;
    yoke_line* device_;
    uint64_t position_ = 0;
};

#if defined(__CUDACC__)

// Lanes 0 to 3 hold the line's quarters; the other lanes load nothing.
template <bool kAcquire = false>
__device__ inline Quarter load_line(const yoke_line* line, unsigned lane) {
    Quarter q = {0, 0};
    if (lane < 4) q = kAcquire ? load_quarter_acquire(&line->quarter[lane]) : load_quarter(&line->quarter[lane]);
    return q;
}

// True in all lanes if all four quarters carry @tag.
__device__ inline bool line_has(Quarter q, uint32_t tag, unsigned lane) {
    return __all_sync(kWarp, lane >= 4 || tag_of(q) == tag);
}

__device__ inline uint32_t line_word(Quarter q, int index) {
    return __shfl_sync(kWarp, quarter_word(q, index % 3), index / 3);
}

// One warp waits for @position with one read in flight; false when the bound has passed.
template <bool kAcquire = false>
__device__ inline bool take(const RingView& ring, uint64_t position, unsigned lane, const Bound& bound,
                            Quarter& entry) {
    const yoke_line* line = &ring.submission[position % kSlots];
    const uint32_t tag = yoke_lap_tag(position, kSlotsLog2);
    for (uint32_t polls = 1;; polls++) {
        entry = load_line<kAcquire>(line, lane);
        if (line_has(entry, tag, lane)) return true;
        if (polls % 256 == 0 && bound.passed()) return false;
    }
}

// The first four lanes write the completion: three words of theirs and the tag.
__device__ inline void complete(const RingView& ring, uint64_t position, unsigned lane, uint32_t a = 0,
                                uint32_t b = 0) {
    if (lane >= 4) return;
    const uint32_t tag = yoke_lap_tag(position, kSlotsLog2);
    store_quarter(&ring.completion[position % kSlots].quarter[lane],
                  make_quarter(lane == 0 ? a : 0, lane == 0 ? b : 0, 0, tag));
}

#endif

}  // namespace measure
