// A fresh file, then rename: after a crash there is the old content or the new. Not synced: the directory is a tmpfs.
#include "daemon/state_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>

#include "base/fd.hpp"

namespace yoke::daemon {
namespace {

std::string name_beside(const std::string& path) {
    return path + ".new";
}

bool write_all(int fd, std::string_view content) {
    while (!content.empty()) {
        const ssize_t wrote = ::write(fd, content.data(), content.size());
        if (wrote < 0 && errno == EINTR) {
            continue;
        }
        if (wrote <= 0) {
            return false;
        }
        content.remove_prefix(static_cast<std::size_t>(wrote));
    }
    return true;
}

}  // namespace

Status write_state_file(const std::string& path, std::string_view content) {
    const std::string fresh = name_beside(path);
    ::unlink(fresh.c_str());
    const Fd file(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file) {
        return fail_errno("file {} cannot be created", fresh);
    }
    if (!write_all(file.get(), content)) {
        return fail_errno("file {} cannot be written", fresh);
    }
    if (std::rename(fresh.c_str(), path.c_str()) != 0) {
        return fail_errno("file {} cannot be replaced", path);
    }
    return {};
}

void remove_state_file(const std::string& path) {
    ::unlink(path.c_str());
    ::unlink(name_beside(path).c_str());
}

}  // namespace yoke::daemon
