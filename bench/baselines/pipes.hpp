// The gesture interface as four programs in a shell's pipeline would be written without yoke: camera | xform | detect |
// sink, each a process, with its own CUDA context where it needs one, connected by pipes of 1 MiB. Each reads a record
// into pinned memory, copies it in, runs its kernels, copies the result out and writes it; so all four work at the same
// time, on different frames.
//
// The parent is the sink. Kernels come as machine code (compiled.hpp), so that starting is short; what starting costs
// does not count.
#pragma once

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "baselines/by_hand.hpp"
#include "gesture/pipeline.hpp"
#include "gesture/synthetic.hpp"

namespace yoke::bench {

inline constexpr int pipe_bytes = 1 << 20;
inline constexpr std::size_t transform_steps = 2;  // of the pipeline: xform's; the others are detect's

// False: the stream has ended.
inline bool read_all(int fd, std::span<std::byte> bytes) {
    while (!bytes.empty()) {
        const ssize_t got = ::read(fd, bytes.data(), bytes.size());
        if (got == 0) {
            return false;
        }
        if (got < 0 && errno != EINTR) {
            die("cannot read from a pipe");
        }
        bytes = bytes.subspan(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    }
    return true;
}

inline bool write_all(int fd, std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        const ssize_t put = ::write(fd, bytes.data(), bytes.size());
        if (put < 0 && errno == EPIPE) {
            return false;
        }
        if (put < 0 && errno != EINTR) {
            die("cannot write to a pipe");
        }
        bytes = bytes.subspan(static_cast<std::size_t>(std::max<ssize_t>(put, 0)));
    }
    return true;
}

using Frames = std::vector<std::vector<std::uint16_t>>;

// Frames one after the other until the reader goes.
inline void pipe_camera(const Frames& frames) {
    for (std::size_t i = 0; write_all(STDOUT_FILENO, std::as_bytes(std::span(frames[i % frames.size()]))); ++i) {
    }
}

// One of the programs with kernels.
inline void pipe_filter(const gesture::Pipeline& pipeline, const std::string& kernels, bool transforms) {
    const std::size_t first = transforms ? 0 : transform_steps;
    const std::size_t last = transforms ? transform_steps : pipeline.steps.size();
    ByHand by_hand(pipeline, first, last, load(kernels, first, last), transforms ? "frame" : "cloud",
                   transforms ? "cloud" : "event", 1);
    while (read_all(STDIN_FILENO, by_hand.in(0))) {
        by_hand.run(ByHand::Way::synchronous, 1, 1);
        if (!write_all(STDOUT_FILENO, by_hand.out(0))) {
            return;
        }
    }
}

// The pipeline, seen from its sink.
class Pipes {
   public:
    // @command: of this program, to which the name of the part is added.
    explicit Pipes(const std::vector<std::string>& command) {
        int from = -1;
        for (const char* part : {"camera", "xform", "detect"}) {
            std::array<int, 2> ends{};
            if (::pipe2(ends.data(), O_CLOEXEC) != 0 || ::fcntl(ends[1], F_SETPIPE_SZ, pipe_bytes) < pipe_bytes) {
                die("a pipe of 1 MiB cannot be had");
            }
            start(command, part, from, ends[1]);
            ::close(ends[1]);
            if (from >= 0) {
                ::close(from);
            }
            from = ends[0];
        }
        events_ = from;
    }
    Pipes(const Pipes&) = delete;
    Pipes& operator=(const Pipes&) = delete;
    ~Pipes() {
        ::close(events_);
        for (const pid_t child : children_) {
            ::kill(child, SIGTERM);
            ::waitpid(child, nullptr, 0);
        }
    }
    gesture::Event next() const {
        gesture::Event event;
        if (!read_all(events_, std::as_writable_bytes(std::span(&event, 1)))) {
            die("a program of the pipeline has ended");
        }
        return event;
    }

   private:
    void start(std::vector<std::string> command, const char* part, int in, int out) {
        command.emplace_back(part);
        std::vector<char*> arguments;
        for (std::string& argument : command) {
            arguments.push_back(argument.data());
        }
        arguments.push_back(nullptr);
        const pid_t child = ::fork();
        if (child < 0) {
            die("a program cannot be started");
        }
        if (child == 0) {
            if (in >= 0) {
                ::dup2(in, STDIN_FILENO);
            }
            ::dup2(out, STDOUT_FILENO);
            ::execv("/proc/self/exe", arguments.data());
            ::_exit(127);
        }
        children_.push_back(child);
    }

    int events_ = -1;
    std::vector<pid_t> children_;
};

}  // namespace yoke::bench
