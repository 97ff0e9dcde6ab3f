// Control messages: one JSON object per SOCK_SEQPACKET packet, descriptors attached (docs/control.md).
//
// Everything received is hostile. Size, depth and number of descriptors are limited before parsing; descriptors that
// nobody asked for are closed. A message too long for a packet travels as a sealed memfd, transparently to the caller.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/fd.hpp"

namespace yoke::control {

using Json = nlohmann::json;

inline constexpr std::size_t packet_bytes_max = std::size_t{64} * 1024;         // DESIGN: more travels as a memfd
inline constexpr std::size_t message_bytes_max = std::size_t{4} * 1024 * 1024;  // a kernel source of 1 MiB, escaped
inline constexpr unsigned depth_max = 16;
inline constexpr unsigned fds_max = 8;

struct Message {
    Json body;  // always an object
    std::vector<Fd> fds;
};

// Sends one message. Bytes of strings that are not UTF-8 become U+FFFD. EAGAIN when the socket is non-blocking and
// full, EPIPE when the peer is gone.
Status send(const Fd& socket, const Json& body, std::span<const int> fds = {});

// Receives one message with at most `fds_accepted` descriptors; with 0 a message that travels as a memfd is refused
// too, and no descriptor of the peer ever enters this process. nullopt: the peer closed. EAGAIN on a non-blocking
// socket without a message; EBADMSG, EMSGSIZE for what is no message (the connection is still usable).
Result<std::optional<Message>> receive(const Fd& socket, unsigned fds_accepted = fds_max);

// Waits at most `timeout_ms` for a message (-1: for ever), then receives it. ETIME.
Result<std::optional<Message>> receive_for(const Fd& socket, int timeout_ms);

// Sends a request with a fresh id on a blocking socket and waits for its answer; late answers to requests whose time
// was over are dropped. An answer with "ok": false becomes an Error with its errno and sentence; ECONNRESET when the
// peer closed.
Result<Message> request(const Fd& socket, const Json& body, std::span<const int> fds = {}, int timeout_ms = -1);
// The same, but gives an answer with "ok": false as it is, for callers that need its other members.
Result<Message> exchange(const Fd& socket, const Json& body, std::span<const int> fds = {}, int timeout_ms = -1);

// The errno and sentence of an answer with "ok": false.
Error error_of(const Json& answer_untrusted);

// Parses text of a message as receive() does (for fuzzing and for memfds). EBADMSG, EMSGSIZE.
Result<Json> parse(std::span<const std::byte> text);

// Answers to a request: copies its id.
Json answer(const Json& request);
Json answer_error(const Json& request, const Error& error);

}  // namespace yoke::control
