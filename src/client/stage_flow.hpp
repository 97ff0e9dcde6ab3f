// Records on their way through a stage's graph, between the two ends of the stage.
//
// A few records are in flight. Each enters the graph (pushed from the arena after it was read from the pipe, or moved
// by the worker out of the channel that stands for the pipe) and comes out of it (pulled and written, or moved into the
// next channel). Moves that wait are the stage's credits: the worker takes no more than so many records without the
// stage's process, so a stopped process stops its stage.
//
// A record that was pushed keeps its input until it has come out, so that a worker's death costs nothing but time.
// Records that were moved are nowhere but in the worker: its death then ends the stage with an error.
#pragma once

#include <array>
#include <cstdint>

#include <yoke/yoke.h>

#include "client/stage_inlet.hpp"
#include "client/stage_outlet.hpp"

namespace yoke::client {

class StageFlow {
   public:
    static constexpr std::size_t depth = 4;  // records in flight: one is read, one copied, one runs, one is written

    struct Channels {
        std::uint32_t in = 0;
        std::uint32_t out = 0;
    };
    StageFlow(yoke_session* session, StageInlet& inlet, StageOutlet& outlet, const Channels& channels)
        : session_(session), inlet_(inlet), outlet_(outlet), channels_(channels) {}
    StageFlow(const StageFlow&) = delete;
    StageFlow& operator=(const StageFlow&) = delete;

    // Memory of the session's arena for records of so many bytes.
    Status allocate(std::size_t in_bytes, std::size_t out_bytes);
    // Until the end of the input, or an error.
    Status run();

   private:
    // One way of a record, into the graph or out of it.
    struct Transfer {
        yoke_ticket ticket = 0;  // 0: none is in flight
        bool moved = false;      // by the worker
        bool ended = false;
        int status = 0;
        std::uint64_t worker = 0;  // deaths before the worker that got it
        [[nodiscard]] bool in_flight() const { return ticket != 0 && !ended; }
        [[nodiscard]] bool came_through() const { return ended && status == 0; }
        [[nodiscard]] bool came_through(std::uint64_t which) const { return came_through() && worker == which; }
    };
    struct Slot {
        void* in = nullptr;
        void* out = nullptr;
        Transfer enter;
        Transfer come;
    };

    Status run_to_end();
    Status advance(bool& any);
    Status write_come(bool& any);
    void submit_come();
    Status attend_outlet(bool& any);
    Status attend_inlet(bool& any);
    Status end_channel(StageInlet::Verdict verdict, bool& any);
    Status read_record();
    template <typename Submit>
    void start(Transfer& transfer, bool moved, Submit&& submit);
    void start_push(Slot& slot);
    void start_pull(Slot& slot);
    void start_move(Transfer& transfer, std::uint32_t from, std::uint32_t to, std::uint8_t flags);
    std::uint64_t cancel(std::uint64_t from, std::uint64_t to, Transfer Slot::*which);
    void await(const Transfer& transfer);
    void wait();
    Status recover();
    Status begin_again();
    Result<bool> withdraw();
    [[nodiscard]] std::uint64_t deaths() const;
    [[nodiscard]] bool moves() const;
    [[nodiscard]] bool moves_out() const { return outlet_.joined() && outlet_.session() == session_; }
    Slot& slot(std::uint64_t record) { return slots_.at(record % depth); }
    [[nodiscard]] const Slot& slot(std::uint64_t record) const { return slots_.at(record % depth); }

    yoke_session* session_;
    StageInlet& inlet_;
    StageOutlet& outlet_;
    Channels channels_;
    std::array<Slot, depth> slots_{};
    std::size_t in_bytes_ = 0;
    std::size_t out_bytes_ = 0;
    // Records 0 to finished_ have left the stage; to outgoing_ they are asked for; to entered_ they are in the graph;
    // to submitted_ they are on their way into it.
    std::uint64_t finished_ = 0;
    std::uint64_t outgoing_ = 0;
    std::uint64_t entered_ = 0;
    std::uint64_t submitted_ = 0;
    bool input_ended_ = false;
    bool leaving_ = false;  // nothing new goes into the next channel
    Status input_status_;   // why it has ended
    int trouble_ = 0;       // status of the first transfer that failed
    WaitSlice slice_;
};

}  // namespace yoke::client
