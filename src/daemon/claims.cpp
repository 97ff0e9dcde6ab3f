// The broker's side of pipes: claims come from clients, pairs are introduced to each other.
//
// A number that a client sends proves nothing, and a descriptor of a client may block whoever closes it. So a client
// names its descriptor, and yoked asks the kernel what that is: the link /proc/PID/fd/N of the process that the
// socket's credentials name. An inode is looked for among the claims of the same account only, which could disturb its
// own processes in many other ways. Each of a pair gets one end of a socket and the other's pidfd.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <string_view>

#include "base/log.hpp"
#include "daemon/broker.hpp"

namespace yoke::daemon {
namespace {

// Inode of an anonymous pipe that is descriptor `fd` of a process, open for that direction. ENOTSUP: something else.
Result<std::uint64_t> pipe_of(pid_t pid, std::uint64_t fd, PipeEnd end) {
    const std::string path = fmt::format("/proc/{}/fd/{}", pid, fd);
    std::array<char, 64> text{};
    const ssize_t length = pid > 0 ? ::readlink(path.c_str(), text.data(), text.size()) : -1;
    if (length < 0) {
        return fail(ENOTSUP, "descriptor {} of process {} cannot be looked at; is it in another PID namespace?", fd,
                    pid);
    }
    std::string_view link(text.data(), static_cast<std::size_t>(length));
    constexpr std::string_view prefix = "pipe:[";
    std::uint64_t inode = 0;
    if (!link.starts_with(prefix) ||
        std::from_chars(link.data() + prefix.size(), link.data() + link.size(), inode).ec != std::errc()) {
        return fail(ENOTSUP, "descriptor {} is no pipe of a shell; only those can become channels", fd);
    }
    // The link's own mode says how the descriptor is open.
    struct stat status {};
    const mode_t wanted = end == PipeEnd::writer ? S_IWUSR : S_IRUSR;
    if (::lstat(path.c_str(), &status) != 0 || (status.st_mode & wanted) == 0) {
        return fail(EBADF, "descriptor {} is not open for {}; claim the other end", fd,
                    end == PipeEnd::writer ? "writing" : "reading");
    }
    return inode;
}

std::string form_text(const control::Json& request) {
    const control::Json& form = request.at("template");
    const control::Json& extent = form.at("extent");
    std::string text = fmt::format("{} {}x{}x{}", form.at("type").get<std::string>(), extent[0].get<std::uint64_t>(),
                                   extent[1].get<std::uint64_t>(), extent[2].get<std::uint64_t>());
    if (request.at("raw").get<bool>()) {
        return "bytes";
    }
    return text + (request.at("variable").get<bool>() ? " variable" : " fixed");
}

}  // namespace

void Broker::on_claim(ClientId id, const control::Json& request) {
    const Client& client = clients_.at(id);
    if (pipes_.claimed(id)) {
        answer(id, control::answer_error(request, {EALREADY, "this connection has claimed a pipe; open another one"}));
        return;
    }
    Claim claim;
    claim.account = client.peer.uid;
    claim.pid = client.peer.pid;
    claim.end = request.at("direction") == "out" ? PipeEnd::writer : PipeEnd::reader;
    claim.form = form_text(request);
    const auto inode = pipe_of(client.peer.pid, request.at("fd").get<std::uint64_t>(), claim.end);
    if (!inode) {
        answer(id, control::answer_error(request, inode.error()));
        return;
    }
    claim.inode = *inode;
    account_of(claim.account);  // listings go by accounts
    control::Json body = control::answer(request);
    body["pipe"] = *inode;
    answer(id, body);
    introduce(pipes_.claim(id, claim));
}

void Broker::on_pipe_state(ClientId id, const control::Json& request) {
    Client& client = clients_.at(id);
    client.waiting -= client.waiting == 0 ? 0 : 1;  // there is no answer
    if (!pipes_.report(id, request.at("pair").get<std::uint64_t>(), request.at("state").get<std::string>(),
                       request.at("why").get<std::string>())) {
        log_debug(Topic::daemon, "state of a pair that there is not", {{"pid", client.peer.pid}});
    }
}

// Tells the two of each pair that it begins or ends.
void Broker::introduce(const std::vector<PairChange>& changes) {
    for (const PairChange& change : changes) {
        const auto writer = clients_.find(change.writer);
        const auto reader = clients_.find(change.reader);
        const control::Json body{{"op", change.what == PairChange::What::begins ? "pair" : "part"},
                                 {"pair", change.pair}};
        if (change.what == PairChange::What::ends) {
            for (const auto& member : {writer, reader}) {
                if (member != clients_.end()) {
                    member->second.link->send(body);
                }
            }
            continue;
        }
        std::array<int, 2> ends{};
        Fd writer_pidfd(static_cast<int>(::syscall(SYS_pidfd_open, writer->second.peer.pid, 0)));
        Fd reader_pidfd(static_cast<int>(::syscall(SYS_pidfd_open, reader->second.peer.pid, 0)));
        if (!writer_pidfd || !reader_pidfd ||
            ::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
            // They stay strangers, which costs them time only. One that is gone will be noticed by its connection.
            pipes_.report(change.writer, change.pair, "pipe", "yoked could not introduce the stages to each other");
            log_warning(Topic::daemon, "stages cannot be introduced to each other", {{"pair", change.pair}});
            continue;
        }
        std::vector<Fd> for_writer;
        for_writer.emplace_back(ends[0]);
        for_writer.push_back(std::move(reader_pidfd));
        std::vector<Fd> for_reader;
        for_reader.emplace_back(ends[1]);
        for_reader.push_back(std::move(writer_pidfd));
        writer->second.link->send(body, std::move(for_writer));
        reader->second.link->send(body, std::move(for_reader));
    }
}

}  // namespace yoke::daemon
