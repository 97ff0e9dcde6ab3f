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
#include "base/text.hpp"
#include "control/name.hpp"
#include "graph/graph.hpp"

namespace yoke::graph {

namespace {

constexpr std::uint64_t never = UINT64_MAX;

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
    Impl(device::Device& device_given, const Limits& limits_given) : device(device_given), limits(limits_given) {
        budget.bytes_max = limits.device_bytes;
    }
    ~Impl() = default;
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    struct Outer {
        std::shared_ptr<Graph> graph;
        Channel* channel = nullptr;  // lives as long as the graph
    };

    void deadline(std::uint64_t deadline_ns) noexcept override { alarm.at(deadline_ns); }
    void failure() noexcept override { alarm.at(0); }

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
        return true;
    }

    void disown(std::uint32_t session) {
        const std::unique_lock lock(mutex);
        leaving.insert(session);
        std::erase_if(channels, [&](const auto& entry) { return entry.second.graph->creator() == session; });
        std::erase_if(graphs, [&](const auto& entry) {
            const bool own = entry.second->creator() == session;
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
        return next;
    }

    device::Device& device;
    const Limits limits;
    Budget budget;
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

Result<std::unique_ptr<Runtime>> Runtime::create(device::Device& device, const Limits& limits) {
    return std::unique_ptr<Runtime>(new Runtime(std::make_unique<Impl>(device, limits)));
}

Result<Opened> Runtime::open_graph(std::uint32_t session, const std::string& name) {
    if (auto parsed = control::parse_name(name, control::NameKind::graph); !parsed) {
        return tl::unexpected(parsed.error());
    }
    if (impl_->find(name)) {
        return Opened{};
    }
    auto queue = impl_->device.create_queue();
    if (!queue) {
        return tl::unexpected(queue.error());
    }
    auto graph =
        std::make_shared<Graph>(name, session, impl_->device, std::move(*queue), impl_->budget, impl_->limits, *impl_);
    const std::unique_lock lock(impl_->mutex);
    if (impl_->graphs.contains(name)) {
        return Opened{};
    }
    if (impl_->leaving.contains(session)) {
        return fail(ECANCELED, "graph {} is not opened, since the session that asked for it has ended", name);
    }
    if (impl_->graphs.size() + impl_->disowned.size() >= impl_->limits.graphs) {
        return fail(ENOBUFS, "cannot open graph {}: the account has {} graphs already, which is the limit", name,
                    impl_->limits.graphs);
    }
    impl_->graphs.emplace(name, std::move(graph));
    return Opened{true, 0, {}};
}

Result<Opened> Runtime::open_port(std::uint32_t /*session*/, const control::PortDefinition& port) {
    auto graph = impl_->graph_with(port.name);
    return graph ? (*graph)->open_port(port) : tl::unexpected(graph.error());
}

Result<Opened> Runtime::open_ptask(std::uint32_t /*session*/, const control::PtaskDefinition& ptask) {
    auto graph = impl_->graph_with(ptask.name);
    return graph ? (*graph)->open_ptask(ptask) : tl::unexpected(graph.error());
}

Result<Opened> Runtime::open_channel(std::uint32_t /*session*/, const control::ChannelDefinition& channel) {
    auto graph = impl_->graph_with(channel.name);
    if (!graph) {
        return tl::unexpected(graph.error());
    }
    Channel* object = nullptr;
    auto opened = (*graph)->open_channel(channel, impl_->next_channel.fetch_add(1), object);
    if (!opened || opened->channel == 0) {
        return opened;
    }
    const std::unique_lock lock(impl_->mutex);
    const auto found = impl_->graphs.find((*graph)->name());
    if (found == impl_->graphs.end() || found->second != *graph) {
        return fail(ENOENT, "graph {} was terminated while channel {} was opened", (*graph)->name(), channel.name);
    }
    // Also when it is open already: the one who opened it may not have come here yet.
    impl_->channels.try_emplace(opened->channel, Impl::Outer{*graph, object});
    return opened;
}

Status Runtime::run_graph(std::uint32_t /*session*/, const std::string& name) {
    auto graph = impl_->find(name);
    return graph ? (*graph)->run() : tl::unexpected(graph.error());
}

Status Runtime::terminate_graph(std::uint32_t /*session*/, const std::string& name) {
    auto graph = impl_->find(name);
    if (!graph) {
        return tl::unexpected(graph.error());
    }
    if (!impl_->remove(*graph)) {
        return fail(ENOENT, "graph {} does not exist; somebody else terminated it", name);
    }
    return {};
}

void Runtime::push(Transfer transfer) noexcept {
    const Impl::Outer outer = impl_->find(transfer.channel);
    if (!outer.graph) {
        return complete(transfer, ENOENT, YOKE_MEMBER_OBJECT);
    }
    outer.graph->push(*outer.channel, transfer);
}

void Runtime::pull(Transfer transfer) noexcept {
    const Impl::Outer outer = impl_->find(transfer.channel);
    if (!outer.graph) {
        return complete(transfer, ENOENT, YOKE_MEMBER_OBJECT);
    }
    outer.graph->pull(*outer.channel, transfer);
}

void Runtime::cancel(std::uint32_t session, std::uint64_t key) noexcept {
    for (const auto& graph : impl_->all()) {
        graph->cancel(session, key);
    }
}

void Runtime::disown(std::uint32_t session) noexcept {
    impl_->disown(session);
}

void Runtime::forget(std::uint32_t session) noexcept {
    for (const auto& graph : impl_->all()) {
        if (graph->creator() == session) {
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
