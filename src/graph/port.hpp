// A port: where channels meet a ptask.
//
// An in port takes from one channel, or from two where one is a back edge; an out port gives to any number, which share
// each datablock. An in-out port does both. What a port keeps from run to run is `current`.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "control/graph_file.hpp"
#include "graph/datablock.hpp"
#include "graph/meta.hpp"
#include "graph/pattern.hpp"

namespace yoke::graph {

struct Channel;
struct Ptask;

struct Port {
    control::PortDefinition definition;
    std::uint64_t bytes = 0;  // of a whole datablock
    std::uint64_t element_bytes = 0;
    Ptask* ptask = nullptr;
    Channel* in = nullptr;
    Channel* back = nullptr;  // arriving back edge
    std::vector<Channel*> out;
    Ptask* tail_of = nullptr;  // head of the loop that a back edge from here closes
    Port* of = nullptr;        // meta size: the out port; descriptor: the in port

    Datablock current;  // sticky, hold, or inside an iteration
    bool has_current = false;
    bool begun = false;  // init with a back edge: the first datablock was made
    BlockRef pattern;    // where it is needed: a whole datablock of initial values
    std::unique_ptr<PatternWrite> pattern_write;
    std::unique_ptr<MetaReading> meta;

    [[nodiscard]] bool is_meta() const { return definition.meta != control::Meta::none; }
    // Of a meta port whose reading has arrived.
    [[nodiscard]] std::uint64_t number() const {
        return meta->value(std::min<std::uint64_t>(element_bytes, sizeof(std::uint64_t)));
    }
    // Whether it makes its datablock for the run at hand.
    [[nodiscard]] bool makes_own() const { return definition.init && (!fed() || (in == nullptr && !begun)); }
    // Sticky inputs wait for nothing once they have something, and neither do those that make their own.
    [[nodiscard]] bool fed() const { return in != nullptr || back != nullptr; }
};

}  // namespace yoke::graph
