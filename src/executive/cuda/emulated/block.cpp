// Lanes in turn; see block.hpp. Nothing here is seen by ThreadSanitizer but what it is told: that a barrier orders what
// is before it in one lane and behind it in another.
#include "executive/cuda/emulated/block.hpp"

#include <sys/mman.h>
#include <ucontext.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <thread>
#include <vector>

#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#define YOKE_UNSEEN __attribute__((no_sanitize("thread")))
#else
#define YOKE_UNSEEN
#endif

namespace yoke::executive::cuda::emulated {
namespace {

constexpr unsigned lanes_of_warp = 32;
constexpr unsigned threads_max = 1024;
constexpr std::size_t stack_bytes = 256U << 10;  // code without optimisation and with redzones
constexpr unsigned turns_max = 8;                // of a warp before another has its turn
constexpr unsigned exchanges_asleep = 16;        // more of a warp between two naps: it is awake
constexpr unsigned naps_before_sleep = 32;       // of all warps, while none is awake
constexpr unsigned barriers_max = 16;
constexpr std::uint32_t everyone = 0xffffffffU;

struct Lane {
    ucontext_t context;
    void* stack;
    void* fiber;
};

struct Warp {
    std::uint64_t values[2][lanes_of_warp];
    unsigned exchanges;        // parity: which values
    unsigned exchanges_awake;  // since it napped
    bool naps;                 // another may have its turn
    std::uint32_t arrived;     // lanes that wait for the others
    std::uint32_t done;        // lanes that have ended
    bool blocked;              // at a barrier of the block
    Place place;               // where the first of them waits
};

struct Barrier {
    unsigned arrived;  // warps
    std::uint32_t warps;
};

struct Block {
    unsigned number;
    unsigned blocks;
    unsigned threads;
    unsigned current;  // lane
    unsigned turns;
    unsigned naps;
    const std::function<void()>* body;
    ucontext_t home;
    void* home_fiber;
    Barrier barriers[barriers_max];
    Warp warps[threads_max / lanes_of_warp];
    Lane lanes[threads_max];
};

thread_local Block* block = nullptr;

[[noreturn]] void wrong(const char* what, Place a, Place b) {
    std::fprintf(stderr, "device code is wrong: %s (%s:%u, %s:%u)\n", what, a.file, a.line, b.file, b.line);
    std::abort();
}

YOKE_UNSEEN void publish([[maybe_unused]] void* what) {
#if defined(__SANITIZE_THREAD__)
    __tsan_release(what);
#endif
}

YOKE_UNSEEN void observe([[maybe_unused]] void* what) {
#if defined(__SANITIZE_THREAD__)
    __tsan_acquire(what);
#endif
}

// Leaves the lane that runs for another; returns when its turn has come again.
YOKE_UNSEEN void go_to(unsigned lane) {
    Block& b = *block;
    Lane& from = b.lanes[b.current];
    if (b.current == lane) {
        return;
    }
    b.current = lane;
#if defined(__SANITIZE_THREAD__)
    __tsan_switch_to_fiber(b.lanes[lane].fiber, __tsan_switch_to_fiber_no_sync);
#endif
    ::swapcontext(&from.context, &b.lanes[lane].context);
}

YOKE_UNSEEN void go_home() {
    Block& b = *block;
#if defined(__SANITIZE_THREAD__)
    __tsan_switch_to_fiber(b.home_fiber, __tsan_switch_to_fiber_no_sync);
#endif
    ::setcontext(&b.home);
}

// The next lane of a warp that waits for nothing, from the warp of `lane` on. threads_max: none.
YOKE_UNSEEN unsigned next_lane(unsigned warp) {
    const Block& b = *block;
    const unsigned warps = b.threads / lanes_of_warp;
    for (unsigned i = 0; i < warps; ++i) {
        const unsigned which = (warp + i) % warps;
        const Warp& w = b.warps[which];
        const std::uint32_t ready = ~(w.arrived | w.done);
        if (!w.blocked && ready != 0) {
            return which * lanes_of_warp + static_cast<unsigned>(__builtin_ctz(ready));
        }
    }
    return threads_max;
}

YOKE_UNSEEN void go_on(unsigned warp) {
    const unsigned lane = next_lane(warp);
    if (lane == threads_max) {
        const Place place = block->warps[warp].place;
        wrong("all warps of a block wait", place, place);
    }
    go_to(lane);
}

YOKE_UNSEEN void check_ended(const Warp& warp) {
    if (warp.done != 0 && warp.arrived != 0 && (warp.done | warp.arrived) == everyone) {
        wrong("some lanes of a warp have ended where others wait", warp.place, warp.place);
    }
}

// Waits for the other lanes of the warp. True in the last one, which has not let the others go yet.
YOKE_UNSEEN bool arrive(Warp& warp, unsigned lane, Place place) {
    if (warp.arrived == 0) {
        warp.place = place;
    } else if (warp.place.line != place.line || std::strcmp(warp.place.file, place.file) != 0) {
        wrong("lanes of a warp wait at different places", warp.place, place);
    }
    warp.arrived |= 1U << lane;
    check_ended(warp);
    return warp.arrived == everyone;
}

YOKE_UNSEEN void run_lane() {
    Block& b = *block;
    observe(&b);
    (*b.body)();
    publish(&b);
    Warp& warp = b.warps[b.current / lanes_of_warp];
    warp.done |= 1U << (b.current % lanes_of_warp);
    check_ended(warp);
    const unsigned next = next_lane(b.current / lanes_of_warp);
    if (next != threads_max) {
        go_to(next);
    }
    for (unsigned w = 0; w < b.threads / lanes_of_warp; ++w) {
        if (b.warps[w].done != everyone) {
            wrong("warps wait for some that have ended", b.warps[w].place, b.warps[w].place);
        }
    }
    go_home();
}

void prepare_lane(Lane& lane) {
    ::getcontext(&lane.context);
    lane.stack =
        ::mmap(nullptr, stack_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (lane.stack == MAP_FAILED) {
        std::perror("no stack for a lane");
        std::abort();
    }
    lane.context.uc_stack.ss_sp = lane.stack;
    lane.context.uc_stack.ss_size = stack_bytes;
    lane.context.uc_link = nullptr;
    ::makecontext(&lane.context, run_lane, 0);
#if defined(__SANITIZE_THREAD__)
    lane.fiber = __tsan_create_fiber(0);
#endif
}

YOKE_UNSEEN void start_and_wait(Block& b) {
#if defined(__SANITIZE_THREAD__)
    b.home_fiber = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(b.lanes[0].fiber, __tsan_switch_to_fiber_no_sync);
#endif
    ::swapcontext(&b.home, &b.lanes[0].context);
}

}  // namespace

void run_block(unsigned number, unsigned blocks, unsigned threads, const std::function<void()>& body) {
    const auto b = std::make_unique<Block>();
    b->number = number;
    b->blocks = blocks;
    b->threads = threads;
    b->body = &body;
    for (unsigned i = 0; i < threads; ++i) {
        prepare_lane(b->lanes[i]);
    }
    block = b.get();
    publish(b.get());
    start_and_wait(*b);
    observe(b.get());
    block = nullptr;
    for (unsigned i = 0; i < threads; ++i) {
#if defined(__SANITIZE_THREAD__)
        __tsan_destroy_fiber(b->lanes[i].fiber);
#endif
        ::munmap(b->lanes[i].stack, stack_bytes);
    }
}

YOKE_UNSEEN Index thread_index() {
    return {block->current};
}

YOKE_UNSEEN Index block_index() {
    return {block->number};
}

YOKE_UNSEEN Index block_size() {
    return {block->threads};
}

YOKE_UNSEEN Index blocks_in_grid() {
    return {block->blocks};
}

YOKE_UNSEEN const std::uint64_t* exchange(std::uint64_t value, Place place) {
    Block& b = *block;
    const unsigned lane = b.current % lanes_of_warp;
    const unsigned number = b.current / lanes_of_warp;
    Warp& warp = b.warps[number];
    const unsigned parity = warp.exchanges % 2;
    std::uint64_t* const values = warp.values[parity];
    values[lane] = value;
    publish(values);
    if (arrive(warp, lane, place)) {
        warp.arrived = 0;
        ++warp.exchanges;
        // Who is awake keeps the block awake: it does more between two naps than those that have nothing to do.
        if (++warp.exchanges_awake > exchanges_asleep) {
            b.naps = 0;
        }
        if (++b.turns % turns_max == 0 || warp.naps) {
            warp.naps = false;
            go_on(number + 1);
        }
    } else {
        go_on(number);
    }
    observe(values);
    return values;
}

YOKE_UNSEEN void wait_at(unsigned id, unsigned threads, Place place) {
    Block& b = *block;
    const unsigned lane = b.current % lanes_of_warp;
    const unsigned number = b.current / lanes_of_warp;
    Warp& warp = b.warps[number];
    Barrier& barrier = b.barriers[id % barriers_max];
    publish(&barrier);
    if (!arrive(warp, lane, place)) {
        go_on(number);
        observe(&barrier);
        return;
    }
    warp.arrived = 0;
    ++barrier.arrived;
    barrier.warps |= 1U << number;
    if (barrier.arrived * lanes_of_warp < threads) {
        warp.blocked = true;
    } else {
        for (unsigned w = 0; w < b.threads / lanes_of_warp; ++w) {
            b.warps[w].blocked = b.warps[w].blocked && (barrier.warps >> w & 1U) == 0;
        }
        barrier = {};
    }
    go_on(number + 1);
    observe(&barrier);
}

YOKE_UNSEEN void nap() {
    Block& b = *block;
    if (b.current % lanes_of_warp != 0) {
        return;
    }
    Warp& warp = b.warps[b.current / lanes_of_warp];
    warp.exchanges_awake = 0;
    warp.naps = true;
    if (++b.naps >= naps_before_sleep) {
        std::this_thread::sleep_for(std::chrono::microseconds(20));
    }
}

}  // namespace yoke::executive::cuda::emulated
