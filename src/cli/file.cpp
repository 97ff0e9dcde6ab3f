// See file.hpp.
#include "cli/file.hpp"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "cli/interrupt.hpp"

namespace yoke::cli {
namespace {

mode_t current_umask() {
    const mode_t mask = ::umask(0);
    ::umask(mask);
    return mask;
}

constexpr int names_tried = 16;

// The directory of @path with its slash, and how names of hidden files begin that stand for it there.
std::pair<std::string, std::string> hidden_beside(const std::string& path) {
    const auto slash = path.rfind('/');
    const std::string directory = slash == std::string::npos ? "" : path.substr(0, slash + 1);
    const std::string base = slash == std::string::npos ? path : path.substr(slash + 1);
    return {directory, "." + base.substr(0, 200) + "."};
}

// One of the standard streams as an end of a stage of plain bytes.
Outcome<StagePtr> open_bytes(const std::string& socket, std::uint32_t end) {
    yoke_stage_options options{};
    options.flags = YOKE_STAGE_BYTES | end;
    options.socket = socket.empty() ? nullptr : socket.c_str();
    yoke_stage* stage = nullptr;
    if (const int error = yoke_stage_open(&stage, &options); error != 0) {
        return fail(exit_of(-error), "{}", yoke_stage_error(nullptr));
    }
    return StagePtr(stage);
}

}  // namespace

Outcome<Input> Input::open(const std::string& path) {
    if (path == "-") {
        return Input(STDIN_FILENO, "standard input");
    }
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        const int code = errno;
        return fail(exit_of(code), "cannot read {}: {}; name a file that is there and that you may read", path,
                    std::strerror(code));
    }
    Input input(fd, path);
    struct stat status {};
    if (::fstat(fd, &status) == 0 && S_ISDIR(status.st_mode)) {
        return fail(exit_failed, "{} is a directory; name a file", path);
    }
    return input;
}

Input::Input(Input&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), name_(std::move(other.name_)), stage_(std::move(other.stage_)) {}

Input::~Input() {
    if (fd_ > STDERR_FILENO) {
        ::close(fd_);
    }
}

std::optional<std::uint64_t> Input::bytes_left() const {
    struct stat status {};
    const off_t at = ::lseek(fd_, 0, SEEK_CUR);
    if (::fstat(fd_, &status) != 0 || !S_ISREG(status.st_mode) || at < 0) {
        return std::nullopt;
    }
    // Files of /proc and the like say 0 and have content.
    if (status.st_size == 0) {
        return std::nullopt;
    }
    return status.st_size > at ? static_cast<std::uint64_t>(status.st_size - at) : 0;
}

bool Input::is(const std::string& path) const {
    struct stat own {};
    struct stat other {};
    return ::fstat(fd_, &own) == 0 && ::stat(path.c_str(), &other) == 0 &&
           (S_ISREG(own.st_mode) || S_ISFIFO(own.st_mode)) && own.st_dev == other.st_dev && own.st_ino == other.st_ino;
}

Done Input::join(const std::string& socket) {
    if (fd_ != STDIN_FILENO) {
        return {};
    }
    auto stage = open_bytes(socket, YOKE_STAGE_SINK);
    if (stage) {
        stage_ = std::move(*stage);
    }
    return stage ? Done() : tl::unexpected<Failure>(stage.error());
}

Outcome<std::size_t> Input::read_some(std::span<std::byte> piece) {
    while (stage_) {
        std::size_t count = 0;
        const int status = yoke_stage_read(stage_.get(), piece.data(), piece.size(), &count);
        if (interrupted()) {
            return interrupted_failure();
        }
        if (status == 0 || status == -ENODATA) {
            return count;
        }
        if (status != -EAGAIN) {
            return fail(exit_of(-status), "cannot read {}: {}", name_, yoke_stage_error(stage_.get()));
        }
    }
    for (;;) {
        if (!wait_readable(fd_, -1)) {
            return interrupted_failure();
        }
        const ssize_t count = ::read(fd_, piece.data(), piece.size());
        if (count >= 0) {
            return static_cast<std::size_t>(count);
        }
        if (errno != EINTR && errno != EAGAIN) {
            return fail_errno("cannot read {}", name_);
        }
    }
}

Outcome<std::size_t> Input::read_full(std::span<std::byte> piece) {
    std::size_t filled = 0;
    while (filled < piece.size()) {
        auto count = read_some(piece.subspan(filled));
        if (!count) {
            return count;
        }
        if (*count == 0) {
            break;
        }
        filled += *count;
    }
    return filled;
}

Outcome<Output> Output::open(const std::string& path, bool binary) {
    if (path == "-") {
        if (binary && ::isatty(STDOUT_FILENO) == 1) {
            return fail(exit_usage,
                        "the result is binary and the output is a terminal; name a file with -o FILE or pipe it");
        }
        return Output(STDOUT_FILENO, "standard output");
    }
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) {
        return open_temporary(path, 0666 & ~current_umask());
    }
    if (S_ISDIR(status.st_mode)) {
        return fail(exit_failed, "{} is a directory; name a file", path);
    }
    if (!S_ISREG(status.st_mode)) {
        const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
        if (fd < 0) {
            return fail_errno("cannot write {}", path);
        }
        return Output(fd, path);
    }
    if (::access(path.c_str(), W_OK) != 0) {
        return fail_errno("cannot write {}", path);
    }
    // A symbolic link stays; what it names is replaced.
    const std::unique_ptr<char, decltype(&::free)> resolved(::realpath(path.c_str(), nullptr), &::free);
    return open_temporary(resolved ? std::string(resolved.get()) : path, status.st_mode & 0777);
}

// A file without a name where the file system has such: whatever kills this program then leaves nothing behind.
Outcome<Output> Output::open_temporary(const std::string& path, mode_t mode) {
    const auto [directory, hidden] = hidden_beside(path);
    std::string temporary;
    int fd = ::open(directory.empty() ? "." : directory.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0) {
        temporary = directory + hidden + "XXXXXX";
        fd = ::mkostemp(temporary.data(), O_CLOEXEC);
    }
    if (fd < 0) {
        return fail_errno("cannot write {}", path);
    }
    Output output(fd, path);
    output.temporary_ = std::move(temporary);
    output.target_ = path;
    if (::fchmod(fd, mode) != 0) {
        return fail_errno("cannot set the mode of the file that becomes {}", path);
    }
    return output;
}

// Gives the file a name beside its place, since only rename() replaces what is there.
Done Output::name_temporary() {
    const auto [directory, hidden] = hidden_beside(target_);
    const std::string file = "/proc/self/fd/" + std::to_string(fd_);
    std::string name = directory + hidden + std::to_string(::getpid());
    for (int attempt = 0; ::linkat(AT_FDCWD, file.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW) != 0; ++attempt) {
        // Another output of this process, or what one that had its number was killed over.
        if (errno != EEXIST || attempt == names_tried) {
            return fail_errno("cannot put the result in place as {}", target_);
        }
        name += '+';
    }
    temporary_ = std::move(name);
    return {};
}

Output::Output(Output&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      name_(std::move(other.name_)),
      target_(std::move(other.target_)),
      temporary_(std::exchange(other.temporary_, {})),
      stage_(std::move(other.stage_)) {}

Output::~Output() {
    if (fd_ > STDERR_FILENO) {
        ::close(fd_);
    }
    if (!temporary_.empty()) {
        ::unlink(temporary_.c_str());
    }
}

Done Output::differs_from(const Input& input) const {
    struct stat status {};
    return ::fstat(input.fd(), &status) == 0 ? differs_from(input.name(), status) : Done();
}

Done Output::differs_from(const std::string& path) const {
    struct stat status {};
    return ::stat(path.c_str(), &status) == 0 ? differs_from(path, status) : Done();
}

// Terminals, sockets and the like may be read and written at the same time.
Done Output::differs_from(const std::string& input, const struct stat& status) const {
    struct stat own {};
    const bool direct = target_.empty() && ::fstat(fd_, &own) == 0;
    const bool block = direct && S_ISBLK(own.st_mode) && S_ISBLK(status.st_mode) && own.st_rdev == status.st_rdev;
    const bool file = direct && (S_ISREG(own.st_mode) || S_ISFIFO(own.st_mode)) && own.st_dev == status.st_dev &&
                      own.st_ino == status.st_ino;
    if (block || file) {
        return fail(exit_failed, "the output, {}, is the same file as the input, {}; name another one", name_, input);
    }
    return {};
}

Done Output::join(const std::string& socket) {
    if (fd_ != STDOUT_FILENO) {
        return {};
    }
    auto stage = open_bytes(socket, YOKE_STAGE_SOURCE);
    if (stage) {
        stage_ = std::move(*stage);
    }
    return stage ? Done() : tl::unexpected<Failure>(stage.error());
}

Done Output::said(int status) const {
    if (interrupted()) {
        return interrupted_failure();
    }
    return status == 0 ? Done()
                       : Done(fail(exit_of(-status), "cannot write {}: {}", name_, yoke_stage_error(stage_.get())));
}

Done Output::write(std::span<const std::byte> bytes) {
    if (stage_) {
        return said(yoke_stage_write(stage_.get(), bytes.data(), bytes.size()));
    }
    while (!bytes.empty()) {
        const ssize_t count = ::write(fd_, bytes.data(), bytes.size());
        if (interrupted()) {
            return interrupted_failure();
        }
        if (count >= 0) {
            bytes = bytes.subspan(static_cast<std::size_t>(count));
        } else if (errno == EAGAIN) {
            pollfd ready{fd_, POLLOUT, 0};
            ::poll(&ready, 1, -1);
        } else if (errno != EINTR) {
            return fail_errno("cannot write {}", name_);
        }
    }
    return {};
}

Done Output::write(const std::string& text) {
    return write(std::as_bytes(std::span(text)));
}

Done Output::finish() {
    if (stage_) {
        return said(yoke_stage_end(stage_.get()));
    }
    if (!target_.empty() && temporary_.empty()) {
        if (auto named = name_temporary(); !named) {
            return named;
        }
    }
    if (fd_ > STDERR_FILENO && ::close(std::exchange(fd_, -1)) != 0) {
        return fail_errno("cannot write {}", name_);
    }
    if (!temporary_.empty()) {
        if (::rename(temporary_.c_str(), target_.c_str()) != 0) {
            return fail_errno("cannot put the result in place as {}", target_);
        }
        temporary_.clear();
        target_.clear();
    }
    return {};
}

void occupy_standard_streams() {
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
        if (::fcntl(fd, F_GETFD) < 0) {
            // The lowest free number is this one. Reading from it, or writing to it, fails with EBADF.
            static_cast<void>(::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY));
        }
    }
}

Outcome<std::vector<std::byte>> read_small_file(const std::string& path, std::size_t bytes_max, const char* what) {
    auto input = Input::open(path);
    if (!input) {
        return fail(input.error().exit, "{}: {}", what, input.error().message);
    }
    std::vector<std::byte> bytes(bytes_max + 1);
    const auto count = input->read_full(bytes);
    if (!count) {
        return tl::unexpected<Failure>(count.error());
    }
    if (*count > bytes_max) {
        return fail(exit_failed, "{} {} is longer than {} bytes; is it the right file?", what, input->name(),
                    bytes_max);
    }
    bytes.resize(*count);
    return bytes;
}

}  // namespace yoke::cli
