// The client's way to wait for the executive: spin for the predicted time, then sleep until the bell.
//
// A round trip takes less than falling asleep does, so a wait begins by spinning. The sleep is the protocol of
// uapi/yoke.h: remember the bell, set want_bell, full fence, look once more, sleep while the bell is unchanged. A sleep
// ends after a slice at the latest, so that the caller can look whether the worker is still there: a dead one rings no
// bell.
//
// want_bell and bell belong to the session, not to a ring: one waiter serves both rings.
#pragma once

#include <algorithm>
#include <cstdint>

#include <uapi/yoke.h>
#include <uapi/yoke_ring.h>

#include "base/clock.hpp"
#include "ring/futex.hpp"
#include "ring/producer.hpp"

namespace yoke::ring {

enum class Waited {
    found,  // look() returned true
    late,   // until_ns has passed
    slice,  // neither: look whether the worker lives, then wait again with spin_ns = 0
};

class Waiter {
   public:
    static constexpr std::uint64_t slice_ns = 20'000'000;

    explicit Waiter(const ClientView& view) : words_(&view.words()), bell_(&view.status_page().bell) {}

    // Waits until look() returns true. Spins for `spin_ns` first; `until_ns` is CLOCK_MONOTONIC, 0: without limit.
    // look() may be called many times and must be cheap; when it takes a completion it returns true at once.
    template <typename Look>
    [[nodiscard]] Waited wait(Look&& look, std::uint64_t spin_ns, std::uint64_t until_ns) {
        if (look()) {
            return Waited::found;
        }
        const std::uint64_t begin = now_ns();
        std::uint64_t now = begin;
        while (now - begin < spin_ns) {
            for (unsigned i = 0; i < looks_per_clock; ++i) {
                cpu_relax();
                if (look()) {
                    return Waited::found;
                }
            }
            now = now_ns();
            if (until_ns != 0 && now >= until_ns) {
                return Waited::late;
            }
        }
        if (until_ns != 0 && now >= until_ns) {
            return Waited::late;
        }
        return sleep(look, now, until_ns);
    }

   private:
    static constexpr unsigned looks_per_clock = 16;

    template <typename Look>
    Waited sleep(Look& look, std::uint64_t now, std::uint64_t until_ns) {
        const std::uint32_t seen = yoke_load_acquire32(bell_);
        yoke_store_release32(&words_->want_bell, 1);
        yoke_full_fence();
        bool found = look();
        if (!found) {
            const std::uint64_t left = until_ns == 0 ? slice_ns : std::min(slice_ns, until_ns - now);
            static_cast<void>(futex_wait(bell_, seen, left));
            found = look();
        }
        yoke_store_release32(&words_->want_bell, 0);
        if (found) {
            return Waited::found;
        }
        return until_ns != 0 && now_ns() >= until_ns ? Waited::late : Waited::slice;
    }

    yoke_client_words* words_;
    const std::uint32_t* bell_;
};

}  // namespace yoke::ring
