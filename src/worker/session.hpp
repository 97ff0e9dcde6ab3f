// A session as the worker's control side sees it: one client, its socket, its limits, and what it asks for.
//
// Requests of one session are answered in order: while one of them runs on a thread of the pool, the socket is not
// read, so a client can keep one thread busy and no more. Everything here belongs to the loop's thread.
#pragma once

#include <functional>
#include <memory>

#include "control/loop/connection.hpp"
#include "executive/executive.hpp"
#include "worker/engine.hpp"
#include "worker/graphs.hpp"
#include "worker/pool.hpp"

namespace yoke::worker {

// What the account may have (control message `adopt`), and what of it is in use.
struct Allowance {
    std::uint64_t sessions = 1024;
    std::uint64_t arena_bytes = 16ULL << 30;
    std::uint64_t keys = 1024;
    graph::Limits graph;

    std::uint64_t sessions_open = 0;
    std::uint64_t arena_bytes_open = 0;
};

// What sessions share.
struct Services {
    control::Loop& loop;
    executive::Executive& executive;
    Engine& engine;
    Graphs& graphs;
    Pool& graph_jobs;
    Pool& closing_jobs;
    Allowance allowance;
    std::function<void()> changed;
};

class Session {
   public:
    static Result<std::unique_ptr<Session>> adopt(Services& services, executive::SessionId id, pid_t client_pid,
                                                  uid_t client_uid, Fd socket,
                                                  std::function<void(executive::SessionId)> gone);
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;
    ~Session() = default;

    // Ends the session as if its client had hung up.
    void drop() { connection_->drop(); }
    [[nodiscard]] control::Json record() const;
    [[nodiscard]] control::Json key_record() const;

   private:
    using Handler = void (Session::*)(const control::Message& message);
    Session(Services& services, executive::SessionId id, pid_t client_pid, uid_t client_uid,
            std::function<void(executive::SessionId)> gone);
    void on_message(Result<control::Message> message);
    void on_closed();
    void disown_graphs();
    void close();
    void refuse(const control::Json& request, const Error& error);

    void open_session(control::Message& message);
    void create_key(control::Message& message);
    void destroy_key(const control::Message& message);
    void graph_request(const std::string& op, control::Json request);

    Services& services_;
    executive::SessionId id_;
    pid_t client_pid_;
    uid_t client_uid_;
    std::function<void(executive::SessionId)> gone_;
    std::unique_ptr<control::Connection> connection_;
    yoke_layout layout_{};
    bool open_ = false;     // the executive serves it
    bool working_ = false;  // a job runs
    bool closed_ = false;   // the client is gone
};

}  // namespace yoke::worker
