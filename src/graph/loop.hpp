// The state of an iteration: of a ptask that has an `iterations` port.
//
// Without a back edge at its ports, the ptask runs that often on the same datablocks. With back edges it is the head of
// a loop: in the first run its ports take what comes from before, in later runs what the back edges bring; ports
// without back edge keep theirs. A tail is an out port where a back edge begins. In the last run tails give to their
// other channels, else to the back edge. The head takes nothing new before all tails have given their last.
#pragma once

#include <cstdint>
#include <vector>

#include <uapi/yoke.h>

namespace yoke::graph {

struct Port;

inline constexpr std::uint8_t iteration_signals = YOKE_SIGNAL_ITERATION_BEGIN | YOKE_SIGNAL_ITERATION_END;

struct Loop {
    std::vector<Port*> carried;  // the head's ports with a back edge; none: the ptask repeats itself
    bool active = false;
    std::uint32_t left = 0;          // runs of the head
    std::uint32_t open_tails = 0;    // tails that have not given their last
    std::uint8_t outer_signals = 0;  // what came in with: signals of an iteration around this one

    [[nodiscard]] bool repeats_itself() const { return carried.empty(); }
};

}  // namespace yoke::graph
