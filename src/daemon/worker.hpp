// One worker as yoked sees it: its process, its control link, its gate and what it last said it holds.
//
// A worker is hostile to yoked. Its identity is the process that yoked started (pidfd, socket pair) or, after yoked's
// own death, a token of the secret together with the kernel's word on pid and uid. It may speak of its own account
// only; a message that does not fit ends it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "control/address.hpp"
#include "control/loop/connection.hpp"
#include "daemon/gate.hpp"
#include "daemon/inventory.hpp"
#include "daemon/process.hpp"
#include "daemon/secret.hpp"

namespace yoke::daemon {

// What a register message claims, once its token has been verified.
struct Registration {
    uid_t account = 0;
    std::uint64_t generation = 0;
    pid_t pid = 0;
    Inventory inventory;
};
// Checks members, token, and that pid and account are those of the peer. EBADMSG, EACCES.
Result<Registration> check_registration(const control::Json& request_untrusted, const Secret& secret,
                                        const control::Credentials& peer);

// What a worker said of its death. Like everything that it says, it is shown to its own user only.
struct LastWords {
    std::string object;  // ptask or graph that is to blame; "": unknown
    std::string why;     // "": nothing was said
};

class Worker {
   public:
    enum class State : std::uint8_t { starting, lost, running, ending };
    struct Handlers {
        std::function<void()> registered;
        std::function<void()> drained;                       // it has read a backlog
        std::function<void(std::uint64_t report)> reported;  // 0: unasked
        std::function<void(const std::string& how)> died;    // may destroy the worker
    };
    struct Times {
        std::uint64_t deadline_ns = 0;     // who is not running by then is killed
        std::uint64_t recover_ns = 0;      // how long one whose link broke may take to come back
        std::uint64_t lease_until_ns = 0;  // of the first gate
    };
    static constexpr std::size_t backlog_max = 32;        // messages on their way; sessions beyond wait at yoked
    static constexpr unsigned inventory_parts_max = 256;  // of at most 64 KiB
    static constexpr std::uint64_t end_timeout_ns = 5'000'000'000;  // to give everything back before it is killed

    // Watches `process`. With a link the worker is starting; without, it is lost until it registers.
    static Result<std::unique_ptr<Worker>> watch(control::Loop& loop, const Secret& secret, uid_t account,
                                                 std::uint64_t generation, Process process, Fd link, const Times& times,
                                                 Handlers handlers);
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;
    ~Worker() = default;

    // A lost worker has come back over `link`.
    void take_back(std::unique_ptr<control::Connection> link, const control::Json& request, Inventory inventory);
    // Hands over the worker's end of a new session.
    void adopt(const control::Credentials& client, const control::Json& limits, Fd socket);
    void ask_report(std::uint64_t report);
    // Has it bring back the graphs that persist, but for those named in the array `without`.
    void restore(const control::Json& limits, const control::Json& without);
    void end(std::uint64_t now_ns);
    void kill();
    // Kills the worker if its time is over; renews the gate.
    void tick(std::uint64_t now_ns, std::uint64_t lease_until_ns);

    [[nodiscard]] uid_t account() const { return account_; }
    [[nodiscard]] std::uint64_t generation() const { return generation_; }
    [[nodiscard]] const Process& process() const { return process_; }
    [[nodiscard]] State state() const { return state_; }
    [[nodiscard]] const char* state_name() const;
    // It has registered with this yoked at least once, or with the last one.
    [[nodiscard]] bool has_started() const { return started_; }
    // Running, and it reads what is sent to it.
    [[nodiscard]] bool can_adopt() const { return state_ == State::running && link_ && link_->backlog() < backlog_max; }
    [[nodiscard]] const Inventory& inventory() const { return inventory_; }
    [[nodiscard]] const LastWords& last_words() const { return last_words_; }
    [[nodiscard]] const Gate* gate() const { return gate_.get(); }
    // Sessions that it has or is about to have.
    [[nodiscard]] std::uint64_t sessions() const;
    // False once it is known to have neither sessions nor graphs.
    [[nodiscard]] bool busy() const { return !reported_ || sessions() != 0 || inventory_.count("graphs") != 0; }

   private:
    Worker(const Secret& secret, uid_t account, std::uint64_t generation, Process process, const Times& times,
           Handlers handlers);
    control::Connection::Handlers link_handlers();
    void on_message(Result<control::Message> message);
    void on_register(const control::Json& request);
    void on_inventory(const control::Json& request);
    bool take_last_words(const control::Json& request);
    void hear_last_words();
    void admit(const control::Json& request, Inventory inventory);
    void refuse(const Error& error);

    const Secret& secret_;
    uid_t account_;
    std::uint64_t generation_;
    Process process_;
    std::uint64_t deadline_ns_;  // for starting, lost and ending
    std::uint64_t recover_ns_;
    std::uint64_t lease_until_ns_;
    Handlers handlers_;
    State state_ = State::lost;
    bool started_ = true;
    control::Source death_;
    std::unique_ptr<control::Connection> link_;
    std::unique_ptr<Gate> gate_;
    Inventory inventory_;
    LastWords last_words_;
    control::Json parts_ = control::Json::object();  // of an inventory that is not complete
    unsigned parts_count_ = 0;
    bool reported_ = false;  // since it registered
    std::uint64_t adopts_sent_ = 0;
};

}  // namespace yoke::daemon
