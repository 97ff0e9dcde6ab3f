// Errors as values: an errno number that programs act on, and one sentence that people act on.
//
// The sentence names the object and the remedy ("key file k.bin has 20 bytes; aes-xts takes 32 or 64"). Functions that
// can fail return Result<T>; nothing in yoke throws across a function boundary. Hot paths return a plain int (0 or
// -errno).
#pragma once

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <tl/expected.hpp>

namespace yoke {

struct Error {
    int code = EIO;       // positive errno
    std::string message;  // one sentence without a final full stop
};

template <typename T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

template <typename... Args>
[[nodiscard]] tl::unexpected<Error> fail(int code, fmt::format_string<Args...> format, Args&&... args) {
    return tl::unexpected<Error>(Error{code, fmt::format(format, std::forward<Args>(args)...)});
}

// For a failed system call: appends the text of errno (taken before anything else can change it).
template <typename... Args>
[[nodiscard]] tl::unexpected<Error> fail_errno(fmt::format_string<Args...> format, Args&&... args) {
    const int code = errno;
    return tl::unexpected<Error>(
        Error{code, fmt::format(format, std::forward<Args>(args)...) + ": " + std::strerror(code)});
}

}  // namespace yoke
