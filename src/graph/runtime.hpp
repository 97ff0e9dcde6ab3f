// The graph runtime of one worker: owns graphs, moves datablocks along channels and dispatches ready ptasks.
//
// A ptask is ready when every input holds a datablock and every output can take one. Dispatching queues its kernel on
// the device and passes datablocks on at once: the device's in-order queue is what makes the next ptask see the result,
// so that a chain of ptasks runs without the host in between. Only pushes (host to device) and pulls (device to host)
// copy.
//
// Push and pull arrive from the executive as stream entries and are completed through the sink given here.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <uapi/yoke.h>

#include "base/error.hpp"
#include "control/graph_file.hpp"
#include "control/limits.hpp"
#include "device/device.hpp"
#include "service/service.hpp"

namespace yoke::graph {

struct Transfer;

// Who is told the end of a transfer: once, on any thread, also from inside push() and pull(). Must not block and must
// not call the runtime.
class TransferSink {
   public:
    virtual void complete(const Transfer& transfer, const yoke_completion& completion) noexcept = 0;

   protected:
    ~TransferSink() = default;
};

// A push, a pull, or a move between two channels.
struct Transfer {
    TransferSink* sink = nullptr;
    std::uint32_t channel = 0;
    std::uint32_t session = 0;              // who asks
    std::uint64_t key = 0;                  // for cancel() and the sink: unique among the session's transfers in flight
    std::uint8_t flags = 0;                 // YOKE_FLAG_NOWAIT; push: END; pull: PEEK, DRAIN
    std::uint8_t signals = 0;               // push: YOKE_SIGNALS_PUSHABLE
    std::uint32_t to = 0;                   // move: destination
    std::array<std::uint64_t, 3> extent{};  // push: zeros: from the length
    std::byte* data = nullptr;
    std::uint32_t length = 0;
    std::uint64_t deadline_ns = 0;  // CLOCK_MONOTONIC; 0: none
};

struct Limits {
    std::uint32_t graphs = 256;                            // of the account
    std::uint32_t objects_per_graph = 1024;                // ptasks, ports and channels
    std::uint32_t objects = control::account_objects_max;  // of all graphs
    std::uint32_t capacity_max = 4096;                     // datablocks of one channel
    std::uint64_t device_bytes = 4ULL << 30;               // buffers of all graphs
    // What a graph that is terminated may still run for; what goes on for longer is taken for a kernel that never ends.
    std::uint64_t terminate_grace_ns = 10'000'000'000;
};

struct PipeDefinition {
    std::string name;  // "/pipe-1-2": in the namespace of graphs
    control::TemplateDefinition form;
    bool variable = false;
    std::uint32_t capacity = control::capacity_default;
};

struct Opened {
    bool created = false;
    std::uint32_t channel = 0;  // open_channel: id for push and pull; 0: inner
    std::string log;            // open_ptask: compiler's messages
};

// A key that a ptask's service uses, on a lane that nobody uses but under `turn`.
struct LentKey {
    std::shared_ptr<const service::Key> key;
    unsigned lane = 0;
    std::shared_ptr<std::mutex> turn;
};
// Finds the key of a session. ENOKEY.
using KeyLender =
    std::function<Result<LentKey>(std::uint32_t session, std::uint32_t key, const service::Service& service)>;

// The end of a channel that is a file, FIFO, socket or device.
struct EndpointBinding {
    std::string name;  // of the channel
    std::uint32_t channel = 0;
    bool source = false;      // data comes from it: to be pushed
    std::uint64_t bytes = 0;  // of a whole datablock
    bool variable = false;
    control::EndpointDefinition definition;
    control::TemplateDefinition form;
    std::string port;  // at the other end
};

class Runtime {
   public:
    // Called, on any thread, when a kernel has run beyond its ptask's deadline and does not end: the device is lost to
    // whatever the kernel holds, and only the end of the process frees it.
    using Stuck = std::function<void(const std::string& object, const std::string& why)>;

    // `device` must outlive the runtime.
    static Result<std::unique_ptr<Runtime>> create(device::Device& device, const Limits& limits, Stuck stuck = {});
    // Where ptasks get keys from; before the first one is opened. Without: ENOTSUP for services that need one.
    void lend_keys(KeyLender lender);
    ~Runtime();  // terminates all graphs
    Runtime(const Runtime&) = delete;
    Runtime& operator=(const Runtime&) = delete;

    // The control calls; `session` is the creator. Errors name the object. Thread-safe. Session 0 is the worker itself,
    // which serves endpoints and brings graphs back: modes do not hold for it.
    // `persist`: the graph outlives its creator; EINVAL later for what cannot. `mode`: see GraphDefinition; a graph
    // that exists keeps its own.
    Result<Opened> open_graph(std::uint32_t session, const std::string& name, bool persist = false,
                              std::uint32_t mode = control::mode_default);
    Result<Opened> open_port(std::uint32_t session, const control::PortDefinition& port);
    Result<Opened> open_ptask(std::uint32_t session, const control::PtaskDefinition& ptask);
    Result<Opened> open_channel(std::uint32_t session, const control::ChannelDefinition& channel);
    Status run_graph(std::uint32_t session, const std::string& name);
    Status terminate_graph(std::uint32_t session, const std::string& name);
    // 0 (least) to 10; of a ptask, or of a graph: of all its ptasks.
    Status set_priority(std::uint32_t session, const std::string& name, std::uint8_t priority);
    // Why the graph does not move: [{"object", "reason", "sentence"}], empty when it can or has nothing to do.
    Result<control::Json> why(std::uint32_t session, const std::string& name) const;

    // Those of a graph, for whoever serves them.
    Result<std::vector<EndpointBinding>> endpoints(std::uint32_t session, const std::string& name) const;
    // An endpoint is gone: the graph fails with `why`, which names the channel and the path.
    void fail_graph(const std::string& name, const std::string& why);
    // The end that the endpoint of `channel` pushes next is one by an error, `why`: what came before goes through the
    // graph and into its sinks, then the graph fails with it. Pulls get EIO behind the last datablock.
    void break_stream(std::uint32_t channel, const std::string& why) noexcept;
    // The endpoint of `channel`, a sink, has written what it was given and has closed its path: a graph has not ended
    // before all of them have.
    void finish_sink(std::uint32_t channel) noexcept;

    // Pipes: channels that belong to no graph and to every session that has opened them, the last of which takes them
    // along. Both push into them and pull from them. EEXIST: with another template. EAGAIN: the last has just left it.
    Result<Opened> open_pipe(std::uint32_t session, const PipeDefinition& pipe);
    Status close_pipe(std::uint32_t session, const std::string& name);

    // Never block; complete with ENOENT (detail OBJECT) when there is no such channel, EPIPE or ENODATA at the end of
    // the stream, ETIME at the deadline, ECANCELED when the graph is terminated.
    void push(Transfer transfer) noexcept;
    void pull(Transfer transfer) noexcept;
    // From the outer end of one graph, or a pipe, to that of another: the datablock itself, not its bytes. Waits for a
    // datablock and for room; takes nothing before there is room. An end of the stream goes on and completes with
    // ENODATA.
    void move(Transfer transfer) noexcept;
    void cancel(std::uint32_t session, std::uint64_t key) noexcept;
    // The session's client has gone and forget() will follow: from now on nobody finds the graphs that it created, so
    // their names are free for others, and it opens no more (ECANCELED). They count and are listed until they are
    // terminated. Never waits for the device.
    void disown(std::uint32_t session) noexcept;
    // The session is gone: its transfers are dropped once the device has let go of their memory (this waits for that),
    // and graphs that it created are terminated.
    void forget(std::uint32_t session) noexcept;

    // {"graphs": [...], "ptasks": [...], "ports": [...], "channels": [...]} with counters (datablocks, copies, runs).
    [[nodiscard]] control::Json inventory() const;
    // Datablocks that exist; 0 once all graphs are terminated.
    [[nodiscard]] std::uint64_t datablocks() const;

   private:
    struct Impl;
    explicit Runtime(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace yoke::graph
