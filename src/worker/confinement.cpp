// PROBLEM. A worker executes its user's kernels as native code (OpenCL on the CPU) and parses what hostile clients of
// the same user send. What goes wrong there must not reach further than the account, and must not become a foothold: no
// new programs, no network, no other processes' memory, no kernel interfaces that a compute worker has no business
// with.
//
// MODEL. An allow list in the spirit of systemd's @system-service, less what a worker never does. Whatever is not on it
// fails with ENOSYS, as on an older kernel: libraries (libc, PoCL, drivers) then fall back to older calls, where EPERM
// would make them give up. What is refused on purpose and not for lack of need fails with EPERM, so that a log
// shows it as what it is. Calls with arguments that decide: socket (AF_UNIX only), clone (threads only; clone3, whose
// flags lie in memory that a filter cannot read, does not exist, and libc falls back to clone), kill and tgkill (this
// process only), prctl (names of threads), prlimit64 (reading), ioctl and fcntl (no faked terminal input, no signals to
// others by way of a descriptor's owner), bind, listen and accept (only beside a CUDA driver, which listens on
// a socket of its own in every process and calls itself broken without).
//
// TRADE-OFF. Memory may be made executable and files of the account opened: PoCL loads compiled kernels with dlopen. A
// mount namespace would close that, but drivers' device files and the account's path endpoints need the same name
// space. Sockets of the account's other services can be connected to, because the next yoked must be: a filter sees no
// paths. So a kernel can do through them, and through files, what its own user could; no more.
#include "worker/confinement.hpp"

#include <fcntl.h>
#include <pthread.h>
#include <seccomp.h>

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <initializer_list>
#include <memory>
#include <set>
#include <span>
#include <utility>

#include <asm/ioctls.h>
#include <asm/sockios.h>
#include <sched.h>

namespace yoke::worker {
namespace {

using Context = std::unique_ptr<void, decltype(&::seccomp_release)>;
using Names = std::initializer_list<const char*>;

constexpr Names memory_calls{"mmap",       "munmap",     "mremap",        "mprotect",      "madvise",
                             "brk",        "mlock",      "mlock2",        "munlock",       "msync",
                             "mincore",    "membarrier", "mbind",         "set_mempolicy", "get_mempolicy",
                             "pkey_alloc", "pkey_free",  "pkey_mprotect", "memfd_create"};
constexpr Names file_calls{"read",       "write",           "readv",      "writev",    "pread64",    "pwrite64",
                           "preadv",     "pwritev",         "preadv2",    "pwritev2",  "open",       "openat",
                           "close",      "close_range",     "stat",       "fstat",     "lstat",      "newfstatat",
                           "statx",      "statfs",          "fstatfs",    "lseek",     "access",     "faccessat",
                           "faccessat2", "readlink",        "readlinkat", "getdents",  "getdents64", "getcwd",
                           "chdir",      "fchdir",          "mkdir",      "mkdirat",   "rmdir",      "unlink",
                           "unlinkat",   "rename",          "renameat",   "renameat2", "link",       "linkat",
                           "symlink",    "symlinkat",       "ftruncate",  "truncate",  "fallocate",  "fsync",
                           "fdatasync",  "flock",           "dup",        "dup2",      "dup3",       "pipe",
                           "pipe2",      "umask",           "chmod",      "fchmod",    "fchmodat",   "utimensat",
                           "fadvise64",  "copy_file_range", "sendfile",   "splice",    "tee",        "readahead",
                           "getxattr",   "fgetxattr",       "lgetxattr"};
constexpr Names waiting_calls{"poll",
                              "ppoll",
                              "select",
                              "pselect6",
                              "epoll_create",
                              "epoll_create1",
                              "epoll_ctl",
                              "epoll_wait",
                              "epoll_pwait",
                              "epoll_pwait2",
                              "eventfd",
                              "eventfd2",
                              "signalfd",
                              "signalfd4",
                              "timerfd_create",
                              "timerfd_settime",
                              "timerfd_gettime",
                              "inotify_init1",
                              "inotify_add_watch",
                              "inotify_rm_watch",
                              "futex",
                              "futex_waitv",
                              "pause"};
constexpr Names time_calls{"clock_gettime", "clock_getres",  "clock_nanosleep", "nanosleep",        "gettimeofday",
                           "time",          "times",         "getitimer",       "setitimer",        "alarm",
                           "timer_create",  "timer_settime", "timer_gettime",   "timer_getoverrun", "timer_delete"};
constexpr Names thread_calls{"exit",
                             "exit_group",
                             "set_robust_list",
                             "get_robust_list",
                             "set_tid_address",
                             "gettid",
                             "rseq",
                             "sched_yield",
                             "sched_getaffinity",
                             "sched_setaffinity",
                             "sched_getparam",
                             "sched_getscheduler",
                             "sched_setscheduler",
                             "sched_getattr",
                             "sched_setattr",
                             "sched_get_priority_max",
                             "sched_get_priority_min",
                             "getpriority",
                             "setpriority",
                             "getcpu",
                             "arch_prctl",
                             "rt_sigaction",
                             "rt_sigprocmask",
                             "rt_sigreturn",
                             "rt_sigpending",
                             "rt_sigtimedwait",
                             "rt_sigsuspend",
                             "sigaltstack",
                             "restart_syscall",
                             "wait4",
                             "waitid"};
constexpr Names own_calls{"getpid",    "getppid",   "getpgrp", "getpgid",   "getsid",    "getuid",
                          "geteuid",   "getgid",    "getegid", "getresuid", "getresgid", "getgroups",
                          "getrlimit", "getrusage", "uname",   "sysinfo",   "getrandom", "capget"};
constexpr Names socket_calls{"socketpair",  "connect",    "sendmsg",   "recvmsg",  "sendto",
                             "recvfrom",    "sendmmsg",   "recvmmsg",  "shutdown", "getsockname",
                             "getpeername", "getsockopt", "setsockopt"};

// Asked for by nobody in good faith.
constexpr Names refused_calls{"execve",
                              "execveat",
                              "fork",
                              "vfork",
                              "process_vm_readv",
                              "process_vm_writev",
                              "process_madvise",
                              "pidfd_getfd",
                              "pidfd_open",
                              "pidfd_send_signal",
                              "kcmp",
                              "mount",
                              "umount2",
                              "mount_setattr",
                              "move_mount",
                              "fsopen",
                              "fsconfig",
                              "fsmount",
                              "fspick",
                              "open_tree",
                              "pivot_root",
                              "chroot",
                              "unshare",
                              "setns",
                              "bpf",
                              "perf_event_open",
                              "userfaultfd",
                              "kexec_load",
                              "kexec_file_load",
                              "init_module",
                              "finit_module",
                              "delete_module",
                              "setuid",
                              "setgid",
                              "setreuid",
                              "setregid",
                              "setresuid",
                              "setresgid",
                              "setgroups",
                              "setfsuid",
                              "setfsgid",
                              "capset",
                              "keyctl",
                              "add_key",
                              "request_key",
                              "io_uring_setup",
                              "io_uring_enter",
                              "io_uring_register",
                              "reboot",
                              "swapon",
                              "swapoff",
                              "acct",
                              "quotactl",
                              "settimeofday",
                              "clock_settime",
                              "clock_adjtime",
                              "adjtimex",
                              "sethostname",
                              "setdomainname",
                              "iopl",
                              "ioperm",
                              "personality",
                              "syslog",
                              "vhangup",
                              "mknod",
                              "mknodat",
                              "chown",
                              "fchown",
                              "lchown",
                              "fchownat",
                              "open_by_handle_at",
                              "name_to_handle_at",
                              "fanotify_init",
                              "lookup_dcookie",
                              "setsid",
                              "setrlimit"};

// Input in the name of whoever sits at a terminal, and the owner of a descriptor, to whom the kernel sends signals.
constexpr std::array<std::uint32_t, 5> refused_ioctls{TIOCSTI, TIOCLINUX, TIOCSCTTY, FIOSETOWN, SIOCSPGRP};
constexpr std::array<std::uint32_t, 3> refused_fcntls{F_SETOWN, F_SETSIG, F_SETOWN_EX};

Status refuse(int code, const char* name) {
    return fail(-code, "filter of system calls cannot be made ({}): {}", name, std::strerror(-code));
}

// Names that this kernel's architecture does not have are passed over.
Status add_all(scmp_filter_ctx context, std::uint32_t action, Names names) {
    for (const char* name : names) {
        const int number = ::seccomp_syscall_resolve_name(name);
        if (number == __NR_SCMP_ERROR) {
            continue;
        }
        if (const int r = ::seccomp_rule_add(context, action, number, 0); r < 0 && r != -EDOM) {
            return refuse(r, name);
        }
    }
    return {};
}

// Allows a call only where `test` holds; otherwise EPERM.
Status add_if(scmp_filter_ctx context, const char* name, scmp_arg_cmp test) {
    const int number = ::seccomp_syscall_resolve_name(name);
    if (const int r = ::seccomp_rule_add_array(context, SCMP_ACT_ALLOW, number, 1, &test); r < 0) {
        return refuse(r, name);
    }
    return {};
}

// Refuses a call where `test` holds.
Status refuse_if(scmp_filter_ctx context, const char* name, scmp_arg_cmp test) {
    const int number = ::seccomp_syscall_resolve_name(name);
    if (const int r = ::seccomp_rule_add_array(context, SCMP_ACT_ERRNO(EPERM), number, 1, &test); r < 0) {
        return refuse(r, name);
    }
    return {};
}

scmp_arg_cmp argument_is(unsigned index, std::uint64_t value) {
    return {index, SCMP_CMP_EQ, value, 0};
}
scmp_arg_cmp argument_is_not(unsigned index, std::uint64_t value) {
    return {index, SCMP_CMP_NE, value, 0};
}
scmp_arg_cmp bits_are(unsigned index, std::uint64_t mask, std::uint64_t value) {
    return {index, SCMP_CMP_MASKED_EQ, mask, value};
}

constexpr std::uint64_t low_half = 0xffff'ffffU;  // of arguments that are ints the upper half means nothing

// Allows a call unless its argument is one of `values`, which are refused. A filter cannot say "not equal" of half an
// argument, so the numbers that are allowed are named by the prefixes that no value has.
Status allow_except(scmp_filter_ctx context, const char* name, unsigned index, std::span<const std::uint32_t> values) {
    std::set<std::pair<std::uint32_t, std::uint32_t>> prefixes;  // mask, bits
    for (const std::uint32_t value : values) {
        for (unsigned bit = 0; bit < 32; ++bit) {
            const std::uint32_t mask = ~std::uint32_t{0} << bit;
            const std::uint32_t bits = (value ^ (1U << bit)) & mask;
            if (std::ranges::none_of(values, [&](std::uint32_t other) { return (other & mask) == bits; })) {
                prefixes.emplace(mask, bits);
            }
        }
    }
    Status added;
    for (const auto& [mask, bits] : prefixes) {
        added = added ? add_if(context, name, bits_are(index, mask, bits)) : added;
    }
    for (const std::uint32_t value : values) {
        added = added ? refuse_if(context, name, bits_are(index, low_half, value)) : added;
    }
    return added;
}

// What LeakSanitizer's tracer does: a task that shares our memory stops the threads and looks at their stacks.
Status allow_leak_check(scmp_filter_ctx context) {
    const scmp_arg_cmp shares_memory = bits_are(0, CLONE_THREAD | CLONE_VM | CLONE_UNTRACED, CLONE_VM | CLONE_UNTRACED);
    Status added = add_if(context, "clone", shares_memory);
    added = added ? add_all(context, SCMP_ACT_ALLOW, {"ptrace"}) : added;
    for (const int option : {PR_SET_DUMPABLE, PR_SET_PDEATHSIG, PR_SET_PTRACER}) {
        added = added ? add_if(context, "prctl", argument_is(0, static_cast<std::uint64_t>(option))) : added;
    }
    return added;
}

Status add_conditions(scmp_filter_ctx context, bool leak_checked) {
    const auto self = static_cast<std::uint64_t>(::getpid());
    Status added = add_if(context, "socket", bits_are(0, low_half, AF_UNIX));
    added = added ? refuse_if(context, "socket", argument_is_not(0, AF_UNIX)) : added;
    added = added ? add_if(context, "clone", bits_are(0, CLONE_THREAD, CLONE_THREAD)) : added;
    added =
        added ? refuse_if(context, "clone", bits_are(0, CLONE_THREAD | (leak_checked ? CLONE_UNTRACED : 0), 0)) : added;
    for (const char* name : {"kill", "tgkill"}) {
        added = added ? add_if(context, name, argument_is(0, self)) : added;
        added = added ? refuse_if(context, name, argument_is_not(0, self)) : added;
    }
    for (const int option : {PR_SET_NAME, PR_GET_NAME, PR_GET_DUMPABLE, PR_GET_NO_NEW_PRIVS}) {
        added = added ? add_if(context, "prctl", argument_is(0, static_cast<std::uint64_t>(option))) : added;
    }
    added = added ? add_if(context, "prlimit64", argument_is(2, 0)) : added;
    added = added ? refuse_if(context, "prlimit64", argument_is_not(2, 0)) : added;
    added = added ? allow_except(context, "ioctl", 1, refused_ioctls) : added;
    added = added ? allow_except(context, "fcntl", 1, refused_fcntls) : added;
    return added;
}

}  // namespace

Status give_up_privileges() {
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        return fail_errno("privileges cannot be given up");
    }
    // Neither a core file nor a debugger of the same user sees keys.
    if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
        return fail_errno("worker cannot be made undumpable");
    }
    const rlimit none{0, 0};
    if (::setrlimit(RLIMIT_CORE, &none) != 0) {
        return fail_errno("core files cannot be forbidden");
    }
    return {};
}

Status lock_memory() {
    // Stacks of threads are filled at once when they are locked, and 8 MiB each would be wasted.
    constexpr std::size_t stack_bytes = 1U << 20;
    pthread_attr_t attributes;
    if (::pthread_attr_init(&attributes) != 0 || ::pthread_attr_setstacksize(&attributes, stack_bytes) != 0 ||
        ::pthread_setattr_default_np(&attributes) != 0) {
        return fail(ENOMEM, "stacks of the worker cannot be made smaller");
    }
    ::pthread_attr_destroy(&attributes);
    if (::mlockall(MCL_CURRENT | MCL_FUTURE) != 0) {
        return fail_errno("memory of the worker that serves the kernel cannot be locked; see LimitMEMLOCK of yoked");
    }
    return {};
}

Status filter_system_calls(bool leak_checked, bool cuda) {
    const Context context(::seccomp_init(SCMP_ACT_ERRNO(ENOSYS)), &::seccomp_release);
    if (!context) {
        return fail(ENOMEM, "filter of system calls cannot be made");
    }
    for (const Names& names :
         {memory_calls, file_calls, waiting_calls, time_calls, thread_calls, own_calls, socket_calls}) {
        if (auto added = add_all(context.get(), SCMP_ACT_ALLOW, names); !added) {
            return added;
        }
    }
    if (auto added =
            leak_checked ? allow_leak_check(context.get()) : add_all(context.get(), SCMP_ACT_ERRNO(EPERM), {"ptrace"});
        !added) {
        return added;
    }
    if (auto added = add_all(context.get(), SCMP_ACT_ERRNO(EPERM), refused_calls); !added) {
        return added;
    }
    if (auto added = add_all(context.get(), cuda ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(EPERM),
                             {"bind", "listen", "accept", "accept4"});
        !added) {
        return added;
    }
    if (auto added = add_conditions(context.get(), leak_checked); !added) {
        return added;
    }
    if (const int r = ::seccomp_attr_set(context.get(), SCMP_FLTATR_CTL_TSYNC, 1); r < 0) {
        return refuse(r, "TSYNC");
    }
    if (const int r = ::seccomp_load(context.get()); r < 0) {
        return refuse(r, "load");
    }
    return {};
}

}  // namespace yoke::worker
