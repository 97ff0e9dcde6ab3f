// A graph: its objects, and the flow of datablocks through them.
//
// LOCKS. One mutex per graph guards everything in it but the passages (passage.hpp). It is held while commands are
// queued, never while the device is waited for. Nothing is locked between graphs. The sink of a transfer is called with
// or without the lock held, which is why it must not call the runtime.
//
// FLOW. advance() is the whole scheduler: it looks at the ptasks whose neighbourhood has changed, launches those that
// are ready and passes their outputs on at once. It runs on the thread that pushed or pulled. Nothing is decided when
// the device ends a command, except that a transfer completes; so a chain of ptasks runs without the host in between.
//
// END OF STREAM. A push with YOKE_FLAG_END ends its channel. A ptask with a drained input has ended: it ends its
// outputs and closes its other inputs, where the rest is dropped. So a stream is as long as its shortest input, and
// those who push into an input that nobody reads learn it by EPIPE, as with pipes.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "control/graph_file.hpp"
#include "device/device.hpp"
#include "graph/channel.hpp"
#include "graph/datablock.hpp"
#include "graph/passage.hpp"
#include "graph/port.hpp"
#include "graph/ptask.hpp"
#include "graph/runtime.hpp"

namespace yoke::graph {

// What a graph needs of its runtime.
class GraphHost {
   public:
    // A transfer waits with this deadline. Called under the graph's lock.
    virtual void deadline(std::uint64_t deadline_ns) noexcept = 0;
    // A launch failed on the device; tick() is to be called soon. Called on any thread.
    virtual void failure() noexcept = 0;

   protected:
    ~GraphHost() = default;
};

class Graph {
   public:
    Graph(std::string name, std::uint32_t creator, device::Device& device, std::unique_ptr<device::Queue> queue,
          Budget& budget, const Limits& limits, GraphHost& host);
    Graph(const Graph&) = delete;
    Graph& operator=(const Graph&) = delete;
    ~Graph();

    [[nodiscard]] const std::string& name() const { return name_; }
    [[nodiscard]] std::uint32_t creator() const { return creator_; }

    Result<Opened> open_port(const control::PortDefinition& definition);
    Result<Opened> open_ptask(const control::PtaskDefinition& definition);
    // `id` is given to the channel if it is created and not an inner one; `channel` gets the object.
    Result<Opened> open_channel(const control::ChannelDefinition& definition, std::uint32_t id, Channel*& channel);
    Status run();
    // Ends what waits, waits for the device, frees the memory. Nothing goes on afterwards.
    void terminate();

    void push(Channel& channel, const Transfer& transfer) noexcept;
    void pull(Channel& channel, const Transfer& transfer) noexcept;
    void cancel(std::uint32_t session, std::uint64_t key) noexcept;
    void forget(std::uint32_t session) noexcept;
    // Ends transfers whose deadline has passed, and the graph when the device has told of a failure. Returns the next
    // deadline, UINT64_MAX if there is none.
    std::uint64_t tick(std::uint64_t now) noexcept;
    void launch_failed(const Ptask& ptask, int status) noexcept;

    void describe(control::Json& inventory) const;

   private:
    enum class State : std::uint8_t { built, running, ended, failed, terminated };

    // graph_build.cpp, under the lock
    [[nodiscard]] Status changeable(const std::string& object) const;
    [[nodiscard]] Status room_for(const std::string& object) const;
    Result<std::vector<Port*>> ports_of(const control::PtaskDefinition& definition);
    [[nodiscard]] Result<bool> exists(const control::PtaskDefinition& definition) const;
    void bind(Ptask& ptask, const std::vector<Port*>& ports);
    Result<Port*> end_of(const control::ChannelDefinition& definition, const std::string& port, bool source);
    [[nodiscard]] Status complete_definition() const;
    [[nodiscard]] std::string state_text() const;

    // graph_flow.cpp, under the lock
    [[nodiscard]] static bool has_room(const Channel& channel, const Transfer& transfer);
    void accept(Channel& channel, const Waiting& push);
    void serve(Channel& channel, const Waiting& pull);
    void look_at(const Port* port);
    void advance();
    void launch(Ptask& ptask);
    void end(Ptask& ptask);
    void close(Channel& channel);
    void end_stream(Channel& channel);
    void take_waiting_pushes(Channel& channel);
    void serve_waiting_pulls(Channel& channel);
    void fail_with(std::string message);
    [[nodiscard]] std::string error_text() const;
    void drop_all(int status);
    void flush();
    void wait_in(Fifo<Waiting>& line, const Transfer& transfer);
    template <typename Predicate>
    void end_waiting(Predicate predicate, int status);

    const std::string name_;
    const std::uint32_t creator_;
    device::Device& device_;
    Budget& budget_;
    const Limits limits_;
    GraphHost& host_;

    std::atomic<bool> failed_{false};  // the device's work is void
    std::atomic<const Ptask*> culprit_{nullptr};
    std::atomic<int> culprit_status_{0};
    Passages passages_{failed_};

    mutable std::mutex mutex_;  // of all below
    State state_ = State::built;
    std::string error_;
    DatablockPool pool_;  // before those that hold datablocks
    std::map<std::string, std::unique_ptr<Port>> ports_;
    std::map<std::string, std::unique_ptr<Ptask>> ptasks_;
    std::map<std::string, std::unique_ptr<Channel>> channels_;
    std::vector<Ptask*> changed_;  // for advance()
    bool queued_ = false;          // commands since the last flush
    std::uint64_t reserved_ = 0;   // of the budget
    std::unique_ptr<device::Queue> queue_;
};

}  // namespace yoke::graph
