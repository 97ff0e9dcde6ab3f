// The graphs of an account by name and their channels by number; see runtime.hpp. Readers share one lock, and what
// happens inside a graph is that graph's business.
#include "graph/runtime.hpp"

#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <shared_mutex>
#include <thread>
#include <unordered_map>
#include <utility>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "control/name.hpp"
#include "graph/graph.hpp"
#include "graph/move.hpp"

namespace yoke::graph {

namespace {

constexpr std::uint64_t never = UINT64_MAX;
constexpr std::uint32_t may_look = 0400;
constexpr std::uint32_t may_change = 0200;
constexpr std::uint32_t may_run = 0100;

// A clock for deadlines, on a thread of its own. Whoever waits tells his deadline; only one that is earlier than all
// others wakes the thread, so that a stream of transfers with equal timeouts costs one comparison each.
class Alarm {
   public:
    template <typename Tick>
    explicit Alarm(Tick tick) : thread_([this, tick] { serve(tick); }) {}
    Alarm(const Alarm&) = delete;
    Alarm& operator=(const Alarm&) = delete;
    ~Alarm() {
        {
            const std::lock_guard lock(mutex_);
            ending_ = true;
        }
        changed_.notify_all();
        thread_.join();
    }

    void at(std::uint64_t deadline_ns) {
        std::uint64_t seen = next_.load();
        while (deadline_ns < seen) {
            if (next_.compare_exchange_weak(seen, deadline_ns)) {
                const std::lock_guard lock(mutex_);  // the thread is now asleep or yet to look
                changed_.notify_all();
                return;
            }
        }
    }

   private:
    // `tick` looks after everything that is due and returns the next deadline.
    template <typename Tick>
    void serve(Tick tick) {
        std::unique_lock lock(mutex_);
        while (!ending_) {
            const std::uint64_t now = now_ns();
            const std::uint64_t next = next_.load();
            if (next > now) {
                // steady_clock is CLOCK_MONOTONIC; far deadlines are cut to an hour, which loses nothing.
                const std::uint64_t left = std::min<std::uint64_t>(next - now, 3600'000'000'000ULL);
                changed_.wait_for(lock, std::chrono::nanoseconds(left));
                continue;
            }
            next_.store(never);  // before looking: a deadline told from now on counts
            lock.unlock();
            at(tick(now));
            lock.lock();
        }
    }

    std::atomic<std::uint64_t> next_{never};
    std::mutex mutex_;
    std::condition_variable changed_;
    bool ending_ = false;
    std::thread thread_;
};

}  // namespace

// Finding a graph or channel takes a lock that readers share; only opening and terminating take it alone.
struct Runtime::Impl final : GraphHost {
    Impl(device::Device& device_given, const Limits& limits_given, Stuck stuck_given)
        : device(device_given), limits(limits_given), told_stuck(std::move(stuck_given)) {
        budget.bytes_max = limits.device_bytes;
    }
    ~Impl() = default;
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    void deadline(std::uint64_t deadline_ns) noexcept override { alarm.at(deadline_ns); }
    void stuck(const std::string& object, const std::string& why) noexcept override {
        log_error(Topic::graph, "a kernel does not end", {{"why", why}});
        if (told_stuck) {
            told_stuck(object, why);
        }
    }

    std::vector<std::shared_ptr<Graph>> all() const {
        const std::shared_lock lock(mutex);
        std::vector<std::shared_ptr<Graph>> list;
        list.reserve(graphs.size() + disowned.size());
        for (const auto& [name, graph] : graphs) {
            list.push_back(graph);
        }
        list.insert(list.end(), disowned.begin(), disowned.end());
        return list;
    }

    Outer find(std::uint32_t channel) const {
        const std::shared_lock lock(mutex);
        const auto found = channels.find(channel);
        return found == channels.end() ? Outer{} : found->second;
    }

    // Makes a channel known by its number. Also when it is open already: the one who opened it may not have come here
    // yet. False: the graph is gone.
    bool publish(const std::shared_ptr<Graph>& graph, std::uint32_t id, Channel* channel) {
        const std::unique_lock lock(mutex);
        const auto found = graphs.find(graph->name());
        if (found == graphs.end() || found->second != graph) {
            return false;
        }
        channels.try_emplace(id, Outer{graph, channel});
        return true;
    }

    struct Added {
        std::shared_ptr<Graph> graph;
        bool created = false;
    };
    // Opens a graph or a pipe, unless there is one of that name.
    Result<Added> add(GraphSetup setup);

    static Result<std::shared_ptr<Graph>> allowed(const std::shared_ptr<Graph>& graph, std::uint32_t session,
                                                  std::uint32_t bits, std::string_view what) {
        if (graph->is_pipe()) {
            return fail(EINVAL, "{} is a pipe, not a graph", graph->name());
        }
        if (auto allows = graph->allows(session, bits, what); !allows) {
            return tl::unexpected(allows.error());
        }
        return graph;
    }

    // The graph, if `session` may do `what` with it.
    Result<std::shared_ptr<Graph>> find(const std::string& name, std::uint32_t session, std::uint32_t bits,
                                        std::string_view what) const {
        auto graph = find(name);
        return graph ? allowed(*graph, session, bits, what) : graph;
    }

    Result<std::shared_ptr<Graph>> find(const std::string& name) const {
        const std::shared_lock lock(mutex);
        const auto found = graphs.find(name);
        if (found == graphs.end()) {
            return fail(ENOENT, "graph {} does not exist; open it first", in_quotes(name));
        }
        return found->second;
    }

    // The graph of the object `name`, which may be no name at all.
    Result<std::shared_ptr<Graph>> graph_with(const std::string& name) const {
        auto parsed = control::parse_name(name);
        if (!parsed) {
            return tl::unexpected(parsed.error());
        }
        return find(control::graph_of(name));
    }

    // The line of moves out of a channel.
    std::shared_ptr<MoveLine> line_of(std::uint32_t channel) {
        const std::lock_guard lock(lines_mutex);
        std::shared_ptr<MoveLine>& line = lines[channel];
        if (!line) {
            line = std::make_shared<MoveLine>([this](std::uint32_t id) { return find(id); });
        }
        return line;
    }

    std::vector<std::shared_ptr<MoveLine>> all_lines() {
        const std::lock_guard lock(lines_mutex);
        std::vector<std::shared_ptr<MoveLine>> list;
        for (const auto& [channel, line] : lines) {
            list.push_back(line);
        }
        return list;
    }

    // Forgets lines of channels that are gone.
    void sweep_lines() {
        const std::lock_guard lock(lines_mutex);
        std::erase_if(lines, [&](const auto& entry) { return !find(entry.first).graph && entry.second->idle(); });
    }

    // False: it was removed meanwhile.
    bool remove(const std::shared_ptr<Graph>& graph) {
        {
            const std::unique_lock lock(mutex);
            const auto found = graphs.find(graph->name());
            if (found != graphs.end() && found->second == graph) {
                graphs.erase(found);
                std::erase_if(channels, [&](const auto& entry) { return entry.second.graph == graph; });
            } else if (std::erase(disowned, graph) == 0) {
                return false;
            }
        }
        graph->terminate();
        for (const auto& line : all_lines()) {
            line->changed();  // one that waits at its other end
        }
        sweep_lines();
        return true;
    }

    void disown(std::uint32_t session) {
        const std::unique_lock lock(mutex);
        leaving.insert(session);
        const auto belongs = [&](const Graph& graph) {
            return graph.creator() == session && !graph.persists() && !graph.is_pipe();
        };
        std::erase_if(channels, [&](const auto& entry) { return belongs(*entry.second.graph); });
        std::erase_if(graphs, [&](const auto& entry) {
            const bool own = belongs(*entry.second);
            if (own) {
                disowned.push_back(entry.second);
            }
            return own;
        });
    }

    void forget(std::uint32_t session) {
        const std::unique_lock lock(mutex);
        leaving.erase(session);
    }

    std::uint64_t tick(std::uint64_t now) {
        std::uint64_t next = never;
        for (const auto& graph : all()) {
            next = std::min(next, graph->tick(now));
        }
        for (const auto& line : all_lines()) {
            next = std::min(next, line->tick(now));
        }
        return next;
    }

    device::Device& device;
    const Limits limits;
    const Stuck told_stuck;
    KeyLender lender;
    Budget budget;
    std::mutex lines_mutex;  // of `lines`; taken before `mutex`
    std::unordered_map<std::uint32_t, std::shared_ptr<MoveLine>> lines;
    mutable std::shared_mutex mutex;
    std::map<std::string, std::shared_ptr<Graph>> graphs;
    std::unordered_map<std::uint32_t, Outer> channels;
    std::vector<std::shared_ptr<Graph>> disowned;  // without a name any more
    std::set<std::uint32_t> leaving;               // sessions between disown() and forget()
    std::atomic<std::uint32_t> next_channel{1};
    Alarm alarm{[this](std::uint64_t now) { return tick(now); }};  // last: its thread uses the rest
};

Runtime::Runtime(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Runtime::~Runtime() {
    for (const auto& graph : impl_->all()) {
        impl_->remove(graph);
    }
}

Result<std::unique_ptr<Runtime>> Runtime::create(device::Device& device, const Limits& limits, Stuck stuck) {
    return std::unique_ptr<Runtime>(new Runtime(std::make_unique<Impl>(device, limits, std::move(stuck))));
}

void Runtime::lend_keys(KeyLender lender) {
    impl_->lender = std::move(lender);
}

Result<Runtime::Impl::Added> Runtime::Impl::add(GraphSetup setup) {
    const std::string name = setup.name;
    const std::uint32_t session = setup.creator;
    if (auto there = find(name)) {
        return Added{std::move(*there), false};
    }
    auto queue = device.create_queue();
    if (!queue) {
        return tl::unexpected(queue.error());
    }
    auto graph = std::make_shared<Graph>(std::move(setup), device, std::move(*queue), budget, limits, *this);
    const std::unique_lock lock(mutex);
    if (const auto there = graphs.find(name); there != graphs.end()) {
        return Added{there->second, false};
    }
    if (leaving.contains(session)) {
        return fail(ECANCELED, "graph {} is not opened, since the session that asked for it has ended", name);
    }
    if (graphs.size() + disowned.size() >= limits.graphs) {
        return fail(ENOBUFS, "cannot open graph {}: the account has {} already, which is the limit", name,
                    counted(limits.graphs, "graph"));
    }
    graphs.emplace(name, graph);
    return Added{std::move(graph), true};
}

Result<Opened> Runtime::open_graph(std::uint32_t session, const std::string& name, bool persist, std::uint32_t mode) {
    if (auto parsed = control::parse_name(name, control::NameKind::graph); !parsed) {
        return tl::unexpected(parsed.error());
    }
    if ((mode & ~0777U) != 0) {
        return fail(EINVAL, "graph {} cannot have mode {:o}; give permission bits, at most 0777", name, mode);
    }
    auto added = impl_->add({name, session, persist, mode, false});
    if (!added) {
        return tl::unexpected(added.error());
    }
    const Graph& graph = *added->graph;
    if (graph.is_pipe()) {
        return fail(EEXIST, "{} exists and is a pipe; choose another name for the graph", name);
    }
    if (persist && !graph.persists()) {
        return fail(EEXIST, "graph {} exists and does not persist; terminate it first", name);
    }
    return Opened{added->created, 0, {}};
}

Result<Opened> Runtime::open_port(std::uint32_t session, const control::PortDefinition& port) {
    auto graph = impl_->graph_with(port.name);
    if (graph) {
        graph = impl_->allowed(*graph, session, may_change, "open " + port.name);
    }
    return graph ? (*graph)->open_port(port) : tl::unexpected(graph.error());
}

Result<Opened> Runtime::open_ptask(std::uint32_t session, const control::PtaskDefinition& ptask) {
    auto graph = impl_->graph_with(ptask.name);
    if (graph) {
        graph = impl_->allowed(*graph, session, may_change, "open " + ptask.name);
    }
    const auto lend = [&](std::uint32_t key, const service::Service& service) -> Result<LentKey> {
        if (!impl_->lender) {
            return fail(ENOTSUP, "keys cannot be had here");
        }
        return impl_->lender(session, key, service);
    };
    return graph ? (*graph)->open_ptask(ptask, lend) : tl::unexpected(graph.error());
}

Result<Opened> Runtime::open_channel(std::uint32_t session, const control::ChannelDefinition& channel) {
    auto graph = impl_->graph_with(channel.name);
    if (graph) {
        graph = impl_->allowed(*graph, session, may_change, "open " + channel.name);
    }
    if (!graph) {
        return tl::unexpected(graph.error());
    }
    Channel* object = nullptr;
    auto opened = (*graph)->open_channel(channel, impl_->next_channel.fetch_add(1), object);
    if (!opened || opened->channel == 0) {
        return opened;
    }
    if (!impl_->publish(*graph, opened->channel, object)) {
        return fail(ENOENT, "graph {} was terminated while channel {} was opened", (*graph)->name(), channel.name);
    }
    return opened;
}

Status Runtime::run_graph(std::uint32_t session, const std::string& name) {
    auto graph = impl_->find(name, session, may_run, "run it");
    return graph ? (*graph)->run() : tl::unexpected(graph.error());
}

Status Runtime::terminate_graph(std::uint32_t session, const std::string& name) {
    auto graph = impl_->find(name, session, may_run, "terminate it");
    if (!graph) {
        return tl::unexpected(graph.error());
    }
    if (!impl_->remove(*graph)) {
        return fail(ENOENT, "graph {} does not exist; somebody else terminated it", name);
    }
    return {};
}

Status Runtime::set_priority(std::uint32_t session, const std::string& name, std::uint8_t priority) {
    auto graph = impl_->graph_with(name);
    if (graph) {
        graph = impl_->allowed(*graph, session, may_change, "set its priority");
    }
    return graph ? (*graph)->set_priority(name, priority) : tl::unexpected(graph.error());
}

Result<control::Json> Runtime::why(std::uint32_t session, const std::string& name) const {
    auto graph = impl_->find(name, session, may_look, "look at it");
    return graph ? Result<control::Json>((*graph)->why()) : tl::unexpected(graph.error());
}

Result<std::vector<EndpointBinding>> Runtime::endpoints(std::uint32_t session, const std::string& name) const {
    auto graph = impl_->find(name, session, may_run, "serve its endpoints");
    return graph ? Result<std::vector<EndpointBinding>>((*graph)->endpoints()) : tl::unexpected(graph.error());
}

void Runtime::fail_graph(const std::string& name, const std::string& why) {
    if (auto graph = impl_->find(name)) {
        (*graph)->give_up(why);
    }
}

void Runtime::break_stream(std::uint32_t channel, const std::string& why) noexcept {
    if (const Outer outer = impl_->find(channel); outer.graph) {
        outer.graph->break_stream(*outer.channel, why);
    }
}

void Runtime::finish_sink(std::uint32_t channel) noexcept {
    if (const Outer outer = impl_->find(channel); outer.graph) {
        outer.graph->finish_sink(*outer.channel);
    }
}

Result<Opened> Runtime::open_pipe(std::uint32_t session, const PipeDefinition& pipe) {
    if (auto parsed = control::parse_name(pipe.name, control::NameKind::graph); !parsed) {
        return tl::unexpected(parsed.error());
    }
    auto added = impl_->add({pipe.name, session, false, 0, true});
    if (!added) {
        return tl::unexpected(added.error());
    }
    const auto& graph = added->graph;
    if (!graph->is_pipe()) {
        return fail(EEXIST, "{} exists and is a graph; choose another name for the pipe", pipe.name);
    }
    Channel* object = nullptr;
    auto opened = graph->open_pipe(session, pipe, impl_->next_channel.fetch_add(1), object);
    if (!opened) {
        if (added->created && graph->abandon_pipe()) {
            impl_->remove(graph);
        }
        return opened;
    }
    if (!impl_->publish(graph, opened->channel, object)) {
        return fail(EAGAIN, "pipe {} was closed while it was opened; try again", pipe.name);
    }
    return opened;
}

Status Runtime::close_pipe(std::uint32_t session, const std::string& name) {
    auto graph = impl_->find(name);
    const auto leaving = graph && (*graph)->is_pipe() ? (*graph)->leave_pipe(session) : Graph::Leaving::no_member;
    if (leaving == Graph::Leaving::no_member) {
        return fail(ENOENT, "this session has no pipe {}", in_quotes(name));
    }
    if (leaving == Graph::Leaving::last) {
        impl_->remove(*graph);
    }
    return {};
}

void Runtime::push(Transfer transfer) noexcept {
    const Outer outer = impl_->find(transfer.channel);
    if (!outer.graph) {
        return complete(transfer, ENOENT, YOKE_MEMBER_OBJECT);
    }
    outer.graph->push(*outer.channel, transfer);
}

void Runtime::pull(Transfer transfer) noexcept {
    const Outer outer = impl_->find(transfer.channel);
    if (!outer.graph) {
        return complete(transfer, ENOENT, YOKE_MEMBER_OBJECT);
    }
    outer.graph->pull(*outer.channel, transfer);
}

void Runtime::move(Transfer transfer) noexcept {
    if (!impl_->find(transfer.channel).graph || !impl_->find(transfer.to).graph) {
        return complete(transfer, ENOENT, impl_->find(transfer.channel).graph ? YOKE_MEMBER_AUX : YOKE_MEMBER_OBJECT);
    }
    impl_->line_of(transfer.channel)->add(transfer);
    if (transfer.deadline_ns != 0) {
        impl_->deadline(transfer.deadline_ns);
    }
}

void Runtime::cancel(std::uint32_t session, std::uint64_t key) noexcept {
    for (const auto& line : impl_->all_lines()) {
        line->end([&](const Transfer& transfer) { return transfer.session == session && transfer.key == key; },
                  YOKE_ECANCELED);
    }
    for (const auto& graph : impl_->all()) {
        graph->cancel(session, key);
    }
}

void Runtime::disown(std::uint32_t session) noexcept {
    impl_->disown(session);
}

void Runtime::forget(std::uint32_t session) noexcept {
    for (const auto& line : impl_->all_lines()) {
        line->end([&](const Transfer& transfer) { return transfer.session == session; }, YOKE_ECANCELED);
        line->wait_for(session);
    }
    for (const auto& graph : impl_->all()) {
        const bool last = graph->is_pipe() && graph->leave_pipe(session) == Graph::Leaving::last;
        if (last || (graph->creator() == session && !graph->persists() && !graph->is_pipe())) {
            impl_->remove(graph);
        }
        graph->forget(session);
    }
    impl_->forget(session);
}

control::Json Runtime::inventory() const {
    control::Json inventory = {{"graphs", control::Json::array()},
                               {"ptasks", control::Json::array()},
                               {"ports", control::Json::array()},
                               {"channels", control::Json::array()}};
    for (const auto& graph : impl_->all()) {
        graph->describe(inventory);
    }
    return inventory;
}

std::uint64_t Runtime::datablocks() const {
    return impl_->budget.datablocks.load();
}

}  // namespace yoke::graph
