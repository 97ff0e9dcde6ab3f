// Datablocks between files and the outer channels of a running graph: several transfers in flight per channel, all
// channels at once, so that a graph whose output must be drained before its input moves on does not stand still.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cli/datablock_reader.hpp"
#include "cli/file.hpp"
#include "cli/session.hpp"
#include "cli/surplus.hpp"

namespace yoke::cli {

// One outer channel and the file at its other end.
struct Lane {
    std::string name;      // "/graph/channel"
    DatablockShape shape;  // of the port at its inner end
    std::uint32_t capacity = 0;
    std::uint32_t channel = 0;     // what push and pull take, in the session that opened it
    std::optional<Input> input;    // pushed
    bool raw = false;              // what looks like a stream's header is data
    std::optional<Output> output;  // pulled
    bool back = false;
    std::string source_when;  // predicates of the channel
    std::string destination_when;
    bool ends = true;                             // input: its end is the end of the stream
    std::optional<std::uint64_t> datablocks_max;  // output: so many, if the stream does not end before
};

class Flow {
   public:
    explicit Flow(std::vector<Lane> lanes);
    ~Flow();
    Flow(const Flow&) = delete;
    Flow& operator=(const Flow&) = delete;

    // Called once, when for a second nothing has moved although the graph might have taken or given something.
    using Standstill = std::function<void(yoke_session* session)>;
    void on_standstill(Standstill say) { say_standstill_ = std::move(say); }
    // Exit 1 when nothing has moved for so long although the graph might have taken or given something.
    void give_up_after(double seconds) { give_up_ns_ = static_cast<std::uint64_t>(seconds * 1e9); }
    // The graph ends with this command, so that what is not taken by then is lost.
    void ends_graph() { ends_graph_ = true; }
    // Until every input is pushed and every output has ended, over a session of its own, whose arena fits the
    // datablocks. The channels exist. Outputs are put in place at the end. Exit 1 also where the graph has not taken
    // all that was pushed (surplus.hpp): its outputs are nevertheless complete.
    Done run(const std::string& socket);
    [[nodiscard]] std::uint64_t pushed() const { return pushed_; }  // datablocks
    [[nodiscard]] std::uint64_t pulled() const { return pulled_; }
    // When an input could not be read any further, if it could not and the graph ends with this command. What came
    // before has been given up to 5 s to go through the graph.
    [[nodiscard]] std::optional<std::chrono::steady_clock::time_point> cut_at() const {
        return cut_ ? std::optional(cut_at_) : std::nullopt;
    }

   private:
    struct Transfer;
    struct State;

    [[nodiscard]] std::uint64_t data_bytes() const;
    Done open_channels();
    Done transfer_all();
    Done advance_all();
    Done cut_off(State& state, const Failure& failure);
    [[nodiscard]] bool waited_enough() const;
    Done allocate_all();
    [[nodiscard]] std::vector<Pushed> all_pushed() const;
    Done check_all_taken(const std::string& socket);
    Outcome<std::string> await_taken(const std::string& socket, const std::vector<Pushed>& pushed, GraphPicture& graph);
    Done advance_push(State& state);
    Done advance_pull(State& state);
    Done watch(std::uint64_t finished_before);
    [[nodiscard]] tl::unexpected<Failure> fail_standstill() const;
    Done submit(State& state, Transfer& transfer, bool end);
    [[nodiscard]] bool ended() const;

    [[nodiscard]] std::uint64_t finished() const;
    [[nodiscard]] bool waits_for_graph() const;

    yoke_session* session_ = nullptr;
    Standstill say_standstill_;
    std::uint64_t give_up_ns_ = UINT64_MAX;
    bool ends_graph_ = false;
    std::optional<Failure> cut_;  // why an input could not be read any further
    std::chrono::steady_clock::time_point cut_at_;
    std::uint64_t moved_ns_ = 0;  // when something moved last
    std::vector<std::unique_ptr<State>> states_;
    std::uint64_t pushed_ = 0;
    std::uint64_t pulled_ = 0;
};

}  // namespace yoke::cli
