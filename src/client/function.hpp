// A ptask that is a function of this process: pulls its inputs, calls it, pushes its outputs.
//
// It lives on callbacks of its session, so it moves whenever the session runs callbacks, and on the caller's thread.
// One round at a time: inputs are pulled again when the outputs of the round before have been accepted, so that each
// port needs one piece of the arena, and a slow reader stops the function as it would stop a kernel. A restarted graph
// begins a new round.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <yoke/yoke.h>

#include "base/error.hpp"
#include "client/graphs.hpp"

namespace yoke::client {

class Session;

class Function {
   public:
    // ENOENT, EINVAL, ENOMEM; see yoke_serve_function.
    static Result<std::unique_ptr<Function>> create(Session& session, const std::string& ptask,
                                                    const Graphs::ClientPtask& known, yoke_function function,
                                                    void* user);
    Function(const Function&) = delete;
    Function& operator=(const Function&) = delete;
    ~Function() = default;

    [[nodiscard]] const std::string& ptask() const { return ptask_; }
    // Gives its memory back to the session; only when nothing is in flight. At the session's end the arena goes as a
    // whole.
    void release();
    // Submits what can be submitted.
    void go_on();
    // Has ended and nothing of it is in flight.
    [[nodiscard]] bool over() const { return ended_ && in_flight_ == 0; }
    // Why it ended before its streams did.
    [[nodiscard]] const std::optional<Error>& failure() const { return failure_; }

   private:
    struct Port {
        control::PortDefinition definition;
        std::size_t bytes = 0;
        void* memory = nullptr;  // of the arena; of an in-out port's output: its input's
        // To pull from or to push into. A push into one of the channels that leave a port goes to all of them.
        std::uint32_t channel = 0;
        bool closed = false;  // of an output: nobody reads it any more
    };
    struct Input : Port {
        enum class State : std::uint8_t { empty, pulling, full };
        State state = State::empty;
        yoke_ticket ticket = 0;
        yoke_datablock block{};
    };
    // What a ticket is about: an input, or a push.
    struct Handle {
        Function* function = nullptr;
        std::size_t port = 0;  // among the inputs, or the outputs
        bool push = false;
    };

    Function(Session& session, std::string ptask, yoke_function function, void* user)
        : session_(session), ptask_(std::move(ptask)), function_(function), user_(user) {}
    Status add_port(const control::PortDefinition& port, const Graphs::ClientPtask& known);
    Status allocate();
    static void ended(void* user, yoke_ticket ticket, const yoke_result* result);
    void pulled(Input& input, const yoke_result& result);
    void pushed(Port& output, const yoke_result& result);
    [[nodiscard]] bool pull(Input& input);
    [[nodiscard]] bool push(std::size_t output);
    void run();
    void queue_outputs(std::uint32_t signals);
    void end_streams();
    void begin_again();
    void fail_with(int code, const std::string& sentence);

    Session& session_;
    const std::string ptask_;
    const yoke_function function_;
    void* const user_;
    std::vector<Input> inputs_;
    std::vector<Port> outputs_;
    std::vector<yoke_datablock> out_blocks_;
    std::vector<std::unique_ptr<Handle>> handles_;  // of the inputs, then of the outputs
    std::vector<std::size_t> queued_;               // outputs not yet submitted
    std::uint32_t pushing_ = 0;
    std::uint32_t in_flight_ = 0;
    std::uint8_t push_flags_ = 0;  // of the round
    bool ending_ = false;          // outputs end with this round
    bool ended_ = false;
    std::optional<Error> failure_;
};

}  // namespace yoke::client
