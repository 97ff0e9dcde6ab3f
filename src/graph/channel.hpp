// A channel: a bounded queue of datablocks between two ports, or between a port and the outside.
//
// END OF STREAM. `ended`: nothing more will come in. `closed`: nobody takes anything out any more; what arrives is
// dropped. A channel that is ended and empty is drained: its reader has seen all. A stream that an error at its source
// has ended carries that error behind its last datablock, through the ptasks to its outer ends.
//
// TRANSFERS. Pushes and pulls that cannot be served wait in line. A move waits elsewhere (move.hpp) and has left its
// watcher, which is woken at any change and looks again. A watcher that has gone meanwhile is not kept alive.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "control/graph_file.hpp"
#include "graph/datablock.hpp"
#include "graph/fifo.hpp"
#include "graph/gate.hpp"
#include "graph/runtime.hpp"

namespace yoke::graph {

struct Port;

struct Waiting {
    Transfer transfer;
    std::uint64_t since_ns = 0;
};

// Is told, outside of all locks, that a channel may have changed.
class Watcher {
   public:
    virtual void changed() noexcept = 0;

   protected:
    ~Watcher() = default;
};

struct ChannelCounters {
    std::uint64_t pushed = 0;     // datablocks that came in
    std::uint64_t pulled = 0;     // datablocks that went out, dropped ones not included
    std::uint64_t discarded = 0;  // datablocks that nobody could take any more, or that a predicate held back
    std::uint64_t untaken = 0;    // those among them that came or waited when nobody took any more
    std::uint64_t copies = 0;     // datablocks copied between host and device: none in an inner channel
    std::uint64_t bytes = 0;      // copied
};

struct Channel {
    control::ChannelDefinition definition;
    control::TemplateDefinition form;
    std::uint32_t id = 0;
    std::uint64_t bytes = 0;  // of a whole datablock
    std::uint64_t element_bytes = 0;
    bool variable = false;
    bool outer_source = false;       // pushed: from outside, or by a function of a client
    bool outer_destination = false;  // pulled likewise
    Port* source = nullptr;
    Port* destination = nullptr;
    Gate source_gate;
    Gate destination_gate;

    Fifo<Datablock> datablocks;
    Fifo<Waiting> pushes;
    Fifo<Waiting> pulls;
    std::vector<std::weak_ptr<Watcher>> watchers;  // each once
    bool listed = false;                           // among those whose lines Graph::advance() looks at
    bool ended = false;
    bool closed = false;
    bool finished = false;  // its endpoint, a sink, has written what it was given and has closed its path
    std::string error;      // that has ended the stream; "": none
    ChannelCounters counters;

    [[nodiscard]] bool full() const { return datablocks.size() >= definition.capacity; }
    [[nodiscard]] bool drained() const { return ended && datablocks.empty() && pushes.empty(); }
    // Nothing will ever come out any more.
    [[nodiscard]] bool over() const { return closed || drained(); }
    // What a pull is told then. A client's function ends as a ptask does: its outputs carry the error on.
    [[nodiscard]] int end_status() const { return error.empty() || destination != nullptr ? YOKE_ENODATA : YOKE_EIO; }
    [[nodiscard]] bool has_sink() const { return definition.endpoint && outer_destination; }
    void leave(const std::shared_ptr<Watcher>& watcher) { add(watchers, watcher); }
    // Adds a watcher that is not there; those that are gone, go.
    static void add(std::vector<std::weak_ptr<Watcher>>& watchers, const std::shared_ptr<Watcher>& watcher);
};

// A completion without any data.
[[nodiscard]] yoke_completion completion_of(int status, std::uint64_t detail = 0);
void complete(const Transfer& transfer, int status, std::uint64_t detail = 0);
void complete_all(Fifo<Waiting>& waiting, int status);

}  // namespace yoke::graph
