// Packets over SOCK_SEQPACKET; see message.hpp. Descriptors are taken out of the packet before anything else is
// looked at, so that no way out of a function leaves one open.
#include "control/message.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <string>

#include "base/clock.hpp"
#include "base/memory.hpp"
#include "base/text.hpp"
#include "control/json_reader.hpp"

namespace yoke::control {

namespace {

constexpr unsigned wire_fds_max = fds_max + 1;  // the caller's and the memfd of a long message
// A control message of SCM_RIGHTS is padded, so that one descriptor more than announced may fit; it is counted later.
constexpr std::size_t control_bytes_max = CMSG_SPACE(wire_fds_max * sizeof(int));

Status send_packet(const Fd& socket, std::string_view text, std::span<const int> fds) {
    // sendmsg only reads the text.
    iovec data{const_cast<char*>(text.data()), text.size()};
    alignas(cmsghdr) std::array<std::byte, control_bytes_max> control{};
    msghdr header{};
    header.msg_iov = &data;
    header.msg_iovlen = 1;
    if (!fds.empty()) {
        header.msg_control = control.data();
        header.msg_controllen = CMSG_SPACE(fds.size_bytes());
        cmsghdr* const attached = CMSG_FIRSTHDR(&header);
        attached->cmsg_level = SOL_SOCKET;
        attached->cmsg_type = SCM_RIGHTS;
        attached->cmsg_len = CMSG_LEN(fds.size_bytes());
        std::memcpy(CMSG_DATA(attached), fds.data(), fds.size_bytes());
    }
    ssize_t sent = 0;
    do {
        sent = ::sendmsg(socket.get(), &header, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0) {
        if (errno == ECONNRESET) {
            errno = EPIPE;
        }
        return fail_errno("cannot send a control message of {} bytes", text.size());
    }
    return {};
}

// Takes ownership of every descriptor that came, wanted or not, so that none can leak.
std::vector<Fd> take_fds(msghdr& header) {
    std::vector<Fd> fds;
    for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count; ++i) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(int));
            fds.emplace_back(fd);
        }
    }
    return fds;
}

bool peer_hung_up(const Fd& socket) {
    pollfd state{socket.get(), POLLRDHUP, 0};
    return ::poll(&state, 1, 0) > 0 && (state.revents & (POLLHUP | POLLRDHUP | POLLERR)) != 0;
}

struct Packet {
    std::vector<std::byte> text;
    std::vector<Fd> fds;
};

Result<std::optional<Packet>> receive_packet(const Fd& socket, unsigned fds_accepted) {
    Packet packet;
    packet.text.resize(packet_bytes_max);
    alignas(cmsghdr) std::array<std::byte, control_bytes_max> control{};
    iovec data{packet.text.data(), packet.text.size()};
    msghdr header{};
    header.msg_iov = &data;
    header.msg_iovlen = 1;
    // Without room for them the kernel drops descriptors itself, which never waits. Our close() would: of a file in a
    // hostile FUSE file system it asks that file system's server.
    if (fds_accepted > 0) {
        header.msg_control = control.data();
        header.msg_controllen = control.size();
    }
    ssize_t length = 0;
    do {
        length = ::recvmsg(socket.get(), &header, MSG_CMSG_CLOEXEC);
    } while (length < 0 && errno == EINTR);
    if (length < 0) {
        if (errno == ECONNRESET) {
            return std::nullopt;  // the peer closed and left messages of ours unread
        }
        return fail_errno("cannot receive a control message");
    }
    packet.fds = take_fds(header);
    if ((header.msg_flags & MSG_CTRUNC) != 0) {
        return fail(EMSGSIZE, "a control message came with too many descriptors; {} are accepted here", fds_accepted);
    }
    if ((header.msg_flags & MSG_TRUNC) != 0) {
        return fail(EMSGSIZE, "a control packet is longer than {} bytes; send long messages as a sealed memfd",
                    packet_bytes_max);
    }
    if (length == 0) {
        // An empty packet and the end of the connection look alike.
        if (packet.fds.empty() && peer_hung_up(socket)) {
            return std::nullopt;
        }
        return fail(EBADMSG, "a control packet is empty; send a JSON object");
    }
    packet.text.resize(static_cast<std::size_t>(length));
    return packet;
}

// Bytes announced by an envelope {"memfd": BYTES}; nullopt: it is a message by itself.
std::optional<Json> envelope_of(const Json& body) {
    const auto member = body.find("memfd");
    return body.size() == 1 && member != body.end() ? std::optional(*member) : std::nullopt;
}

Result<Json> open_envelope(const Json& announced_untrusted, const Fd& memfd) {
    if (!announced_untrusted.is_number_unsigned()) {
        return fail(EBADMSG, "memfd of a control message must be its number of bytes");
    }
    auto bytes = check_untrusted_memfd(memfd, 1, message_bytes_max, true);
    if (!bytes) {
        const int code = bytes.error().code == EMSGSIZE ? EMSGSIZE : EBADMSG;
        return fail(code, "a control message cannot be read: {}", bytes.error().message);
    }
    if (announced_untrusted.get<std::uint64_t>() != *bytes) {
        return fail(EBADMSG, "a control message of {} is announced as {}; send its size", counted(*bytes, "byte"),
                    announced_untrusted.get<std::uint64_t>());
    }
    std::vector<std::byte> text(*bytes);
    if (auto read = read_content(memfd, text); !read) {
        return tl::unexpected(read.error());
    }
    return parse(text);
}

// Next id of a request of this process; 0 is never used.
std::uint64_t next_id() {
    static std::atomic<std::uint64_t> last{0};
    return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

}  // namespace

Status send(const Fd& socket, const Json& body, std::span<const int> fds) {
    if (!body.is_object() || fds.size() > fds_max) {
        return fail(EINVAL, "a control message is one JSON object with at most {} descriptors", fds_max);
    }
    const std::string text = body.dump(-1, ' ', false, Json::error_handler_t::replace);
    if (text.size() > message_bytes_max) {
        return fail(EMSGSIZE, "a control message would have {} bytes; at most {} are allowed", text.size(),
                    message_bytes_max);
    }
    if (text.size() <= packet_bytes_max) {
        return send_packet(socket, text, fds);
    }
    auto memfd = create_content_memfd("yoke-message", std::as_bytes(std::span(text)));
    if (!memfd) {
        return tl::unexpected(memfd.error());
    }
    std::vector<int> all{memfd->get()};
    all.insert(all.end(), fds.begin(), fds.end());
    return send_packet(socket, Json{{"memfd", text.size()}}.dump(), all);
}

Result<Json> parse(std::span<const std::byte> text) {
    if (text.size() > message_bytes_max) {
        return fail(EMSGSIZE, "a control message has {} bytes; at most {} are allowed", text.size(), message_bytes_max);
    }
    return read_json(text);
}

Result<std::optional<Message>> receive(const Fd& socket, unsigned fds_accepted) {
    auto packet = receive_packet(socket, fds_accepted);
    if (!packet) {
        return tl::unexpected(packet.error());
    }
    if (!*packet) {
        return std::nullopt;
    }
    Message message{Json(), std::move((*packet)->fds)};
    auto body = parse((*packet)->text);
    if (!body) {
        return tl::unexpected(body.error());
    }
    if (const auto announced = envelope_of(*body)) {
        if (message.fds.empty()) {
            return fail(EBADMSG, "a control message is announced as a memfd, and no descriptor came with it");
        }
        body = open_envelope(*announced, message.fds.front());
        if (!body) {
            return tl::unexpected(body.error());
        }
        message.fds.erase(message.fds.begin());
    }
    if (message.fds.size() > std::min(fds_accepted, fds_max)) {
        return fail(EMSGSIZE, "a control message came with {}; at most {} here",
                    counted(message.fds.size(), "descriptor"), std::min(fds_accepted, fds_max));
    }
    message.body = std::move(*body);
    return message;
}

Result<std::optional<Message>> receive_for(const Fd& socket, int timeout_ms) {
    const std::uint64_t deadline =
        timeout_ms < 0 ? UINT64_MAX : now_ns() + static_cast<std::uint64_t>(timeout_ms) * 1'000'000U;
    while (true) {
        const std::uint64_t now = now_ns();
        const std::uint64_t left_ns = deadline > now ? deadline - now : 0;
        const timespec left{static_cast<time_t>(left_ns / 1'000'000'000U), static_cast<long>(left_ns % 1'000'000'000U)};
        pollfd state{socket.get(), POLLIN, 0};
        const int ready = ::ppoll(&state, 1, timeout_ms < 0 ? nullptr : &left, nullptr);
        if (ready < 0 && errno != EINTR) {
            return fail_errno("cannot wait for a control message");
        }
        if (ready > 0) {
            auto message = receive(socket);
            // Another thread may have been faster at a non-blocking socket.
            if (message || message.error().code != EAGAIN) {
                return message;
            }
        }
        if (ready == 0 && now_ns() >= deadline) {
            return fail(ETIME, "no control message came within {} ms", timeout_ms);
        }
    }
}

Result<Message> exchange(const Fd& socket, const Json& body, std::span<const int> fds, int timeout_ms) {
    Json request = body;
    const std::uint64_t id = next_id();
    request["id"] = id;
    if (auto sent = send(socket, request, fds); !sent) {
        return tl::unexpected(sent.error());
    }
    const std::uint64_t begin = now_ns();
    while (true) {
        const std::uint64_t waited_ms = (now_ns() - begin) / 1'000'000U;
        const int left_ms =
            timeout_ms < 0 ? -1 : timeout_ms - static_cast<int>(std::min(waited_ms, std::uint64_t(timeout_ms)));
        auto message = receive_for(socket, left_ms);
        if (!message) {
            return tl::unexpected(message.error());
        }
        if (!*message) {
            return fail(ECONNRESET, "the connection was closed before {} was answered",
                        in_quotes(request.value("op", "")));
        }
        // An answer with another id belongs to an earlier request, whose time was over.
        const auto echoed = (*message)->body.find("id");
        if (echoed == (*message)->body.end() || *echoed == id) {
            return std::move(**message);
        }
    }
}

Error error_of(const Json& answer_untrusted) {
    Error error{EBADMSG, "the answer to a control message says neither success nor a reason"};
    const auto code = answer_untrusted.find("errno");
    const auto sentence = answer_untrusted.find("error");
    if (code != answer_untrusted.end() && code->is_number_unsigned() && code->get<std::uint64_t>() > 0 &&
        code->get<std::uint64_t>() < 4096 && sentence != answer_untrusted.end() && sentence->is_string()) {
        error.code = code->get<int>();
        error.message = sentence->get<std::string>();
    }
    return error;
}

Result<Message> request(const Fd& socket, const Json& body, std::span<const int> fds, int timeout_ms) {
    auto message = exchange(socket, body, fds, timeout_ms);
    if (!message) {
        return message;
    }
    const auto ok = message->body.find("ok");
    if (ok == message->body.end() || *ok != true) {
        return tl::unexpected(error_of(message->body));
    }
    return message;
}

Json answer(const Json& request) {
    Json body{{"ok", true}};
    if (const auto id = request.find("id"); id != request.end()) {
        body["id"] = *id;
    }
    return body;
}

Json answer_error(const Json& request, const Error& error) {
    Json body = answer(request);
    body["ok"] = false;
    body["errno"] = error.code;
    body["error"] = error.message;
    return body;
}

}  // namespace yoke::control
