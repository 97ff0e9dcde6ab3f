// Definitions of graphs that persist: recorded while they are made, kept in files, read back after a restart.
//
// PROBLEM. A graph that persists must come back after the death of its worker, of yoked and of the machine, as it was
// made: with its kernels' texts, and by nobody's hand but its account's.
//
// MODEL. The definition is the list of requests that made the graph, in their order: what checks requests checks the
// file. It is recorded in memory as requests succeed and written when the graph is run, as one JSON message per line,
// to a file beside and renamed, mode 0600, synced. A file is read only if it is a regular one of the account's own (or
// root's) that nobody else can write, and each of its lines passes the schema of its request. Where files lie says
// control/kept_graph.hpp.
//
// TRADE-OFF. What a graph holds is not kept: after a restart it begins with empty channels.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "base/fd.hpp"
#include "control/kept_graph.hpp"
#include "control/message.hpp"

namespace yoke::worker {

class Persistence {
   public:
    static constexpr std::size_t file_bytes_max = std::size_t{64} * 1024 * 1024;  // many kernels' texts
    using Requests = std::vector<control::Json>;

    // `directory`: of the account, made when something is kept; "": nothing can be kept.
    explicit Persistence(std::string directory) : directory_(std::move(directory)) {}
    Persistence(const Persistence&) = delete;
    Persistence& operator=(const Persistence&) = delete;
    ~Persistence() = default;

    // Whether graphs can persist. Any thread. ENOTSUP: there is no directory; EBUSY: another worker of this user, of
    // another yoked, keeps its graphs there: each graph must run once.
    Status check();
    // A graph that persists was made by `request` (open_graph); its objects are recorded from now on.
    void begin(const control::Json& request);
    // Whether objects of the graph are recorded.
    [[nodiscard]] bool records(const std::string& graph) const;
    // A request succeeded and changed the graph; without effect unless it is recorded.
    void record(const std::string& graph, const control::Json& request);
    // Writes what is recorded: the graph is running. Replaces what was kept under this name.
    Status keep(const std::string& graph);
    // Writes it again, if it is kept as running: something has changed.
    Status update(const std::string& graph);
    // The graph was stopped: it stays kept and is not recorded any more. Nothing, if it is not kept as running.
    Status stop(const std::string& graph);
    // Forgets the graph and removes its files. Whether there were any.
    Result<bool> remove(const std::string& graph);
    // Its record ends; files stay.
    void forget(const std::string& graph);

    // Graphs that are kept.
    [[nodiscard]] std::vector<std::string> kept(control::KeptState state) const {
        return control::kept_graphs(directory_, state);
    }
    [[nodiscard]] bool keeps(const std::string& graph) const;
    // The requests that make a kept graph; the first one is open_graph. ENOENT; EACCES, EBADMSG, EMSGSIZE name the file
    // and the line.
    [[nodiscard]] Result<Requests> load(const std::string& graph) const;

   private:
    [[nodiscard]] Status make_directories() const;

    const std::string directory_;
    mutable std::mutex mutex_;
    std::map<std::string, Requests> recorded_;
    Fd lock_;  // held while this process lives
};

}  // namespace yoke::worker
