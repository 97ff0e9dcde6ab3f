// The spawner's process, one compilation at a time; see spawner.hpp. It is forked twice, so that the worker has no
// child to reap, and keeps of the worker's descriptors only the socket, the worker's pidfd and the standard ones.
#include "device/cpu/spawner.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <array>
#include <filesystem>
#include <optional>
#include <vector>

#include "base/memory.hpp"
#include "base/program.hpp"
#include "control/message.hpp"
#include "device/cpu/compile_job.hpp"

namespace yoke::device {

namespace {

using control::Json;

constexpr int last_words_ms = 2000;  // from a worker's closed socket to its pidfd

class Spawner {
   public:
    Spawner(Fd socket, Fd worker, std::string program, const SpawnerLimits& limits)
        : socket_(std::move(socket)), worker_(std::move(worker)), program_(std::move(program)), limits_(limits) {}

    // Returns when the worker is gone.
    void serve() {
        while (true) {
            auto message = control::receive(socket_);
            if (!message) {
                if (message.error().code == EBADMSG || message.error().code == EMSGSIZE) {
                    answer(control::answer_error(Json::object(), message.error()));
                    continue;
                }
                break;
            }
            if (!message->has_value() || !handle((*message)->body)) {
                break;
            }
        }
        remove_scratch();
    }

   private:
    // False: the worker is gone.
    bool handle(const Json& request) {
        const std::string op = request.value("op", Json()).is_string() ? request["op"].get<std::string>() : "";
        if (op == "scratch" && request.value("path", Json()).is_string()) {
            scratch_ = request["path"].get<std::string>();
            return answer(control::answer(request));
        }
        if (op != "compile") {
            return answer(control::answer_error(request, Error{ENOSYS, "the spawner knows no such request"}));
        }
        return compile(request);
    }

    bool compile(const Json& request) {
        Result<CompileJob::Binary> binary = fail(EIO, "the kernel compiler was not started");
        {
            auto job = CompileJob::start(program_, request, scratch_, limits_);
            if (!job) {
                return answer(control::answer_error(request, job.error()));
            }
            if (!job->wait(socket_)) {
                return false;
            }
            binary = job->result();
        }  // its files are gone before anybody hears of its end
        if (!binary) {
            return answer(control::answer_error(request, binary.error()));
        }
        const std::array<int, 1> fds{binary->file.get()};
        return control::send(socket_, binary->answer, fds).has_value();
    }

    bool answer(const Json& body) { return control::send(socket_, body).has_value(); }

    void remove_scratch() {
        pollfd state{worker_.get(), POLLIN, 0};
        if (!scratch_.empty() && ::poll(&state, 1, last_words_ms) == 1) {
            std::error_code ignored;  // nobody is left to tell; a later worker removes what remains
            std::filesystem::remove_all(scratch_, ignored);
        }
    }

    Fd socket_;
    Fd worker_;  // pidfd
    std::string program_;
    SpawnerLimits limits_;
    std::string scratch_;
};

// Keeps nothing of the worker but the two descriptors and the standard ones.
void close_others(const Fd& socket, const Fd& worker) {
    const auto low = static_cast<unsigned>(std::min(socket.get(), worker.get()));
    const auto high = static_cast<unsigned>(std::max(socket.get(), worker.get()));
    const auto close_range = [](unsigned from, unsigned to) {
        if (from <= to) {
            ::close_range(from, to, 0);
        }
    };
    close_range(3, low - 1);
    close_range(low + 1, high - 1);
    close_range(high + 1, ~0U);
}

void reset_signals() {
    for (int number = 1; number < NSIG; ++number) {
        ::signal(number, SIG_DFL);
    }
    // A Ctrl-C in the worker's terminal is for the worker; the spawner ends with it.
    ::signal(SIGINT, SIG_IGN);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

}  // namespace

Result<Fd> start_spawner(const SpawnerLimits& limits) {
    auto program = find_program("yoke-compile");
    if (!program) {
        return tl::unexpected(program.error());
    }
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
        return fail_errno("cannot make a socket for the spawner");
    }
    Fd ours(ends[0]);
    Fd theirs(ends[1]);
    Fd self(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
    if (!self) {
        return fail_errno("cannot open a pidfd of this process");
    }
    const pid_t child = ::fork();
    if (child < 0) {
        return fail_errno("cannot fork the spawner");
    }
    if (child == 0) {
        if (::fork() != 0) {
            ::_exit(0);
        }
        ours.reset();
        ::prctl(PR_SET_NAME, "yoke-spawner");
        close_others(theirs, self);
        reset_signals();
        Spawner(std::move(theirs), std::move(self), std::move(*program), limits).serve();
        ::_exit(0);
    }
    while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
    }
    return ours;
}

}  // namespace yoke::device
