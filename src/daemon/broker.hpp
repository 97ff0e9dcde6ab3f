// The broker: who is connected, which accounts there are, and which worker serves whom.
//
// One thread, one event loop, nothing that blocks: answers wait in bounded queues, questions to workers have deadlines.
// A client is known by the kernel's word on its uid. What a client asks and cannot be answered at once (its worker is
// starting, or is asked for a report) waits in the account or in a Listing under the client's number, so that a client
// that goes leaves nothing behind.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "control/address.hpp"
#include "control/loop/connection.hpp"
#include "daemon/config.hpp"
#include "daemon/kernel_device.hpp"
#include "daemon/pipes.hpp"
#include "daemon/roster.hpp"
#include "daemon/secret.hpp"
#include "daemon/state_directory.hpp"
#include "daemon/supervision.hpp"
#include "daemon/worker.hpp"

namespace yoke::daemon {

class Broker {
   public:
    struct Options {
        Config config;
        bool private_instance = false;
        std::string socket;     // path of the listening socket
        std::string directory;  // runtime directory: secret, list of workers
        std::string worker_program;
        StateDirectory state;
    };

    // Takes the workers of a predecessor into its books and starts answering.
    static Result<std::unique_ptr<Broker>> create(control::Loop& loop, Options options, Fd listener);
    Broker(const Broker&) = delete;
    Broker& operator=(const Broker&) = delete;
    ~Broker() = default;

    void set_config(Config config);
    // Ends all workers, then the loop.
    void shut_down();
    // One sentence for the service manager.
    [[nodiscard]] std::string summary() const;
    // Called whenever summary() may have changed.
    std::function<void()> on_change;
    // Called when no new clients are accepted any more.
    std::function<void()> on_shut_down;

   private:
    using ClientId = std::uint64_t;

    struct Client {
        control::Credentials peer;
        std::unique_ptr<control::Connection> link;
        unsigned waiting = 0;  // requests not answered yet
    };
    struct Waiting {
        ClientId client = 0;
        control::Json request;
    };
    struct Death {
        pid_t pid = 0;
        LastWords words;
    };
    struct Account {
        uid_t uid = 0;
        std::optional<uid_t> user;  // that the worker became, unless an earlier yoked started it
        std::uint64_t generation = 0;
        Supervision supervision;
        std::map<std::string, unsigned> killers;  // graphs, and workers that each was the death of in a row
        std::optional<Death> death;               // of its last worker, unless that was told to end
        std::unique_ptr<Worker> worker;
        std::deque<Waiting> waiting;  // connects
        std::uint64_t idle_since_ns = 0;
        bool wanted = false;  // has graphs that persist, or is the kernel, and no worker
    };
    struct Listing {
        ClientId client = 0;
        control::Json request;
        std::set<uid_t> accounts;  // shown
        std::set<uid_t> awaited;   // not reported yet
        std::set<uid_t> kept;      // accounts whose graphs that persist are shown
        std::uint64_t deadline_ns = 0;
    };

    Broker(control::Loop& loop, Options options, Fd listener, const Secret& secret);

    // clients.cpp: connections
    void on_accept();
    void refuse_accept(Fd socket, const Error& error);
    void on_client_message(ClientId id, Result<control::Message> message);
    void drop_client(ClientId id);
    void answer(ClientId id, const control::Json& body, std::vector<Fd> fds = {});
    void on_register(ClientId id, const control::Json& request);
    [[nodiscard]] bool is_superior(const Client& client) const;  // root, or the owner of this yoked

    // claims.cpp: pipes
    void on_claim(ClientId id, const control::Json& request);
    void on_pipe_state(ClientId id, const control::Json& request);
    void introduce(const std::vector<PairChange>& changes);

    // accounts.cpp: workers
    Account& account_of(uid_t uid);
    void on_connect(ClientId id, const control::Json& request);
    void serve_waiting(Account& account);
    void fail_waiting(Account& account, const Error& error, std::uint64_t retry_ms);
    static void tell_death(const Account& account, control::Json& body);
    static void blame(Account& account, const std::string& object, bool healthy);
    [[nodiscard]] static control::Json dangerous_graphs(const Account& account);
    [[nodiscard]] static std::string last_death(const Account& account);
    [[nodiscard]] std::string way_out() const;
    void hand_session(Account& account, const Waiting& waiting);
    void ensure_worker(Account& account);
    Status start_worker(Account& account);
    Worker::Handlers worker_handlers(uid_t uid);
    [[nodiscard]] Worker::Times worker_times(std::uint64_t timeout_ms) const;
    void on_worker_died(uid_t uid, const std::string& how);
    [[nodiscard]] Result<control::Json> limits_for(const Account& account) const;
    void recover_workers();
    void start_wanted_workers();
    void write_roster();

    // kernel.cpp: the account of the kernel
    void serve_kernel();
    [[nodiscard]] bool kernel_wants_worker() const;

    // listing.cpp: what there is
    void on_status(ClientId id, const control::Json& request);
    void on_list(ClientId id, const control::Json& request);
    void ask_reports(Account& account);
    void on_reported(uid_t uid, std::uint64_t report);
    void finish_listing(const Listing& listing);
    void add_kept_graphs(const Listing& listing, control::Json& graphs) const;
    [[nodiscard]] control::Json worker_summary(const Account& account) const;

    // broker.cpp: time
    void on_tick();
    void tick_account(Account& account, std::uint64_t now);
    void schedule_tick();
    void changed();

    control::Loop& loop_;
    Options options_;
    Secret secret_;
    Fd listener_;
    Fd spare_;  // given up for a moment to refuse a client when descriptors run out
    std::uint64_t started_ns_ = 0;
    control::Source accept_;
    control::Source tick_;
    std::unique_ptr<KernelDevice> kernel_device_;  // system instance
    std::map<ClientId, Client> clients_;
    std::map<uid_t, unsigned> connections_;  // per user
    std::map<uid_t, Account> accounts_;
    std::map<std::uint64_t, Listing> listings_;
    Pipes pipes_;
    ClientId last_client_ = 0;
    std::uint64_t last_report_ = 0;
    std::uint64_t idle_since_ns_ = 0;
    std::uint64_t tick_at_ns_ = 0;  // 0: not armed
    bool ending_ = false;
};

}  // namespace yoke::daemon
