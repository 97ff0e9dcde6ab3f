// Listening on and connecting to yoked's socket; see address.hpp. A lock is held while a stale socket is replaced,
// because it cannot be told from one whose owner has bound it and does not listen yet.
#include "control/address.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstdlib>
#include <cstring>
#include <string_view>

#include "base/clock.hpp"
#include "base/text.hpp"

namespace yoke::control {

namespace {

constexpr int backlog = 128;                                // clients that may wait to be accepted
constexpr std::uint64_t lock_wait_ns_max = 2'000'000'000U;  // another instance binds in far less

Result<sockaddr_un> address_of(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.find('\0') != std::string::npos) {
        return fail(EINVAL, "the path of a socket must not be empty or contain a NUL; set YOKE_SOCKET to a path");
    }
    if (path.size() >= sizeof(address.sun_path)) {
        return fail(ENAMETOOLONG, "socket path {} has {} bytes; choose one of at most {}", in_quotes(path), path.size(),
                    sizeof(address.sun_path) - 1);
    }
    std::memcpy(address.sun_path, path.data(), path.size());
    return address;
}

// 0 or errno.
int try_connect(const Fd& socket, const sockaddr_un& address) {
    int rc = 0;
    do {
        rc = ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address));
    } while (rc != 0 && errno == EINTR);
    return rc == 0 ? 0 : errno;
}

// Keeps two instances from taking over one stale socket file at once: the second would remove the first one's fresh
// socket. The folder itself is locked where only its owner can open it, which leaves no file behind; elsewhere anybody
// could hold that lock for ever, so a file of the owner's is used.
Result<Fd> lock_beside(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    Fd lock(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    struct stat st {};
    if (!lock || ::fstat(lock.get(), &st) != 0) {
        return fail_errno("cannot open folder {} for the socket; create it", folder);
    }
    if (st.st_uid != ::geteuid() || (st.st_mode & 077U) != 0) {
        const std::string name = path + ".lock";
        lock.reset(::open(name.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
        if (!lock) {
            return fail_errno("cannot open lock file {}", name);
        }
    }
    const std::uint64_t begin = now_ns();
    while (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) {
            return fail_errno("cannot lock {}", folder);
        }
        if (now_ns() - begin > lock_wait_ns_max) {
            return fail(EADDRINUSE, "another program holds the lock of socket {}; end it or choose another YOKE_SOCKET",
                        path);
        }
        const timespec pause{0, 10'000'000};
        ::nanosleep(&pause, nullptr);
    }
    return lock;
}

// Removes a socket file on which nobody listens.
Status remove_stale(const std::string& path, const sockaddr_un& address) {
    struct stat st {};
    if (::lstat(path.c_str(), &st) != 0) {
        return errno == ENOENT ? Status() : Status(fail_errno("cannot look at socket {}", path));
    }
    if (!S_ISSOCK(st.st_mode)) {
        return fail(EADDRINUSE, "{} is there and is no socket; remove it or choose another YOKE_SOCKET", path);
    }
    const Fd probe(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!probe) {
        return fail_errno("cannot create a socket");
    }
    if (try_connect(probe, address) != ECONNREFUSED) {
        return fail(EADDRINUSE, "somebody already listens on {}; end it or choose another YOKE_SOCKET", path);
    }
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
        return fail_errno("cannot remove stale socket {}", path);
    }
    return {};
}

Status check_private(const std::string& path) {
    struct stat st {};
    if (::lstat(path.c_str(), &st) != 0) {
        return fail_errno("cannot look at {}", path);
    }
    if (!S_ISDIR(st.st_mode)) {
        return fail(EACCES, "{} is no directory; remove it", path);
    }
    if (st.st_uid != ::geteuid()) {
        return fail(EACCES, "{} belongs to user {}; set XDG_RUNTIME_DIR to a directory of your own", path, st.st_uid);
    }
    if ((st.st_mode & 022U) != 0) {
        return fail(EACCES, "others can write to {}; run chmod 700 on it", path);
    }
    return {};
}

bool is_directory(const std::string& path) {
    struct stat st {};
    return ::stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode);
}

}  // namespace

Result<std::string> private_directory() {
    // The XDG base directory specification: a path that is not absolute is to be ignored.
    const char* const chosen = ::secure_getenv("XDG_RUNTIME_DIR");
    const std::string by_login = fmt::format("/run/user/{}", ::geteuid());
    std::string path;
    if (chosen != nullptr && chosen[0] == '/') {
        path = fmt::format("{}/yoke", chosen);
    } else if (is_directory(by_login)) {
        path = by_login + "/yoke";
    } else {
        path = fmt::format("/tmp/yoke-{}", ::geteuid());
    }
    if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
        return fail_errno("cannot create {}; set XDG_RUNTIME_DIR to a directory of your own", path);
    }
    if (auto checked = check_private(path); !checked) {
        return tl::unexpected(checked.error());
    }
    return path;
}

Result<Fd> connect_to(const std::string& path) {
    auto address = address_of(path);
    if (!address) {
        return tl::unexpected(address.error());
    }
    Fd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    if (!socket) {
        return fail_errno("cannot create a socket");
    }
    errno = try_connect(socket, *address);
    if (errno != 0) {
        return fail_errno("cannot connect to yoked at {}", path);
    }
    return socket;
}

Result<Fd> listen_at(const std::string& path, unsigned mode) {
    auto address = address_of(path);
    if (!address) {
        return tl::unexpected(address.error());
    }
    auto lock = lock_beside(path);
    if (!lock) {
        return lock;
    }
    if (auto removed = remove_stale(path, *address); !removed) {
        return tl::unexpected(removed.error());
    }
    Fd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!socket) {
        return fail_errno("cannot create a socket");
    }
    if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof(*address)) != 0) {
        return fail_errno("cannot create socket {}", path);
    }
    // Until listen() every connection is refused, so that nobody comes in before the mode is right.
    if (::chmod(path.c_str(), mode) != 0 || ::listen(socket.get(), backlog) != 0) {
        const int code = errno;
        ::unlink(path.c_str());
        errno = code;
        return fail_errno("cannot listen on socket {}", path);
    }
    return socket;
}

Result<Credentials> peer_of(const Fd& socket) {
    ucred peer{};
    socklen_t length = sizeof(peer);
    if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) {
        return fail_errno("cannot ask who the peer of a socket is");
    }
    return Credentials{peer.pid, peer.uid, peer.gid};
}

}  // namespace yoke::control
