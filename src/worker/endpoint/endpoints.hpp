// All endpoints of a worker, on a thread and an event loop of their own.
//
// PROBLEM. Endpoints read and write whatever the account can open: a file system that hangs, a disk that is slow. The
// worker's control loop must answer meanwhile.
//
// MODEL. Whoever runs a graph opens its endpoints first, on his own thread, so that what cannot be opened is an error
// of run_graph; then they are handed to the loop, which alone touches them. Completions of transfers come from any
// thread and are queued for the loop. An endpoint that is closed lives until its last transfer has completed, because
// their memory is its own.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "graph/runtime.hpp"
#include "worker/endpoint/endpoint.hpp"

namespace yoke::worker {

// The runtime as endpoints use it. Transfers carry Endpoints::session.
class Channels {
   public:
    virtual void push(const graph::Transfer& transfer) noexcept = 0;
    virtual void pull(const graph::Transfer& transfer) noexcept = 0;
    virtual void cancel(std::uint64_t key) noexcept = 0;
    virtual void fail_graph(const std::string& graph, const std::string& why) noexcept = 0;
    virtual void break_stream(std::uint32_t channel, const std::string& why) noexcept = 0;
    virtual void finish_sink(std::uint32_t channel) noexcept = 0;

   protected:
    ~Channels() = default;
};

class Endpoints final : public graph::TransferSink {
   public:
    static constexpr std::uint32_t session = 0;  // the worker itself; clients' sessions begin at 1

    // Endpoints that are open and not at work yet.
    using Opened = std::vector<std::pair<Place, std::unique_ptr<Endpoint>>>;
    // All or none. Blocks as open(2) does. Errors name the endpoint.
    static Result<Opened> open(const std::vector<Place>& places);

    // `channels` must outlive the endpoints.
    static Result<std::unique_ptr<Endpoints>> create(Channels& channels);
    Endpoints(const Endpoints&) = delete;
    Endpoints& operator=(const Endpoints&) = delete;
    ~Endpoints();  // closes all, and waits for their transfers

    // Puts endpoints of one running graph, the one with Place::key, to work. Any thread but the loop's; blocks until
    // they work. On failure they are closed.
    Status begin(const std::string& key, Opened opened);
    // Closes the graph's endpoints and waits until they are gone: paths are closed and no memory is in use. Any thread
    // but the loop's.
    void stop(const std::string& key);
    // Keys of the graphs that have endpoints.
    [[nodiscard]] std::vector<std::string> keys() const;

    void complete(const graph::Transfer& transfer, const yoke_completion& completion) noexcept override;

   private:
    class Link;
    struct Completion {
        std::uint64_t key = 0;
        yoke_completion result{};
    };
    Endpoints(Channels& channels, control::Loop loop);
    void post(std::function<void()> job);
    void call(const std::function<void()>& job);
    void turn();
    void close_graph(const std::string& key);
    void close_sources(const std::string& key);
    void remove_closed();
    [[nodiscard]] bool has(const std::string& key) const;

    Channels& channels_;
    control::Loop loop_;
    Fd bell_;
    control::Source bell_source_;
    std::map<std::uint64_t, std::unique_ptr<Link>> links_;  // the loop's
    std::vector<std::uint64_t> again_;                      // the loop's: who wants another turn
    std::uint64_t last_id_ = 0;                             // the loop's

    mutable std::mutex mutex_;
    std::condition_variable gone_;
    std::vector<std::function<void()>> jobs_;
    std::vector<Completion> completions_;
    std::multimap<std::string, std::uint64_t> of_graph_;  // ids
    std::thread thread_;
};

}  // namespace yoke::worker
