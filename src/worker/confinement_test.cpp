// The filter in a process of its own, and what a real worker's user can still do.
#include "worker/confinement.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <asm/ioctls.h>
#include <asm/sockios.h>

#include <csignal>
#include <filesystem>
#include <functional>
#include <thread>

#include "base/file.hpp"

#include "support/raw_session.hpp"

namespace yoke::worker {
namespace {

// Runs `attempt` in a confined child; what it returns, or 1000 + signal.
int confined(const std::function<int()>& attempt, bool cuda = false) {
    const pid_t child = ::fork();
    if (child == 0) {
        if (!give_up_privileges() || !filter_system_calls(false, cuda)) {
            ::_exit(255);
        }
        ::_exit(attempt());
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

template <typename... Args>
int errno_of(long number, Args... args) {
    return confined([=] {
        errno = 0;
        return ::syscall(number, args...) < 0 ? errno : 0;
    });
}

TEST(Confinement, ForbidsProgramsProcessesAndNetworks) {
    char* const arguments[] = {nullptr};
    EXPECT_EQ(errno_of(SYS_execve, "/bin/true", arguments, arguments), EPERM);
    EXPECT_EQ(errno_of(SYS_execveat, AT_FDCWD, "/bin/true", arguments, arguments, 0), EPERM);
    EXPECT_EQ(errno_of(SYS_clone, SIGCHLD, 0, 0, 0, 0), EPERM) << "fork";
    EXPECT_EQ(errno_of(SYS_clone3, 0, 0), ENOSYS);
    for (const int family : {AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_ALG, AF_VSOCK}) {
        EXPECT_EQ(errno_of(SYS_socket, family, SOCK_DGRAM, 0), EPERM) << family;
    }
    EXPECT_EQ(errno_of(SYS_socket, AF_UNIX, SOCK_STREAM, 0), 0);
}

TEST(Confinement, LetsOnlyTheCudaDriverListen) {
    const auto listen = [] {
        const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;  // the kernel chooses a name
        const bool named = ::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof(sa_family_t)) == 0;
        return named && ::listen(socket, 1) == 0 ? 0 : errno;
    };
    EXPECT_EQ(confined(listen), EPERM);
    EXPECT_EQ(errno_of(SYS_listen, -1, 1), EPERM);
    EXPECT_EQ(errno_of(SYS_accept4, -1, nullptr, nullptr, 0), EPERM);
    EXPECT_EQ(confined(listen, true), 0);
}

TEST(Confinement, ForbidsOtherProcessesAndTheKernelsInterfaces) {
    EXPECT_EQ(errno_of(SYS_ptrace, 0, 0, 0, 0), EPERM);
    EXPECT_EQ(errno_of(SYS_process_vm_readv, 1, nullptr, 0, nullptr, 0, 0), EPERM);
    EXPECT_EQ(errno_of(SYS_process_vm_writev, 1, nullptr, 0, nullptr, 0, 0), EPERM);
    EXPECT_EQ(errno_of(SYS_kill, ::getpid(), 0), EPERM) << "the parent is another process";
    EXPECT_EQ(errno_of(SYS_mount, nullptr, nullptr, nullptr, 0, nullptr), EPERM);
    EXPECT_EQ(errno_of(SYS_bpf, 0, nullptr, 0), EPERM);
    EXPECT_EQ(errno_of(SYS_kexec_load, 0, 0, nullptr, 0), EPERM);
    EXPECT_EQ(errno_of(SYS_init_module, nullptr, 0, nullptr), EPERM);
    EXPECT_EQ(errno_of(SYS_finit_module, -1, nullptr, 0), EPERM);
    EXPECT_EQ(errno_of(SYS_delete_module, nullptr, 0), EPERM);
    EXPECT_EQ(errno_of(SYS_setuid, ::getuid()), EPERM);
    EXPECT_EQ(errno_of(SYS_setresuid, -1, -1, -1), EPERM);
    EXPECT_EQ(errno_of(SYS_unshare, 0), EPERM);
    EXPECT_EQ(errno_of(SYS_perf_event_open, nullptr, 0, 0, 0, 0), EPERM);
    EXPECT_EQ(errno_of(SYS_io_uring_setup, 1, nullptr), EPERM);
    EXPECT_EQ(errno_of(SYS_userfaultfd, 0), EPERM);
    EXPECT_EQ(errno_of(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0), ENOSYS);
    EXPECT_EQ(errno_of(100'000), ENOSYS) << "calls that nobody knows yet";
}

TEST(Confinement, ForbidsTerminalInputAndSignalsByDescriptors) {
    constexpr long high_bits = 1L << 40U;  // the kernel looks at the lower half only
    for (const long number : {TIOCSTI, TIOCLINUX, TIOCSCTTY, FIOSETOWN, SIOCSPGRP}) {
        EXPECT_EQ(errno_of(SYS_ioctl, STDIN_FILENO, number, nullptr), EPERM) << std::hex << number;
        EXPECT_EQ(errno_of(SYS_ioctl, STDIN_FILENO, number | high_bits, nullptr), EPERM) << std::hex << number;
    }
    for (const long number : {F_SETOWN, F_SETSIG, F_SETOWN_EX}) {
        EXPECT_EQ(errno_of(SYS_fcntl, STDIN_FILENO, number, 0), EPERM) << number;
        EXPECT_EQ(errno_of(SYS_fcntl, STDIN_FILENO, number | high_bits, 0), EPERM) << number;
    }
    // Their neighbours in every bit are allowed, and judged by the kernel.
    const int closed = 1'000'000;
    for (unsigned bit = 0; bit < 32; ++bit) {
        const long number = static_cast<long>(std::uint32_t{TIOCSTI} ^ (1U << bit));
        EXPECT_EQ(errno_of(SYS_ioctl, closed, number, nullptr), EBADF) << std::hex << number;
    }
    EXPECT_EQ(errno_of(SYS_fcntl, STDIN_FILENO, F_GETFD, 0), 0);
    EXPECT_EQ(errno_of(SYS_fcntl, STDIN_FILENO, F_DUPFD_CLOEXEC, 3), 0);
    EXPECT_EQ(errno_of(SYS_fcntl, STDIN_FILENO, F_GETOWN, 0), 0);
}

TEST(Confinement, LeavesWhatAWorkerNeeds) {
    EXPECT_EQ(confined([] {
                  int result = 1;
                  std::thread([&result] { result = 0; }).join();
                  return result;
              }),
              0)
        << "threads";
    EXPECT_EQ(confined([] {
                  rlimit limit{};
                  return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 && ::getpid() == ::gettid() ? 0 : errno;
              }),
              0);
    EXPECT_EQ(confined([] { return ::open("/proc/self/status", O_RDONLY) >= 0 ? 0 : errno; }), 0);
    EXPECT_EQ(confined([] {
                  ::raise(SIGABRT);
                  return 0;
              }),
              1000 + SIGABRT);
    EXPECT_EQ(confined([] { return ::prctl(PR_GET_DUMPABLE); }), 0);
}

// The user's own code in a real worker: a kernel of OpenCL C that makes system calls.
constexpr const char* hostile_kernel = R"(
long call(long number, long a, long b, long c) {
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return result;
}
kernel void attack(global const long *in, global long *out) {
    const char path[] = "/bin/true";
    out[0] = call(59, (long)(const char *)path, 0, 0); /* execve */
    out[1] = call(41, 2, 1, 0);                        /* socket(AF_INET, SOCK_STREAM) */
    out[2] = call(310, 1, 0, 0);                       /* process_vm_readv */
    out[3] = call(57, 0, 0, 0);                        /* fork */
    out[4] = call(39, 0, 0, 0);                        /* getpid */
    out[5] = call(105, in[0], 0, 0);                   /* setuid */
}
)";

class HostileKernel : public testing::Test {
   protected:
    control::Json ask(const control::Json& request) {
        const auto answer = control::request(session_->socket(), request, {}, 120'000);
        EXPECT_TRUE(answer) << request["op"] << ": " << answer.error().message;
        return answer ? answer->body : control::Json::object();
    }
    void open_port(const char* name, const char* direction, unsigned extent) {
        ask({{"op", "open_port"},
             {"name", name},
             {"direction", direction},
             {"template", {{"type", "i64"}, {"extent", {extent, 1, 1}}, {"stride", 0}}}});
    }
    std::uint32_t open_channel(const char* name, const control::Json& source, const control::Json& destination) {
        return ask({{"op", "open_channel"},
                    {"name", name},
                    {"source", source},
                    {"destination", destination},
                    {"capacity", 1}})
            .value("channel", 0U);
    }
    test::Instance instance_;
    std::unique_ptr<test::RawSession> session_;
};

TEST_F(HostileKernel, CanNeitherStartProgramsNorOpenNetworkSockets) {
#if !defined(__x86_64__)
    GTEST_SKIP() << "the kernel is written in x86-64 assembly";
#endif
    ASSERT_TRUE(instance_.ready()) << instance_.error();
    auto session = test::RawSession::open(instance_);
    ASSERT_TRUE(session) << session.error().message;
    session_ = std::move(*session);
    ask({{"op", "open_graph"}, {"name", "/evil"}});
    open_port("/evil/attack:in", "in", 1);
    open_port("/evil/attack:out", "out", 6);
    const control::Json zeros = {0, 0, 0};
    ask({{"op", "open_ptask"},
         {"name", "/evil/attack"},
         {"kernel",
          {{"source", hostile_kernel},
           {"source_name", "attack.cl"},
           {"function", "attack"},
           {"options", ""},
           {"geometry", zeros},
           {"local", zeros}}},
         {"arguments", {{{"port", "/evil/attack:in"}}, {{"port", "/evil/attack:out"}}}}});
    const std::uint32_t in = open_channel("/evil/in", nullptr, "/evil/attack:in");
    const std::uint32_t out = open_channel("/evil/out", "/evil/attack:out", nullptr);
    ask({{"op", "run_graph"}, {"name", "/evil"}});
    ASSERT_NE(in, 0U);
    ASSERT_NE(out, 0U);

    auto* input = reinterpret_cast<std::int64_t*>(session_->data().data());
    input[0] = 1;
    yoke_submission push{};
    push.opcode = YOKE_OP_PUSH;
    push.object = in;
    push.in_offset = session_->layout().data;
    push.in_length = sizeof(std::int64_t);
    const auto pushed = session_->call(push, YOKE_RING_BULK);
    ASSERT_TRUE(pushed);
    ASSERT_EQ(pushed->status, 0) << "detail " << pushed->detail;
    yoke_submission pull{};
    pull.opcode = YOKE_OP_PULL;
    pull.object = out;
    pull.out_offset = session_->layout().data + 4096;
    pull.out_length = 6 * sizeof(std::int64_t);
    const auto pulled = session_->call(pull, YOKE_RING_BULK);
    ASSERT_TRUE(pulled);
    ASSERT_EQ(pulled->status, 0) << "detail " << pulled->detail;
    const auto* output = reinterpret_cast<const std::int64_t*>(session_->data().data() + 4096);
    EXPECT_EQ(output[0], -EPERM) << "execve";
    EXPECT_EQ(output[1], -EPERM) << "socket(AF_INET)";
    EXPECT_EQ(output[2], -EPERM) << "process_vm_readv";
    EXPECT_EQ(output[3], -EPERM) << "fork";
    EXPECT_EQ(output[4], session_->connected().worker) << "the calls were made, and in the worker";
    EXPECT_EQ(output[5], -EPERM) << "setuid";
}

TEST(Confinement, HoldsForEveryThreadOfARealWorker) {
    test::Instance instance;
    ASSERT_TRUE(instance.ready()) << instance.error();
    auto session = test::RawSession::open(instance);
    ASSERT_TRUE(session) << session.error().message;
    ASSERT_TRUE((*session)->echo(100));
    unsigned threads = 0;
    for (const auto& task :
         std::filesystem::directory_iterator(fmt::format("/proc/{}/task", (*session)->connected().worker))) {
        const std::string status = read_file(task.path() / "status").value_or("");
        EXPECT_THAT(status, testing::HasSubstr("NoNewPrivs:\t1\n"));
        EXPECT_THAT(status, testing::HasSubstr("Seccomp:\t2\n"));
        ++threads;
    }
    EXPECT_GT(threads, 4U);
}

}  // namespace
}  // namespace yoke::worker
