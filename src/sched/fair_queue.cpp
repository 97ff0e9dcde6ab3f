// Start-time fair queueing over a binary heap that knows where each flow is; see fair_queue.hpp.
#include "sched/fair_queue.hpp"

#include <algorithm>

namespace yoke::sched {
namespace {

// Virtual time has 16 binary places, so that the largest weight still moves on by cost.
constexpr unsigned fraction_bits = 16;

std::uint64_t step_of(std::uint64_t cost, std::uint32_t weight) {
    return (std::min(cost, FairQueue::cost_max) << fraction_bits) / weight;
}

// Tags wrap around; they are never further apart than half of the range.
bool earlier(std::uint64_t a, std::uint64_t b) {
    return static_cast<std::int64_t>(a - b) < 0;
}

}  // namespace

FairQueue::FairQueue(std::uint32_t flows_max) : flows_(flows_max), heap_(flows_max) {
    for (std::uint32_t i = flows_max; i > 0; --i) {
        flows_[i - 1].next_free = first_free_;
        first_free_ = i - 1;
    }
}

FairQueue::FlowId FairQueue::add(std::uint32_t weight) {
    const FlowId flow = first_free_;
    if (flow == none) {
        return none;
    }
    first_free_ = flows_[flow].next_free;
    flows_[flow] = Flow{.tag = virtual_time_, .weight = std::clamp(weight, 1U, weight_max)};
    return flow;
}

void FairQueue::remove(FlowId flow) {
    deactivate(flow);
    flows_[flow] = Flow{};
    flows_[flow].next_free = first_free_;
    first_free_ = flow;
}

void FairQueue::set_weight(FlowId flow, std::uint32_t weight) {
    flows_[flow].weight = std::clamp(weight, 1U, weight_max);
}

void FairQueue::activate(FlowId flow) {
    Flow& f = flows_[flow];
    if (f.place != none) {
        return;
    }
    if (earlier(f.tag, virtual_time_)) {
        f.tag = virtual_time_;
    }
    put(active_, flow);
    sift_up(active_++);
}

void FairQueue::deactivate(FlowId flow) {
    const std::uint32_t place = flows_[flow].place;
    if (place == none) {
        return;
    }
    flows_[flow].place = none;
    --active_;
    if (place != active_) {
        put(place, heap_[active_]);
        sift_up(place);
        sift_down(flows_[heap_[place]].place);
    }
}

void FairQueue::serve(FlowId flow, std::uint64_t cost) {
    if (earlier(virtual_time_, flows_[flow].tag)) {
        virtual_time_ = flows_[flow].tag;
    }
    charge(flow, cost);
}

void FairQueue::charge(FlowId flow, std::uint64_t cost) {
    Flow& f = flows_[flow];
    f.tag += step_of(cost, f.weight);
    if (f.place != none) {
        sift_down(f.place);
    }
}

bool FairQueue::before(FlowId a, FlowId b) const {
    if (flows_[a].tag != flows_[b].tag) {
        return earlier(flows_[a].tag, flows_[b].tag);
    }
    return a < b;
}

void FairQueue::put(std::uint32_t place, FlowId flow) {
    heap_[place] = flow;
    flows_[flow].place = place;
}

void FairQueue::sift_up(std::uint32_t place) {
    const FlowId flow = heap_[place];
    while (place > 0) {
        const std::uint32_t parent = (place - 1) / 2;
        if (!before(flow, heap_[parent])) {
            break;
        }
        put(place, heap_[parent]);
        place = parent;
    }
    put(place, flow);
}

void FairQueue::sift_down(std::uint32_t place) {
    const FlowId flow = heap_[place];
    for (;;) {
        std::uint32_t child = 2 * place + 1;
        if (child >= active_) {
            break;
        }
        if (child + 1 < active_ && before(heap_[child + 1], heap_[child])) {
            ++child;
        }
        if (!before(heap_[child], flow)) {
            break;
        }
        put(place, heap_[child]);
        place = child;
    }
    put(place, flow);
}

}  // namespace yoke::sched
