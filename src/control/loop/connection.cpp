// Sending tries the socket first and queues only what it has no room for; the loop flushes the queue when there is
// room. Events end in at most one call of a handler, after which nothing of the connection is touched: it may be gone.
#include "control/loop/connection.hpp"

#include <fcntl.h>
#include <sys/socket.h>

#include "base/log.hpp"

namespace yoke::control {

Result<std::unique_ptr<Connection>> Connection::open(Loop& loop, Fd socket, unsigned fds_accepted, Handlers handlers) {
    const int flags = ::fcntl(socket.get(), F_GETFL);
    if (flags < 0 || ::fcntl(socket.get(), F_SETFL, flags | O_NONBLOCK) < 0) {
        return fail_errno("control socket cannot be made non-blocking");
    }
    std::unique_ptr<Connection> made(new Connection(std::move(socket), fds_accepted, std::move(handlers)));
    auto source = loop.on_io(made->socket_.get(), EPOLLIN,
                             [self = made.get()](std::uint32_t events) { self->on_events(events); });
    if (!source) {
        return tl::unexpected(source.error());
    }
    made->source_ = std::move(*source);
    return made;
}

void Connection::send(const Json& body, std::vector<Fd> fds) {
    if (dropped_ || (queue_.empty() && try_send(body, fds))) {
        return;
    }
    if (dropped_) {
        return;
    }
    if (queue_.size() >= queue_messages_max) {
        log_warning(Topic::control, "peer that does not read is dropped",
                    {{"descriptor", socket_.get()}, {"messages", queue_.size()}});
        drop();
        return;
    }
    queue_.push_back({body, std::move(fds)});
    rewatch();
}

void Connection::pause(bool paused) {
    paused_ = paused;
    rewatch();
}

void Connection::drop() {
    if (!dropped_) {
        dropped_ = true;
        queue_.clear();
        ::shutdown(socket_.get(), SHUT_RDWR);
        source_.watch(EPOLLIN);
    }
}

// True when the message is out, or will never be because the connection has ended.
bool Connection::try_send(const Json& body, const std::vector<Fd>& fds) {
    std::vector<int> numbers;
    numbers.reserve(fds.size());
    for (const Fd& fd : fds) {
        numbers.push_back(fd.get());
    }
    const Status sent = control::send(socket_, body, numbers);
    if (sent) {
        return true;
    }
    if (sent.error().code == EAGAIN) {
        return false;
    }
    if (sent.error().code == EMSGSIZE || sent.error().code == EBADMSG) {
        // Longer than a message may be: the peer must hear something, and an error always fits.
        const Status told = control::send(socket_, answer_error(body, sent.error()));
        if (told) {
            return true;
        }
    }
    drop();
    return true;
}

void Connection::flush() {
    while (!queue_.empty() && try_send(queue_.front().body, queue_.front().fds)) {
        if (dropped_) {
            return;
        }
        queue_.pop_front();
    }
    rewatch();
}

void Connection::rewatch() {
    const std::uint32_t in = paused_ ? 0U : std::uint32_t{EPOLLIN};
    const std::uint32_t out = queue_.empty() ? 0U : std::uint32_t{EPOLLOUT};
    source_.watch(dropped_ ? std::uint32_t{EPOLLIN} : in | out);
}

void Connection::on_events(std::uint32_t events) {
    if ((events & EPOLLOUT) != 0 && !dropped_) {
        flush();
        if (!dropped_ && queue_.empty() && handlers_.drained) {
            const auto drained = handlers_.drained;
            drained();  // may destroy this connection: the loop comes back for what else there is
            return;
        }
    }
    const bool hung_up = (events & (EPOLLHUP | EPOLLERR)) != 0;
    if (dropped_ || (paused_ && hung_up)) {
        source_ = Source();
        const auto closed = std::move(handlers_.closed);
        closed();  // may destroy this connection
        return;
    }
    if ((events & EPOLLIN) != 0 || hung_up) {
        read();
    }
}

// One message only: the handler may destroy this connection, and the loop comes back while there is more.
void Connection::read() {
    Result<std::optional<Message>> got = control::receive(socket_, fds_accepted_);
    if (got && got->has_value()) {
        const auto message = handlers_.message;
        message(std::move(**got));
        return;
    }
    if (!got && (got.error().code == EAGAIN || got.error().code == EINTR)) {
        return;
    }
    if (!got && (got.error().code == EBADMSG || got.error().code == EMSGSIZE)) {
        log_debug(Topic::control, "packet is no message",
                  {{"descriptor", socket_.get()}, {"error", got.error().message}});
        const auto message = handlers_.message;
        message(tl::unexpected(got.error()));
        return;
    }
    source_ = Source();
    const auto closed = std::move(handlers_.closed);
    closed();
}

}  // namespace yoke::control
