// A graph: its objects, and the flow of datablocks through them.
//
// LOCKS. One mutex per graph guards everything in it but the passages (passage.hpp). It is held while commands are
// queued, never while the device is waited for. Nothing is locked between graphs: a move takes from one and gives to
// the other, one after the other, and watchers are woken when the lock has been left. The sink of a transfer is called
// with or without the lock held, which is why it must not call the runtime.
//
// FLOW. advance() is the whole scheduler: it looks at the ptasks whose neighbourhood has changed, launches those that
// are ready and passes their outputs on at once, and serves those who wait at channels that have changed. Whatever
// changes something only lists who may go on; advance() runs whenever the lock is let go, on the thread that pushed or
// pulled, so that nobody is forgotten and nothing calls itself. Nothing is decided when
// the device ends a command, except that a transfer completes; so a chain of ptasks runs without the host in between.
// Only numbers that the runtime needs (meta.hpp) come back to the host.
//
// END OF STREAM. A push with YOKE_FLAG_END ends its channel. A ptask with a drained input has ended: it ends its
// outputs and closes its other inputs, where the rest is dropped. So a stream is as long as its shortest input, and
// those who push into an input that nobody reads learn it by EPIPE, as with pipes. The graph has ended when all ptasks
// have and every sink (a path that the worker writes) has told that it has written all and closed its path. An error at
// a source travels behind its last datablock in the same way, and fails the graph only then.
//
// PIPES. A graph without ptasks and with one channel whose ends are both outside, which belongs to several sessions.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "control/graph_file.hpp"
#include "device/device.hpp"
#include "graph/channel.hpp"
#include "graph/datablock.hpp"
#include "graph/descriptor.hpp"
#include "graph/passage.hpp"
#include "graph/port.hpp"
#include "graph/ptask.hpp"
#include "graph/runtime.hpp"

namespace yoke::graph {

// What a graph needs of its runtime.
class GraphHost {
   public:
    // tick() is to be called then, or earlier. Called under the graph's lock, and with 0 on any thread.
    virtual void deadline(std::uint64_t deadline_ns) noexcept = 0;
    // A kernel of `object`, a ptask or graph, has run beyond its deadline, or beyond its graph's end, and does not end.
    virtual void stuck(const std::string& object, const std::string& why) noexcept = 0;

   protected:
    ~GraphHost() = default;
};

using LendKey = std::function<Result<LentKey>(std::uint32_t key, const service::Service& service)>;

struct GraphSetup {
    std::string name;
    std::uint32_t creator = 0;
    bool persist = false;
    std::uint32_t mode = control::mode_default;
    bool pipe = false;
};

class Graph {
   public:
    Graph(GraphSetup setup, device::Device& device, std::unique_ptr<device::Queue> queue, Budget& budget,
          const Limits& limits, GraphHost& host);
    Graph(const Graph&) = delete;
    Graph& operator=(const Graph&) = delete;
    ~Graph();

    [[nodiscard]] const std::string& name() const { return setup_.name; }
    [[nodiscard]] std::uint32_t creator() const { return setup_.creator; }
    [[nodiscard]] bool persists() const { return setup_.persist; }
    [[nodiscard]] bool is_pipe() const { return setup_.pipe; }
    // Whether `session` may do what `bits` of a mode stand for; not for pipes. EACCES.
    [[nodiscard]] Status allows(std::uint32_t session, std::uint32_t bits, std::string_view what) const;

    Result<Opened> open_port(const control::PortDefinition& definition);
    // `lend` finds keys of who asks.
    Result<Opened> open_ptask(const control::PtaskDefinition& definition, const LendKey& lend);
    // `id` is given to the channel if it is created; `channel` gets the object.
    Result<Opened> open_channel(const control::ChannelDefinition& definition, std::uint32_t id, Channel*& channel);
    // Of a pipe: its only channel, opened or joined by `session`.
    Result<Opened> open_pipe(std::uint32_t session, const PipeDefinition& definition, std::uint32_t id,
                             Channel*& channel);
    // A session leaves a pipe. After the last nobody joins it any more (EAGAIN), and it is to be removed.
    enum class Leaving : std::uint8_t { no_member, others_stay, last };
    Leaving leave_pipe(std::uint32_t session);
    // The same for who has not come to join the pipe that it made. False: others have.
    bool abandon_pipe();
    Status run();
    // Ends what waits, waits for the device, frees the memory. Nothing goes on afterwards.
    void terminate();
    Status set_priority(const std::string& name, std::uint8_t priority);
    // Fails the graph from outside, e.g. when an endpoint is gone.
    void give_up(const std::string& why);

    void push(Channel& channel, const Transfer& transfer) noexcept;
    void pull(Channel& channel, const Transfer& transfer) noexcept;
    void cancel(std::uint32_t session, std::uint64_t key) noexcept;
    void forget(std::uint32_t session) noexcept;

    // The two halves of a move. Where they cannot go on, the watcher is left at the channel. Else 0, or an error that
    // ends the move: ENODATA, EPIPE, EIO, ECANCELED, EINVAL, EACCES.
    struct Step {
        bool waits = false;
        int status = 0;
    };
    Step check_room(Channel& channel, std::uint32_t session, const std::shared_ptr<Watcher>& watcher) noexcept;
    // Of a move that waits for room: whether it may and could take from here. Never waits; the watcher hears when the
    // graph fails or is terminated, and of nothing else.
    Step check_source(const Channel& channel, std::uint32_t session, const std::shared_ptr<Watcher>& watcher) noexcept;
    // `completion` gets length, extents, sequence and signals.
    Step take(Channel& channel, std::uint32_t session, const std::shared_ptr<Watcher>& watcher, Datablock& datablock,
              yoke_completion& completion) noexcept;
    // `last`: the end of the stream follows.
    int deliver(Channel& channel, Datablock datablock, bool last) noexcept;
    void end_from_outside(Channel& channel) noexcept;
    // Of an endpoint: the end that it pushes next is one by an error, which `why` tells.
    void break_stream(Channel& channel, const std::string& why) noexcept;
    // An endpoint has written what it was given and has closed its path.
    void finish_sink(Channel& channel) noexcept;

    // Ends transfers whose deadline has passed, goes on where a number has arrived, and fails the graph when the device
    // has told of a failure. Returns the next deadline, UINT64_MAX if there is none.
    std::uint64_t tick(std::uint64_t now) noexcept;
    void launch_failed(const Ptask& ptask, int status) noexcept;

    void describe(control::Json& inventory) const;
    [[nodiscard]] control::Json why() const;
    [[nodiscard]] std::vector<EndpointBinding> endpoints() const;

   private:
    enum class State : std::uint8_t { built, running, ended, failed, terminated };

    // Holds the lock. Before it lets it go, all goes on that can; afterwards it wakes the watchers.
    class Locked {
       public:
        explicit Locked(Graph& graph) : graph_(graph), lock_(graph.mutex_) {}
        Locked(const Locked&) = delete;
        Locked& operator=(const Locked&) = delete;
        ~Locked();

       private:
        Graph& graph_;
        std::unique_lock<std::mutex> lock_;
    };

    // graph_build.cpp, under the lock
    [[nodiscard]] bool may(std::uint32_t session, std::uint32_t bits) const;
    [[nodiscard]] Status changeable(const std::string& object) const;
    [[nodiscard]] Status room_for(const std::string& object) const;
    Result<std::vector<Port*>> ports_of(const control::PtaskDefinition& definition);
    [[nodiscard]] Result<bool> exists(const control::PtaskDefinition& definition) const;
    Status bind_port(const control::PtaskDefinition& definition, Port& port);
    [[nodiscard]] Result<const control::KernelDefinition*> choose_form(
        const control::PtaskDefinition& definition) const;
    Status bind(Ptask& ptask, const std::vector<Port*>& ports);
    Result<Port*> end_of(const control::ChannelDefinition& definition, const std::string& port, bool source);
    [[nodiscard]] Status joins(const control::ChannelDefinition& definition, const Port* source,
                               const Port* destination) const;
    Status reserve(const std::string& channel, std::uint64_t bytes);
    [[nodiscard]] Status complete_definition() const;
    Status make_patterns();
    void make_loops();
    [[nodiscard]] std::string state_text() const;

    // graph_flow.cpp, under the lock: channels
    [[nodiscard]] int outer_status() const;
    [[nodiscard]] int move_status(bool outer, std::uint32_t session, std::uint32_t bits) const;
    [[nodiscard]] static bool has_room(const Channel& channel);
    [[nodiscard]] static bool pushable(const Channel& channel);
    [[nodiscard]] static bool unread(const Channel& channel);
    void accept(Channel& channel, const Waiting& push);
    bool copy_in(Channel& channel, const Waiting& push, const Datablock& datablock);
    void arrive(Channel& channel, Datablock datablock);
    bool serve(Channel& channel, const Waiting& pull);
    [[nodiscard]] bool offers(Channel& channel);
    [[nodiscard]] bool offers_at_once(Channel& channel);
    Datablock pop(Channel& channel);
    void look_at(const Port* port);
    void look_at(Ptask& ptask);
    void made_room(Channel& channel);
    void wake(Channel& channel);
    void close(Channel& channel);
    void end_stream(Channel& channel, const std::string& error);
    void end_outer(Channel& channel);
    void fail_with(std::string message);
    [[nodiscard]] std::string error_text() const;
    void drop_all(int status);
    void flush();
    bool settle(Datablock& datablock);
    void leave_fence(const Datablock& datablock);

    // graph_waiting.cpp, under the lock: transfers in the lines of channels
    class Now;
    void wait_in(Fifo<Waiting>& line, const Transfer& transfer);
    void serve_waiting();
    void take_waiting_pushes(Channel& channel, Now& now);
    void serve_waiting_pulls(Channel& channel, Now& now);
    template <typename Predicate>
    void end_waiting(Predicate predicate, int status);

    // graph_run.cpp, under the lock: ptasks
    bool advance();  // false: more is left for later
    [[nodiscard]] bool reads_only(Ptask& ptask);
    [[nodiscard]] bool ready(Ptask& ptask);
    [[nodiscard]] bool input_ready(const Ptask& ptask, Port& port, bool& fresh);
    [[nodiscard]] bool output_ready(const Ptask& ptask, const Port& port) const;
    [[nodiscard]] static bool unwanted(const Ptask& ptask);
    [[nodiscard]] bool exhausted(Ptask& ptask);
    [[nodiscard]] bool starves(const Ptask& ptask, Port& port);
    void read_meta(Port& port);
    void go_on_with_meta();
    void launch(Ptask& ptask);
    bool take_inputs(Ptask& ptask);
    bool take_input(Ptask& ptask, Ptask::Binding& input);
    bool make_own(Port& port, Datablock& datablock);
    bool make_exclusive(Ptask& ptask, Ptask::Binding& input);
    bool make_outputs(Ptask& ptask);
    bool size_output(const Ptask& ptask, const Port& port, Datablock& datablock);
    bool describe_input(const Ptask& ptask, Ptask::Binding& descriptor);
    void run_kernel(Ptask& ptask, std::uint32_t times);
    bool set_geometry(const Ptask& ptask, std::array<std::size_t, 3>& global) const;
    void watch_run(const Ptask& ptask);
    [[nodiscard]] std::uint64_t look_at_runs(std::uint64_t now);
    bool may_launch(unsigned launched);
    void await_queue();
    void give_outputs(Ptask& ptask, std::uint8_t signals);
    void emit(Port& port, const Datablock& datablock);
    std::uint32_t begin_iterations(Ptask& ptask, std::uint8_t& signals);
    void pass_by(Ptask& ptask, std::uint8_t signals);
    void end_of_loop_run(Ptask& ptask);
    [[nodiscard]] static std::string error_in(const Ptask& ptask);
    void end(Ptask& ptask);
    [[nodiscard]] bool all_ended() const;
    [[nodiscard]] std::size_t unfinished_sinks() const;
    void settle();

    const GraphSetup setup_;
    device::Device& device_;
    const std::uint8_t where_;  // enum yoke_where of the device
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
    std::string stream_error_;  // of the first stream that an error has ended: of the graph, once all has gone through
    std::unique_ptr<device::Queue> queue_;
    std::shared_ptr<DatablockPool> pool_;  // before those that hold datablocks
    DescriptorWrites descriptor_writes_;
    std::map<std::string, std::unique_ptr<Port>> ports_;
    std::map<std::string, std::unique_ptr<Ptask>> ptasks_;
    std::map<std::string, std::unique_ptr<Channel>> channels_;
    std::set<std::uint32_t> members_;  // of a pipe: sessions
    bool abandoned_ = false;           // a pipe that its last member has left
    std::vector<Ptask*> changed_;      // for advance()
    std::vector<Channel*> stirred_;    // where somebody waits who may go on: for advance()
    bool ending_ = false;              // a ptask has ended, and those behind it are yet to learn it
    std::vector<Port*> metas_;         // whose number is being fetched
    std::vector<std::shared_ptr<Watcher>> woken_;
    std::vector<std::weak_ptr<Watcher>> end_watchers_;  // see check_source()
    struct WatchedRun {
        std::shared_ptr<device::Fence> fence;
        const Ptask* ptask = nullptr;
        std::uint64_t until_ns = 0;
    };
    std::deque<WatchedRun> runs_;          // with a deadline, in the order of the queue; the first is timed
    std::shared_ptr<device::Fence> pace_;  // behind half of the runs that may be queued ahead of the device
    unsigned runs_since_pace_ = 0;
    const Ptask* stuck_ = nullptr;
    std::uint64_t stuck_until_ns_ = 0;
    bool queued_ = false;         // commands since the last flush
    std::uint64_t reserved_ = 0;  // of the budget
};

}  // namespace yoke::graph
