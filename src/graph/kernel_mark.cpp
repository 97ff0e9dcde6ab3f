// See kernel_mark.hpp. A mark is written before it is published and never while it is; a handler that reads beside a
// ptask that goes sees an old name at worst.
#include "graph/kernel_mark.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <utility>

#include "base/clock.hpp"

namespace yoke::graph {

namespace {

constexpr std::size_t marks_max = 1024;  // ptasks of a busy account
constexpr std::size_t name_bytes = 160;  // of a ptask: two names of 63 characters and their slashes
constexpr std::size_t function_bytes = 128;

struct Mark {
    std::atomic<bool> taken{false};
    std::atomic<bool> published{false};
    std::atomic<std::uint64_t> launched_ns{0};  // 0: never
    std::array<char, name_bytes> ptask{};
    std::array<char, function_bytes> function{};
};

// Constant-initialised: there before main and after it.
constinit std::array<Mark, marks_max + 1> marks{};

template <std::size_t size>
void copy_cut(std::string_view text, std::array<char, size>& room) {
    const std::size_t bytes = std::min(text.size(), size - 1);
    std::copy_n(text.begin(), bytes, room.begin());
    room[bytes] = '\0';
}

}  // namespace

KernelMark::KernelMark(std::string_view ptask, std::string_view function) {
    for (std::size_t place = 1; place < marks.size(); ++place) {
        Mark& mark = marks.at(place);
        if (!mark.taken.load(std::memory_order_relaxed) && !mark.taken.exchange(true)) {
            copy_cut(ptask, mark.ptask);
            copy_cut(function, mark.function);
            mark.launched_ns.store(0, std::memory_order_relaxed);
            mark.published.store(true, std::memory_order_release);
            place_ = place;
            return;
        }
    }
}

KernelMark::KernelMark(KernelMark&& other) noexcept : place_(std::exchange(other.place_, 0)) {}

KernelMark& KernelMark::operator=(KernelMark&& other) noexcept {
    std::swap(place_, other.place_);
    return *this;
}

KernelMark::~KernelMark() {
    if (place_ != 0) {
        Mark& mark = marks.at(place_);
        mark.published.store(false, std::memory_order_release);
        mark.taken.store(false);
    }
}

void KernelMark::launched() const {
    if (place_ != 0) {
        marks[place_].launched_ns.store(now_ns(), std::memory_order_relaxed);
    }
}

const char* last_launched(std::string_view function) noexcept {
    const Mark* last = nullptr;
    std::uint64_t last_ns = 0;
    for (const Mark& mark : marks) {
        const std::uint64_t at_ns = mark.launched_ns.load(std::memory_order_relaxed);
        if (mark.published.load(std::memory_order_acquire) && at_ns > last_ns &&
            (function.empty() || function == mark.function.data())) {
            last = &mark;
            last_ns = at_ns;
        }
    }
    return last != nullptr ? last->ptask.data() : nullptr;
}

}  // namespace yoke::graph
