// A control socket on an event loop: reads one message per wake-up, writes through a bounded queue, never blocks.
//
// A peer that does not read fills its queue and is then dropped, so that it can hold nobody else. The handlers may
// destroy the connection. Everything belongs to the loop's thread.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "control/loop/loop.hpp"
#include "control/message.hpp"

namespace yoke::control {

class Connection {
   public:
    struct Handlers {
        // A message, or EBADMSG / EMSGSIZE for a packet that is none.
        std::function<void(Result<Message>)> message;
        // What had to wait in the queue has been sent. May be empty.
        std::function<void()> drained;
        // The peer is gone, or was dropped because it did not read. Called once.
        std::function<void()> closed;
    };
    static constexpr std::size_t queue_messages_max = 256;  // answers nobody has read

    // Makes the socket non-blocking and starts reading. Messages with more than `fds_accepted` descriptors are refused.
    static Result<std::unique_ptr<Connection>> open(Loop& loop, Fd socket, unsigned fds_accepted, Handlers handlers);
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
    ~Connection() = default;

    // For a peer that turns out to be somebody else's business.
    void hand_over(unsigned fds_accepted, Handlers handlers) {
        fds_accepted_ = fds_accepted;
        handlers_ = std::move(handlers);
    }
    // Sends now or when the peer reads; descriptors are closed once sent.
    void send(const Json& body, std::vector<Fd> fds = {});
    // Stops or resumes reading; a hang-up is noticed all the same.
    void pause(bool paused);
    // Ends the connection; `closed` will be called from the loop.
    void drop();
    [[nodiscard]] const Fd& socket() const { return socket_; }
    [[nodiscard]] std::size_t backlog() const { return queue_.size(); }  // messages the peer has no room for yet

   private:
    struct Outgoing {
        Json body;
        std::vector<Fd> fds;
    };
    Connection(Fd socket, unsigned fds_accepted, Handlers handlers)
        : socket_(std::move(socket)), fds_accepted_(fds_accepted), handlers_(std::move(handlers)) {}
    void on_events(std::uint32_t events);
    void read();
    void flush();
    bool try_send(const Json& body, const std::vector<Fd>& fds);
    void rewatch();

    Fd socket_;
    unsigned fds_accepted_;
    Handlers handlers_;
    Source source_;
    std::deque<Outgoing> queue_;
    bool paused_ = false;
    bool dropped_ = false;
};

}  // namespace yoke::control
