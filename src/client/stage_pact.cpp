// See stage_pact.hpp.
#include "client/stage_pact.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace yoke::client {
namespace {

constexpr int heard_max = 1024;  // messages without a pause: the socket holds fewer

}  // namespace

std::optional<PactMessage> StagePact::receive() {
    // One byte more, so that a longer message is seen to be one.
    std::array<std::byte, sizeof(PactMessage) + 1> bytes{};
    // ECONNRESET is said once, before what came earlier: the other stage has closed with messages of ours unread.
    for (int attempt = 0; attempt < 2 && !broken_; ++attempt) {
        const ssize_t count = ::recv(socket_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
        if (count == static_cast<ssize_t>(sizeof(PactMessage))) {
            PactMessage message_untrusted;
            std::memcpy(&message_untrusted, bytes.data(), sizeof(message_untrusted));
            const auto word = static_cast<std::uint32_t>(message_untrusted.word);
            broken_ = word < static_cast<std::uint32_t>(PactWord::paused) ||
                      word > static_cast<std::uint32_t>(PactWord::empty) || ++heard_ > heard_max;
            return broken_ ? std::nullopt : std::optional(message_untrusted);
        }
        if (count > 0) {
            broken_ = true;
        }
        if (count == 0 || (count < 0 && errno != ECONNRESET && errno != EINTR)) {
            heard_ = 0;
            return std::nullopt;
        }
    }
    return std::nullopt;
}

bool StagePact::send(const PactMessage& message) {
    if (::send(socket_.get(), &message, sizeof(message), MSG_NOSIGNAL | MSG_DONTWAIT) ==
        static_cast<ssize_t>(sizeof(message))) {
        return true;
    }
    broken_ = broken_ || (errno != EPIPE && errno != ECONNRESET);
    return false;
}

void StagePact::close() const {
    ::shutdown(socket_.get(), SHUT_RDWR);
}

bool StagePact::gone() const {
    std::array<pollfd, 2> fds{{{socket_.get(), POLLRDHUP, 0}, {process_.get(), POLLIN, 0}}};
    return broken_ || (::poll(fds.data(), fds.size(), 0) > 0);
}

void StagePact::wait(int timeout_ms) const {
    std::array<pollfd, 2> fds{{{socket_.get(), POLLIN | POLLRDHUP, 0}, {process_.get(), POLLIN, 0}}};
    ::poll(fds.data(), fds.size(), timeout_ms);  // interrupted or not: the caller looks
}

std::string StagePact::channel_name(std::uint32_t attempt) const {
    return fmt::format("/pipe-{}-{}", pair_, attempt);
}

}  // namespace yoke::client
