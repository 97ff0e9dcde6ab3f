// One run of yoke-compile: its limits, its temporary directory, its end; see compile_job.hpp. The limits are set in
// the child before it executes anything of the kernel's author.
#include "device/cpu/compile_job.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <span>

#include "base/clock.hpp"
#include "base/memory.hpp"
#include "base/text.hpp"
#include "device/cpu/compile_request.hpp"

namespace yoke::device {

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool limits_memory = false;  // their shadow memory takes terabytes of address space
#else
constexpr bool limits_memory = true;
#endif

void limit(__rlimit_resource resource, std::uint64_t value) {
    const rlimit both{value, value};
    ::setrlimit(resource, &both);
}

Result<Fd> empty_memfd(const char* name) {
    Fd fd(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!fd) {
        return fail_errno("cannot create memory for the kernel compiler");
    }
    return fd;
}

Result<std::string> make_temporary(const std::string& directory) {
    std::error_code error;
    const std::string parent = directory.empty() ? std::filesystem::temp_directory_path(error).string() : directory;
    std::string path = (parent.empty() ? "/tmp" : parent) + "/yoke-compile-XXXXXX";
    if (::mkdtemp(path.data()) == nullptr) {
        return fail_errno("cannot make a directory for the kernel compiler in {}", parent);
    }
    return path;
}

Result<std::string> content_of(const Fd& fd, std::size_t max_bytes) {
    struct stat info {};
    if (::fstat(fd.get(), &info) != 0) {
        return fail_errno("cannot read what the kernel compiler wrote");
    }
    std::string text(std::min(static_cast<std::size_t>(info.st_size), max_bytes), '\0');
    const ssize_t got = ::pread(fd.get(), text.data(), text.size(), 0);
    text.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
    return text;
}

Error refusal(const control::Json& answer_untrusted) {
    const auto code = answer_untrusted.find("errno");
    const auto sentence = answer_untrusted.find("error");
    if (code == answer_untrusted.end() || !code->is_number_integer() || sentence == answer_untrusted.end() ||
        !sentence->is_string()) {
        return {EIO, "the kernel compiler failed without saying why"};
    }
    const auto number = code->get<std::int64_t>();
    return {number > 0 && number < 4096 ? static_cast<int>(number) : EIO, sentence->get<std::string>()};
}

// Copies a descriptor to number `to`, which stays open across execve.
void place(const Fd& from, int to) {
    if (from.get() == to) {
        ::fcntl(to, F_SETFD, 0);
    } else {
        ::dup2(from.get(), to);
    }
}

}  // namespace

Result<CompileJob> CompileJob::start(const std::string& program, const control::Json& request,
                                     const std::string& directory, const SpawnerLimits& limits) {
    CompileJob job;
    job.limits_ = limits;
    const std::string text = request.dump(-1, ' ', false, control::Json::error_handler_t::replace);
    auto input = create_content_memfd("yoke-source", std::as_bytes(std::span(text)));
    auto answer = empty_memfd("yoke-answer");
    auto binary = empty_memfd("yoke-binary");
    auto log = empty_memfd("yoke-log");
    auto temporary = make_temporary(directory);
    if (!input || !answer || !binary || !log || !temporary) {
        return tl::unexpected(!input    ? input.error()
                              : !answer ? answer.error()
                              : !binary ? binary.error()
                              : !log    ? log.error()
                                        : temporary.error());
    }
    job.temporary_ = std::move(*temporary);
    job.request_ = std::move(*input);
    job.answer_ = std::move(*answer);
    job.binary_ = std::move(*binary);
    job.log_ = std::move(*log);
    const auto name = request.find("source_name");
    const auto platform = request.find("platform");
    job.reserves_addresses_ =
        platform != request.end() && platform->is_string() && platform->get<std::string>().starts_with("cuda:");
    job.name_ = name != request.end() && name->is_string() ? printable(name->get<std::string>()) : "kernel";
    const pid_t spawner = ::getpid();
    const pid_t child = ::fork();
    if (child < 0) {
        return fail_errno("cannot start the kernel compiler");
    }
    if (child == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (::getppid() != spawner) {
            ::_exit(127);
        }
        job.become(program, limits);
    }
    ::setpgid(child, child);  // done here and there, so that it is done before anybody kills the group
    job.child_ = Child(child);
    return job;
}

void CompileJob::become(const std::string& program, const SpawnerLimits& limits) const {
    ::setpgid(0, 0);
    const Fd nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    // First out of the way of the numbers that they go to.
    std::array<Fd, 5> sources{
        Fd(::fcntl(nothing.get(), F_DUPFD_CLOEXEC, 10)), Fd(::fcntl(log_.get(), F_DUPFD_CLOEXEC, 10)),
        Fd(::fcntl(request_.get(), F_DUPFD_CLOEXEC, 10)), Fd(::fcntl(answer_.get(), F_DUPFD_CLOEXEC, 10)),
        Fd(::fcntl(binary_.get(), F_DUPFD_CLOEXEC, 10))};
    place(sources[0], 0);
    place(sources[1], 1);
    place(sources[1], 2);
    place(sources[2], compile_request_fd);
    place(sources[3], compile_answer_fd);
    place(sources[4], compile_binary_fd);
    ::close_range(6, ~0U, CLOSE_RANGE_CLOEXEC);
    if (limits_memory) {
        // NVIDIA's driver reserves hundreds of gigabytes of addresses that it never fills.
        limit(reserves_addresses_ ? RLIMIT_DATA : RLIMIT_AS, limits.memory_bytes);
    }
    limit(RLIMIT_CPU, limits.cpu_s);
    limit(RLIMIT_FSIZE, limits.file_bytes);
    limit(RLIMIT_CORE, 0);
    ::signal(SIGINT, SIG_DFL);
    ::setenv("POCL_CACHE_DIR", temporary_.c_str(), 1);
    ::setenv("TMPDIR", temporary_.c_str(), 1);
    ::setenv("CUDA_CACHE_DISABLE", "1", 1);  // compiled kernels are kept by the worker
    // PoCL starts a thread per processor, and an arena per thread would take 64 MiB of address space each.
    ::setenv("MALLOC_ARENA_MAX", "2", 1);
    std::string name = "yoke-compile";
    std::array<char*, 2> arguments{name.data(), nullptr};
    ::execv(program.c_str(), arguments.data());
    const std::string complaint = fmt::format("cannot run {}: {}", program, std::strerror(errno));
    [[maybe_unused]] const ssize_t ignored = ::write(2, complaint.data(), complaint.size());
    ::_exit(127);
}

CompileJob::~CompileJob() {
    if (child_.pid > 0) {
        kill_all();
        while (::waitpid(child_.pid, nullptr, 0) < 0 && errno == EINTR) {
        }
    }
    if (!temporary_.empty()) {
        std::error_code ignored;  // a file that cannot be removed is no reason to fail a compilation
        std::filesystem::remove_all(temporary_, ignored);
    }
}

// The compiler runs `ld`, so its group is killed, also after it has ended by itself.
void CompileJob::kill_all() {
    ::kill(-child_.pid, SIGKILL);
}

bool CompileJob::wait(const Fd& socket) {
    const Fd process(static_cast<int>(::syscall(SYS_pidfd_open, child_.pid, 0)));
    const std::uint64_t end = now_ns() + limits_.wall_ms * 1'000'000ULL;
    bool connected = true;
    while (connected && !late_) {
        const std::uint64_t now = now_ns();
        late_ = now >= end;
        std::array<pollfd, 2> states{pollfd{process.get(), POLLIN, 0}, pollfd{socket.get(), POLLRDHUP, 0}};
        const int left_ms = late_ ? 0 : static_cast<int>((end - now) / 1'000'000U) + 1;
        if (::poll(states.data(), states.size(), left_ms) <= 0) {
            continue;
        }
        if (states[0].revents != 0) {
            late_ = false;
            break;
        }
        connected = states[1].revents == 0;
    }
    kill_all();
    while (::waitpid(child_.pid, &status_, 0) < 0 && errno == EINTR) {
    }
    child_ = Child();
    return connected;
}

std::string CompileJob::messages() const {
    auto text = content_of(log_, compiler_log_bytes_max);
    return text ? printable(*text, compiler_log_bytes_max) : std::string();
}

Error CompileJob::death() const {
    const std::string said = messages();
    const auto contains = [&](const char* words) { return said.find(words) != std::string::npos; };
    if (late_ || (WIFSIGNALED(status_) && WTERMSIG(status_) == SIGXCPU)) {
        return {ETIME, fmt::format("{} did not compile within {} s; make it smaller", name_,
                                   std::min<std::uint64_t>(limits_.wall_ms / 1000, limits_.cpu_s))};
    }
    if (contains("out of memory") || contains("bad_alloc") || contains("Cannot allocate memory") ||
        contains("failed to map segment")) {
        return {ENOMEM, fmt::format("compiling {} takes more than {} MiB; make it smaller", name_,
                                    limits_.memory_bytes >> 20U)};
    }
    const std::string how = WIFSIGNALED(status_) ? fmt::format("signal {}", WTERMSIG(status_))
                                                 : fmt::format("exit status {}", WEXITSTATUS(status_));
    return {EIO, fmt::format("the kernel compiler died of {} on {}: {}", how, name_, said)};
}

Result<CompileJob::Binary> CompileJob::result() {
    if (late_ || !WIFEXITED(status_) || WEXITSTATUS(status_) != 0) {
        return tl::unexpected(death());
    }
    auto text = content_of(answer_, control::message_bytes_max);
    if (!text) {
        return tl::unexpected(text.error());
    }
    auto answer = control::parse(std::as_bytes(std::span(*text)));
    if (!answer) {
        return tl::unexpected(answer.error());
    }
    // A hostile source might have taken over the compiler, so its answer is looked at like any stranger's.
    if (const auto ok = answer->find("ok"); ok == answer->end() || *ok != true) {
        return tl::unexpected(refusal(*answer));
    }
    if (::fcntl(binary_.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0) {
        return fail_errno("cannot seal the binary of {}", name_);
    }
    return Binary{std::move(*answer), std::move(binary_)};
}

}  // namespace yoke::device
