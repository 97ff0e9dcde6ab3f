// A channel: a bounded queue of datablocks between two ports, or between a port and the outside.
//
// END OF STREAM. `ended`: nothing more will come in. `closed`: nobody takes anything out any more; what arrives is
// dropped. A channel that is ended and empty is drained: its reader has seen all.
#pragma once

#include <cstdint>
#include <string>

#include "control/graph_file.hpp"
#include "graph/datablock.hpp"
#include "graph/fifo.hpp"
#include "graph/runtime.hpp"

namespace yoke::graph {

struct Port;

struct Waiting {
    Transfer transfer;
    std::uint64_t since_ns = 0;
};

struct ChannelCounters {
    std::uint64_t pushed = 0;     // datablocks that came in
    std::uint64_t pulled = 0;     // datablocks that went out, dropped ones not included
    std::uint64_t discarded = 0;  // datablocks that nobody could take any more
    std::uint64_t copies = 0;     // datablocks copied between host and device: none in an inner channel
    std::uint64_t bytes = 0;      // copied
};

struct Channel {
    control::ChannelDefinition definition;
    std::uint32_t id = 0;     // for push and pull; 0: inner
    std::uint64_t bytes = 0;  // of a datablock
    Port* source = nullptr;
    Port* destination = nullptr;

    Fifo<DatablockRef> datablocks;
    Fifo<Waiting> pushes;
    Fifo<Waiting> pulls;
    bool ended = false;
    bool closed = false;
    ChannelCounters counters;

    [[nodiscard]] bool full() const { return datablocks.size() >= definition.capacity; }
    [[nodiscard]] bool drained() const { return ended && datablocks.empty() && pushes.empty(); }
};

// A completion without any data.
[[nodiscard]] yoke_completion completion_of(int status, std::uint64_t detail = 0);
void complete(const Transfer& transfer, int status, std::uint64_t detail = 0);
void complete_all(Fifo<Waiting>& waiting, int status);

}  // namespace yoke::graph
