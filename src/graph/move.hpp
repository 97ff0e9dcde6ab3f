// A line of moves out of one channel: the datablock itself goes from one graph to another.
//
// MODEL. Moves out of one channel are served one after the other, so that order is kept. A step takes no two graphs'
// locks at once: it asks the destination for room, takes from the source, and delivers; where something is missing, it
// leaves itself as a watcher there and is woken. A move that ends without its turn wakes it, too: the next one may want
// less. Between asking and delivering others may have filled the room; then the destination holds one datablock more
// than its capacity for a while, which costs no memory, since it has it already.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>

#include "graph/channel.hpp"
#include "graph/runtime.hpp"

namespace yoke::graph {

class Graph;

// An outer channel and its graph; null: there is none.
struct Outer {
    std::shared_ptr<Graph> graph;
    Channel* channel = nullptr;  // lives as long as the graph
};

class MoveLine final : public Watcher, public std::enable_shared_from_this<MoveLine> {
   public:
    using Find = std::function<Outer(std::uint32_t channel)>;
    explicit MoveLine(Find find) : find_(std::move(find)) {}
    MoveLine(const MoveLine&) = delete;
    MoveLine& operator=(const MoveLine&) = delete;

    void add(const Transfer& transfer);
    void changed() noexcept override;
    // Ends those that `predicate` chooses; one that is worked on, when its step has found that it must wait.
    void end(const std::function<bool(const Transfer&)>& predicate, int status);
    // Returns when no step is taken for `session`.
    void wait_for(std::uint32_t session);
    // Ends those whose deadline has passed. Returns the next deadline, UINT64_MAX if there is none.
    std::uint64_t tick(std::uint64_t now);
    [[nodiscard]] bool idle() const;

   private:
    struct Move {
        Transfer transfer;
        bool waited = false;  // it was not served when it came
        [[nodiscard]] bool overdue(std::uint64_t now) const {
            return transfer.deadline_ns != 0 && transfer.deadline_ns <= now;
        }
    };

    bool step(const Transfer& transfer);

    const Find find_;
    mutable std::mutex mutex_;  // of all below
    std::condition_variable stepped_;
    std::deque<Move> waiting_;
    bool running_ = false;  // a thread takes steps, without the lock
    Move current_;          // what for
    int end_current_ = 0;   // with what it shall end if it must wait
    bool again_ = false;    // something has changed meanwhile
};

}  // namespace yoke::graph
