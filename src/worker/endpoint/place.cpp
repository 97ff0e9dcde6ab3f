// A path is looked at before it is opened, so that a wrong kind is told as such and nothing is made or emptied by
// mistake, and the descriptor is looked at again, because the path may have become something else.
#include "worker/endpoint/place.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace yoke::worker {
namespace {

using Kind = control::EndpointDefinition::Kind;

constexpr int pipe_bytes = 1 << 20;    // what a user may ask for by default (pipe(7)); fewer system calls per frame
constexpr mode_t created_mode = 0666;  // less the umask, as of a shell's redirection

std::string kind_of(mode_t mode) {
    return S_ISREG(mode)    ? "a file"
           : S_ISFIFO(mode) ? "a FIFO"
           : S_ISSOCK(mode) ? "a socket"
           : S_ISCHR(mode)  ? "a device"
           : S_ISDIR(mode)  ? "a directory"
                            : "something else";
}

bool fits(Kind kind, mode_t mode) {
    switch (kind) {
        case Kind::file:
            return S_ISREG(mode) || S_ISCHR(mode);
        case Kind::fifo:
            return S_ISFIFO(mode);
        case Kind::socket:
            return S_ISSOCK(mode);
        case Kind::v4l2:
        case Kind::uinput:
            return S_ISCHR(mode);
    }
    return false;
}

const char* wanted(Kind kind) {
    switch (kind) {
        case Kind::file:
            return "a file";
        case Kind::fifo:
            return "a FIFO (mkfifo makes one)";
        case Kind::socket:
            return "a listening stream socket";
        case Kind::v4l2:
            return "a camera's device";
        case Kind::uinput:
            return "the device uinput (modprobe uinput)";
    }
    return "";
}

tl::unexpected<Error> refuse(const Place& place, mode_t mode) {
    return fail(EINVAL, "{} is {} and not {}; correct its kind or its path", place.text(), kind_of(mode),
                wanted(place.definition.kind));
}

int flags_of(const Place& place) {
    const int always = O_NONBLOCK | O_CLOEXEC | O_NOCTTY;
    switch (place.definition.kind) {
        case Kind::file:
            // What a persistent graph wrote before its worker died stays.
            return always | (place.source ? O_RDONLY : O_WRONLY | O_CREAT | (place.persist ? O_APPEND : 0));
        case Kind::v4l2:
            return always | O_RDWR;
        default:
            return always | (place.source ? O_RDONLY : O_WRONLY);
    }
}

Result<Fd> connect_to_socket(const Place& place) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string& path = place.definition.path;
    if (path.size() >= sizeof address.sun_path) {
        return fail(ENAMETOOLONG, "{} has a path of {} bytes; that of a socket has at most {}", place.text(),
                    path.size(), sizeof address.sun_path - 1);
    }
    path.copy(address.sun_path, path.size());
    Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd || ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        return fail_errno("{} cannot be connected to", place.text());
    }
    return fd;
}

}  // namespace

std::string Place::text() const {
    return fmt::format("endpoint {} of channel {}", definition.path, channel_name);
}

Result<Fd> open_place(const Place& place) {
    const Kind kind = place.definition.kind;
    const std::string& path = place.definition.path;
    if (!path.starts_with('/')) {
        return fail(EINVAL, "{} needs a path that begins with /", place.text());
    }
    struct stat info {};
    if (::stat(path.c_str(), &info) == 0) {
        if (!fits(kind, info.st_mode)) {
            return refuse(place, info.st_mode);
        }
    } else if (errno != ENOENT || kind != Kind::file || place.source) {
        const int code = errno;
        return fail(code, "{} cannot be opened: {}{}{}", place.text(), std::strerror(code),
                    code == ENOENT ? "; it must be " : "", code == ENOENT ? wanted(kind) : "");
    }
    if (kind == Kind::socket) {
        return connect_to_socket(place);
    }
    Fd fd(::open(path.c_str(), flags_of(place), created_mode));
    if (!fd) {
        if (errno == ENXIO && kind == Kind::fifo && !place.source) {
            return Fd();
        }
        return fail_errno("{} cannot be opened", place.text());
    }
    // The path may have become something else meanwhile.
    if (::fstat(fd.get(), &info) != 0 || !fits(kind, info.st_mode)) {
        return refuse(place, info.st_mode);
    }
    if (kind == Kind::fifo) {
        ::fcntl(fd.get(), F_SETPIPE_SZ, pipe_bytes);  // beyond the user's limit it stays as it is
    }
    return fd;
}

Status empty_place(const Place& place, const Fd& fd) {
    struct stat info {};
    if (place.persist || !fd || ::fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
        return {};
    }
    if (::ftruncate(fd.get(), 0) != 0) {
        return fail_errno("{} cannot be emptied", place.text());
    }
    return {};
}

std::optional<FileIdentity> identity_of(const Place& place) {
    struct stat info {};
    if (::stat(place.definition.path.c_str(), &info) != 0 || !(S_ISREG(info.st_mode) || S_ISFIFO(info.st_mode))) {
        return std::nullopt;
    }
    return FileIdentity{info.st_dev, info.st_ino};
}

}  // namespace yoke::worker
