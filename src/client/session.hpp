// A session: one thread's way to its worker, over the deaths of workers.
//
// It is made of parts that know nothing of each other: the link with the present worker, the arena's allocator, the
// keys, the tickets that callers hold, the flights that executors may still touch, and the choice where a call runs.
// What happens to a call is in call.cpp, waiting in wait.cpp, the death of a worker in recovery.cpp.
//
// Public functions return 0 (or a count) or -errno and leave a sentence in error(). They may throw std::bad_alloc; the
// C interface (api.cpp) turns that into -ENOMEM.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <yoke/yoke.h>

#include "base/error.hpp"
#include "base/memory.hpp"
#include "client/allocator.hpp"
#include "client/choice.hpp"
#include "client/flight.hpp"
#include "client/function.hpp"
#include "client/graphs.hpp"
#include "client/key.hpp"
#include "client/link.hpp"
#include "client/spin.hpp"
#include "client/ticket.hpp"
#include "control/message.hpp"
#include "ring/waiter.hpp"

namespace yoke::client {

// A library in somebody else's program is quiet unless the user asks ($YOKE_LOG).
void configure_log_once();

class Session {
   public:
    static Result<std::unique_ptr<Session>> open(const yoke_options& options);
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;
    ~Session();

    // False in a child of fork: nothing but destruction is allowed then.
    [[nodiscard]] bool usable() const;
    [[nodiscard]] const std::string& error() const { return error_; }
    int refuse(const Error& error);

    int info(yoke_session_info& info);
    int allocate(std::size_t bytes, void*& memory);
    int free(void* memory);
    [[nodiscard]] bool in_arena(const std::byte* memory, std::size_t bytes) const;
    int create_key(std::uint16_t service, std::span<const std::byte> bytes, yoke_key*& key);
    int destroy_key(yoke_key* key);
    [[nodiscard]] bool knows_key(const yoke_key* key) const { return keys_.knows(Key::from(key)); }

    // Calls that wait for their end; `measured`: the caller wants the times.
    int call(const yoke_call& call, bool measured, yoke_result& result);
    int call_inplace(const yoke_call& call, bool measured, yoke_result& result);
    int stream(Job job, yoke_result& result);
    int submit(const yoke_call& call, yoke_callback callback, void* user, yoke_ticket& ticket);
    int submit_stream(Job job, yoke_callback callback, void* user, yoke_ticket& ticket);
    int wait(yoke_ticket ticket, std::uint64_t timeout_ns, yoke_result& result);
    int dispatch(std::uint64_t timeout_ns);
    int cancel(yoke_ticket ticket);
    // How many workers have been replaced so far. Looks after nothing, unlike info(), which may find the next death.
    [[nodiscard]] std::uint64_t reconnects() const { return reconnects_; }
    // Why a push, pull or move has failed with `status`; "" where nothing more is known than that.
    std::string cause_of(std::uint32_t channel, int status);

    // A request about graphs (docs/control.md); reconnects first if the worker is lost. Channels in answers have
    // numbers of the session.
    Result<control::Message> ask_graph(const control::Json& body, std::uint64_t timeout_ns);

    // Serves a ptask that is a function of this process; see function.hpp.
    int serve_function(const std::string& ptask, yoke_function function, void* user);

   private:
    enum class State : std::uint8_t {
        local,    // there never is a worker
        linked,   // a worker serves the session
        lost,     // the worker is gone; the next one is looked for when it is needed
        refused,  // the worker lives but serves the session no more
    };
    // Where a call is to run.
    struct Decision {
        enum class Place : std::uint8_t { caller, worker, nowhere } place = Place::nowhere;
        std::uint8_t why = YOKE_WHY_NONE;
        int code = 0;  // nowhere: errno
        yoke_member member = YOKE_MEMBER_NONE;
    };

    Session(const yoke_options& options, std::uint32_t mark, Allocator allocator, std::uint32_t tickets);
    static Result<std::unique_ptr<Session>> open_local(const yoke_options& options, std::uint32_t mark);
    static Result<Link> open_link(const yoke_options& options);
    static Result<std::unique_ptr<Session>> open_linked(const yoke_options& options, std::uint32_t mark);
    [[nodiscard]] ring::ClientView view() const;
    [[nodiscard]] bool in_use(const Range& range) const;

    // call.cpp
    bool admit(const yoke_call& call, Overlap overlap, Prepared& prepared, yoke_result& result);
    Decision decide(const Prepared& prepared);
    [[nodiscard]] yoke_cost cost_in_worker(std::uint16_t service) const;
    [[nodiscard]] yoke_member outside(const service::Work& work) const;
    [[nodiscard]] Range range_of(const std::byte* memory, std::size_t bytes) const;
    int run(const Prepared& prepared, bool measured, yoke_result& result);
    int run_here(const Prepared& prepared, std::uint8_t why, bool measured, yoke_result& result);
    int run_in_worker(const Job& job, yoke_result& result);
    int admit_stream(Job& job, yoke_result& result);
    int launch(const Job& job, yoke_callback callback, void* user, yoke_ticket& ticket);
    [[nodiscard]] int start(std::uint32_t index);
    int failed(const yoke_result& result, std::string_view what);
    int failed_stream(const yoke_result& result, const Job& job);

    // wait.cpp
    void check_worker_at_times();
    bool start_when_free(std::uint32_t index);
    bool await(std::uint32_t index, std::uint64_t until_ns);
    bool await_stranded(std::uint32_t index, std::uint64_t until_ns);
    void harvest();
    void finish(std::uint32_t index, const yoke_completion& completion);
    void count_datablocks(const Job& job, std::uint64_t detail);
    void end_with(std::uint32_t index, int code);
    void expire(std::uint32_t index);
    std::uint64_t expire_overdue();
    int run_callbacks();
    void tidy();

    // function.cpp
    std::optional<Error> take_failed_function();

    // recovery.cpp
    void check_worker(std::uint64_t until_ns);
    bool reach_worker(std::uint64_t until_ns);
    void lose();
    void refuse_service();
    bool relink(std::uint64_t until_ns);
    Status try_relink(std::uint64_t until_ns);
    void note_death(const BrokerNews& news);
    void resolve_stranded();
    void resolve(std::uint32_t index);
    void resolve_stream(std::uint32_t index);
    Status reopen_graphs(std::uint64_t deadline_ns);

    std::string socket_;
    std::uint32_t mark_;
    State state_ = State::local;
    std::string error_;

    std::byte* arena_ = nullptr;  // of the link or of local_memory_
    Range data_;
    Link link_;
    void* local_memory_ = nullptr;
    Allocator allocator_;
    Keys keys_;
    Graphs graphs_;
    std::vector<std::unique_ptr<Function>> functions_;
    Tickets tickets_;
    std::optional<Flights> flights_;  // empty in a local session
    std::optional<ring::Waiter> waiter_;
    Choice choice_;
    Spin spin_;
    bool dispatching_ = false;

    std::vector<std::uint32_t> stranded_;  // tickets, in the order in which they were submitted to their ring
    std::uint32_t suspects_ = 0;           // to be reported to yoked
    std::uint64_t worker_checked_ns_ = 0;
    std::uint64_t lost_ns_ = 0;
    bool given_up_ = false;  // no worker could be had; not before retry_ns_ again
    std::uint64_t retry_ns_ = 0;
    std::uint64_t backoff_ns_ = 0;
    Error lost_error_;
    std::uint32_t dead_pid_ = 0;  // of the last worker, until its cause of death is known
    std::string death_;           // what the last worker died of
    bool to_blame_ = false;       // a graph of this session
    std::uint64_t hold_ns_ = 0;   // for which yoked starts no worker
    std::uint64_t reconnects_ = 0;
    std::uint64_t repeated_ = 0;
    std::uint64_t fallbacks_ = 0;
};

}  // namespace yoke::client
