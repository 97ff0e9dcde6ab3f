// Weighted fair queueing by start time: which flow is served next, so that each gets its share and none starves.
//
// Every flow has a start tag in virtual time. The flow with the least tag is served next; serving it moves its tag on
// by cost / weight. Virtual time is the start tag of the flow that is being served, so a flow that had nothing to do
// begins at the present and gets no credit for the past. Over any interval in which two flows have work, their
// normalised service differs by at most one largest cost of each (Goyal, Vin, Cheng: "Start-time Fair Queueing",
// SIGCOMM 1996).
//
// Pure: no clock, no I/O, nothing allocated after set-up; the same calls give the same answers. The caller serialises.
// Cost is any unit (bytes, nanoseconds of device time) up to cost_max. Choosing and charging cost O(log flows).
#pragma once

#include <cstdint>
#include <vector>

namespace yoke::sched {

class FairQueue {
   public:
    using FlowId = std::uint32_t;
    static constexpr FlowId none = ~FlowId{0};
    static constexpr std::uint32_t weight_max = 1U << 16;
    static constexpr std::uint64_t cost_max = 1ULL << 40;  // keeps one step under a 64th of the range of virtual time

    struct Flow {
        std::uint64_t tag = 0;       // start tag while active, else where the flow begins at the earliest
        std::uint32_t weight = 0;    // 0: this place is free
        std::uint32_t place = none;  // index in the heap; none: nothing to do
        FlowId next_free = none;
    };

    explicit FairQueue(std::uint32_t flows_max);

    // A new flow of weight 1 .. weight_max (clamped), with nothing to do. none: there are flows_max already.
    [[nodiscard]] FlowId add(std::uint32_t weight);
    void remove(FlowId flow);
    void set_weight(FlowId flow, std::uint32_t weight);

    // The flow has something to do. No effect if it had before.
    void activate(FlowId flow);
    // The flow has nothing more to do; what it was charged stays.
    void deactivate(FlowId flow);
    [[nodiscard]] bool active(FlowId flow) const { return flows_[flow].place != none; }

    // The flow to serve next, or none. Of equal tags the flow that was added to the lower place comes first.
    [[nodiscard]] FlowId next() const { return active_ == 0 ? none : heap_[0]; }
    // Serves an active flow: virtual time moves to its tag, its tag on by cost / weight.
    void serve(FlowId flow, std::uint64_t cost);
    // Corrects what a flow was charged once the cost is known: moves its tag on without serving it.
    void charge(FlowId flow, std::uint64_t cost);

    [[nodiscard]] std::uint32_t active_flows() const { return active_; }
    [[nodiscard]] std::uint64_t virtual_time() const { return virtual_time_; }

   private:
    [[nodiscard]] bool before(FlowId a, FlowId b) const;
    void put(std::uint32_t place, FlowId flow);
    void sift_up(std::uint32_t place);
    void sift_down(std::uint32_t place);

    std::vector<Flow> flows_;
    std::vector<FlowId> heap_;  // the first active_ elements: least tag first
    std::uint32_t active_ = 0;
    FlowId first_free_ = none;
    std::uint64_t virtual_time_ = 0;
};

}  // namespace yoke::sched
