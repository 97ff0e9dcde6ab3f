// The graphs that a session has opened, so that they can be opened again at the next worker.
//
// Graphs live in the worker and die with it. The session keeps the requests that made its part of them, and repeats
// those when the graph is used again; a graph then begins in its initial state, which its next push or pull says once
// (ERESTART). Channels have other numbers in another worker, so callers hold numbers of the session and each entry is
// given the worker's. A graph that somebody else made is left to its maker: only this session's channels of it are
// opened again.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "client/key.hpp"
#include "client/link.hpp"
#include "control/graph_file.hpp"
#include "control/message.hpp"

namespace yoke::client {

class Graphs {
   public:
    // Keeps a request that the worker has granted. Puts the session's number into an answer with a channel.
    Status keep(const control::Json& request, control::Json& answer);
    // The worker is gone, and with it all graphs.
    void forget_remote();

    // The kernel of `object`, a ptask or graph, was the death of the last worker. A graph that has been that
    // deaths_max times, and given nothing between, is not opened again. Whether it is one of this session's.
    bool blame(const std::string& object);
    static constexpr unsigned deaths_max = 2;  // the first may have been chance
    // Has the graph been lost with the last worker, it is not opened again, because it is to end.
    bool forget_lost(const std::string& graph);

    // Whether something that was kept is not open at the present worker.
    [[nodiscard]] bool stale() const;
    // Opens what is not open. Fails only when the worker does not answer; what it refuses stays closed.
    Status reopen(Link& link, const Keys& keys, std::uint64_t deadline_ns);
    // What the session has opened of a ptask that is a function of a client: ptask, ports and channels. Empty requests
    // where it has not.
    struct ClientPtask {
        std::optional<control::PtaskDefinition> ptask;
        std::vector<control::PortDefinition> ports;
        std::vector<std::pair<control::ChannelDefinition, std::uint32_t>> channels;  // with the session's number
    };
    [[nodiscard]] ClientPtask find_ptask(const std::string& name) const;

    [[nodiscard]] bool knows(std::uint32_t channel) const { return channels_.contains(channel); }
    // The worker's number of a channel; nothing when it is not open there.
    [[nodiscard]] std::optional<std::uint32_t> remote(std::uint32_t channel) const;
    // The graph of a channel; "" where the channel is not known.
    [[nodiscard]] std::string graph_of(std::uint32_t channel) const;
    // Once after a restart of the channel's graph: the datablocks that were lost with the last worker.
    [[nodiscard]] std::optional<std::uint64_t> take_restart(std::uint32_t channel);
    // Datablocks were pushed into, or pulled from, a channel.
    void count(std::uint32_t channel, std::uint64_t pushed, std::uint64_t pulled);

   private:
    struct Request {
        std::string graph;
        control::Json body;
        std::uint32_t channel = 0;  // of the session; 0: no channel for push and pull
        bool open = true;
    };
    struct Graph {
        std::uint64_t pushed = 0;
        std::uint64_t pulled = 0;
        bool lost = false;       // with the last worker; not opened again yet
        bool restarted = false;  // opened again; not said yet
        unsigned deaths = 0;     // of workers by its kernels, since something came out of it
        std::uint64_t lost_datablocks = 0;
    };
    // Of a port or a client's ptask that somebody may have opened before: what the session knows of it.
    std::map<std::string, control::Json> definitions_;
    struct Channel {
        std::string graph;
        std::uint32_t remote = 0;  // 0: not open
    };

    [[nodiscard]] bool given_up(const std::string& graph) const;
    std::uint32_t number_for(const std::string& graph, std::uint32_t remote);
    Status reopen_one(Request& request, Link& link, const Keys& keys, std::uint64_t deadline_ns);
    void end(const std::string& graph);

    std::list<Request> requests_;  // in the order in which they were granted
    std::map<std::string, Graph> graphs_;
    std::map<std::uint32_t, Channel> channels_;
};

}  // namespace yoke::client
