// Graph: iterations. How a head counts, what goes round and what leaves; see loop.hpp.
#include <algorithm>

#include "graph/graph.hpp"

namespace yoke::graph {

// Gives a datablock to every channel of a port. At a tail, the last of an iteration leaves the loop with the signals
// that came in, and all others go back.
void Graph::emit(Port& port, const Datablock& datablock) {
    Ptask* const head = port.tail_of;
    const bool last = (datablock.signals & YOKE_SIGNAL_ITERATION_END) != 0;
    for (Channel* const channel : port.out) {
        Datablock given = datablock.share();
        if (head != nullptr) {
            const bool returns = channel->destination != nullptr && channel->destination->back == channel &&
                                 channel->destination->ptask == head;
            if (returns == last) {
                continue;
            }
            if (!returns) {
                given.signals =
                    static_cast<std::uint8_t>((given.signals & ~iteration_signals) | head->loop->outer_signals);
            }
        }
        arrive(*channel, std::move(given));
    }
    if (head != nullptr && last && head->loop->open_tails > 0 && --head->loop->open_tails == 0) {
        head->loop->active = false;
        look_at(*head);
    }
}

// How often the kernel runs now; for the head of a loop, once. Signals of a loop's runs tell its begin and end.
std::uint32_t Graph::begin_iterations(Ptask& ptask, std::uint8_t& signals) {
    Loop& loop = *ptask.loop;
    if (!loop.active) {
        const Port& meta = *ptask.meta(control::Meta::iterations);
        const std::uint64_t count = meta.number();
        if (count > control::iterations_max) {
            fail_with(fmt::format("port {} asks for {} iterations; at most {} are allowed", meta.definition.name, count,
                                  control::iterations_max));
            return 0;
        }
        if (loop.repeats_itself()) {
            return static_cast<std::uint32_t>(count);
        }
        loop.left = static_cast<std::uint32_t>(count);
        signals &= static_cast<std::uint8_t>(~iteration_signals);
        if (count == 0) {
            return 0;
        }
        loop.active = true;
        loop.open_tails = static_cast<std::uint32_t>(loop.carried.size());
        signals |= YOKE_SIGNAL_ITERATION_BEGIN;
    } else {
        signals &= static_cast<std::uint8_t>(~iteration_signals);
    }
    --loop.left;
    signals |= loop.left == 0 ? YOKE_SIGNAL_ITERATION_END : 0;
    return 1;
}

// No iteration: what would have been carried round leaves at the tails as it came.
void Graph::pass_by(Ptask& ptask, std::uint8_t signals) {
    Loop& loop = *ptask.loop;
    loop.open_tails = 0;
    for (Ptask::Binding& input : ptask.inputs) {
        Port& port = *input.port;
        if (port.back != nullptr) {
            input.datablock.signals = static_cast<std::uint8_t>(signals | iteration_signals);
            emit(*port.back->source, input.datablock);
        } else {
            port.current.reset();
            port.has_current = false;
        }
        if (port.is_meta()) {
            port.meta->clear();
        }
        input.datablock.reset();
    }
}

void Graph::end_of_loop_run(Ptask& ptask) {
    if (!ptask.loop || ptask.loop->repeats_itself() || ptask.loop->left > 0) {
        return;
    }
    for (Ptask::Binding& input : ptask.inputs) {
        Port& port = *input.port;
        if (port.is_meta()) {
            port.meta->clear();
        } else if (port.back == nullptr && !port.definition.sticky) {
            port.current.reset();
            port.has_current = false;
        }
    }
}

}  // namespace yoke::graph
