// Failure of a part of the tour: one sentence that names the object and the remedy. Comparisons that fail are no
// failures in this sense; they are results (report.hpp).
#pragma once

#include <string>
#include <utility>

#include <fmt/format.h>
#include <tl/expected.hpp>

namespace tour {

struct Failure {
    std::string message;
};

template <typename T>
using Outcome = tl::expected<T, Failure>;
using Done = Outcome<void>;

template <typename... Args>
[[nodiscard]] tl::unexpected<Failure> fail(fmt::format_string<Args...> format, Args&&... args) {
    return tl::unexpected<Failure>(Failure{fmt::format(format, std::forward<Args>(args)...)});
}

}  // namespace tour
