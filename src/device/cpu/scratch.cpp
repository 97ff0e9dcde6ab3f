// The directory for PoCL's unpacked binaries, and clearing away those of dead processes; see scratch.hpp. One whose
// lock can be had belongs to a dead process; the parent is locked meanwhile, because a fresh directory is for a moment
// not locked either.
#include "device/cpu/scratch.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <utility>

#include "base/fd.hpp"

namespace yoke::device {

namespace {

namespace fs = std::filesystem;

constexpr const char* prefix = "scratch-";

class Scratch {
   public:
    Scratch() = default;
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    ~Scratch() {
        if (!path_.empty() && owner_ == ::getpid()) {
            std::error_code ignored;  // at exit nobody can be told
            fs::remove_all(path_, ignored);
        }
    }

    Result<std::string> get(const std::string& parent) {
        const std::lock_guard lock(mutex_);
        if (!path_.empty()) {
            return path_;
        }
        // Nobody may take a directory that is made but not yet locked for a dead one.
        const Fd everybody(::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        if (!everybody || ::flock(everybody.get(), LOCK_EX) != 0) {
            return fail_errno("cannot lock {}", parent);
        }
        remove_dead(parent);
        std::string path = parent + "/" + prefix + "XXXXXX";
        if (::mkdtemp(path.data()) == nullptr) {
            return fail_errno("cannot make a directory in {}", parent);
        }
        Fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        if (!fd || ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
            return fail_errno("cannot lock {}", path);
        }
        ::setenv("POCL_CACHE_DIR", path.c_str(), 1);
        lock_ = std::move(fd);
        owner_ = ::getpid();
        path_ = std::move(path);
        return path_;
    }

   private:
    static void remove_dead(const std::string& parent) {
        std::error_code error;
        for (fs::directory_iterator it(parent, error), end; !error && it != end; it.increment(error)) {
            if (!it->path().filename().string().starts_with(prefix)) {
                continue;
            }
            const Fd fd(::open(it->path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
            if (fd && ::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) {
                std::error_code ignored;
                fs::remove_all(it->path(), ignored);
            }
        }
    }

    std::mutex mutex_;
    std::string path_;
    Fd lock_;
    pid_t owner_ = 0;
};

}  // namespace

Result<std::string> process_scratch(const std::string& parent) {
    static Scratch scratch;
    return scratch.get(parent);
}

}  // namespace yoke::device
