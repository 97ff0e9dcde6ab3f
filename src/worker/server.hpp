// The worker's control side: adopts sessions that yoked hands over, and ends them all in the end.
#pragma once

#include <map>
#include <memory>

#include "executive/executive.hpp"
#include "worker/engine.hpp"
#include "worker/graphs.hpp"
#include "worker/kernel_session.hpp"
#include "worker/link.hpp"
#include "worker/pool.hpp"
#include "worker/session.hpp"
#include "worker/stream.hpp"

namespace yoke::worker {

class Server {
   public:
    // Starts the threads and registers with yoked. `link`: the inherited socket.
    static Result<std::unique_ptr<Server>> create(control::Loop& loop, Identity identity, Fd link, Result<Fd> spawner);
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;
    ~Server() = default;

    // Drops all sessions; the loop ends when the last is gone.
    void end(const std::string& why);

   private:
    Server(control::Loop& loop, Result<Fd> spawner, std::string state_directory);
    Status start_parts(std::uint64_t spin_ns);
    void adopt(const control::Json& request, Fd socket);
    void restore();
    void set_limits(const control::Json& limits);
    void on_session_gone(executive::SessionId id);
    void open_kernel();
    [[nodiscard]] control::Json inventory() const;

    control::Loop& loop_;
    // In the order of their making: what stands below may use what stands above until it is destroyed.
    Engine engine_;
    Graphs graphs_;
    Streams streams_;
    std::unique_ptr<executive::Executive> executive_;
    std::map<executive::SessionId, std::unique_ptr<Session>> sessions_;
    std::unique_ptr<Pool> graph_jobs_;  // their jobs use sessions
    std::unique_ptr<Pool> closing_jobs_;
    std::unique_ptr<Services> services_;
    std::unique_ptr<Link> link_;
    executive::SessionId last_session_ = 0;
    std::uint64_t adopted_ = 0;
    std::string kernel_device_;  // empty: the kernel is no client
    std::unique_ptr<KernelSession> kernel_;
    control::Source kernel_timer_;
    std::uint64_t kernel_until_ns_ = 0;  // until then a device that is busy is tried again
    control::Source restore_timer_;
    std::uint64_t restore_gap_ns_ = 0;  // before the next attempt; 0: none was made
    bool restoring_ = false;
    bool ending_ = false;
};

}  // namespace yoke::worker
