// sd-event calls back with a pointer. It points to a shared_ptr on the heap, which each callback copies before it
// calls, so that a function may destroy the source it belongs to.
#include "control/loop/loop.hpp"

#include <pthread.h>
#include <sys/signalfd.h>

#include <csignal>

namespace yoke::control {

struct Source::Handler {
    Loop::OnEvents call;
};

Source::Source(Source&& other) noexcept
    : source_(std::exchange(other.source_, nullptr)), handler_(std::exchange(other.handler_, nullptr)) {}

Source& Source::operator=(Source&& other) noexcept {
    if (this != &other) {
        release();
        source_ = std::exchange(other.source_, nullptr);
        handler_ = std::exchange(other.handler_, nullptr);
    }
    return *this;
}

Source::~Source() {
    release();
}

void Source::release() {
    if (source_ != nullptr) {
        sd_event_source_disable_unref(std::exchange(source_, nullptr));
    }
    delete std::exchange(handler_, nullptr);
}

void Source::watch(std::uint32_t events) {
    if (source_ != nullptr) {
        sd_event_source_set_io_events(source_, events);
    }
}

void Source::arm(std::uint64_t at_ns, std::uint64_t accuracy_ns) {
    if (source_ != nullptr) {
        sd_event_source_set_time_accuracy(source_, accuracy_ns / 1000 + 1);
        sd_event_source_set_time(source_, at_ns / 1000);
        sd_event_source_set_enabled(source_, SD_EVENT_ONESHOT);
    }
}

void Source::disarm() {
    if (source_ != nullptr) {
        sd_event_source_set_enabled(source_, SD_EVENT_OFF);
    }
}

int Source::on_io(sd_event_source* /*source*/, int /*fd*/, std::uint32_t events, void* data) {
    const std::shared_ptr<Handler> handler = *static_cast<std::shared_ptr<Handler>*>(data);
    handler->call(events);
    return 0;
}

int Source::on_time(sd_event_source* /*source*/, std::uint64_t /*usec*/, void* data) {
    const std::shared_ptr<Handler> handler = *static_cast<std::shared_ptr<Handler>*>(data);
    handler->call(0);
    return 0;
}

int Source::on_signal(sd_event_source* /*source*/, const signalfd_siginfo* info, void* data) {
    const std::shared_ptr<Handler> handler = *static_cast<std::shared_ptr<Handler>*>(data);
    handler->call(info->ssi_signo);
    return 0;
}

Result<Loop> Loop::create() {
    sd_event* event = nullptr;
    if (const int r = sd_event_new(&event); r < 0) {
        return fail(-r, "event loop cannot be created: {}", std::strerror(-r));
    }
    return Loop(event);
}

Loop::~Loop() {
    if (event_ != nullptr) {
        sd_event_unref(event_);
    }
}

Result<Source> Loop::on_io(int fd, std::uint32_t events, OnEvents call) {
    Source made;
    made.handler_ = new std::shared_ptr<Source::Handler>(new Source::Handler{std::move(call)});
    if (const int r = sd_event_add_io(event_, &made.source_, fd, events, &Source::on_io, made.handler_); r < 0) {
        return fail(-r, "descriptor {} cannot be watched: {}", fd, std::strerror(-r));
    }
    return made;
}

Result<Source> Loop::on_timer(std::function<void()> call) {
    Source made;
    made.handler_ = new std::shared_ptr<Source::Handler>(
        new Source::Handler{[function = std::move(call)](std::uint32_t) { function(); }});
    const int r = sd_event_add_time(event_, &made.source_, CLOCK_MONOTONIC, 0, 0, &Source::on_time, made.handler_);
    if (r < 0) {
        return fail(-r, "timer cannot be created: {}", std::strerror(-r));
    }
    sd_event_source_set_enabled(made.source_, SD_EVENT_OFF);
    return made;
}

Result<Source> Loop::on_signal(int signal, OnEvents call) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signal);
    if (const int r = pthread_sigmask(SIG_BLOCK, &set, nullptr); r != 0) {
        return fail(r, "signal {} cannot be blocked: {}", signal, std::strerror(r));
    }
    Source made;
    made.handler_ = new std::shared_ptr<Source::Handler>(new Source::Handler{std::move(call)});
    if (const int r = sd_event_add_signal(event_, &made.source_, signal, &Source::on_signal, made.handler_); r < 0) {
        return fail(-r, "signal {} cannot be watched: {}", signal, std::strerror(-r));
    }
    return made;
}

Result<int> Loop::run() {
    const int r = sd_event_loop(event_);
    if (r < 0) {
        return fail(-r, "event loop failed: {}", std::strerror(-r));
    }
    return r;
}

void Loop::exit(int code) {
    sd_event_exit(event_, code);
}

}  // namespace yoke::control
