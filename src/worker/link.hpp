// The worker's connection to yoked: it registers, is given sessions, reports, and is told to end.
//
// yoked may die at any time. The worker goes on serving, tries to reach the next yoked, and ends when none has taken it
// for `Identity::alone_max_s`: a worker that nobody can find is of no use.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/memory.hpp"
#include "control/gate.hpp"
#include "control/loop/connection.hpp"

namespace yoke::worker {

// What the worker was given at its start.
struct Identity {
    std::uint32_t account = 0;
    std::string token;
    std::string socket;  // of yoked
    std::uint64_t generation = 0;
    std::uint64_t alone_max_s = 0;  // without any yoked
    std::uint64_t spin_us = 0;      // for small calls before their ring sleeps
    std::string state_directory;    // where graphs that persist are kept; empty: nowhere
    std::string kernel_device;      // the kernel is the client, through this; empty: processes are
};

class Link {
   public:
    static constexpr std::uint64_t retry_ns = 100'000'000;
    // Between unasked inventories; of an account with thousands of objects, so many times as long as the last one took:
    // neither the worker nor yoked has much time for telling of them.
    static constexpr std::uint64_t report_gap_ns = 50'000'000;
    static constexpr std::uint64_t report_gap_factor = 10;
    struct Handlers {
        std::function<void(const control::Json& request, Fd socket)> adopt;
        std::function<void(const control::Json& request)> restore;
        std::function<void(const std::string& why)> end;
        std::function<control::Json()> inventory;
    };

    // `socket`: the one inherited from yoked.
    static Result<std::unique_ptr<Link>> open(control::Loop& loop, Identity identity, Fd socket, Handlers handlers);
    Link(const Link&) = delete;
    Link& operator=(const Link&) = delete;
    ~Link() = default;

    // What the inventory says has changed: yoked hears it soon.
    void changed();

   private:
    Link(control::Loop& loop, Identity identity, Handlers handlers)
        : loop_(loop), identity_(std::move(identity)), handlers_(std::move(handlers)) {}
    Status attach(Fd socket);
    void on_lost();
    void retry();
    void on_message(Result<control::Message> message);
    void on_registered(control::Message message);
    void on_request(control::Message message);
    void on_drained();
    void report();
    void send_parts(const control::Json& inventory, std::uint64_t id);

    control::Loop& loop_;
    Identity identity_;
    Handlers handlers_;
    std::unique_ptr<control::Connection> connection_;
    control::Source retry_;
    control::Source report_;
    Mapping gate_;
    std::uint64_t alone_since_ns_ = 0;
    bool registered_ = false;
    bool dirty_ = false;             // an inventory is owed
    std::uint64_t asked_ = 0;        // number of the last report that was asked for and not given; 0: none
    std::uint64_t asked_at_ns_ = 0;  // earliest time of the next inventory, if it is asked for
    std::uint64_t unasked_at_ns_ = 0;
};

}  // namespace yoke::worker
