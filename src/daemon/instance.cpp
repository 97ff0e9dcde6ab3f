// The lock is a file of its own, not the directory: whoever starts a yoked or binds a socket may lock that for a
// moment. It is removed at the end while it is held, so a fresh lock counts only if the file is still the one with that
// name.
#include "daemon/instance.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <thread>

#include "control/address.hpp"
#include "daemon/state_file.hpp"

namespace yoke::daemon {
namespace {

constexpr unsigned system_mode = 0666;  // whoever may talk to yoked is decided by uid and limits
constexpr unsigned private_mode = 0600;
constexpr unsigned step_ms = 20;

Result<std::string> path_of_activated(int fd) {
    sockaddr_un address{};
    socklen_t length = sizeof(address);
    if (sd_is_socket_unix(fd, SOCK_SEQPACKET, 1, nullptr, 0) <= 0 ||
        ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0 || address.sun_path[0] != '/') {
        return fail(EINVAL,
                    "the service manager passed a descriptor that is no listening SOCK_SEQPACKET socket with a "
                    "path; use ListenSequentialPacket= in the socket unit");
    }
    return std::string(address.sun_path);
}

// Whoever can write there could replace the secret and the list of workers.
Status check_directory(const std::string& directory) {
    struct stat info {};
    if (::stat(directory.c_str(), &info) != 0) {
        return fail_errno("runtime directory {} is not usable; create it", directory);
    }
    if (!S_ISDIR(info.st_mode) || info.st_uid != ::geteuid() || (info.st_mode & 022U) != 0) {
        return fail(EACCES,
                    "runtime directory {} can be written by others than user {}; put the socket into a directory of "
                    "its own",
                    directory, ::geteuid());
    }
    return {};
}

Result<std::string> usual_path(bool private_instance) {
    if (!private_instance) {
        return std::string(control::system_socket);
    }
    auto directory = control::private_directory();
    if (!directory) {
        return directory;
    }
    return *directory + "/yoke.sock";
}

}  // namespace

Result<Instance> Instance::claim(const std::string& socket, bool private_instance) {
    Instance instance;
    instance.socket_path_ = socket;
    const int passed = sd_listen_fds(1);
    if (passed > 1) {
        return fail(EINVAL, "the service manager passed {} sockets; yoked listens at one", passed);
    }
    if (passed == 1) {
        instance.listener_.reset(SD_LISTEN_FDS_START);
        instance.activated_ = true;
        auto path = path_of_activated(SD_LISTEN_FDS_START);
        if (!path) {
            return tl::unexpected(path.error());
        }
        instance.socket_path_ = *path;
    } else if (socket.empty()) {
        auto path = usual_path(private_instance);
        if (!path) {
            return tl::unexpected(path.error());
        }
        instance.socket_path_ = *path;
    }
    const std::size_t slash = instance.socket_path_.rfind('/');
    instance.directory_ = slash == std::string::npos ? std::string(1, '.') : instance.socket_path_.substr(0, slash);
    if (auto checked = check_directory(instance.directory_); !checked) {
        return tl::unexpected(checked.error());
    }
    for (unsigned waited = 0;; waited += step_ms) {
        const auto locked = instance.lock();
        if (!locked) {
            return tl::unexpected(locked.error());
        }
        if (*locked) {
            break;
        }
        if (control::connect_to(instance.socket_path_)) {
            return instance;
        }
        // It starts, or it ends.
        if (waited >= other_timeout_ms) {
            return fail(EADDRINUSE, "another yoked holds {}/lock and does not answer at {}; end it",
                        instance.directory_, instance.socket_path_);
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(step_ms));
    }
    if (!instance.activated_) {
        auto listener = control::listen_at(instance.socket_path_, private_instance ? private_mode : system_mode);
        if (!listener) {
            return tl::unexpected(listener.error());
        }
        instance.listener_ = std::move(*listener);
    }
    return instance;
}

// False: another yoked has the lock. A lock file that was removed by its holder between our open and our lock is no
// lock.
Result<bool> Instance::lock() {
    const std::string path = directory_ + "/lock";
    while (true) {
        Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
        if (!file) {
            return fail_errno("lock {} cannot be opened; is the directory there and yours?", path);
        }
        if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
            if (errno == EWOULDBLOCK) {
                return false;
            }
            return fail_errno("lock {} cannot be taken", path);
        }
        struct stat held {};
        struct stat named {};
        if (::fstat(file.get(), &held) == 0 && ::stat(path.c_str(), &named) == 0 && held.st_ino == named.st_ino &&
            held.st_dev == named.st_dev) {
            lock_ = std::move(file);
            return true;
        }
    }
}

void Instance::stop_listening() const {
    if (!activated_) {
        ::unlink(socket_path_.c_str());
    }
}

void Instance::clean_up() {
    if (!lock_) {
        return;
    }
    for (const char* name : {"workers", "secret"}) {
        remove_state_file(fmt::format("{}/{}", directory_, name));
    }
    stop_listening();
    ::unlink((directory_ + "/lock").c_str());
    lock_.reset();
}

}  // namespace yoke::daemon
