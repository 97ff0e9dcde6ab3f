// An event loop: sd-event with owners for its sources and functions for its callbacks.
//
// A source ends with its owner, also from inside its own callback: the function is kept alive until it has returned.
// The loop and everything on it belong to one thread. Programs that use it link libsystemd; libyoke does not.
#pragma once

#include <sys/epoll.h>
#include <systemd/sd-event.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "base/error.hpp"

namespace yoke::control {

class Source {
   public:
    Source() = default;
    Source(Source&& other) noexcept;
    Source& operator=(Source&& other) noexcept;
    Source(const Source&) = delete;
    Source& operator=(const Source&) = delete;
    ~Source();

    explicit operator bool() const { return source_ != nullptr; }
    // Of a descriptor's source: which EPOLL events to watch.
    void watch(std::uint32_t events);
    // Of a timer: fires once at `at_ns` of CLOCK_MONOTONIC; `accuracy_ns` later at most.
    void arm(std::uint64_t at_ns, std::uint64_t accuracy_ns = 1'000'000);
    void disarm();

   private:
    friend class Loop;
    struct Handler;
    sd_event_source* source_ = nullptr;
    std::shared_ptr<Handler>* handler_ = nullptr;  // on the heap: sd-event holds its address

    void release();
    static int on_io(sd_event_source* source, int fd, std::uint32_t events, void* data);
    static int on_time(sd_event_source* source, std::uint64_t usec, void* data);
    static int on_signal(sd_event_source* source, const signalfd_siginfo* info, void* data);
};

class Loop {
   public:
    using OnEvents = std::function<void(std::uint32_t events)>;

    static Result<Loop> create();
    Loop(Loop&& other) noexcept : event_(std::exchange(other.event_, nullptr)) {}
    Loop& operator=(Loop&&) = delete;
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;
    ~Loop();

    // `fd` stays the caller's and must outlive the source.
    Result<Source> on_io(int fd, std::uint32_t events, OnEvents call);
    // A timer that is not armed yet.
    Result<Source> on_timer(std::function<void()> call);
    // Blocks the signal for this thread and those it starts later; call() gets the signal's number.
    Result<Source> on_signal(int signal, OnEvents call);

    // Runs until exit(); returns its code. Once only. Error: that of epoll.
    Result<int> run();
    void exit(int code);

   private:
    explicit Loop(sd_event* event) : event_(event) {}
    sd_event* event_ = nullptr;
};

}  // namespace yoke::control
