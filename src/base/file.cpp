// Reads to the end, not to the size that stat() tells: files of /proc have none. See file.hpp.
#include "base/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>

#include "base/fd.hpp"
#include "base/text.hpp"

namespace yoke {

Result<std::string> read_file(const std::string& path, std::size_t bytes_max) {
    const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    struct stat st {};
    if (!file || ::fstat(file.get(), &st) != 0) {
        return fail_errno("cannot read {}", printable(path));
    }
    const bool null = S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);  // /dev/null: an empty file for who wants one
    if (!S_ISREG(st.st_mode) && !null) {
        return fail(EINVAL, "cannot read {}: it is no regular file", printable(path));
    }
    std::string text;
    for (std::size_t length = 0;;) {
        if (length > bytes_max) {
            return fail(EMSGSIZE, "{} is longer than {} bytes", printable(path), bytes_max);
        }
        text.resize(std::min(std::max<std::size_t>(2 * length, 4096), bytes_max + 1));
        const ssize_t n = ::read(file.get(), text.data() + length, text.size() - length);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return fail_errno("cannot read {}", printable(path));
        }
        length += static_cast<std::size_t>(n);
        if (n == 0) {
            text.resize(length);
            return text;
        }
    }
}

}  // namespace yoke
