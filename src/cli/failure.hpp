// How a command ends: with an exit code that scripts act on and one sentence that people act on.
//
// The codes are an interface (docs/cli.md). An "object" of code 5 is one of yoke's (graph, channel, service); a missing
// file is an ordinary failure.
#pragma once

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <tl/expected.hpp>

namespace yoke::cli {

enum Exit : int {
    exit_ok = 0,
    exit_failed = 1,
    exit_usage = 2,
    exit_no_daemon = 3,
    exit_no_permission = 4,
    exit_no_object = 5,
    exit_interrupted = 130,
};

struct Failure {
    int exit = exit_failed;
    std::string message;  // one sentence without a final full stop; empty: nothing more to say
};

template <typename T>
using Outcome = tl::expected<T, Failure>;
using Done = Outcome<void>;

template <typename... Args>
[[nodiscard]] tl::unexpected<Failure> fail(int exit, fmt::format_string<Args...> format, Args&&... args) {
    return tl::unexpected<Failure>(Failure{exit, fmt::format(format, std::forward<Args>(args)...)});
}

// Exit code for a positive errno. ENOENT is not here: whether an object or a file is missing, the caller knows.
[[nodiscard]] inline int exit_of(int code) {
    switch (code) {
        case ENOTCONN:
            return exit_no_daemon;
        case EACCES:
        case EPERM:
            return exit_no_permission;
        default:
            return exit_failed;
    }
}

// For a failed system call on a file: appends the text of errno (taken before anything else can change it).
template <typename... Args>
[[nodiscard]] tl::unexpected<Failure> fail_errno(fmt::format_string<Args...> format, Args&&... args) {
    const int code = errno;
    return tl::unexpected<Failure>(
        Failure{exit_of(code), fmt::format(format, std::forward<Args>(args)...) + ": " + std::strerror(code)});
}

// A line for people, or a summary that was asked for, on the standard error. One that cannot be written is lost: it
// must not make a command fail that has done its work.
template <typename... Args>
void say(fmt::format_string<Args...> format, Args&&... args) {
    const std::string line = fmt::format(format, std::forward<Args>(args)...) + "\n";
    static_cast<void>(std::fwrite(line.data(), 1, line.size(), stderr));
}

[[nodiscard]] inline tl::unexpected<Failure> interrupted_failure() {
    return tl::unexpected<Failure>(Failure{exit_interrupted, "interrupted; nothing was left behind"});
}

// Where others have what was done until then: a graph that goes on, the files that its endpoints have written.
[[nodiscard]] inline tl::unexpected<Failure> interrupted_midway() {
    return tl::unexpected<Failure>(Failure{exit_interrupted, "interrupted"});
}

}  // namespace yoke::cli
