// Runs a part of a test as another user: on a thread of its own, because credentials belong to threads and only libc
// makes them those of the process. What the thread starts has its identity too. Needs root.
#pragma once

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "base/program.hpp"

namespace yoke::test {

// The calling thread becomes `user`, for good.
inline bool become(uid_t user) {
    return ::syscall(SYS_setgroups, 0, nullptr) == 0 && ::syscall(SYS_setresgid, user, user, user) == 0 &&
           ::syscall(SYS_setresuid, user, user, user) == 0;
}

inline void as_user(uid_t user, const std::function<void()>& body) {
    std::thread thread([&] {
        ASSERT_TRUE(become(user)) << std::strerror(errno);
        body();
    });
    thread.join();
    ::prctl(PR_SET_DUMPABLE, 1);  // the change of identity took it away
}

// Whether tests with other users can run here; if not, why.
inline std::string why_no_users(uid_t user) {
    if (::geteuid() != 0) {
        return "only root can act as other users";
    }
    const auto worker = find_program("yoke-worker");
    bool possible = false;
    bool executable = false;
    std::thread([&] {
        possible = become(user);
        executable = worker && ::access(worker->c_str(), X_OK) == 0;
    }).join();
    ::prctl(PR_SET_DUMPABLE, 1);
    if (!possible) {
        return "this name space has no user " + std::to_string(user);
    }
    return executable ? "" : "other users may not execute yoke-worker, which lies where only its builder comes";
}

}  // namespace yoke::test
