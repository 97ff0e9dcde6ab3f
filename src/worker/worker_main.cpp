// yoke-worker: serves the calls and graphs of one account. Started by yoked only (docs/daemon.md).
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include <yoke/yoke.h>

#include "base/log.hpp"
#include "device/cpu/spawner.hpp"
#include "worker/confinement.hpp"
#include "worker/last_words.hpp"
#include "worker/locked_heap.hpp"
#include "worker/server.hpp"

#if defined(__SANITIZE_ADDRESS__)
constexpr bool leak_checked = true;
// PoCL's threads have signal stacks of their own, which AddressSanitizer would unmap as if they were its own.
extern "C" [[gnu::visibility("default")]] const char* __asan_default_options();
extern "C" const char* __asan_default_options() {
    return "use_sigaltstack=0";
}
#else
constexpr bool leak_checked = false;
#endif

namespace yoke::worker {
namespace {

constexpr int link_fd = 3;

// Takes a variable out of the environment, so that no process started later has it.
std::string take_variable(const char* name) {
    char* value = std::getenv(name);
    if (value == nullptr) {
        return {};
    }
    std::string taken = value;
    ::explicit_bzero(value, taken.size());
    ::unsetenv(name);
    return taken;
}

// 0: the variable is missing or no number.
std::uint64_t take_number(const char* name) {
    const std::string text = take_variable(name);
    std::uint64_t number = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
    return parsed.ec == std::errc{} && parsed.ptr == text.data() + text.size() ? number : 0;
}

Result<Identity> take_identity() {
    Identity identity;
    identity.token = take_variable("YOKE_WORKER_TOKEN");
    identity.socket = take_variable("YOKE_SOCKET");
    identity.generation = take_number("YOKE_WORKER_GENERATION");
    identity.alone_max_s = take_number("YOKE_WORKER_ALONE_S");
    identity.spin_us = take_number("YOKE_WORKER_SPIN_US");
    identity.state_directory = take_variable("YOKE_STATE_DIR");
    identity.kernel_device = take_variable("YOKE_WORKER_DEVICE");
    identity.account = identity.kernel_device.empty() ? ::getuid() : YOKE_ACCOUNT_KERNEL;
    if (identity.token.empty() || identity.socket.empty() || identity.generation == 0 || identity.alone_max_s == 0 ||
        identity.spin_us == 0 || ::fcntl(link_fd, F_SETFD, FD_CLOEXEC) != 0) {
        return fail(EINVAL, "yoke-worker is started by yoked only");
    }
    return identity;
}

// Under journald the inherited stderr speaks in the name of yoked. Users' code runs in this process, so it gets a
// stream of its own, which the journal marks with the account.
void speak_for_itself() {
    if (std::getenv("JOURNAL_STREAM") == nullptr) {
        return;
    }
    const Fd stream(::sd_journal_stream_fd("yoke-worker", LOG_INFO, 1));
    struct stat info {};
    if (stream && ::fstat(stream.get(), &info) == 0 && ::dup2(stream.get(), STDOUT_FILENO) >= 0 &&
        ::dup2(stream.get(), STDERR_FILENO) >= 0) {
        ::setenv("JOURNAL_STREAM", fmt::format("{}:{}", info.st_dev, info.st_ino).c_str(), 1);
    }
}

Result<int> serve() {
    auto identity = take_identity();
    if (!identity) {
        return tl::unexpected(identity.error());
    }
    // The device sets this variable when other threads run already; a variable that is there is replaced in place.
    ::setenv("POCL_CACHE_DIR", "/nonexistent", 0);
    // Code that the driver loads at its first use would wait for the resident kernel to end.
    ::setenv("CUDA_MODULE_LOADING", "EAGER", 1);
    // As many queues of the hardware as there can be: streams that share one wait for each other.
    ::setenv("CUDA_DEVICE_MAX_CONNECTIONS", "32", 0);
    // While there is one thread and no filter. A worker without a compiler still serves calls and cached kernels.
    const bool serves_kernel = !identity->kernel_device.empty();
    Result<Fd> spawner = serves_kernel
                             ? fail(ENOTSUP, "the kernel's account has no graphs, so nothing is compiled for it")
                             : device::start_spawner();
    if (serves_kernel) {
        if (auto locked = lock_memory(); !locked) {
            return tl::unexpected(locked.error());
        }
    }
    if (auto given_up = give_up_privileges(); !given_up) {
        return tl::unexpected(given_up.error());
    }
    auto loop = control::Loop::create();
    if (!loop) {
        return tl::unexpected(loop.error());
    }
    std::unique_ptr<Server> server;
    const auto end = [&server](std::uint32_t number) { server->end(fmt::format("signal {}", number)); };
    // Before there are threads, so that all of them leave these signals to the loop.
    auto on_term = loop->on_signal(SIGTERM, end);
    auto on_interrupt = loop->on_signal(SIGINT, end);
    if (!on_term || !on_interrupt) {
        return tl::unexpected(on_term ? on_interrupt.error() : on_term.error());
    }
    if (auto filtered = filter_system_calls(leak_checked, wants_cuda() && ::access("/dev/nvidiactl", F_OK) == 0);
        !filtered) {
        return tl::unexpected(filtered.error());
    }
    auto created = Server::create(*loop, std::move(*identity), Fd(link_fd), std::move(spawner));
    if (!created) {
        return tl::unexpected(created.error());
    }
    server = std::move(*created);
    return loop->run();
}

}  // namespace
}  // namespace yoke::worker

int main() {
    if (!yoke::worker::LockedHeap::install()) {
        fmt::print(stderr, "yoke-worker: OpenSSL is in use before main; no key could be kept in locked memory\n");
        return 1;
    }
    yoke::worker::speak_for_itself();
    if (const char* levels = std::getenv("YOKE_LOG")) {
        if (auto configured = yoke::configure_log(levels); !configured) {
            fmt::print(stderr, "yoke-worker: {}\n", configured.error().message);
            return 1;
        }
    }
    ::signal(SIGPIPE, SIG_IGN);
    yoke::worker::tell_faults();
    const auto code = yoke::worker::serve();
    if (!code) {
        fmt::print(stderr, "yoke-worker: {}\n", code.error().message);
        return 1;
    }
    return *code;
}
