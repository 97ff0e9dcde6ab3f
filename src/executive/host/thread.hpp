// Starting a thread of the executive: named, and with all signals blocked, so that they reach the worker's event loop.
#pragma once

#include <pthread.h>

#include <csignal>
#include <system_error>
#include <thread>
#include <utility>

#include "base/error.hpp"

namespace yoke::executive {

// `name` has at most 15 characters.
template <typename Body>
Status start_thread(std::thread& thread, const char* name, Body&& body) {
    sigset_t all;
    sigset_t before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    Status status;
    try {
        thread = std::thread(std::forward<Body>(body));
        ::pthread_setname_np(thread.native_handle(), name);
    } catch (const std::system_error& error) {
        status = fail(EAGAIN, "thread {} cannot be started ({}); raise the limit of tasks", name, error.what());
    }
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return status;
}

}  // namespace yoke::executive
